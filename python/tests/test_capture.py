"""Closure variables are captured by value at spawn; globals are shared, with a warning where that surprises."""

import contextvars
import functools
import gc
import sys
import textwrap
import time
import warnings
import weakref

import parla
import pytest
from parla import Parla, ParlaWarning, spawn


def test_loop_variables(rt, gate):
    tasks = []
    for i in range(10):

        @spawn()
        def body():
            gate.wait()
            return i

        tasks.append(body)
    gate.set()
    assert [task.result() for task in tasks] == list(range(10))


def test_call_form_leaves_the_function_alone(rt, gate):
    value = 1

    def body():
        gate.wait()
        return value

    task = spawn()(body)
    value = 2
    gate.set()
    assert task.result() == 1
    assert body() == 2


def test_writes_stay_inside(rt):
    count = 0

    @spawn()
    def body():
        nonlocal count
        count += 1
        return count

    assert body.result() == 1
    assert count == 0


def test_empty_cells_stay_shared(rt, gate):
    @spawn()
    def body():
        gate.wait()
        return later

    later = "bound after spawn"
    gate.set()
    assert body.result() == later


def test_recursion_through_a_cell(rt):
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    assert spawn(args=(5,))(factorial).result() == 120


def test_a_body_can_name_its_own_task(rt, gate):
    @spawn()
    def body():
        gate.wait()
        return body

    gate.set()
    assert body.result() is body


def test_defaults_are_kept(rt):
    free = 1

    def body(a=2, *, b=3):
        return free, a, b

    assert spawn()(body).result() == (1, 2, 3)


def test_async_bodies_capture_too(rt, gate):
    tasks = []
    for i in range(4):

        @spawn()
        async def body():
            gate.wait()
            return i

        tasks.append(body)
    gate.set()
    assert [task.result() for task in tasks] == [0, 1, 2, 3]


def test_context_variables(rt, gate):
    variable = contextvars.ContextVar("variable", default="none")

    @spawn()
    async def body():
        before = variable.get()
        variable.set("inner")
        await spawn()(gate.wait)
        return before, variable.get()

    def spawn_with(value):
        variable.set(value)
        return spawn()(lambda: variable.get())

    inner = contextvars.copy_context().run(spawn_with, "spawned")
    gate.set()
    assert inner.result() == "spawned"
    assert body.result() == ("none", "inner")
    assert variable.get() == "none"


# --- Globals: module-level code is run from a string, with a gate that keeps bodies back until the loop is over ---


def run_module(source, gate):
    space = {"__name__": "example", "gate": gate, "spawn": spawn, "parla": parla}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with parla.Parla(n_workers=1):
            exec(compile(textwrap.dedent(source), "example.py", "exec"), space)
            gate.set()
    return space, [warning for warning in caught if warning.category is ParlaWarning]


def test_a_rebound_global_warns_once(gate):
    space, caught = run_module(
        """
        seen = []
        for i in range(5):
            @spawn()
            def body():
                gate.wait()
                seen.append(i)
        """,
        gate,
    )
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "'i'" in message
    assert "args=(i,)" in message
    assert caught[0].filename == "example.py"


@pytest.mark.parametrize(
    "source",
    [
        "for i in range(3):\n    spawn(args=(i,))(lambda i: (gate.wait(), i))",
        "i = 7\nspawn()(lambda: (gate.wait(), i))\ni = 3 + 4",
        "def f():\n    for i in range(3):\n        spawn()(lambda: (gate.wait(), i))\nf()",
        "n = 0\ndef body():\n    global n\n    gate.wait()\n    n += 1\nfor _ in range(3):\n    spawn()(body)",
        "import math\nfor i in range(3):\n    @spawn()\n    def body():\n        gate.wait()\n        return math.pi",
    ],
    ids=["args", "equal value", "inside a function", "body assigns it", "module"],
)
def test_what_does_not_warn(gate, source):
    _, caught = run_module(source, gate)
    assert not caught


def test_globals_read_by_an_inner_function_are_seen(gate):
    _, caught = run_module(
        """
        for i in range(3):
            @spawn()
            def body():
                gate.wait()
                return [i + k for k in range(2)]
        """,
        gate,
    )
    assert len(caught) == 1



@pytest.mark.parametrize(
    "spawn_it",
    [
        lambda function: spawn()(function),
        lambda function: spawn()(*(function,)),
        lambda function: functools.partial(spawn(), function)(),
        lambda function: spawn(function),
    ],
    ids=["name", "tuple", "partial", "bare"],
)
def test_a_function_that_others_have_keeps_its_variables(rt, spawn_it):
    x = 1

    def body():
        return x

    task = spawn_it(body)
    x = 2
    assert task.result() == 1
    assert body() == 2
    assert spawn_it(body).result() == 2


def test_a_function_in_a_tuple_of_arguments_keeps_its_variables(rt):
    def make():
        x = 1

        def body():
            return x

        def change():
            nonlocal x
            x = 2

        return (body,), change

    functions, change = make()
    task = spawn()(*functions)
    change()
    assert task.result() == 1
    assert functions[0]() == 2


def test_a_spawner_serves_many_functions(rt):
    spawner = spawn(name="same")
    tasks = [spawner(lambda i=i: i) for i in range(3)]
    assert [task.result() for task in tasks] == [0, 1, 2]
    assert {task.name for task in tasks} == {"same"}


def test_pending_bodies_are_not_looked_at_by_the_collector(rt, gate):
    x = object()

    @spawn()
    def body():
        gate.wait()
        return x is not None

    tasks = [spawn(dependencies=[body])(lambda: x) for _ in range(10)]
    assert not any(gc.is_tracked(task) for task in tasks)
    functions = [function for function in gc.get_objects() if getattr(function, "__name__", "") == "<lambda>"]
    assert not any(getattr(function, "__qualname__", "").startswith("test_pending_bodies") for function in functions)
    gate.set()
    assert all(task.result() is x for task in tasks)


class Node:
    """Something that may be part of a cycle."""


@pytest.mark.parametrize("how", ["result", "failure", "callback", "capture", "awaiting"])
def test_cycles_through_ended_tasks_are_found(rt, how):
    node = Node()
    seen = weakref.ref(node)

    def make():
        if how == "result":
            task = spawn()(lambda: node)
        elif how == "failure":

            @spawn()
            def task():
                raise ValueError(node)

        elif how == "callback":
            task = spawn()(lambda: 1)
            node.hold = lambda task: node
            task.add_done_callback(node.hold)
        elif how == "capture":
            task = spawn()(lambda: node and None)
        else:

            @spawn()
            async def task():
                await spawn()(lambda: None)
                return node

        task.wait()
        if how == "failure":
            task.exception()
        return task

    node.task = make()
    deadline = time.monotonic() + 30
    del node, make
    while seen() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.001)
    assert seen() is None


# --- Functions that are kept as their cells only, and made again ---


def test_a_body_is_the_function_that_was_spawned(rt):
    """Whatever it has besides code, globals and cells."""

    def same(function):
        function.mark = "marked"
        return function

    for i in range(2):

        @spawn()
        def plain():
            frame = sys._getframe()
            return i, frame.f_code.co_qualname, frame.f_globals is globals()

        @spawn()
        def with_defaults(a=i, *, b=i + 10):
            return a, b, i

        @spawn()
        def annotated() -> int:
            return i

        @spawn()
        @same
        def marked():
            return i

        assert plain.result() == (i, "test_a_body_is_the_function_that_was_spawned.<locals>.plain", True)
        assert with_defaults.result() == (i, i + 10, i)
        assert annotated.result() == marked.result() == i
    assert spawn()(lambda: 3).result() == 3


def test_cells_of_a_body_that_never_ran_are_let_go(gate):
    class Payload:
        pass

    payloads = [Payload() for _ in range(20)]
    references = [weakref.ref(payload) for payload in payloads]
    with Parla(n_workers=1):
        first = spawn()(gate.wait)
        tasks = []
        while payloads:
            payload = payloads.pop()

            @spawn(dependencies=[first])
            def body():
                return payload

            tasks.append(body)
        del payload
        gc.collect()
        assert all(reference() is not None for reference in references)
        assert all(task.cancel() for task in tasks)
        gate.set()
    del body
    gc.collect()
    assert [reference() for reference in references] == [None] * 20
    assert [task.state for task in tasks] == ["cancelled"] * 20


def test_code_is_let_go_with_the_runtime():
    scope = {}
    exec("def make():\n    x = 1\n    def body():\n        return x\n    return body", scope)
    with Parla(n_workers=1):
        spawn()(scope["make"]()).result()
    code = weakref.ref(scope["make"].__code__)
    scope.clear()
    gc.collect()
    assert code() is None
