"""Python bodies on CUDA devices: what is current, whose memory is used, what local arrays are."""

import ctypes
import gc
import sys
import threading
import types

import cuda_driver
import numpy as np
import parla
import pytest
from gpu_fixtures import cards, cupy, fake, needs_cuda, no_cupy, other  # noqa: F401
from parla import cpu, get_current_context, get_current_stream, gpu, spawn
from parla.array import DeviceArray, asarray, asnumpy, clone_here, copy, get_array_module

pytestmark = needs_cuda

KIB = 1024


def on(device, body, **options):
    return spawn(placement=device, **options)(body).result()


# --- What is current ---


def test_two_devices_on_one_card(cards, cupy):
    assert [device.ordinal for device in gpu] == [0, 0]
    assert [device.kind for device in gpu] == ["cuda", "cuda"]
    streams = {on(device, lambda: get_current_stream().pointer) for device in gpu}
    assert len(streams) == 2


def test_the_context_is_current_in_a_body(cards, no_cupy):
    assert on(gpu(0), cuda_driver.current_context) is not None
    assert on(cpu, cuda_driver.current_context) is None


def current(cupy):
    found = cupy.cuda.get_current_stream()
    return None if found is None or found.ptr in (0, 1, 2) else found.ptr


def test_stream_and_device_are_cupys_current_ones(cards, cupy):
    for device in gpu:
        seen, own, ordinal = on(device, lambda: (current(cupy), get_current_stream().pointer, cupy.cuda.Device().id))
        assert (seen, ordinal) == (own, 0)
        assert on(cpu, lambda: current(cupy)) is None  # one worker: the same thread


def test_they_are_restored_when_a_body_fails(cards, cupy):
    def fail():
        assert current(cupy) is not None
        raise KeyError("as it should")

    with pytest.raises(KeyError):
        on(gpu(0), fail)
    assert on(cpu, lambda: current(cupy)) is None


def test_they_are_set_again_after_an_await(cards, cupy):
    seen = []

    async def body():
        seen.append(current(cupy) == get_current_stream().pointer)
        await spawn(placement=cpu)(lambda: seen.append(current(cupy) is None))
        seen.append(current(cupy) == get_current_stream().pointer)

    on(gpu(0), body)
    assert seen == [True, True, True]


def test_a_second_device_is_entered(cards, cupy):
    def body():
        found = []
        for ctx in get_current_context().loop():
            found.append((current(cupy), ctx.stream.pointer))
        found.append((current(cupy), get_current_stream().pointer))
        return found

    found = on((gpu(0), gpu(1)), body)
    assert len({own for _, own in found}) == 2
    assert all(seen == own for seen, own in found)


def test_the_stream_protocol(cards, no_cupy):
    def body():
        context = get_current_context()
        return context.__cuda_stream__(), context.stream.__cuda_stream__(), context.stream.pointer

    of_context, of_stream, pointer = on(gpu(0), body)
    assert of_context == of_stream == (0, pointer)
    with pytest.raises(parla.StateError, match="no CUDA device"):
        on(cpu, lambda: get_current_context().__cuda_stream__())


def test_synchronize_waits_for_the_stream(cards, no_cupy, fake):
    a = asarray(np.zeros(100))

    def body():
        a.array[...] = np.ones(100)
        get_current_context().synchronize()
        get_current_context().record_events()
        get_current_context().synchronize_events()

    on(gpu(0), body, output=[a])
    assert a.array.sum() == 100


def test_pytorch_has_the_stream_if_it_is_there(cards, no_cupy, monkeypatch):
    log = []

    class Current:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            log.append(("in", self.stream))

        def __exit__(self, *error):
            log.append(("out", self.stream))

    torch = types.SimpleNamespace(
        is_available=lambda: True, ExternalStream=lambda pointer, device: (pointer, device), stream=Current
    )
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=torch))

    async def body():
        log.append(("body", get_current_stream().pointer))
        await spawn(placement=cpu)(lambda: log.append(("between", None)))
        log.append(("again", get_current_stream().pointer))  # perhaps another one

    on(gpu(1), body)
    assert [what for what, _ in log] == ["in", "body", "out", "between", "in", "again", "out"]
    assert log[0][1] == log[2][1] == (log[1][1], 0)
    assert log[4][1] == log[6][1] == (log[5][1], 0)


def test_numbas_default_stream_is_in_order(cards, no_cupy, fake, other, monkeypatch):
    """Work that a body puts into the default stream comes after the task's, and the next task's after it."""
    monkeypatch.setitem(sys.modules, "numba.cuda", types.SimpleNamespace())
    a = asarray(np.zeros(64, np.uint8))

    def body():
        there = a.array
        with other:
            cuda_driver.call(
                "cuMemsetD8Async",
                *(ctypes.c_uint64(there.address), ctypes.c_ubyte(7), ctypes.c_size_t(64)),
                ctypes.c_void_p(1),
            )

    on(gpu(0), body, output=[a])
    assert (asnumpy(a) == 7).all()


# --- Memory ---


def used(device):
    gc.collect()
    return device.query()["used_bytes"]


def test_cupys_memory_is_of_the_devices_pool(cards, cupy, fake):
    def body():
        before = used(gpu(0))
        made = cupy.ndarray((256,), np.float32)
        inside = used(gpu(0)) - before
        del made
        return inside, used(gpu(0)) - before

    assert on(gpu(0), body) == (KIB, 0)


def test_reserved_memory_is_not_counted_twice(cards, cupy):
    def body():
        made = cupy.ndarray((256,), np.float32)
        state = gpu(0).query()
        return made.size, state["used_bytes"], state["reserved_bytes"]

    assert on(gpu(0), body, memory=4 * KIB) == (256, KIB, 3 * KIB)


def test_more_than_there_is_raises_memory_error(cards, cupy):
    with pytest.raises(MemoryError, match="say at the spawn how much memory"):
        on(gpu(0), lambda: cupy.ndarray((gpu(0).memory_bytes,), np.float32).size)


def test_a_result_outlives_its_task_and_the_runtime(cupy, fake):
    with parla.Parla(n_workers=1, devices="cuda:0"):
        kept = on(gpu(0), lambda: clone_here(np.arange(8.0)))
        assert used(gpu(0)) == 64
        assert (asnumpy(kept) == np.arange(8.0)).all()
    del kept
    gc.collect()


def test_memory_given_back_elsewhere_waits_for_all_streams(cards, no_cupy, fake):
    """An array that another task reads goes while that may still be reading: the judge of the fake driver would notice."""
    a = asarray(np.zeros(4096, np.uint8))
    for round in range(20):
        kept = [on(gpu(round % 2), lambda: clone_here(np.full(4096, round, np.uint8)))]

        def use():
            a.array[...] = kept[0]

        task = spawn(placement=gpu(0), output=[a])(use)
        task.wait()
        kept.clear()
        assert (asnumpy(a) == round).all()


# --- Run-ahead ---


def follow_while_paused(fake, **options):
    """Whether a task's body ran while the device had not yet done the work of the one that it depends on."""
    a = asarray(np.zeros(64, np.uint8))
    first_ran, second_ran, between_ran = threading.Event(), threading.Event(), threading.Event()

    def first():
        pointer, stream = a.array.__cuda_array_interface__["data"][0], get_current_stream().pointer
        cuda_driver.call("cuMemsetD8Async", ctypes.c_uint64(pointer), ctypes.c_ubyte(1), ctypes.c_size_t(64), ctypes.c_void_p(stream))
        first_ran.set()

    fake.pause(True)
    try:
        one = spawn(placement=gpu(0), output=[a], **options)(first)
        two = spawn(dependencies=[one], placement=gpu(0))(second_ran.set)
        assert first_ran.wait(60)
        if "runahead" not in options:
            assert second_ran.wait(60)
        spawn(placement=cpu)(between_ran.set).wait()  # the one worker is behind the end of the first body
        ran_ahead = second_ran.is_set()
    finally:
        fake.pause(False)
    two.wait()
    assert (asnumpy(a) == 1).all()
    return ran_ahead


def test_runahead_none_keeps_back_what_follows(cards, no_cupy, fake):
    if fake is None:
        pytest.skip("only the driver in host memory pauses on request")
    assert follow_while_paused(fake)
    assert not follow_while_paused(fake, runahead=parla.SynchronizationType.NONE)


# --- Failure ---


def test_work_that_fails_fails_the_task_with_the_drivers_words(no_cupy, fake):
    if fake is None:
        pytest.skip("only the driver in host memory fails on request")
    a = asarray(np.zeros(64))
    with pytest.raises(parla.DeviceError, match="CUDA_ERROR_ILLEGAL_ADDRESS"), parla.Parla(n_workers=1, devices="cuda:0"):

        @spawn(placement=gpu(0), inout=[a])
        def body():
            source = clone_here(np.ones(64))
            fake.fail_work(1, 700)
            a.array[...] = source

        @spawn(placement=gpu(0), inout=[a])
        def after():
            raise AssertionError("it must not run")

        after.wait()
        assert after.state == "cancelled"
        body.result()
    fake.forget()  # what a failed context has is not given back


# --- Local arrays ---


@pytest.fixture(params=["cupy", "no_cupy"])
def library(request):
    return request.getfixturevalue(request.param)


def test_the_local_array_is_on_the_device(cards, library):
    a = asarray(np.arange(12.0).reshape(3, 4))

    def body():
        local = a.array
        assert isinstance(local, DeviceArray if library is None else library.ndarray)
        assert local.shape == (3, 4) and local.strides == (32, 8) and local.dtype == float
        assert get_array_module(a) is (np if library is None else library)
        assert get_array_module(np.ones(1)) is np
        return asnumpy(a), asnumpy(a[::2, ::-1]), asnumpy(a[1])

    whole, part, row = on(gpu(1), body, input=[a])
    assert (whole == np.arange(12.0).reshape(3, 4)).all()
    assert (part == whole[::2, ::-1]).all()
    assert (row == whole[1]).all()


def test_writing(cards, no_cupy):
    a = asarray(np.zeros((4, 4)))
    b = asarray(np.full((2, 4), 5.0))

    def body():
        a.update(np.ones((4, 4)))
        a[1:3] = b
        a.array[0] = 3
        copy(a[3:], np.arange(4.0)[None])

    on(gpu(0), body, inout=[a], input=[b])
    assert (np.asarray(a) == [[3] * 4, [5] * 4, [5] * 4, [0, 1, 2, 3]]).all()


def test_views_of_one_array(cards, no_cupy):
    a = asarray(np.arange(10))
    halves = [a[:5], a[5:]]

    def body(half):
        half.update(asnumpy(half) * 10)

    for device, half in zip(gpu, halves):
        spawn(placement=device, inout=[half], args=[half])(body)
    assert (np.asarray(a) == np.arange(10) * 10).all()


def test_what_names_an_array_as_input_cannot_write_it(cards, no_cupy):
    a = asarray(np.zeros(4))

    def body():
        a.array[...] = 1

    with pytest.raises(ValueError, match="read-only"):
        on(gpu(0), body, input=[a])


def test_the_host_cannot_look_at_it(cards, library):
    a = asarray(np.zeros(4))

    def body():
        with pytest.raises(TypeError, match="asnumpy"):
            np.asarray(a)
        view = a._data.local(-1, None)[0][0]
        with pytest.raises(BufferError, match="belongs to a device"):
            memoryview(view)

    on(gpu(0), body, input=[a])


def test_a_local_array_that_is_returned_is_copied(cards, library):
    a = asarray(np.arange(4.0))
    kept = on(gpu(0), lambda: {"x": [a.array]}, input=[a])["x"][0]
    a.update(np.zeros(4))
    assert (asnumpy(kept) == np.arange(4.0)).all()


def test_a_local_array_that_is_kept_is_an_error(cards, library):
    a = asarray(np.arange(4.0))
    kept = []
    with pytest.raises(parla.StateError, match="keeps a local array"):
        on(gpu(0), lambda: kept.append(a.array), input=[a])
    kept.clear()


def test_local_arrays_of_several_devices(cards, no_cupy, fake):
    """A body on two devices copies from one to the other and back; each copy comes after what the other stream has to do."""
    a, b = asarray(np.zeros(4096, np.uint8)), asarray(np.zeros(4096, np.uint8))

    def body():
        first, second = get_current_context()
        with first:
            here = a.array
            here[...] = clone_here(np.full(4096, 3, np.uint8))
        with second:
            there = b.array
            there[...] = here
        with first:
            here[...] = there
            here[:100] = there[100:200]

    fake and fake.delay(500)
    on((gpu(0), gpu(1)), body, inout=[(a, 0), (b, 1)])
    fake and fake.delay(0)
    assert (np.asarray(a) == 3).all() and (np.asarray(b) == 3).all()


def test_clone_here(cards, library):
    a = asarray(np.arange(6.0).reshape(2, 3))

    def body():
        of_array, of_host = clone_here(a[:, ::-1]), clone_here(np.float32([1, 2]))
        assert isinstance(of_array, DeviceArray if library is None else library.ndarray)
        return asnumpy(of_array), asnumpy(of_host)

    of_array, of_host = on(gpu(0), body, input=[a])
    assert (of_array == np.arange(6.0).reshape(2, 3)[:, ::-1]).all()
    assert of_host.dtype == np.float32 and (of_host == [1, 2]).all()


def test_the_content_of_a_device_is_seen_from_outside(cards, library):
    a = asarray(np.zeros(4))
    on(gpu(0), lambda: a.update(np.full(4, 2.0)), output=[a])
    got = a.get(gpu(0))
    assert type(got) is np.ndarray and (got == 2).all()


def test_a_part_is_its_own_array(cards, cupy):
    a = asarray(np.arange(4.0))

    def body():
        part = a[...]
        assert type(part) is not cupy.ndarray and isinstance(part, cupy.ndarray)
        assert type(part.array) is cupy.ndarray

    on(gpu(0), body, input=[a])


def test_empty_arrays(cards, library):
    a = asarray(np.zeros((0, 3)))
    shape, there = on(gpu(0), lambda: (a.array.shape, asnumpy(clone_here(a)).shape), input=[a])
    assert shape == there == (0, 3)


def test_bodies_on_two_threads(fake, cupy):
    """Each thread has its own current stream."""
    with parla.Parla(n_workers=2, devices="cuda:0,cuda:0"):
        both = threading.Barrier(2, timeout=30)

        def body():
            before = current(cupy)
            both.wait()
            return before == current(cupy) == get_current_stream().pointer

        tasks = [spawn(placement=gpu(i))(body) for i in range(2)]
        assert [task.result() for task in tasks] == [True, True]
