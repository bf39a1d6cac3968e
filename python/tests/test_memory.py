"""No leak: counts of objects and bytes are flat over many tasks."""

import contextlib
import gc
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from parla import Parla, TaskSpace, array, cpu, spawn


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


PENDING = """
import threading, tracemalloc
from parla import Parla, TaskSpace, spawn

N = 4096
with Parla(n_workers=1) as runtime:
    gate, names = threading.Event(), TaskSpace("T")
    first = spawn(names["first"])(gate.wait)

    def spawn_some(start):
        for i in range(start, start + N):

            @spawn(names[i], [first])
            def body():
                return i

    spawn_some(0)
    before = runtime.stats()["tasks"]["task_bytes"]
    tracemalloc.start()
    traced = tracemalloc.get_traced_memory()[0]
    spawn_some(N)
    traced = tracemalloc.get_traced_memory()[0] - traced
    tracemalloc.stop()
    print((traced + runtime.stats()["tasks"]["task_bytes"] - before) / N)
    gate.set()
"""


def test_a_pending_task_is_small():
    """Bytes of a closure that waits under a name, with its cell and value (565 resident), where no allocator is for debugging."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONMALLOC", "PYTHONDEVMODE")}
    done = subprocess.run([sys.executable, "-c", PENDING], env=environment, capture_output=True, text=True, timeout=50, check=True)
    assert float(done.stdout) <= 560


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


# --- The process itself: what no counter of ours sees ---


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def make_tasks(n):
    for _ in range(n // 1000):
        for task in [spawn(args=(i,))(abs) for i in range(1000)]:
            task.result()


def make_spaces(n):
    for i in range(n):
        space = TaskSpace("T")
        task = spawn(space[0], [space[0:0]])(int) if i % 2 else spawn(space["a", i])(int)
        if i % 1000 == 999:
            task.result()


def make_arrays(n):
    content = np.zeros(4)
    for i in range(n):
        task = spawn(inout=[array.asarray(content.copy())], placement=cpu)(int)
        if i % 1000 == 999:
            task.result()


def make_runtimes(n):
    for i in range(n):
        with Parla(n_workers=1):
            assert spawn(args=(i,))(abs).result() == i


IN_SOAK = "PARLA_TEST_SEED" in os.environ


@pytest.mark.skipif("san.so" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer keeps memory of its own for what was freed")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("work", "n", "n_in_soak"),
    [
        (make_tasks, 50_000, 1_000_000),
        (make_spaces, 50_000, 1_000_000),
        (make_arrays, 5_000, 1_000_000),
        (make_runtimes, 100, 10_000),
    ],
)
def test_the_process_does_not_grow(work, n, n_in_soak):
    """The second half of many needs no more memory than the first one left; ci/soak makes a million of each, and 10,000 runtimes."""
    n = n_in_soak if IN_SOAK else n
    with contextlib.nullcontext() if work is make_runtimes else Parla(n_workers=2):
        work(n // 2)
        gc.collect()
        before = resident_bytes()
        work(n // 2)
        gc.collect()
        grown = resident_bytes() - before
    assert grown < 4 * 2**20 + n, f"{grown / (n / 2):.1f} bytes for each"
