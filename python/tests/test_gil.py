"""Who has the interpreter lock: workers keep it from body to body, and give way to others all the same."""

import sys
import threading
import time

import parla
import pytest
from parla import Parla, spawn, spawn_many


N_ROUNDS = 6


def spawn_busy(runtime, gate, n, microseconds):
    """Spawn n bodies in C, which never look whether somebody else wants the lock, behind a gate; return the last one."""
    first = spawn()(gate.wait)
    task = first
    for _ in range(n):
        task = spawn(dependencies=[first, task], args=(microseconds,))(parla.sleep_gil)
    return task


def n_ended(runtime):
    return runtime.stats()["tasks"]["n_ended"]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_other_threads_get_their_turn(n_workers, gate):
    """This thread sees the bodies end one after the other, though all of them are ready and hold the lock.

    How often depends on how often the machine lets it run, so it has several rounds; a thread that gets no turn sees nothing in any of them.
    """
    n_seen = 0
    for _ in range(N_ROUNDS):
        gate.clear()
        seen = set()
        with Parla(n_workers=n_workers) as runtime:
            last = spawn_busy(runtime, gate, 3000, 100)
            gate.set()
            while not last.done():
                seen.add(n_ended(runtime))
        n_seen += sum(1 < n < 3000 for n in seen)
        if n_seen > 60:
            return
    raise AssertionError(f"this thread had {n_seen} turns in {N_ROUNDS} times 3000 bodies")


def test_others_get_their_turn_during_a_range():
    calls = []

    def call(i):
        calls.append(i)
        parla.sleep_gil(100)

    n_seen = 0
    for _ in range(N_ROUNDS):
        calls.clear()
        seen = set()
        with Parla(n_workers=1):
            task = spawn_many(call, 3000)
            while not task.done():
                seen.add(len(calls))
        n_seen += sum(0 < n < 3000 for n in seen)
        if n_seen > 60:
            return
    raise AssertionError(f"this thread had {n_seen} turns in {N_ROUNDS} times 3000 calls")


def test_bodies_without_end_let_others_in():
    """Bodies spawn the next ones for as long as this thread does not say stop."""
    stop = []
    n = [0]

    def again():
        n[0] += 1
        if not stop:
            spawn()(again)

    with Parla(n_workers=2):
        for _ in range(8):
            spawn()(again)
        turns = 0
        while turns < 20000 or n[0] < 1000:
            turns += 1
        stop.append(True)
    assert n[0] >= 1000


def test_it_is_kept_for_the_switch_interval(gate):
    """With an interval that never ends a worker runs everything before another thread gets the lock."""
    seen, over = set(), threading.Event()

    def look(runtime):
        while not over.is_set():
            time.sleep(0)
            seen.add(n_ended(runtime))

    with Parla(n_workers=1) as runtime:
        last = spawn_busy(runtime, gate, 1000, 100)
        thread = threading.Thread(target=look, args=(runtime,))
        sys.setswitchinterval(1000)
        try:
            gate.set()
            thread.start()
            last.wait()
        finally:
            sys.setswitchinterval(50e-6)
            over.set()
            thread.join()
    assert len(seen) < 20


def test_a_body_that_gives_it_up_lets_the_next_one_in(rt):
    barrier = threading.Barrier(2)
    tasks = [spawn()(lambda: barrier.wait(50)) for _ in range(2)]
    for task in tasks:
        task.result()


def test_waits_inside_of_bodies(rt):
    """A body that waits gives it up, and another body runs on the same thread meanwhile."""

    def nested(depth):
        if depth == 0:
            return 1
        inner = [spawn(args=(depth - 1,))(nested) for _ in range(2)]
        return sum(task.result() for task in inner)

    assert spawn(args=(7,))(nested).result() == 128
