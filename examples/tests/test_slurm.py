"""The job scripts of examples/slurm, under a double of Slurm (mock_slurm.py)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import parla
import pytest

pytest.importorskip("mpi4py")
if shutil.which("mpirun") is None:
    pytest.skip("needs mpirun", allow_module_level=True)

SCRIPTS = Path(__file__).resolve().parents[1] / "slurm"
PROGRAM = """
import os, sys
from mpi4py import MPI
from parla import Parla, spawn
with Parla(mpi="auto"):
    comm = MPI.COMM_WORLD
    sums = comm.gather(spawn(lambda: comm.rank + 1).result())
    if comm.rank == 0:
        print("ranks:", sums, "tasks:", os.environ["SLURM_NTASKS"])
"""
ENDLESS = """
import threading
from pathlib import Path
from mpi4py import MPI
from parla import Parla, spawn
with Parla(mpi="auto"):
    spawn(lambda: 1).result()
    Path(f"started.{MPI.COMM_WORLD.rank}").touch()
    threading.Event().wait()
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """An empty working folder, and sbatch, srun, parla and python in the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    mock = Path(__file__).with_name("mock_slurm.py")
    for name, command in (("python", ""), ("parla", "-m parla"), ("sbatch", f'"{mock}" sbatch'), ("srun", f'"{mock}" srun')):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OMPI_MCA_mpi_yield_when_idle", "1")
    monkeypatch.setenv("OMPI_MCA_hwloc_base_binding_policy", "none")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def sbatch(*words):
    return subprocess.run(["sbatch", *map(str, words)], capture_output=True, text=True, timeout=100, check=False)


def receipts(folder):
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("receipt.*.json"))]
    assert [one["rank"] for one in found] == list(range(len(found)))
    return found


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.stem)
def test_each_script_runs_its_program_on_all_ranks(slurm, script, monkeypatch):
    monkeypatch.setenv("PARLA_DEVICES", "sim:2")
    done = sbatch(script, "program.py")
    assert done.returncode == 0, done.stderr
    assert "ranks: [1, 2] tasks: 2\n" in done.stdout
    if "PARLA_RECEIPT" in script.read_text():
        found = receipts(slurm)
        assert [(one["n_ranks"], one["ended_by"], len(one["devices"])) for one in found] == [(2, "the end", 3)] * 2


def test_the_doctor_sees_the_ranks(slurm):
    done = sbatch(SCRIPTS / "cpu.sh", "program.py")
    assert "2 ranks; the first has" in done.stdout, done.stdout + done.stderr


def test_a_recorded_run_is_explained(slurm):
    done = sbatch("--test-job=18", SCRIPTS / "trace.sh", "program.py")
    assert "run.18.json: " in done.stdout and "ranks 2" in done.stdout, done.stdout + done.stderr


def test_pre_emption_ends_a_run_with_the_receipts_of_all_ranks(slurm):
    (slurm / "endless.py").write_text(ENDLESS)
    job = subprocess.Popen(["sbatch", str(SCRIPTS / "preempted.sh"), "endless.py"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(list(slurm.glob("started.*"))) < 2:
        assert job.poll() is None, job.stderr.read()
        assert time.monotonic() < deadline, "waited 60 s for both ranks to start"
        time.sleep(0.02)
    job.send_signal(signal.SIGTERM)
    _, errors = job.communicate(timeout=60)
    assert job.returncode != 0
    found = receipts(slurm)
    assert [(one["n_ranks"], one["ended_by"], one["tasks"]["ended"]) for one in found] == [(2, "SIGTERM", 1)] * 2, errors
    assert errors.count("ended by SIGTERM") == 2


def test_ci_in_a_job(slurm, monkeypatch):
    """The MPI tests that ci/cluster would run are replaced by one that looks at nothing but that ctest is called."""
    top = SCRIPTS.parents[1]
    for name in ("ci", "examples"):
        (slurm / name).symlink_to(top / name)
    (slurm / "build/dev/ctest").mkdir(parents=True)
    (slurm / "build/dev/python").symlink_to(Path(parla._parla.__file__).parents[1])
    (slurm / "build/venv/bin").mkdir(parents=True)
    (slurm / "build/venv/bin/python").symlink_to(slurm / "bin/python")
    (slurm / "bin/ctest").write_text('#!/bin/sh\necho ctest "$@"\n')
    (slurm / "bin/ctest").chmod(0o755)
    copy = slurm / "spool.sh"  # as Slurm's
    copy.write_text((top / "ci/cluster").read_text().replace("--nodes=2", "--nodes=1"))
    done = sbatch(copy, "dev", "-R", "mpi")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 ranks; the first has" in done.stdout
    assert "ctest --test-dir build/dev -L mpi --output-on-failure --no-tests=error -R mpi\n" in done.stdout
    assert len(list((slurm / "build/receipts").glob("cross_arrays.*.json"))) == 2


def test_the_double_knows_what_it_does_not_know(slurm):
    (slurm / "job.sh").write_text("#!/bin/bash\n#SBATCH --nodez=1\n")
    assert "unrecognized option '--nodez=1'" in sbatch("job.sh").stderr
