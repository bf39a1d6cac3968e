"""Random task graphs against a serial run."""

import threading

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parla import Parla, TaskSpace, spawn

MODES = ("plain", "async", "nested")


@st.composite
def graphs(draw):
    """A list of tasks: (dependencies among earlier ones, how the body is written, order of spawning)."""
    n = draw(st.integers(1, 30))
    tasks = [
        (sorted(draw(st.sets(st.integers(0, i - 1), max_size=5))) if i else [], draw(st.sampled_from(MODES))) for i in range(n)
    ]
    return tasks, draw(st.permutations(range(n)))


def combine(i, values):
    result = i + 1
    for value in values:
        result = (1_000_003 * result + value) % 2**61
    return result


def serial(tasks):
    values = []
    for i, (dependencies, _) in enumerate(tasks):
        values.append(combine(i, [values[k] for k in dependencies]))
    return values


def spawn_one(space, i, dependencies, mode, values, lock):
    def plain():
        with lock:
            values[i] = combine(i, [values[k] for k in dependencies])

    async def asynchronous():
        # Nothing is declared: the order comes from the awaits alone.
        for k in dependencies:
            await space[k]
        plain()

    def nested():
        spawn()(plain).result()

    body = {"plain": plain, "async": asynchronous, "nested": nested}[mode]
    spawn(space[i], () if mode == "async" else [space[k] for k in dependencies])(body)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.integers(1, 3))
def test_against_serial(graph, n_workers):
    tasks, order = graph
    values, lock = {}, threading.Lock()
    space = TaskSpace("T")
    with Parla(n_workers=n_workers):
        for i in order:
            dependencies, mode = tasks[i]
            spawn_one(space, i, dependencies, mode, values, lock)
    assert [values[i] for i in range(len(tasks))] == serial(tasks)
