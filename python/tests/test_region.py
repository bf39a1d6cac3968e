"""Slices of arrays as arguments of tasks: exact order and movement, overlapping, nested, several of one array; and slices on the host."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from parla import InvalidError, Parla, ResourceError, StateError, cpu, gpu, spawn
from parla.array import asarray, empty


@pytest.fixture
def devices():
    with Parla(devices="sim:2") as runtime:
        yield runtime


@pytest.mark.timeout(60)
def test_slices_apart_run_at_once(devices):
    a = asarray(np.zeros(100))
    both = threading.Barrier(2)

    def body(part):
        both.wait(30)
        part[...] += 1

    first = spawn(inout=[a[::2]])(lambda: body(a[::2]))
    second = spawn(inout=[a[1::2]])(lambda: body(a[1::2]))
    first.result()
    second.result()
    assert np.array_equal(np.asarray(a), np.ones(100))


def test_overlapping_slices_are_ordered(devices):
    a = asarray(np.zeros(60))
    expected = np.zeros(60)
    for i in range(40):
        part = slice(i % 20, 30 + i % 25, 1 + i % 3)

        @spawn(placement=[gpu(i % 2)], inout=[a[part]])
        def step():
            a[part] = a[part] * 2 + i

        expected[part] = expected[part] * 2 + i
    assert np.array_equal(np.asarray(a), expected)


def test_nested_and_negative_slices(devices):
    a = asarray(np.arange(60.0).reshape(6, 10))
    inner = a[1:5][:, ::-2][::-1]
    expected = np.arange(60.0).reshape(6, 10)
    expected[1:5][:, ::-2][::-1][0] = -1

    def body():
        assert inner.array.shape == (4, 5)
        inner.array[0] = -1

    spawn(placement=gpu(0), inout=[inner])(body).result()
    assert np.array_equal(np.asarray(a), expected)


def test_only_the_slice_moves(devices, capsys):
    a = asarray(np.arange(1000.0))
    for part in (slice(100, 200), slice(150, 250), slice(100, 250, 7)):
        seen = spawn(placement=gpu(0), input=[a[part]])(lambda part=part: float(a[part].sum())).result()
        assert seen == np.arange(1000.0)[part].sum()
    receipt = devices.receipt()
    assert receipt["bytes"] == receipt["least_bytes"] == 150 * 8
    assert [(link["from"], link["bytes"]) for link in receipt["links"]] == [("cpu[0]", 1200)]
    assert receipt["evictions"] == receipt["bytes_for_room"] == 0
    devices.print_receipt()
    assert capsys.readouterr().out.startswith("moved: 1200 bytes in 2 copies; at least 1200 for where the tasks ran")


def test_several_slices_of_one_array_in_one_task(devices):
    a = asarray(np.arange(10.0))

    def body():
        a[0:3] = a[5:8] * 2

    spawn(placement=gpu(1), input=[a[5:8]], output=[a[0:3]])(body).result()
    assert np.asarray(a).tolist() == [10, 12, 14, 3, 4, 5, 6, 7, 8, 9]


def test_what_is_read_is_read_only_beside_what_is_written(devices):
    a = asarray(np.arange(10.0))

    def body():
        a[0:3][...] = 1
        a[5:8][...] = 2

    with pytest.raises(ValueError, match="read-only"):
        spawn(placement=gpu(1), input=[a[5:8]], output=[a[0:3]])(body).result()


@pytest.mark.parametrize("use", ["array", "item", "slice"])
def test_what_is_not_named_is_told(devices, use):
    a = asarray(np.arange(10.0))
    uses = {"array": lambda: a.array, "item": lambda: a[5], "slice": lambda: a[2:6]}
    with pytest.raises(StateError, match="only in part"):
        spawn(placement=gpu(0), input=[a[0:5]])(uses[use]).result()


def test_a_part_of_what_is_named(devices):
    a = asarray(np.arange(20.0))
    view = a[4:16:2]
    assert spawn(placement=gpu(0), input=[view])(lambda: (float(a[8]), a[6:12:2].tolist())).result() == (8.0, [6.0, 8.0, 10.0])


def test_a_slice_is_filled_before_the_whole_is_read(devices):
    a = empty(10)

    def fill(i):
        a[5 * i : 5 * i + 5] = i + 1

    for i in range(2):
        spawn(placement=gpu(i), output=[a[5 * i : 5 * i + 5]])(lambda i=i: fill(i))
    assert spawn(placement=cpu, input=[a])(lambda: a.array.tolist()).result() == [1.0] * 5 + [2.0] * 5


def test_the_host_waits_for_its_slice_only(devices):
    a = asarray(np.zeros(10))
    gate = threading.Event()

    def slow():
        gate.wait(30)
        a[5:] = 1

    task = spawn(inout=[a[5:]])(slow)
    with a[:5].host("rw") as local:
        local[...] = 2
    a[0] = 3
    gate.set()
    task.result()
    assert np.asarray(a).tolist() == [3, 2, 2, 2, 2, 1, 1, 1, 1, 1]


def test_members_of_a_gang_write_their_parts(devices):
    a = asarray(np.zeros(10))

    def body():
        a[:5] = 1
        a[5:] = 2

    spawn(placement=[(gpu(0), gpu(1))], output=[(a[:5], 0), (a[5:], 1)])(body).result()
    assert np.asarray(a).tolist() == [1] * 5 + [2] * 5
    with pytest.raises(InvalidError, match="written on member 0"):
        spawn(placement=[(gpu(0), gpu(1))], output=[(a[:6], 0), (a[5:], 1)])(body)


def test_an_array_larger_than_a_device_is_used_by_slices():
    with Parla(devices="sim:2,mem=64KiB"):
        a = asarray(np.zeros((64, 1024)))
        expected = np.zeros((64, 1024))
        for i in range(40):
            rows = slice(i * 5 % 60, i * 5 % 60 + 3)

            @spawn(placement=gpu(i % 2), inout=[a[rows, ::2]])
            def step():
                part = a[rows, ::2].array
                part *= 2
                part += i

            expected[rows, ::2] = expected[rows, ::2] * 2 + i
        assert np.array_equal(np.asarray(a), expected)
        with pytest.raises(ResourceError, match="524288 bytes"):
            spawn(placement=gpu, inout=[a])(lambda: None)


def test_who_holds_the_memory_is_told_with_where_it_was_made():
    with Parla(devices="sim:1,mem=64KiB,failcopy=1"):
        first = empty(5000)
        second = empty(5000)
        spawn(placement=gpu, output=[first])(lambda: None).result()
        failure = spawn(placement=gpu, output=[second])(lambda: None).exception()
        line = test_who_holds_the_memory_is_told_with_where_it_was_made.__code__.co_firstlineno + 2
        assert f"(40000, made at {__file__}:{line})" in str(failure)
