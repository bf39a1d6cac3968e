"""Fixtures: a runtime with two simulated GPUs."""

import parla
import pytest
from crosspy_cases import RUNTIME


@pytest.fixture(scope="module")
def runtime():
    """Keep one runtime active for the tests of a module."""
    with parla.Parla(n_workers=2, devices=RUNTIME) as active:
        yield active
