"""What a body learns about where it runs: contexts, loops over devices, streams, events."""

import threading

import numpy as np
import parla
import pytest
from parla import Locals, array, cpu, create_env, get_current_context, get_current_devices, get_current_stream, gpu, spawn


BOTH = [(gpu(0), gpu(1))]


def on(placement, body, **arguments):
    return spawn(placement=placement, **arguments)(body).result()


def test_everything_that_a_context_tells(sims):
    def body():
        context = get_current_context()
        assert len(context) == 2
        assert context.devices == (gpu(0), gpu(1)) == tuple(context.get_devices(gpu)) == tuple(context.get_all_devices())
        assert context.device == gpu(0) == context() == context.get_parla_device() == context.get_library_device()
        assert (context.gpu_ids, context.gpu_id, context.global_ids) == ([0, 1], 0, [1, 2])
        assert context.get_cupy_devices() == [gpu(0), gpu(1)]
        assert context.get_devices(cpu) == []
        assert context.has(gpu)
        assert not context.has(cpu)
        assert gpu in context
        assert gpu(1) in context
        assert cpu not in context
        assert context[1] == gpu(1)
        assert context[1] in context
        assert context[-1] == context[1]
        assert context[0:1] == gpu(0)
        assert context[0:2] == context
        assert [leaf.device for leaf in context.contexts] == [gpu(0), gpu(1)]
        assert [stream.device for stream in context.streams] == [gpu(0), gpu(1)]
        assert len({context[0], context[1], context[0]}) == 2
        with pytest.raises(IndexError):
            context[2]
        return repr(context)

    assert on(BOTH, body) == "<Context gpu[0] (sim), gpu[1] (sim)>"


def test_a_cpu_has_no_stream(rt):
    def body():
        context = get_current_context()
        with context.cupy_stream:
            context.synchronize()
        with pytest.raises(ValueError, match="GPU"):
            context.gpu_id
        return context.stream, get_current_stream(), get_current_devices()

    assert on(cpu, body) == (None, None, (cpu(0),))


def test_outside_of_tasks(rt):
    for function in (get_current_context, get_current_devices, get_current_stream):
        with pytest.raises(parla.StateError):
            function()


def test_loop_makes_each_device_the_current_one(sims):
    async def body():
        seen = []
        context = get_current_context()
        for leaf in context.loop():
            inner = await spawn()(lambda: get_current_devices())
            seen.append((leaf.position, get_current_devices(), get_current_stream().device, get_current_context() == leaf, inner))
        for leaf in context.loop([context[1]]):
            seen.append(leaf.device)
        assert get_current_context() == context
        return seen

    assert on(BOTH, body) == [(i, (gpu(i),), gpu(i), True, (cpu(0),)) for i in range(2)] + [gpu(1)]


def test_an_await_keeps_the_current_device(sims):
    async def body():
        with get_current_context()[1]:
            await spawn()(lambda: None)
            inside = get_current_devices()
        return inside, get_current_devices()

    assert on(BOTH, body) == ((gpu(1),), (gpu(0), gpu(1)))


def test_parfor(sims):
    def body():
        context = get_current_context()

        @context.parfor()
        def results(leaf):
            assert get_current_devices() == (leaf.device,)
            return Locals.index, leaf.device

        @context.parfor([context[1]])
        def one(leaf):
            return leaf.gpu_id

        return results, one

    assert on(BOTH, body) == ([(0, gpu(0)), (1, gpu(1))], [1])


def test_threads_of_a_parfor_see_the_local_arrays(sims):
    halves = [array.asarray(np.arange(4.0)), array.asarray(np.arange(4.0))]
    other = array.asarray(np.zeros(2))
    lease = []

    def body():
        lease.append(parla._parla.lend())

        @get_current_context().parfor()
        def addresses(leaf):
            mine = halves[leaf.position]
            assert mine[1] == 1.0 and type(mine + 1) is np.ndarray
            mine[0] = leaf.position + 5
            mine.array[1:] *= 2
            with pytest.raises(parla.StateError, match="not named"):
                other.array  # noqa: B018
            return mine.array.ctypes.data

        own = [half.array.ctypes.data for half in halves]
        assert addresses == own
        assert parla._parla.in_body()

    spawn(placement=BOTH, inout=[(halves[0], 0), (halves[1], 1)])(body).result()
    assert [half.array.tolist() for half in halves] == [[5, 2, 4, 6], [6, 2, 4, 6]]
    assert not parla._parla.in_body()


def test_a_thread_that_outlives_its_parfor_is_outside(sims, gate):
    whole = array.asarray(np.arange(4.0))
    seen = []
    borrowed = threading.Event()

    def later(lease):
        parla._parla.borrow(lease)
        inside = parla._parla.in_body()
        borrowed.set()
        gate.wait()
        seen.append((inside, parla._parla.in_body(), whole.array.tolist()))
        parla._parla.borrow(None)

    def body():
        lease = parla._parla.lend()
        threads.append(threading.Thread(target=later, args=(lease,)))
        threads[0].start()
        borrowed.wait()
        parla._parla.revoke(lease)

    threads = []
    spawn(inout=[whole])(body).result()
    gate.set()
    threads[0].join()
    assert seen == [(True, False, [0, 1, 2, 3])]


def test_parfor_raises(sims):
    def body(count):
        @get_current_context().parfor()
        def fail(leaf):
            if leaf.position < count:
                raise ValueError(leaf.position)

    with pytest.raises(ValueError, match="0"):
        on(BOTH, body, args=(1,))
    with pytest.raises(ExceptionGroup):
        on(BOTH, body, args=(2,))


def test_each_turn_of_a_loop_finds_its_own_copy(sims):
    a, b = array.asarray(np.arange(4.0)), array.asarray(np.zeros(4))

    def body():
        for leaf in get_current_context().loop():
            if leaf.position == 1:
                b.array[:] = 2 * a.array
        return True

    assert on(BOTH, body, input=[(a, 0), (a, 1)], output=[(b, 1)])
    assert np.array_equal(b, [0, 2, 4, 6])


def test_storage_lives_with_the_task(sims):
    async def body():
        context = get_current_context()
        context.store("k", 1)
        context[0].store("k", 2)
        await spawn()(lambda: None)
        again = get_current_context()
        return again.retrieve("k"), again[0].retrieve("k"), again[1].retrieve("k"), again.storage

    assert on(BOTH, body) == (1, 2, None, {"k": 1})


def test_events_and_streams(sims):
    def body():
        context = get_current_context()
        context.create_events(["a", "b"])
        context.record_events("a")
        context.wait_events("a")
        context.synchronize_events(["a", "b"])
        context.synchronize(events=True)
        context.synchronize()
        context[0].record_event()
        context[0].wait_event()
        context[0].synchronize_event()
        stream = get_current_stream()
        with stream, context.cupy_stream:
            stream.synchronize()
        assert stream.stream is stream
        return "gpu[0]" in repr(stream)

    assert on(BOTH, body)


def test_create_env(sims):
    def body():
        other = create_env([gpu(1), gpu(0)])
        assert other.devices == (gpu(1), gpu(0))
        assert other[0].position == 1
        with other:
            return get_current_devices()

    assert on(BOTH, body) == (gpu(1), gpu(0))


def test_published_queries_of_a_device(sims):
    device = gpu(1)
    assert (device.id, device.global_id, device.name) == (1, 2, repr(device))
    assert device.device is device
    assert [device.query_resource(i) for i in range(3)] == [device.memory_bytes, 1000, 3]
    assert cpu(0).query_resource(2) == 4

    def body():
        return device.query_reserved_resource(0), device.query_mapped_resource(1)

    memory, share = on(device[{"vcus": 0.5, "memory": 1000}], body)
    assert memory >= 1000
    assert share == 500


# --- Variants ---


def test_variants_in_every_form(sims):
    @parla.specialized
    def f():
        """Say where it runs."""
        return "default"

    @f.variant(architecture=gpu, max_amount=2)
    def _():
        return "gpus"

    @f.variant([cpu])
    def _():
        return "cpu"

    assert (on(cpu, f), on(gpu, f), on(BOTH, f), on([(cpu, gpu)], f)) == ("cpu", "gpus", "gpus", "default")
    assert f() == "default"
    assert f.__doc__ == "Say where it runs."
    assert "gpu+gpu" in repr(f)
    with pytest.raises(ValueError, match="override=True"):
        f.variant(gpu)(lambda: None)
    f.variant(gpu, override=True)(lambda: "other")
    assert on(gpu, f) == "other"
    for bad in ((), ("gpu",), (gpu(0),)):
        with pytest.raises(TypeError, match="variant"):
            f.variant(*bad)
    with pytest.raises(ValueError, match="max_amount"):
        f.variant(gpu, max_amount=0)


def test_variants_of_methods_and_coroutines(sims):
    class Solver:
        @parla.specialize
        async def solve(self, n):
            return "default", n

        @solve.variant(gpu)
        async def solve(self, n):
            await spawn()(lambda: None)
            return "gpu", n

    solver = Solver()
    assert on(gpu, solver.solve, args=(3,)) == ("gpu", 3)
    assert on(cpu, solver.solve, args=(4,)) == ("default", 4)
