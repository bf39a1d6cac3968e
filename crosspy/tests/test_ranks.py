"""Arrays and tasks over ranks, under a launcher: one launch runs many cases (ranks_program.py)."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
RUN = HERE.parents[1] / "ctest" / "mpi" / "run.sh"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("parla._mpi") is None or importlib.util.find_spec("mpi4py") is None,
    reason="built without MPI, or mpi4py is not installed",
)


def launch(n_ranks, path, limit=100, **environment):
    """Run a program on some ranks and return the finished process."""
    line = [RUN, str(n_ranks), str(limit), sys.executable, "-u", path]
    environment = {**os.environ, "PARLA_LOG": "error", "OPENBLAS_NUM_THREADS": "1", **environment}
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("n_ranks", "transport"), [(1, "mpi"), (2, "ucx"), (2, "mpi"), (3, "mpi"), (4, "ucx")])
def test_many_cases(n_ranks, transport):
    """Layouts, slices, scatter and gather, task streams, names, failures: on the world and on a split communicator."""
    done = launch(n_ranks, HERE / "ranks_program.py", PARLA_TRANSPORT=transport)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all cases passed" in done.stdout


def program(tmp_path, source):
    path = tmp_path / "program.py"
    path.write_text(
        "import crosspy as xp, numpy as np\nfrom mpi4py import MPI\nfrom parla import Parla, cpu, spawn\n"
        "rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size\n" + textwrap.dedent(source)
    )
    return path


@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", ["xp.sync()", "a.gather()", "pass"])
def test_a_rank_that_diverges_is_named(tmp_path, where):
    """At a meeting, or at the latest at the end of the runtime; the job ends instead of hanging."""
    done = launch(
        3,
        program(
            tmp_path,
            f"""
            with Parla(n_workers=1, mpi=True):
                a = xp.zeros(xp.Split((3,), devices=[(i, cpu) for i in range(3)]))
                for i in range(3):
                    if (rank, i) != (1, 2):
                        spawn(inout=[a.block(0)], input=[a.block(i)])(lambda: None) if i else None
                {where}
            """,
        ),
        limit=60,
    )
    assert done.returncode not in (0, 110), done.stdout + done.stderr
    assert "rank 1 has not made the same collective calls as rank 0" in done.stderr


@pytest.mark.timeout(200)
@pytest.mark.parametrize("transport", ["ucx", "mpi"])
@pytest.mark.parametrize("n_ranks", [2, 4])
def test_a_failing_task_shows_its_own_traceback(tmp_path, n_ranks, transport):
    """However soon the other ranks learn of it, and whichever way the failure comes back to its own rank."""
    path = program(
        tmp_path,
        """
        def step(k, i):
            if k == 20 and i == 1:
                raise OSError("no room left")

        with Parla(n_workers=1, mpi=True):
            a = xp.zeros(xp.Split((1000 * size,), devices=[(i, cpu) for i in range(size)]))
            for k in range(40):
                for i in range(size):
                    spawn(input=[a.block((i + 1) % size)], inout=[a.block(i)], args=(k, i))(step)
            a.gather()
        """,
    )
    for _ in range(5):
        done = launch(n_ranks, path, limit=60, PARLA_TRANSPORT=transport)
        assert done.returncode not in (0, 110), done.stdout + done.stderr
        assert ", in step" in done.stderr and "OSError: no room left" in done.stderr, done.stderr
        assert f"rank 1 of {n_ranks}" in done.stderr


@pytest.mark.timeout(120)
def test_a_layout_of_more_ranks_than_there_are(tmp_path):
    """All ranks raise the same error, with words that help."""
    source = """
    with Parla(n_workers=1, mpi=True):
        xp.zeros(xp.Split((4,), devices=[(0, cpu), (2, cpu)]))
    """
    done = launch(2, program(tmp_path, source), limit=60)
    assert done.returncode not in (0, 110) and "there are only 2 ranks" in done.stderr, done.stderr
