"""TaskSpace and Tasks: names, slices, collections."""

import gc
import weakref

import numpy as np
import parla
import pytest
from parla import AtomicTaskSpace, CompletedTaskSpace, Tasks, TaskSpace, spawn


def names(found):
    return [task.name for task in found]


def test_reading_a_name_makes_it():
    space = TaskSpace("T")
    assert space[3] is space[3]
    assert space[np.int64(3)] is space[3]
    assert space["a"] is space["a"]
    assert space[1, 2] is space[1, 2] is space[np.int32(1), 2]
    assert space[1000] is space[1000]
    assert len(space) == 4
    assert names(space) == ["T_3", "T_a", "T_1_2", "T_1000"]


def test_a_name_stays_the_same_when_the_dense_part_reaches_it():
    space = TaskSpace("T")
    far = space[100]
    for i in range(200):
        assert space[i].name == f"T_{i}"
    assert space[100] is far
    assert len(space) == 200


def test_names_without_a_name():
    space = TaskSpace()
    assert space[1].name == "1"
    assert space["x", 1].name == "x_1"


def test_closed_slices_name_the_future():
    space = TaskSpace("T")
    assert names(space[1:4]) == ["T_1", "T_2", "T_3"]
    assert names(space[0:5:2]) == ["T_0", "T_2", "T_4"]
    assert names(space[3:0:-1]) == ["T_3", "T_2", "T_1"]
    assert names(space[0:2, 0:2]) == ["T_0_0", "T_0_1", "T_1_0", "T_1_1"]
    assert names(space["a", [0, 2]]) == ["T_a_0", "T_a_2"]
    assert names(space[[1, 5]]) == ["T_1", "T_5"]
    assert names(space[range(2)]) == ["T_0", "T_1"]


def test_open_slices_mean_what_exists():
    space = TaskSpace("T")
    assert names(space[:]) == []
    for i in (0, 1, 2, 5):
        space[i]
    for i in range(3):
        space[i, 7]
    assert names(space[:]) == ["T_0", "T_1", "T_2", "T_5"]
    assert names(space[1:]) == ["T_1", "T_2", "T_5"]
    assert names(space[1::2]) == ["T_1", "T_5"]
    assert names(space[:, 7]) == ["T_0_7", "T_1_7", "T_2_7"]
    assert names(space[1:, 0:8]) == ["T_1_7", "T_2_7"]
    assert len(space) == 7


def test_negative_indices_are_empty():
    space = TaskSpace("T")
    assert isinstance(space[-1], Tasks)
    assert len(space[-1]) == len(space[-2, 3]) == 0
    assert names(space[-2:2]) == ["T_0", "T_1"]
    assert len(space) == 2


@pytest.mark.parametrize("key", [1.5, None, (1, None), slice(0, 3, 0), slice(3, None, -1)])
def test_bad_keys(key):
    with pytest.raises((TypeError, ValueError)):
        TaskSpace("T")[key]


def test_a_name_that_selects_nothing_cannot_be_spawned(rt):
    with pytest.raises(TypeError, match="taskid"):
        spawn(TaskSpace("T")[-1])(lambda: None)


def test_contains():
    space = TaskSpace("T")
    task = space[1, 2]
    assert task in space
    assert (1, 2) in space
    assert 1 not in space
    assert TaskSpace("T")[1, 2] not in space


def test_items_and_tasks():
    space = TaskSpace("T")
    task = space["k"]
    assert space.items() == [("k", task)]
    assert space.tasks == [task]
    assert space.name == "T"
    assert repr(space) == "<TaskSpace 'T': 1 tasks>"


def test_wait(rt, gate):
    space = AtomicTaskSpace("T")
    for i in range(3):
        spawn(space[i])(gate.wait)
    with pytest.raises(parla.TaskTimeout):
        space.wait(0.01)
    gate.set()
    space.wait()
    assert all(task.done() for task in space)


def test_the_module_is_also_the_function_of_its_name(rt):
    from parla import tasks

    a, b = spawn(args=(1,))(abs), spawn(args=(2,))(abs)
    assert tasks(a, [b]).result() == [1, 2]
    assert tasks.tasks(a, [b]) == tasks(a, b)


def test_collections():
    space = TaskSpace("T")
    both = Tasks(space[0:2], space[5], name="mine")
    assert names(both) == ["T_0", "T_1", "T_5"]
    assert both[0] is space[0]
    assert names(both[1:]) == ["T_1", "T_5"]
    assert space[5] in both
    assert space[7] not in both
    assert names(both + [space[7]]) == ["T_0", "T_1", "T_5", "T_7"]
    assert both.tasks == list(both)
    assert "mine" in repr(both)
    with pytest.raises(TypeError):
        Tasks(3)
    with pytest.raises(TypeError):
        Tasks("ab")


def test_completed_space(rt):
    nothing = CompletedTaskSpace()
    nothing.wait()
    assert len(nothing) == 0
    assert spawn(dependencies=[nothing[3], nothing])(lambda: 1).result() == 1


def test_spaces_are_collected(rt):
    space = TaskSpace("T")
    space.itself = space
    spawn(space[0])(lambda: 1).result()
    reference, task = weakref.ref(space), weakref.ref(space[0])
    del space
    gc.collect()
    assert reference() is None
    assert task() is None
