"""Layouts are values: equality, text, owners, pictures, errors. No runtime."""

import doctest
import pickle

import crosspy as xp
import numpy as np
import parla
from parla import gpu
import pytest
from crosspy_cases import layouts, shapes
from hypothesis import given
from hypothesis import strategies as st

CPU, GPU0, GPU1 = xp.Place(0, parla.cpu.code, 0), xp.Place(0, parla.gpu.code, 0), xp.Place(0, parla.gpu.code, 1)


@given(st.data())
def test_blocks_tile_the_array(data):
    shape = data.draw(shapes())
    layout = data.draw(layouts(shape))
    owners = np.full(shape, -1)
    for i in range(layout.n_blocks):
        offset, extent = layout.box(i)
        box = tuple(slice(first, first + n) for first, n in zip(offset, extent))
        assert (owners[box] == -1).all()
        owners[box] = i
        assert layout.block_at(*layout.coordinates(i)) == i
    for index in np.ndindex(shape):
        assert layout.owner(*index) == owners[index]
    held = {place: 0 for place in layout.places}
    for i in range(layout.n_blocks):
        held[layout.place(i)] += int(np.prod(layout.box(i)[1])) * 8
    assert layout.bytes_by_place(8) == held
    assert layout.blocks_of(0) == list(range(layout.n_blocks))
    assert layout.blocks_of(1) == []


@given(st.data())
def test_equality_text_and_pickle(data):
    shape = data.draw(shapes(max_side=3))
    a, b = data.draw(layouts(shape)), data.draw(layouts(shape))
    blocks = [[(x.box(i), x.coordinates(i), x.place(i)) for i in range(x.n_blocks)] for x in (a, b)]
    assert (a == b) == (blocks[0] == blocks[1])
    for same in (xp.parse_layout(a.text), pickle.loads(pickle.dumps(a))):
        assert same == a
        assert hash(same) == hash(a)
        assert not same != a
    assert a != "another thing"
    assert a.picture()
    assert repr(a)


def test_one_layout_made_in_three_ways():
    devices = [("gpu", 0), ("gpu", 1)]
    split = xp.Split((8, 6), devices)
    assert split == xp.Grid((8, 6), blocks=(2, 1), devices=devices) == xp.BlockCyclic((8, 6), (4, 6), (2, 1), devices)
    assert len({split, xp.Grid((8, 6), ((4, 4), (6,)), devices)}) == 1
    assert split != xp.Split((8, 6), devices[::-1])
    assert split != xp.Split((8, 6), devices, axis=1)


def test_block_cyclic_deals_out_from_its_source():
    layout = xp.BlockCyclic((7, 5), block=(2, 2), grid=(2, 2), devices=[(rank, parla.cpu) for rank in range(4)], source=(1, 0))
    assert layout.grid == (4, 3)
    for i, j in np.ndindex(4, 3):
        assert layout.place(layout.block_at(i, j)).rank == (i + 1) % 2 * 2 + j % 2
    assert layout.box(11) == ((6, 4), (1, 1))
    assert layout.blocks_of(1) == [layout.block_at(1, 1), layout.block_at(3, 1)]


def test_devices_in_all_spellings():
    spelled = [parla.cpu, ("cpu", 0), parla.gpu(1), ("gpu", 1), (3, parla.gpu(1)), (3, ("gpu", 1)), (3, parla.cpu), GPU0]
    layout = xp.Split(8, spelled)
    assert [str(layout.place(i)) for i in range(8)] == [
        "cpu[0]", "cpu[0]", "gpu[1]", "gpu[1]", "3:gpu[1]", "3:gpu[1]", "3:cpu[0]", "gpu[0]",
    ]  # fmt: skip
    assert xp.Split(8, parla.gpu(1)).places == (GPU1,)
    assert xp.Split(8, ("gpu", 1)).places == (GPU1,)
    assert xp.Split((8, 2), [parla.cpu]).place(0) == CPU
    assert GPU1.device == parla.gpu(1)


def test_devices_are_dealt_out_in_turn():
    layout = xp.Split(10, [("gpu", 0), ("gpu", 1)], sizes=[1, 2, 3, 4])
    assert [layout.place(i) for i in range(4)] == [GPU0, GPU1, GPU0, GPU1]
    assert layout.sizes(0) == (1, 2, 3, 4)
    assert xp.Split((2, 10), [("gpu", 0)], axis=-1, sizes=3).sizes(-1) == (4, 3, 3)


def test_picture():
    layout = xp.BlockCyclic((5, 4), block=(2, 2), grid=(1, 2), devices=[("gpu", 0), ("gpu", 1)])
    assert layout.picture().splitlines() == [
        "   2  2",
        "2  a  b",
        "2  a  b",
        "1  a  b",
        "a = gpu[0]: 10 of 20 elements",
        "b = gpu[1]: 10 of 20 elements",
    ]
    assert "..." in xp.BlockCyclic((100, 100), (1, 1), (1, 1), parla.cpu).picture()
    assert len(repr(xp.Split(1000, parla.cpu, sizes=1000))) < 400


def test_repr_names_what_made_it():
    assert repr(xp.Split((8, 6), [("gpu", 0)], sizes=2)) == "Split((8, 6), devices=[gpu[0]], axis=0, sizes=(4, 4))"
    assert repr(xp.Grid(4, [2], parla.cpu)) == "Grid((4,), blocks=(2,), devices=[cpu[0]])"
    assert repr(xp.parse_layout("layout(4; *2; 1; 0:gpu1)")) == "Grid((4,), blocks=((2, 2),), devices=[gpu[1], gpu[1]])"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: xp.Split((8,), []), ValueError, "the list is empty"),
        (lambda: xp.Split((8,), [0]), TypeError, "devices: expected devices"),
        (lambda: xp.Split((8,), 5), TypeError, "a device or a list of devices"),
        (lambda: xp.Split((8,), parla.gpu), TypeError, "such as gpu"),
        (lambda: xp.Split((8,), [("gpu", -1)]), ValueError, "number from 0 on"),
        (lambda: xp.Split((8,), parla.cpu, axis=1), ValueError, "no dimension 1"),
        (lambda: xp.Split((), parla.cpu), ValueError, "no dimension 0"),
        (lambda: xp.Split((8,), parla.cpu, sizes=[4, 5]), ValueError, "add up to 9"),
        (lambda: xp.Split((8,), parla.cpu, sizes=0), ValueError, "0 parts"),
        (lambda: xp.Split((8,), [parla.cpu] * 3, sizes=2), ValueError, "3 devices for 2 parts"),
        (lambda: xp.Split((-8,), parla.cpu), ValueError, "extent -8"),
        (lambda: xp.Split((8.5,), parla.cpu), TypeError, "float"),
        (lambda: xp.Split((2,) * 9, parla.cpu), ValueError, "at most 8"),
        (lambda: xp.Grid((8, 8), (2,), parla.cpu), ValueError, "expected 2 entries"),
        (lambda: xp.BlockCyclic((8, 8), (2, 0), (1, 1), parla.cpu), ValueError, "at least 1"),
        (lambda: xp.BlockCyclic((8, 8), (2, 2), (1, 0), parla.cpu), ValueError, "at least 1"),
        (lambda: xp.BlockCyclic((8, 8), (2, 2), (1, 1), parla.cpu, source=(1, 0)), ValueError, "source 1"),
        (lambda: xp.parse_layout("layout(8; 2; 1; here)"), ValueError, "add up to 2"),
        (lambda: xp.parse_layout("layout(8; 8; 1; here)"), ValueError, "number expected at position 16"),
    ],
)
def test_errors_say_what_was_wrong(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_questions_outside_the_array():
    layout = xp.Split((8, 2), parla.cpu, sizes=2)
    assert layout.block_at(-1, 0) == 1
    assert layout.owner(-1, -1) == 1
    for ask in (lambda: layout.owner(8, 0), lambda: layout.owner(0), lambda: layout.block_at(2, 0), lambda: layout.block_at(0)):
        with pytest.raises(IndexError):
            ask()
    with pytest.raises(ValueError, match="no block 2"):
        layout.box(2)


def test_the_example_of_the_package():
    assert doctest.testmod(xp).failed == 0


def test_a_repr_of_parts_means_the_same_layout():
    gpus = [gpu(0), gpu(1)]
    for layout in (
        xp.Grid((7, 5), ([3, 4], [5]), gpus),
        xp.Grid((7,), ([3, 4],), gpus),
        xp.Grid((7,), ([7],), [gpu(1)]),
        xp.Grid((6, 5), (2, [5]), gpus),
    ):
        again = eval(repr(layout), {"Grid": xp.Grid, "gpu": gpu})
        assert again == layout, repr(layout)
