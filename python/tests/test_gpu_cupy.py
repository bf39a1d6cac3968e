"""CuPy itself: the names and signatures that the package uses, which need no driver; and computing in bodies, which needs a card.

CuPy is not among the packages of CI: these tests run where somebody has installed it.
"""

import inspect
import operator

import fake_cupy
import numpy as np
import pytest
from gpu_fixtures import _real_cupy, cards, fake, needs_cuda  # noqa: F401
from parla import get_current_stream, gpu, spawn
from parla.array import asarray, asnumpy, clone_here, get_array_module

cupy = pytest.importorskip("cupy")
needs_card = pytest.mark.skipif(_real_cupy() is None, reason="CuPy does not find a card that it can use")


def memory_at(address, n_bytes, owner=None):
    return cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(address, n_bytes, owner, 0), 0)


# --- Without a driver ---


def names(double):
    """The names of a part of the double that are CuPy's, and not helpers of its own."""
    return {name for name in vars(double) if not name.startswith("_") or name in ("__enter__", "__exit__", "__cuda_array_interface__")}


def test_the_double_has_no_name_that_cupy_lacks():
    assert names(fake_cupy.cuda) <= set(dir(cupy.cuda))
    assert names(fake_cupy.ndarray) <= set(dir(cupy.ndarray))
    for part in ("Device", "UnownedMemory", "MemoryPointer"):
        assert names(getattr(fake_cupy.cuda, part)) <= set(dir(getattr(cupy.cuda, part)))
    if hasattr(cupy.cuda.Stream, "from_external"):  # from version 14
        assert {"__enter__", "__exit__", "from_external", "__cuda_stream__"} <= set(dir(cupy.cuda.Stream))
    else:
        assert list(inspect.signature(cupy.cuda.ExternalStream).parameters) == ["ptr", "device_id"]


def test_an_array_over_memory_of_ours():
    owner = object()
    a = cupy.ndarray((2, 3), np.dtype("f4"), memory_at(1 << 20, 4096, owner), (16, 4))
    assert (a.shape, a.strides, a.dtype, a.data.ptr) == ((2, 3), (16, 4), np.float32, 1 << 20)
    part = a[1:, ::-1]
    assert (part.data.ptr, part.strides) == ((1 << 20) + 16 + 8, (16, -4))


def test_a_view_of_a_type_of_ours():
    kind = type("Part", (cupy.ndarray,), {"array": property(lambda self: self.view(type=cupy.ndarray))})
    part = cupy.ndarray((4,), np.dtype("f8"), memory_at(1 << 20, 32)).view(type=kind)
    assert isinstance(part, kind) and type(part.array) is cupy.ndarray and part.array.data.ptr == 1 << 20


def test_an_allocator_of_ours_for_a_while():
    asked = []

    def allocate(n_bytes):
        asked.append(n_bytes)
        return memory_at(1 << 21, n_bytes)

    with cupy.cuda.using_allocator(allocate):
        a = cupy.ndarray((8,), np.dtype("f8"))
    assert a.data.ptr == 1 << 21 and len(asked) == 1 and asked[0] >= 64


# --- On a card ---


def on(device, body, **options):
    return spawn(placement=device, **options)(body).result()


@needs_cuda
@needs_card
@pytest.mark.parametrize("n", [1, 1000, 1 << 20])
def test_computing(cards, n):
    a, b = asarray(np.arange(n, dtype=np.float64)), asarray(np.ones(n))

    def body():
        assert get_array_module(a) is cupy
        b[...] = np.add(a, b) * 2
        b.array[...] += cupy.sqrt(a.array)
        return operator.index(int((a @ a) >= 0))

    assert on(gpu(0), body, input=[a], inout=[b]) == 1
    expected = (np.arange(n, dtype=np.float64) + 1) * 2 + np.sqrt(np.arange(n))
    assert np.allclose(np.asarray(b), expected)


@needs_cuda
@needs_card
def test_a_chain_over_two_devices_on_one_card(cards):
    a = asarray(np.zeros(1 << 16))

    def add():
        a.array[...] += 1

    for i in range(100):
        spawn(placement=gpu(i % 2), inout=[a])(add)
    assert (np.asarray(a) == 100).all()


@needs_cuda
@needs_card
def test_work_is_in_the_tasks_stream_and_memory_in_its_pool(cards):
    def body():
        assert cupy.cuda.get_current_stream().ptr == get_current_stream().pointer
        before, own = cupy.get_default_memory_pool().used_bytes(), gpu(0).query()["used_bytes"]
        made = cupy.arange(1000) * 2
        assert cupy.get_default_memory_pool().used_bytes() == before
        assert gpu(0).query()["used_bytes"] > own
        return made

    assert (asnumpy(on(gpu(0), body)) == np.arange(1000) * 2).all()


@needs_cuda
@needs_card
def test_arrays_of_cupy_outside_of_tasks(cards):
    given = cupy.arange(1 << 16, dtype=np.float64)
    a = asarray(given)
    assert (np.asarray(a) == np.arange(1 << 16)).all()
    taken = on(gpu(1), lambda: clone_here(given) + 1)
    assert (cupy.asnumpy(taken) == np.arange(1 << 16) + 1).all()
