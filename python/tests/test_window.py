"""The soft bound on tasks in flight: who spawns too much waits, and nobody for ever."""

import asyncio
import threading

import parla
import pytest
from parla import Parla, spawn

WINDOW, N_TASKS = 50, 5000


def spawn_many(runtime, done):
    """Spawn N_TASKS; return how many tasks were in flight at most."""
    most = 0
    for i in range(N_TASKS):
        spawn(args=(i,))(done.append)
        info = runtime.stats()["tasks"] if i % 16 == 0 else None
        if info is not None:
            most = max(most, info["n_spawned"] - info["n_ended"])
    return most


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("is_variable", [False, True])
def test_what_is_in_flight_stays_bounded(n_threads, is_variable, monkeypatch):
    options = {"window": WINDOW}
    if is_variable:
        monkeypatch.setenv("PARLA_WINDOW", str(WINDOW))
        options = {}
    done, most = [], []
    with Parla(n_workers=2, **options) as runtime:
        threads = [threading.Thread(target=lambda: most.append(spawn_many(runtime, done))) for _ in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(done) == sorted([*range(N_TASKS)] * n_threads)
    assert len(most) == n_threads
    # Each thread takes up to a quarter of the window in advance, and now and then loses its patience.
    assert max(most) < 10 * WINDOW


def test_no_bound(gate, monkeypatch):
    """The argument wins over the variable."""
    monkeypatch.setenv("PARLA_WINDOW", str(WINDOW))
    done = []
    with Parla(n_workers=1, window=0) as runtime:
        spawn()(gate.wait)
        for i in range(20 * WINDOW):
            spawn(args=(i,))(done.append)
        info = runtime.stats()["tasks"]
        assert info["n_spawned"] - info["n_ended"] == 20 * WINDOW + 1
        gate.set()
    assert len(done) == 20 * WINDOW


def test_bodies_are_not_held_up():
    """Only the worker could make room, and it is in the body."""
    n_ended = []
    with Parla(n_workers=1, window=4) as runtime:

        @spawn
        def outer():
            done = []
            for i in range(300):
                spawn(args=(i,))(done.append)
            info = runtime.stats()["tasks"]
            n_ended.append(info["n_ended"])
            return done

    assert sorted(outer.result()) == list(range(300))
    assert n_ended == [0]


def test_a_body_that_waits_for_who_spawns(gate):
    """All workers wait, in a way that the runtime does not see, for the thread that spawns."""
    done = []
    with Parla(n_workers=1, window=20):
        spawn()(gate.wait)
        for i in range(30):
            spawn(args=(i,))(done.append)
        gate.set()
    assert len(done) == 30


def test_tasks_that_wait_for_a_name_do_not_count():
    space = parla.TaskSpace("T")
    done = []
    with Parla(n_workers=1, window=10):
        for i in range(200):
            spawn(dependencies=[space["last"]], args=(i,))(done.append)
        assert done == []
        spawn(space["last"])(lambda: None)
    assert sorted(done) == list(range(200))


def test_event_loops_are_not_held_up(gate):
    """A loop whose coroutine spawns goes on; otherwise this one would wait for `gate` until it lost its patience, each few tasks."""

    async def main():
        for i in range(2000):
            spawn(args=(i,))(done.append)
        gate.set()

    done = []
    with Parla(n_workers=1, window=4):
        spawn()(gate.wait)
        asyncio.run(main())
    assert len(done) == 2000


def test_callbacks_are_not_held_up(gate):
    done = []
    spawned = threading.Event()

    def callback(_):
        for i in range(2000):
            spawn(args=(i,))(done.append)
        spawned.set()

    with Parla(n_workers=1, window=4):
        first = spawn()(lambda: None)
        first.add_done_callback(callback)
        first.wait()
        spawn()(gate.wait)
        spawned.wait()
        gate.set()
    assert len(done) == 2000
