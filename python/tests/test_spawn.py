"""spawn(): its forms, its arguments, its errors."""

import functools
import time

import numpy as np
import parla
import pytest
from parla import Parla, Task, TaskSpace, cpu, gpu, spawn


def test_decorator_returns_a_task(rt):
    @spawn()
    def body():
        return 42

    assert isinstance(body, Task)
    assert body.result() == 42
    assert body.done()
    assert body.state == "done"
    assert body.name == "body"


def test_decorator_without_parentheses(rt):
    @spawn
    def body():
        return "bare"

    assert body.result() == "bare"


def test_call_form(rt):
    def body():
        return "called"

    assert spawn()(body).result() == "called"


def test_arguments(rt):
    task = spawn(args=(1, 2), kwargs={"c": 3})(lambda a, b, c: (a, b, c))
    assert task.result() == (1, 2, 3)
    assert spawn(kwargs={"c": 3})(lambda c: c).result() == 3


def test_callables_that_are_no_functions(rt):
    class Counter:
        def add(self, n):
            return n + 1

        def __call__(self):
            return "called"

    assert spawn(args=(1,))(Counter().add).result() == 2
    assert spawn()(functools.partial(pow, 2, 3)).result() == 8
    assert spawn(args=([1, 2],))(len).result() == 2
    assert spawn()(Counter()).result() == "called"


def test_async_body(rt):
    @spawn()
    async def body():
        return "async"

    assert body.result() == "async"


def test_coroutine_object(rt):
    async def body(n):
        return n

    assert spawn()(body(7)).result() == 7


def test_named_by_space(rt):
    space = TaskSpace("T")

    @spawn(space[1, "x"])
    def body():
        return 1

    assert body is space[1, "x"]
    assert body.name == "T_1_x"


def test_both_spellings_of_the_first_argument(rt):
    space = TaskSpace("T")
    assert spawn(task=space[0])(lambda: 0).result() == 0
    assert spawn(taskid=space[1])(lambda: 1).result() == 1


def test_int_and_str_name_tasks_of_the_default_space(rt):
    first = spawn(3)(lambda: "three")
    second = spawn("four", [first])(lambda: "four")
    assert (first.result(), second.result()) == ("three", "four")
    assert second.name == "global_four"


def test_name(rt):
    assert spawn(name="given")(lambda: None).name == "given"


def test_dependencies_run_first(rt):
    order = []
    space = TaskSpace("T")

    @spawn(space[2], dependencies=[space[0], [space[1]]])
    def last():
        order.append(2)

    spawn(space[1], [space[0]])(lambda: order.append(1))
    spawn(space[0])(lambda: order.append(0))
    last.result()
    assert order == [0, 1, 2]


@pytest.mark.parametrize("wrap", [list, tuple, iter, lambda tasks: (task for task in tasks), parla.Tasks, lambda tasks: [[tasks], None]])
def test_forms_of_dependencies(rt, wrap):
    done = []
    before = [spawn()(lambda: done.append(1)) for _ in range(5)]
    assert spawn(dependencies=wrap(before))(lambda: len(done)).result() == 5


def test_a_space_is_a_dependency(rt):
    space = TaskSpace("T")
    for i in range(4):
        spawn(space[i])(lambda: i)
    assert spawn(dependencies=space)(lambda: [task.result() for task in space]).result() == [0, 1, 2, 3]


def test_done_tasks_may_be_dependencies(rt):
    first = spawn()(lambda: 1)
    first.result()
    assert spawn(dependencies=[first])(lambda: 2).result() == 2


def test_a_finished_name_may_be_spawned_again(rt):
    space = TaskSpace("T")
    assert spawn(space[0])(lambda: 1).result() == 1
    assert spawn(space[0])(lambda: 2).result() == 2


def test_a_pending_name_may_not(rt, gate):
    space = TaskSpace("T")

    @spawn(space[0])
    def body():
        gate.wait()
        return "first"

    with pytest.raises(parla.StateError, match="T_0"):
        spawn(space[0])(lambda: "second")
    gate.set()
    assert body.result() == "first"


def test_names_outlive_runtimes():
    space = TaskSpace("T")
    for turn in range(3):
        with Parla(n_workers=1):
            spawn(space[1], [space[0]])(lambda: turn)
            spawn(space[0])(lambda: None)
        assert space[1].result() == turn


def test_a_name_that_stayed_a_name():
    space = TaskSpace("T")
    with Parla(n_workers=1):
        task = spawn(dependencies=[space[0]])(lambda: None)
        assert task.cancel()
    with Parla(n_workers=1):
        assert spawn(space[0])(lambda: 5).result() == 5


def test_nested_spawn(rt):
    @spawn()
    def outer():
        return spawn()(lambda: 3).result() + 1

    assert outer.result() == 4


def test_tasks_spawned_by_tasks_end_before_the_block():
    done = []

    def grow(depth):
        done.append(depth)
        if depth:
            for _ in range(2):
                spawn(args=(depth - 1,))(grow)

    with Parla(n_workers=2):
        spawn(args=(5,))(grow)
    assert len(done) == 2**6 - 1


def test_current_task(rt):
    @spawn()
    def body():
        return parla.get_current_task()

    assert body.result() is body
    assert parla.get_current_task() is None


def test_priority_is_accepted(rt):
    assert spawn(priority=3)(lambda: 1).result() == 1


def test_without_a_runtime():
    with pytest.raises(parla.StateError, match=r"with parla\.Parla\(\)"):
        spawn()(lambda: 1)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"dependencies": ["name"]}, TypeError, "dependencies"),
        ({"dependencies": [3]}, TypeError, "dependencies"),
        ({"taskid": 1.5}, TypeError, "taskid"),
        ({"name": 3}, TypeError, "name"),
        ({"kwargs": [1]}, TypeError, "kwargs"),
        ({"taskid": -1}, ValueError, r"taskid.*-1 names no single task"),
        ({"args": 3}, TypeError, r"args=.*\(3,\)"),
        ({"args": "x"}, TypeError, r"args=.*\('x',\)"),
        ({"priority": "high"}, TypeError, "priority=.*'high'"),
        ({"priority": 2**80}, ValueError, "priority"),
        ({"retries": 1.5}, TypeError, "retries="),
        ({"priority": 2**40}, ValueError, "priority"),
        ({"placement": "gpu"}, TypeError, "placement"),
        ({"vcus": 2}, ValueError, "vcus"),
        ({"vcus": -0.1}, ValueError, "vcus"),
        ({"vcus": "half"}, TypeError, "vcus.*'half'"),
        ({"vcus": [0.5]}, TypeError, "vcus"),
        ({"memory": -1}, ValueError, "memory"),
        ({"memory": 2**70}, ValueError, "memory"),
        ({"memory": "1G"}, ValueError, "memory"),
        ({"input": [3]}, TypeError, "input"),
        ({"inout": "a"}, TypeError, "inout"),
        ({"inout": 3}, TypeError, "inout: expected an array"),
    ],
)
def test_bad_arguments(rt, arguments, error, words):
    with pytest.raises(error, match=words):
        spawn(**arguments)(lambda: None)


def test_unknown_and_repeated_arguments(rt):
    with pytest.raises(TypeError, match="nonsense"):
        spawn(nonsense=1)
    with pytest.raises(TypeError, match="twice"):
        spawn(None, [], dependencies=[])
    with pytest.raises(TypeError, match="inout by position"):
        spawn(None, [], cpu, [], [], [], 1)


def test_arguments_by_position(sims):
    """The published front end takes them so, in this order."""
    first, a = spawn()(lambda: 1), parla.array.asarray(np.zeros(3))
    body = spawn(TaskSpace("T")[0], [first], gpu(1), [], [], [a])(lambda: (a.array.__setitem__(0, 1), parla.get_current_devices()))
    assert body.result()[1] == (gpu(1),)
    assert a[0] == 1


@pytest.mark.parametrize("wrap", [lambda task: [task], lambda task: (task,), lambda task: parla.Tasks(task)])
def test_a_collection_in_place_of_the_task(rt, wrap):
    task = spawn()(lambda: 1)
    with pytest.raises(TypeError, match=r"the one Task to be spawned.*dependencies="):
        spawn(wrap(task))(lambda: None)


def test_integers_of_numpy_name_tasks(rt):
    assert spawn(np.int64(12))(lambda: 1).name == "global_12"


def test_functions_that_cannot_be_bodies(rt):
    def generator():
        yield 1

    async def async_generator():
        yield 1

    class Holder:
        def method(self):
            yield 1

    class Callable:
        def __call__(self):
            yield 1

    hidden = (Holder().method, functools.partial(generator), functools.partial(Holder().method), Callable())
    for function in (generator, async_generator, *hidden):
        with pytest.raises(TypeError, match="generator"):
            spawn()(function)
    with pytest.raises(TypeError, match="function"):
        spawn()(3)
    with pytest.raises(TypeError, match="one function"):
        spawn()(len, len)


def test_an_error_in_spawn_leaves_the_name_free(rt):
    space = TaskSpace("T")
    with pytest.raises(ValueError, match="vcus"):
        spawn(space[0], vcus=3)(lambda: None)
    assert space[0].state == "created"
    assert spawn(space[0])(lambda: 1).result() == 1


def test_repr(rt, gate):
    space = TaskSpace("T")
    assert repr(space[0]) == "<Task 'T_0' created>"
    task = spawn(space[0])(gate.wait)
    gate.set()
    task.result()
    assert repr(task) == "<Task 'T_0' done on cpu[0]>"


def test_times_of_a_task(rt, gate):
    space, start = TaskSpace("T"), time.monotonic()
    assert (space[0].began, space[0].ended) == (None, None)
    task = spawn(space[0])(lambda: (gate.wait(), time.monotonic())[1])
    while task.began is None:
        time.sleep(0)
    assert task.ended is None
    gate.set()
    inside = task.result()
    assert start <= task.began <= inside <= task.ended <= time.monotonic()

    @spawn()
    async def body():
        first = time.monotonic()
        await spawn()(lambda: None)
        return first, time.monotonic()

    first, last = body.result()
    assert body.began <= first <= last <= body.ended

    tries = []

    @spawn(retries=1)
    def again():
        tries.append(time.monotonic())
        assert len(tries) == 2

    again.wait()
    assert tries[0] <= again.began <= tries[1] <= again.ended
    many = parla.spawn_many(lambda i: time.monotonic(), 50)
    calls = many.result()
    assert many.began <= min(calls) <= max(calls) <= many.ended
    chain = [spawn(dependencies=[many])(lambda: None) for _ in range(100)]
    assert all(many.ended <= each.began <= each.ended for each in chain if each.wait())


def test_a_task_that_never_began_has_no_times(rt, gate):
    first = spawn()(gate.wait)
    task = spawn(dependencies=[first])(lambda: None)
    assert task.cancel()
    gate.set()
    assert (task.began, task.ended) == (None, None)


def test_tasks_are_not_made_by_hand():
    with pytest.raises(TypeError):
        Task()
