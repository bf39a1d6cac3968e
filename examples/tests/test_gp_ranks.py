"""The main example under mpirun: the same numbers on several ranks, and one message when the input cannot be used."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "ctest" / "mpi" / "run.sh"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("parla._mpi") is None or importlib.util.find_spec("mpi4py") is None,
    reason="built without MPI, or mpi4py is not installed",
)


@pytest.fixture
def job(command, tmp_path):
    """A function that runs examples/python/NAME on some ranks in an empty folder and returns the finished process."""

    def run(n_ranks, name, *arguments, limit=100):
        line = [RUN, str(n_ranks), str(limit), *command(name, *arguments)]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def numbers(text):
    """The results, with all digits that are printed."""
    return re.findall(r"(?:log marginal likelihood|mean, |variance, |RMSE).*", text)


@pytest.mark.timeout(250)
def test_ranks_give_the_same_numbers(program, job, tmp_path, monkeypatch):
    """Two and three ranks, with different devices: the tiles alone decide on the numbers, bit by bit."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # of the reference, whose last bits depend on it
    arguments = ["--size", 200, "--block", 40, "--no-progress"]
    alone = program("gp_co2.py", *arguments, "--devices", "sim:1")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    for n_ranks, devices in ((2, "sim:2"), (3, "cpu")):
        done = job(n_ranks, "gp_co2.py", *arguments, "--devices", devices)
        assert done.returncode == 0, done.stdout + done.stderr
        assert all("share" in line for line in done.stderr.splitlines()), done.stderr  # more ranks than cores
        assert numbers(done.stdout) == numbers(alone.stdout)
        assert done.stdout.count("Layout of the matrix") == 1 and f"{n_ranks} ranks, each with" in done.stdout
        assert (tmp_path / "build/demo/gp_co2.png").exists()
        trace = json.loads((tmp_path / "build/demo/gp_co2.trace.json").read_text())
        assert {event["pid"] for event in trace["traceEvents"]} >= set(range(n_ranks))  # merged
        for rank in range(n_ranks):
            assert (tmp_path / f"build/demo/gp_co2.trace.{rank}.json").exists()
        together, needed = (
            re.search(rf"^  {name} +(.*)$", done.stdout, re.MULTILINE)[1].split() for name in ("together", "needed by the plans")
        )
        assert any(float(value) > 0 for value in needed)
        for moved, least in zip(together, needed):
            assert float(least) <= float(moved) <= float(least) + 0.01  # what the ranks tell each other when they meet


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_a_file_that_one_rank_lacks(command, tmp_path, n_ranks):
    """That rank says so, and ends all."""
    lacks = f'if [ "$OMPI_COMM_WORLD_RANK" = {n_ranks - 1} ]; then exec "$@" --csv missing.csv; fi; exec "$@"'
    line = [RUN, str(n_ranks), "50", "bash", "-c", lacks, "rank", *command("gp_co2.py", "--no-progress")]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count(f"gp_co2: rank {n_ranks - 1}: missing.csv: No such file or directory") == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--csv", "missing.csv"], "missing.csv: No such file or directory"),
        (["--size", "50", "--devices", "quantum:2"], "quantum"),
        (["--size", "0"], "must be at least 1"),
    ],
)
def test_bad_input(job, arguments, message):
    """All ranks end with status 2, and one of them says why."""
    done = job(2, "gp_co2.py", *arguments, limit=50)
    assert done.returncode == 2, done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if "gp_co2" in line and message in line]
    assert len(told) == 1, done.stderr
    assert "Traceback" not in done.stderr
