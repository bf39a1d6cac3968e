"""No leak: counts of objects and bytes are flat over many tasks."""

import gc
import sys
import tracemalloc

import pytest
from parla import Parla, TaskSpace, spawn


class Payload:
    count = 0

    def __init__(self):
        Payload.count += 1

    def __del__(self):
        Payload.count -= 1


def spawn_window(n, previous=None):
    """Spawn a chain with closures, arguments and results, and wait for it."""
    for i in range(n):
        payload = Payload()

        def body(argument):
            return payload, argument, i

        previous = spawn(dependencies=[previous], args=(Payload(),))(body)
    previous.result()


def spawn_async(n):
    async def outer(i):
        await spawn(args=(i,))(lambda i: i)
        return Payload()

    for task in [spawn(args=(i,))(outer) for i in range(n)]:
        task.result()


def spawn_failing(n):
    def explode():
        raise ValueError(i)

    for i in range(n):
        first = spawn()(explode)
        second = spawn(dependencies=[first])(lambda: None)
        assert first.exception() is not None
        assert second.exception() is not None


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("work", "n", "turns", "growth"),
    [
        (spawn_window, 1000, 100, 100_000),
        (spawn_async, 200, 20, 100_000),
        (spawn_failing, 200, 20, 200 * 20 * 150),  # the library remembers failures, up to a bound
    ],
)
def test_flat_memory(work, n, turns, growth):
    with Parla(n_workers=2) as runtime:
        for _ in range(3):
            work(n)
        runtime.wait()
        gc.collect()
        objects, allocated = Payload.count, runtime.stats()["tasks"]["task_bytes"]
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(turns):
            work(n)
        runtime.wait()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert Payload.count <= objects
        assert after - before < growth
        assert runtime.stats()["tasks"]["task_bytes"] <= 2 * allocated + 2**20
    gc.collect()
    assert Payload.count == 0


def test_reference_counts_come_back():
    value, function = object(), lambda argument: argument
    before = sys.getrefcount(value), sys.getrefcount(function)
    with Parla(n_workers=2):
        tasks = [spawn(args=(value,))(function) for _ in range(1000)]
        assert all(task.result() is value for task in tasks)
    del tasks
    gc.collect()
    assert (sys.getrefcount(value), sys.getrefcount(function)) == before


def test_a_cycle_through_a_task_is_collected():
    with Parla(n_workers=1):
        space = TaskSpace("T")
        payload = Payload()

        @spawn(space[0])
        def body():
            return space, payload

        body.result()
        del space, payload, body
    gc.collect()
    assert Payload.count == 0
