"""The notebooks, executed in a kernel without a window; what they show is compared with what is stored in them."""

import re
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PROGRESS = re.compile(r"\d+%\|")  # a bar of tqdm: it shows times


@pytest.fixture
def launcher(monkeypatch):
    """Let mpiexec start engines as root and on as few cores as there are, and find this environment's programs."""
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OMPI_MCA_mpi_yield_when_idle", "1")
    monkeypatch.setenv("OMPI_MCA_hwloc_base_binding_policy", "none")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def texts(cell):
    """Return what a cell shows as text, without colours and in a fixed order: ranks answer as they like."""
    shown = []
    for output in cell.get("outputs", ()):
        if output["output_type"] == "stream":
            shown += [output["text"]] if output["name"] == "stdout" else []
        else:
            shown.append(output["data"]["text/plain"])
    return sorted(COLOUR.sub("", text).strip() for text in shown if not PROGRESS.search(text))


def check(name):
    stored = nbformat.read(NOTEBOOKS / name, 4)
    fresh = nbformat.read(NOTEBOOKS / name, 4)
    nbclient.NotebookClient(fresh, timeout=100, kernel_name="python3").execute()
    for old, new in zip(stored.cells, fresh.cells, strict=True):
        assert texts(new) == texts(old), new["source"]
    assert any(texts(cell) for cell in stored.cells)


def test_first_steps():
    check("first_steps.ipynb")


def test_ranks(launcher):
    pytest.importorskip("ipyparallel")
    pytest.importorskip("mpi4py")
    check("ranks.ipynb")
