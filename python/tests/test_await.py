"""await: in async bodies, in asyncio, on tasks, spaces and collections."""

import asyncio
import threading

import parla
import pytest
from parla import Parla, Tasks, TaskSpace, spawn
from parla.tasks import CompletedTaskSpace, tasks


def test_result_of_await(rt):
    @spawn()
    async def body():
        return await spawn()(lambda: (1, 2))

    assert body.result() == (1, 2)


def test_results_that_look_like_control_flow(rt):
    @spawn()
    async def body():
        return [await spawn(args=(value,))(lambda value: value) for value in (None, (), (1,), StopIteration(3), ValueError("x"))]

    values = body.result()
    assert values[:3] == [None, (), (1,)]
    assert isinstance(values[3], StopIteration)
    assert isinstance(values[4], ValueError)


def test_spaces_and_collections(rt):
    space = TaskSpace("T")

    @spawn()
    async def body():
        for i in range(6):
            spawn(space[i])(lambda: i)
        nothing = await space
        some = await space[1:4]
        both = await tasks(space[0], [space[5]])
        empty = await Tasks()
        await CompletedTaskSpace()
        return nothing, some, both, empty

    assert body.result() == (None, [1, 2, 3], [0, 5], [])


def test_one_worker_is_enough(gate):
    with Parla(n_workers=1):

        async def descend(depth):
            return 0 if depth == 0 else 1 + await spawn(args=(depth - 1,))(descend)

        assert spawn(args=(50,))(descend).result() == 50


def test_await_through_plain_coroutines(rt):
    async def helper(n):
        return await spawn(args=(n,))(lambda n: n + 1)

    @spawn()
    async def body():
        return await helper(await helper(0))

    assert body.result() == 2


def test_await_a_name_that_is_spawned_later(rt):
    space = TaskSpace("T")

    @spawn()
    async def body():
        return await space[0]

    while body.state != "suspended":
        pass
    spawn(space[0])(lambda: "late")
    assert body.result() == "late"


def test_await_many_times(rt):
    @spawn()
    async def body():
        total = 0
        for i in range(500):
            total += await spawn(args=(i,))(lambda i: i)
        return total

    assert body.result() == sum(range(500))


def test_awaiting_itself(rt, gate):
    @spawn()
    async def body():
        gate.wait()  # until the name is bound
        await body

    gate.set()
    with pytest.raises(parla.StateError, match="itself"):
        body.result()


def test_a_parla_body_cannot_await_asyncio_things(rt):
    loop = asyncio.new_event_loop()
    future = loop.create_future()

    @spawn()
    async def body():
        await future

    with pytest.raises(TypeError, match="await"):
        body.result()
    loop.close()

    @spawn()
    async def sleeper():
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError) as caught:
        sleeper.result()
    assert any("asyncio.run" in note for note in caught.value.__notes__)


def test_run():
    async def main(n):
        return await spawn(args=(n,))(lambda n: 2 * n)

    assert parla.run(main(4), n_workers=1) == 8
    with Parla(n_workers=1):
        assert parla.run(main(5)) == 10
        with pytest.raises(parla.StateError, match="active"):
            parla.run(main, n_workers=1)


def test_run_raises():
    async def main():
        raise KeyError("main")

    with pytest.raises(KeyError):
        parla.run(main, n_workers=1)


# --- asyncio ---


def test_asyncio_awaits_tasks(rt, gate):
    async def main():
        loop = asyncio.get_running_loop()
        task = spawn()(lambda: (gate.wait(), "value")[1])
        loop.call_later(0.01, gate.set)
        return await task, await Tasks(spawn()(lambda: 1), task), await asyncio.gather(*[wrap(i) for i in range(20)])

    async def wrap(i):
        return await spawn(args=(i,))(lambda i: i)

    assert asyncio.run(main()) == ("value", [1, "value"], list(range(20)))


def test_asyncio_gets_exceptions(rt):
    def explode():
        raise KeyError("x")

    async def main():
        with pytest.raises(KeyError):
            await spawn()(explode)
        with pytest.raises(parla.TaskCancelled):
            await spawn(dependencies=[spawn()(explode)])(lambda: None)
        space = TaskSpace("T")
        spawn(space[0])(lambda: 1)
        assert await space is None

    asyncio.run(main())


def test_asyncio_inside_a_body(rt):
    @spawn()
    def body():
        async def main():
            await asyncio.sleep(0.001)
            return await spawn()(lambda: 5)

        return asyncio.run(main())

    assert body.result() == 5


def test_asyncio_timeout_leaves_the_task_alone(rt, gate):
    task = spawn()(lambda: (gate.wait(), 1)[1])

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await task

    asyncio.run(main())
    gate.set()
    assert task.result() == 1


# --- Callbacks ---


def test_callbacks_run_before_and_after_the_end(rt, gate):
    seen, both = [], threading.Event()
    task = spawn()(gate.wait)

    def note(ended):
        seen.append(ended)
        if len(seen) == 2:
            both.set()

    task.add_done_callback(note)
    gate.set()
    task.result()
    task.add_done_callback(note)
    assert both.wait(30)
    assert seen == [task, task]


def test_the_block_waits_for_callbacks():
    seen = []
    with Parla(n_workers=2):
        for i in range(100):
            spawn(args=(i,))(lambda i: i).add_done_callback(lambda task: seen.append(task.result()))
    assert sorted(seen) == list(range(100))


def test_a_failing_callback_is_reported(rt, capsys):
    ran = threading.Event()
    task = spawn()(lambda: None)
    task.add_done_callback(lambda task: 1 / 0)
    task.add_done_callback(lambda task: ran.set())
    assert ran.wait(30)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_callback_must_be_callable(rt):
    with pytest.raises(TypeError, match="add_done_callback"):
        spawn()(lambda: None).add_done_callback(3)
