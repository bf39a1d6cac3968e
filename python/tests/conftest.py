"""Every test has a timeout, and leaves no runtime behind."""

import threading

import parla
import pytest

TIMEOUT_S = 60


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(autouse=True)
def no_runtime_left():
    yield
    assert parla.runtime.current() is None


@pytest.fixture
def rt():
    """A running runtime with two workers."""
    with parla.Parla(n_workers=2) as runtime:
        yield runtime


@pytest.fixture
def sims():
    """A running runtime with two simulated GPUs."""
    with parla.Parla(n_workers=2, devices="sim:2") as runtime:
        yield runtime


@pytest.fixture
def gate():
    """A closed gate: bodies that call `gate.wait()` stay until the test opens it with `gate.set()`."""
    event = threading.Event()
    yield event
    event.set()
