"""Every test has a timeout, and leaves no runtime behind.

A test that holds the interpreter's lock and never comes back cannot be ended by a thread of the interpreter: a watchdog in C shows where
all threads are and ends the process.
"""

import faulthandler
import os
import threading

import parla
import pytest

TIMEOUT_S = 60
GRACE_S = 10

_stderr = pytest.StashKey[int]()


def pytest_configure(config):
    config.stash[_stderr] = os.dup(2)  # before pytest captures it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    marker = item.get_closest_marker("timeout")
    limit_s = marker.args[0] if marker is not None and marker.args else TIMEOUT_S
    faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True, file=item.config.stash[_stderr])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(config.getoption("timeout", None) or TIMEOUT_S))


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
