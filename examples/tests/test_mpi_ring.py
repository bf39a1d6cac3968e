"""The ring of messages under a launcher."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "ctest" / "mpi" / "run.sh"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("parla._mpi") is None or importlib.util.find_spec("mpi4py") is None,
    reason="built without MPI, or mpi4py is not installed",
)


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_ring(command, tmp_path, n_ranks):
    line = [RUN, str(n_ranks), "60", *command("mpi_ring.py", "--laps", 50, "--size", 2000)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"50 laps of 2000 numbers around {n_ranks} ranks: {n_ranks} of {n_ranks} ranks agree" in done.stdout
    assert done.stdout.startswith(f"{n_ranks} rank")


def test_bad_input(command):
    done = subprocess.run(command("mpi_ring.py", "--laps", 0), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--laps" in done.stderr
