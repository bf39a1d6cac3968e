"""Fixtures of the tests on CUDA devices: they run on a card, or on the driver in host memory (test `python.gpu` in CTest)."""

import sys

import cuda_driver
import fake_cupy
import parla
import pytest
from parla import _cuda

needs_cuda = pytest.mark.skipif(not cuda_driver.is_there(), reason="no CUDA driver with a card")


def _real_cupy():
    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
    except Exception:  # not installed, or no runtime under it
        return None
    return cupy


@pytest.fixture
def fake():
    """The judge of the driver in host memory, None on a real one. Nothing may be wrong at the end."""
    found = cuda_driver.Fake.find()
    yield found
    if found is not None:
        assert found.n_wrong() == 0, found.last_wrong()


@pytest.fixture
def cupy(monkeypatch):
    """CuPy where it runs, else its double."""
    found = _real_cupy() or fake_cupy
    monkeypatch.setitem(_cuda._modules, "cupy", found)
    monkeypatch.setitem(sys.modules, "cupy", found)
    yield found
    _cuda.forget_streams()


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(_cuda._modules, "cupy", None)


@pytest.fixture
def cards(fake):
    """A runtime with one worker and two devices on one card."""
    with parla.Parla(n_workers=1, devices="cuda:0,cuda:0") as runtime:
        yield runtime


@pytest.fixture
def other(fake):
    """Work of somebody else's on card 0."""
    card = cuda_driver.Card(0)
    yield card
    card.close()
