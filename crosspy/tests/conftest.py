"""Fixtures: a runtime with two simulated GPUs."""

import parla
import pytest
from crosspy_cases import RUNTIME, n_cases


@pytest.fixture(autouse=True)
def _count():
    """Print how many random cases a test has compared with NumPy, for the summary of a run (ci/summary.py)."""
    before = n_cases.total()
    yield
    if n_cases.total() > before:
        print(f"# count: {n_cases.total() - before} cases of indexing, assignment and computing beside NumPy")


@pytest.fixture(scope="module")
def runtime():
    """Keep one runtime active for the tests of a module."""
    with parla.Parla(n_workers=2, devices=RUNTIME) as active:
        yield active
