"""Forms of spawn's arguments, of spaces and of finish() that published programs use."""

import threading

import parla
import pytest
from parla import Parla, SynchronizationType, TaskSpace, Tasks, cpu, finish, gpu, spawn, tasks


def where(**arguments):
    return spawn(**arguments)(lambda: parla.get_current_devices()).result()


# --- First argument ---


def test_a_tuple_names_a_task_of_the_default_space(rt):
    task = spawn((1, "x"))(lambda: 1)
    assert task.result() == 1
    assert task is tasks.default_space[1, "x"]
    assert task.name == "global_1_x"


@pytest.mark.parametrize("taskid", [(1, slice(0, 3)), (1.5,)])
def test_a_tuple_that_names_no_single_task(rt, taskid):
    with pytest.raises((ValueError, TypeError), match="task"):
        spawn(taskid)(lambda: None)


def test_a_name_outside_the_bounds_cannot_be_spawned(rt):
    with pytest.raises(TypeError, match="names no task"):
        spawn(TaskSpace("T")[-1])(lambda: None)


# --- Placement ---


def test_placements_that_the_published_front_end_trips_over(sims):
    assert where(placement=cpu[{"vcus": 0.5}]) == (cpu(0),)
    assert where(placement=[cpu[{"memory": 100}]]) == (cpu(0),)
    assert where(placement=gpu[{"memory": 100}])[0] in gpu
    assert where(placement=gpu(1)[{"memory": 100, "vcus": 1}]) == (gpu(1),)
    assert where(placement=gpu([1])) == (gpu(1),)
    with pytest.raises(parla.NoDeviceError, match=r"gpu\[5\]"):
        where(placement=[gpu(0), gpu.devices[0], parla.Device(gpu, 5)])


def test_places_of_other_things(sims):
    where_first = spawn(placement=gpu(1))(parla.get_current_devices)
    where_first.result()
    assert where(placement=where_first) == (gpu(1),)
    assert where(placement=Tasks(where_first)) == (gpu(1),)


def test_ndevices(sims):
    assert set(where(placement=gpu, ndevices=2)) == {gpu(0), gpu(1)}
    assert set(where(placement=[gpu(0), gpu(1)], ndevices=2)) == {gpu(0), gpu(1)}
    assert len(where(placement=[gpu, cpu], ndevices=1)) == 1
    with pytest.raises(ValueError, match="2 devices"):
        where(placement=[gpu(0)], ndevices=2)
    with pytest.raises(ValueError, match="tuple"):
        where(placement=[(gpu, gpu)], ndevices=2)
    with pytest.raises(ValueError, match="ndevices"):
        where(placement=gpu, ndevices=0)


def test_prefer_only_weighs(sims):
    for device in (gpu(0), gpu(1)):
        assert where(placement=gpu, prefer=device) == (device,)
    assert where(placement=gpu(0), prefer=gpu(1)) == (gpu(0),)
    assert where(placement=[gpu, cpu], prefer=cpu) == (cpu(0),)
    with pytest.raises(TypeError, match="placement"):
        where(prefer="fast")


# --- Hints ---


def test_runahead_and_tags(rt):
    for value in SynchronizationType:
        assert spawn(runahead=value)(lambda: 1).result() == 1
    assert spawn(tags=["a", "b"])(lambda: 1).result() == 1
    assert spawn(tags="a")(lambda: 1).result() == 1
    with pytest.raises(TypeError, match="runahead"):
        spawn(runahead="soon")(lambda: None)
    with pytest.raises(TypeError, match="tags"):
        spawn(tags=[1])(lambda: None)
    with pytest.raises(TypeError, match="input="):
        spawn(data=[])


# --- Retries ---


@pytest.mark.parametrize("is_async", [False, True])
def test_retries(rt, is_async):
    tries = []

    def step():
        tries.append(1)
        if len(tries) < 3:
            raise ValueError(f"try {len(tries)}")
        return len(tries)

    async def body():
        await spawn()(lambda: None)
        return step()

    assert spawn(retries=5)(body if is_async else step).result() == 3
    assert len(tries) == 3


def test_retries_are_used_up(rt):
    tries = []

    @spawn(retries=2)
    def body():
        tries.append(1)
        raise ValueError(f"try {len(tries)}")

    with pytest.raises(ValueError, match="try 3"):
        body.result()
    assert body.state == "failed"
    with pytest.raises(ValueError, match="retries"):
        spawn(retries=-1)(lambda: None)

    async def coroutine():
        pass

    made = coroutine()
    with pytest.raises(TypeError, match="only once"):
        spawn(retries=1)(made)
    made.close()


# --- Spaces ---


def test_bounds(rt):
    space = TaskSpace("B", shape=(3,), start=1)
    assert [len(Tasks([space[i]])) for i in range(6)] == [0, 1, 1, 1, 0, 0]
    assert [task.name for task in space[:]] == ["B_1", "B_2", "B_3"]
    assert [task.name for task in space[2:]] == ["B_2", "B_3"]
    assert len(space[-2]) == 0
    assert space["x"].name == "B_x"
    plane = TaskSpace("P", shape=(2, 2))
    assert len(plane[:, :]) == 4
    assert len(plane[2, 0]) == len(plane[0, 2]) == 0
    assert TaskSpace("S", shape=2).shape == (2,)
    with pytest.raises(TypeError, match="name"):
        TaskSpace(3)


def test_views_and_create(rt):
    space = TaskSpace("T")
    assert len(space.view[0:3]) == 0
    assert len(space.view[1]) == 0
    first, last = space[0], space[2]
    assert list(space.view[0:3]) == [first, last]
    assert space.view[2] is last
    assert len(space) == len(space.view) == 2
    assert first in space.view
    assert list(space.view) == [first, last]
    closed = TaskSpace("C", create=False)
    assert len(closed[0]) == 0
    assert len(closed) == 0


def test_lists_ranges_and_collections_as_indices(rt):
    space = TaskSpace("T")
    assert [task.name for task in space[[0, 2]]] == ["T_0", "T_2"]
    assert [task.name for task in space[range(0, 6, 2)]] == ["T_0", "T_2", "T_4"]
    assert [task.name for task in space[1, [0, "x"]]] == ["T_1_0", "T_1_x"]
    other = Tasks(space[5])
    assert list(space[other]) == [space[5]]
    assert 5 in space
    assert 7 not in space
    assert space[5] in space


def test_sums(rt):
    a, b = TaskSpace("A"), TaskSpace("B")
    assert [task.name for task in a[0:2] + b[0:1]] == ["A_0", "A_1", "B_0"]
    assert [task.name for task in a + b] == ["A_0", "A_1", "B_0"]
    assert [task.name for task in [b[0]] + a] == ["B_0", "A_0", "A_1"]
    both = a[0:1]
    both += b[0:1]
    assert len(both) == 2
    assert len({a[0:2], a[0:2]}) == 1


def test_dependencies_in_every_form(rt):
    space, done = TaskSpace("T"), []
    for i in range(4):
        spawn(space[i], [space[i - 1]])(lambda: done.append(i))
    last = spawn("last", [space, space[0:2], [[space[3]], (space[range(2)],)], space[-5:0], None])(lambda: list(done))
    assert last.result() == [0, 1, 2, 3]


def test_results_of_a_space(rt):
    space = TaskSpace("T")
    for i in range(3):
        spawn(space[i])(lambda: i)
    assert space.result() == [0, 1, 2]

    @spawn()
    async def body():
        await space
        return [await task for task in space]

    assert body.result() == [0, 1, 2]


def test_finish(rt):
    done = []

    def child(depth):
        done.append(depth)
        if depth:
            spawn(args=(depth - 1,))(child)

    with finish():
        for _ in range(4):
            spawn(args=(0,))(child)
    assert done == [0] * 4

    @spawn()
    async def body():
        async with finish():
            for i in range(3):
                spawn(args=(i,))(done.append)
            async with finish():
                spawn(args=(9,))(done.append)
            inner = list(done)
        return inner, list(done)

    inner, outer = body.result()
    assert 9 in inner
    assert {0, 1, 2, 9} <= set(outer)


def test_finish_waits_for_its_own_tasks_only(rt, gate):
    with finish():

        @spawn()
        def quick():
            spawn()(gate.wait)

    assert quick.done()
    other = threading.Thread(target=lambda: spawn()(gate.wait))
    with finish():
        other.start()
        other.join()
    gate.set()


def test_finish_raises_the_first_failure(rt):
    with pytest.raises(ZeroDivisionError), finish():
        spawn()(lambda: 1 / 0)
    with pytest.raises(KeyError), finish():
        raise KeyError("the block's own")


def test_many_failures_are_a_group():
    with pytest.raises(ExceptionGroup) as caught, Parla(n_workers=2):
        for kind in (ValueError, KeyError):

            @spawn()
            def body():
                raise kind("x")

    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyError}
