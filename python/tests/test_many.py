"""spawn_many(): one task for many calls."""

import contextvars
import threading

import parla
import pytest
from parla import Parla, TaskSpace, finish, get_current_task, spawn, spawn_many


@pytest.mark.parametrize("n", [0, 1, 2, 255, 256, 257, 20000])
@pytest.mark.parametrize("n_workers", [1, 2])
def test_each_index_once_and_results_in_order(n, n_workers):
    seen = []

    def call(i):
        seen.append(i)
        return -i

    with Parla(n_workers=n_workers) as runtime:
        task = spawn_many(call, n)
        assert task.result() == [-i for i in range(n)]
        assert runtime.stats()["tasks"]["n_spawned"] == 1
    assert sorted(seen) == list(range(n))


def test_functions_of_all_kinds(rt):
    out = []
    assert spawn_many(out.append, 3).result() == [None] * 3
    assert sorted(out) == [0, 1, 2]
    assert spawn_many(str, 3).result() == ["0", "1", "2"]


def test_closures_are_captured_at_the_spawn(rt, gate):
    first = spawn()(gate.wait)
    tasks = []
    for k in range(3):
        tasks.append(spawn_many(lambda i: (k, i), 2, dependencies=[first]))
    gate.set()
    assert [task.result() for task in tasks] == [[(k, 0), (k, 1)] for k in range(3)]


def test_dependencies_and_names(rt, gate):
    space = TaskSpace("T")
    order = []
    last = spawn(dependencies=[space["many"]])(lambda: order.append("last"))  # the name is known before it is spawned
    spawn(space["first"])(lambda: (gate.wait(), order.append("first")))
    many = spawn_many(lambda i: order.append(i), 100, space["many"], [space["first"]])
    assert many is space["many"]
    assert many.state == "waiting"
    gate.set()
    last.result()
    assert order[0] == "first" and order[-1] == "last" and sorted(order[1:-1]) == list(range(100))
    assert spawn_many(lambda i: i, 1, 7).name.endswith("7")
    assert spawn_many(lambda i: i, 1, name="mine").name == "mine"


def test_a_pending_name_is_refused(rt, gate):
    space = TaskSpace("T")
    spawn(space[0])(gate.wait)
    with pytest.raises(parla.StateError, match="already spawned"):
        spawn_many(lambda i: i, 3, space[0])


def test_several_workers_make_calls_at_once(rt):
    barrier = threading.Barrier(2)
    spawn_many(lambda i: barrier.wait(50), 2).result()


def test_a_name_may_be_spawned_again(rt):
    space = TaskSpace("T")
    assert spawn_many(lambda i: i, 3, space[0]).result() == [0, 1, 2]
    assert spawn(space[0])(lambda: "one").result() == "one"
    assert spawn_many(lambda i: i, 2, space[0]).result() == [0, 1]


def test_the_first_exception_is_the_tasks(rt):
    made = []

    def call(i):
        made.append(i)
        if i % 10 == 7:
            raise ValueError(i)
        return i

    task = spawn_many(call, 1000, name="many")
    after = spawn(dependencies=[task])(lambda: None)
    with pytest.raises(ValueError) as raised:
        task.result()
    (index,) = raised.value.args
    assert index % 10 == 7
    assert raised.value.__notes__ == [f"in call {index} of Parla task 'many'"]
    assert raised.traceback[-1].name == "call"
    assert sorted(made) == list(range(1000))
    with pytest.raises(parla.TaskCancelled) as cancelled:
        after.result()
    assert cancelled.value.__cause__ is raised.value


def test_what_nobody_looks_at_is_raised_at_the_end():
    with pytest.raises(ZeroDivisionError), Parla(n_workers=2):
        spawn_many(lambda i: 1 // i, 5)


def test_cancel(rt, gate):
    made = []
    started = threading.Event()

    def call(i):
        made.append(i)
        started.set()
        gate.wait()

    task = spawn_many(call, 1000)
    started.wait()
    assert not task.cancel()  # it has started; the rest is left out
    gate.set()
    with pytest.raises(parla.TaskCancelled):
        task.result()
    assert len(made) <= 2
    assert task.state == "cancelled"


def test_cancelled_before_it_starts(rt, gate):
    first = spawn()(gate.wait)
    task = spawn_many(lambda i: i, 3, dependencies=[first])
    assert task.cancel()
    gate.set()
    with pytest.raises(parla.TaskCancelled):
        task.result()


variable = contextvars.ContextVar("variable", default=0)


def test_each_call_has_a_context_of_its_own(rt):
    variable.set(5)

    def call(i):
        before = variable.get()
        variable.set(i)
        return before

    assert spawn_many(call, 500).result() == [5] * 500


def test_calls_may_spawn_and_wait(rt):
    def call(i):
        assert get_current_task().name == "outer"
        inner = spawn(args=(i,))(lambda k: k + 1)
        return inner.result() + sum(spawn_many(lambda j: j, 3).result())

    assert spawn_many(call, 50, name="outer").result() == [i + 4 for i in range(50)]


def test_finish_waits_for_it(rt, gate):
    done = []
    with finish():
        spawn_many(done.append, 100)
    assert len(done) == 100


def test_await(rt):
    async def outer():
        return await spawn_many(lambda i: i, 4)

    assert spawn()(outer).result() == [0, 1, 2, 3]


async def never(i):
    raise AssertionError


def generator(i):
    yield i


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((never, 3), TypeError, "async def"),
        ((generator, 3), TypeError, "generator"),
        ((3, 3), TypeError, "expected a function"),
        ((len, -1), ValueError, "0 or more"),
        ((len, 1.5), TypeError, "float"),
        ((len, 2**70), OverflowError, "cannot fit"),
        ((len,), TypeError, "n"),
    ],
)
def test_what_is_refused(rt, arguments, error, words):
    with pytest.raises(error, match=words):
        spawn_many(*arguments)


def test_a_coroutine_is_refused_when_it_comes(rt):
    with pytest.raises(TypeError, match="returned a coroutine"):
        spawn_many(lambda i: never(i), 3).result()


def test_outside_of_a_runtime():
    with pytest.raises(parla.StateError, match="needs an active runtime"):
        spawn_many(print, 1)
