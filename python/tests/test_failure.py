"""Exceptions: at result() and await, as the cause of cancelled dependents, and at the end of the block."""

import traceback

import parla
import pytest
from parla import Parla, TaskCancelled, Tasks, TaskSpace, spawn


class MyError(Exception):
    pass


def explode():
    raise MyError("boom")


def test_result_raises_with_the_traceback_of_the_body(rt):
    task = spawn()(explode)
    with pytest.raises(MyError, match="boom") as caught:
        task.result()
    assert "explode" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "in Parla task 'explode'" in caught.value.__notes__
    assert task.state == "failed"
    assert isinstance(task.exception(), MyError)


def test_looking_again_does_not_grow_the_traceback(rt):
    task = spawn()(explode)
    lengths = []
    for _ in range(3):
        with pytest.raises(MyError) as caught:
            task.result()
        lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert lengths[0] == lengths[1] == lengths[2]


def test_exception_of_a_done_task_is_none(rt):
    assert spawn()(lambda: 1).exception() is None


def test_dependents_are_cancelled_with_the_cause(rt):
    space = TaskSpace("T")
    spawn(space[0])(explode)
    spawn(space[1], [space[0]])(lambda: None)
    last = spawn(space[2], [space[1]])(lambda: None)
    with pytest.raises(TaskCancelled) as caught:
        last.result()
    assert isinstance(caught.value.__cause__, MyError)
    for name in ("T_0", "T_1", "T_2", "boom"):
        assert name in str(caught.value)
    assert last.state == "cancelled"


def test_a_late_dependent_of_a_failed_task_is_cancelled(rt):
    failed = spawn()(explode)
    failed.wait()
    late = spawn(dependencies=[failed])(lambda: None)
    with pytest.raises(TaskCancelled):
        late.result()


def test_independent_work_goes_on(rt):
    spawn()(explode).exception()
    assert spawn()(lambda: 1).result() == 1


def test_the_end_of_the_block_raises_what_nobody_has_seen():
    with pytest.raises(MyError, match="boom") as caught, Parla(n_workers=2):
        spawn(name="culprit")(explode)
    assert "in Parla task 'culprit'" in caught.value.__notes__
    assert "explode" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_several_unseen_failures_make_a_group():
    with pytest.raises(ExceptionGroup, match="3 Parla tasks failed") as caught, Parla(n_workers=2):
        for _ in range(3):
            spawn()(explode)
    assert len(caught.value.exceptions) == 3


def test_what_was_seen_is_not_raised_again():
    with Parla(n_workers=2):
        with pytest.raises(MyError):
            spawn()(explode).result()
        assert isinstance(spawn()(explode).exception(), MyError)
        dependent = spawn(dependencies=[spawn()(explode)])(lambda: None)
        with pytest.raises(TaskCancelled):
            dependent.result()


def test_waiting_without_looking_does_not_count():
    with pytest.raises(MyError), Parla(n_workers=1):
        spawn()(explode).wait()


def test_passed_on_through_await_is_one_failure():
    with pytest.raises(MyError) as caught, Parla(n_workers=2):

        @spawn(name="outer")
        async def outer():
            await spawn(name="inner")(explode)

    assert caught.value.__notes__ == ["in Parla task 'inner'", "in Parla task 'outer'"]


def test_an_async_body_can_handle_it(rt):
    @spawn()
    async def body():
        try:
            await spawn()(explode)
        except MyError as error:
            return str(error)

    assert body.result() == "boom"


def test_failure_after_an_await(rt):
    @spawn()
    async def body():
        await spawn()(lambda: None)
        explode()

    with pytest.raises(MyError):
        body.result()


def test_the_block_raises_first(rt_options={"n_workers": 1}):
    with pytest.raises(KeyError) as caught, Parla(**rt_options):
        spawn(name="other")(explode).wait()
        raise KeyError("mine")
    assert any("boom" in note for note in caught.value.__notes__)


def test_few_of_many_failures_are_told_beside_the_error_of_the_block():
    with pytest.raises(KeyError) as caught, Parla(n_workers=1):
        for _ in range(50):
            spawn()(explode).wait()
        raise KeyError("mine")
    told = caught.value.__notes__
    assert len(told) == 9
    assert "42 more" in told[-1]


def test_an_error_in_the_block_cancels_what_has_not_started(gate):
    space = TaskSpace("T")
    ran = []
    with pytest.raises(KeyError), Parla(n_workers=1):
        started = spawn(space[0])(lambda: gate.wait(0.2))
        while started.state != "running":
            pass
        spawn(space[1], [space[0]])(lambda: ran.append(1))
        raise KeyError
    assert not ran
    assert space[1].state == "cancelled"


def test_a_system_exit_is_a_failure_like_any_other(rt):
    def leave():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        spawn()(leave).result()


def test_an_exception_whose_text_fails(rt):
    class Mute(Exception):
        def __str__(self):
            raise ValueError

    def body():
        raise Mute

    with pytest.raises(Mute):
        spawn()(body).result()


@pytest.mark.parametrize("how", ["result", "await"])
def test_other_failures_of_a_collection_are_notes_of_the_first(rt, how):
    def body(i):
        raise MyError(f"number {i}")

    tasks = Tasks(*(spawn(args=(i,), name=f"t{i}")(body) for i in range(12)), spawn()(lambda: 1))

    async def outer():
        await tasks

    for _ in range(2):  # looking again tells no more
        with pytest.raises(MyError, match="number 0") as caught:
            spawn()(outer).result() if how == "await" else tasks.result()
        told = [note for note in caught.value.__notes__ if "too" in note or "more" in note]
        assert told == [f"task 't{i}' failed too: MyError: number {i}" for i in range(1, 9)] + ["and 3 more tasks failed"]


def test_collections_raise_the_first_failure(rt):
    tasks = Tasks(spawn()(lambda: 1), spawn()(explode), spawn()(explode))
    with pytest.raises(MyError):
        tasks.wait()
    with pytest.raises(MyError):
        tasks.result()


def test_stuck_names_the_tasks():
    space = TaskSpace("T")
    with pytest.raises(parla.StuckError, match="waiter"), Parla(n_workers=1):
        spawn(dependencies=[space["missing"]], name="waiter")(lambda: None)


def test_stuck_at_result(rt):
    space = TaskSpace("T")
    task = spawn(dependencies=[space[0]])(lambda: 3)
    with pytest.raises(parla.StuckError):
        task.result()
    spawn(space[0])(lambda: None)
    assert task.result() == 3


def test_waiting_for_itself(rt):
    @spawn()
    def body():
        body.result()

    with pytest.raises(parla.StateError, match="itself"):
        body.result()


def test_errors_are_parla_errors_and_the_builtin_kind():
    assert issubclass(parla.NoDeviceError, parla.ParlaError) and issubclass(parla.NoDeviceError, ValueError)
    assert issubclass(parla.TaskTimeout, TimeoutError)
    assert issubclass(parla.DeviceMemoryError, MemoryError)


# --- Cancel and timeout ---


def test_cancel_before_the_start(rt, gate):
    first = spawn()(gate.wait)
    second = spawn(name="second", dependencies=[first])(lambda: None)
    third = spawn(dependencies=[second])(lambda: None)
    assert second.cancel()
    assert second.state == third.state == "cancelled"
    gate.set()
    with pytest.raises(TaskCancelled, match="second"):
        third.result()
    assert not second.cancel()


def test_cancel_of_a_done_task(rt):
    task = spawn()(lambda: 1)
    task.result()
    assert not task.cancel()
    assert task.result() == 1


def test_cancel_reaches_an_async_body_at_its_next_step(rt, gate):
    cleaned = []
    inner = spawn()(gate.wait)

    @spawn()
    async def body():
        try:
            await inner
        finally:
            cleaned.append(1)

    while body.state != "suspended":
        pass
    assert not body.cancel()
    gate.set()
    with pytest.raises(TaskCancelled):
        body.result()
    assert cleaned == [1]
    assert body.state == "cancelled"


def test_timeouts(rt, gate):
    task = spawn(name="waiting")(gate.wait)
    while task.began is None:
        pass
    with pytest.raises(TimeoutError, match="timed out waiting for task 'waiting', which is running"):
        task.result(timeout=0.01)
    done = spawn()(lambda: None)
    done.wait()
    late = spawn(dependencies=[task])(lambda: None)
    with pytest.raises(TimeoutError, match="2 of 3 have not ended, the first is 'waiting', which is running"):
        Tasks(done, task, late).wait(timeout=0.01)
    with pytest.raises(parla.TaskTimeout):
        task.exception(timeout=0)
    assert task.wait(0.01) is False
    with pytest.raises(TimeoutError):
        Tasks(task).wait(timeout=0.01)
    with pytest.raises(ValueError, match="timeout"):
        task.wait(-1)
    gate.set()
    assert task.wait() is True
