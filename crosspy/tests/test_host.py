"""Small arrays of one process: one NumPy array until somebody asks for the blocks. Nobody can tell but by what it costs."""

import sys

import crosspy as xp
import numpy as np
import parla
import pytest
from crosspy import host, store
from crosspy_cases import fuzz, layouts, same_bytes, shapes
from hypothesis import given
from hypothesis import strategies as st
from parla import cpu


def rows(shape, n_parts, *, is_on_host=None):
    layout = xp.Split(shape, [cpu], sizes=n_parts)
    layout.is_on_host = is_on_host
    return layout


def is_host(x):
    return x._view.local is not None


@fuzz(200)
@given(st.data())
def test_both_ways_give_the_same_bits(data):
    shape = data.draw(shapes())
    a = np.random.default_rng(data.draw(st.integers(0, 9))).standard_normal(shape)
    layout = data.draw(layouts(shape, hosts_only=True))
    found = []
    for is_on_host in (True, False):
        layout.is_on_host = is_on_host
        x = xp.array(a, layout)
        assert is_host(x) is is_on_host
        axis = data.draw(st.none() | st.integers(0, len(shape) - 1)) if shape and is_on_host else None if is_on_host else axis
        y = x * 2 + x.T.T
        found.append((y, y.sum(axis), np.sqrt(abs(y)), y[1:] if shape else y, np.add(y, a)))
    for one, other in zip(*found):
        assert one.layout == other.layout
        assert same_bytes(one.gather(), other.gather())


@pytest.mark.parametrize("n_parts", [1, 3])
def test_transposed_operands_give_the_same_bits(n_parts):
    """NumPy sums in the order of the memory: results lie in that of their dimensions, both ways."""
    a = np.random.default_rng(1).standard_normal((50, 70)).astype("f4")
    layout, at = rows(a.shape, n_parts), np.arange(0, 70, 3)
    found = []
    for is_on_host in (True, False):
        layout.is_on_host = is_on_host
        x = xp.array(a, layout)
        assert is_host(x) is is_on_host
        y = x.T + 1
        found.append([one.gather() for one in (y.sum(), y.sum(1), y.sum(0), x.T[at].sum(), x.T[at].sum(1), (y - y.mean(0)).sum())])
    for one, other in zip(*found):
        assert same_bytes(one, other)


def test_a_function_of_scalars_into_an_array():
    x = xp.array(np.zeros(3), rows(3, 1))
    np.add(1.0, 2.0, out=x)
    assert np.array_equal(x.gather(), [3, 3, 3])


def test_blocks_end_it():
    a = np.arange(12.0)
    x = xp.array(a, rows(12, 3))
    y = x[::2]
    assert is_host(x) and is_host(y) and is_host(x + 1)
    with parla.Parla(n_workers=2):

        @parla.spawn(placement=x.block(1), inout=[x.block(1)])
        def double():
            x.block(1).array[...] *= 2

        assert not is_host(x) and not is_host(y)
        z = x + 1  # waits for nothing, and comes after the task
    a[4:8] *= 2
    assert np.array_equal(z.gather(), a + 1) and np.array_equal(y.gather(), a[::2])


def test_each_block_has_its_own_part_of_the_elements():
    a = np.arange(12).reshape(3, 4)
    x = xp.array(a, xp.Grid(a.shape, (1, 2), [cpu]))
    blocks = x.blocks
    assert [block.data.shape for block in blocks] == [(3, 2), (3, 2)]
    x[:, 1] = 7
    a[:, 1] = 7
    assert np.array_equal(x.gather(), a)


@pytest.mark.parametrize(
    ("layout", "dtype"),
    [
        (xp.Split(store.MOST_BYTES // 8 + 1, [cpu]), "f8"),
        (xp.Split(4, [("gpu", 0)]), "f8"),
        (xp.Split(4, [cpu, ("gpu", 0)]), "f8"),
    ],
)
def test_what_begins_as_blocks(layout, dtype):
    assert not store.begins_on_host(layout, np.dtype(dtype))


def test_a_result_may_be_too_large():
    n = int((store.MOST_BYTES // 16) ** 0.5) + 1
    x = xp.array(np.arange(float(n)), rows(n, 2))
    product = x[:, None] * x
    assert not is_host(product)
    assert np.array_equal(product.gather(), np.multiply.outer(np.arange(float(n)), np.arange(float(n))))


def test_no_task_is_spawned():
    a = np.arange(100.0)
    with parla.Parla(n_workers=1) as active:
        x = xp.array(a, rows(100, 4))
        before = active.stats()["tasks"]["n_spawned"]
        y = x + x
        y[1:5] = 0
        total = y.sum()
        assert active.stats()["tasks"]["n_spawned"] == before
    assert total.item() == 2 * (a.sum() - a[1:5].sum())


def test_failures_are_told_at_once():
    x = xp.array(np.array([1, -1]), rows(2, 2))
    with pytest.raises(ValueError, match="negative integer powers"):
        x**x
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        1 / (x - 1)


# With so many calls (in Python 3.11; later ones inline some) an operation costs 2 to 4 us more than NumPy's own.
COSTS = {"x + x": 14, "x * 2.0": 13, "x += 1": 7, "np.sqrt(x)": 11, "x.sum()": 17, "x[1:5]": 18}


@pytest.mark.parametrize("expression", COSTS)
def test_calls_of_an_operation(expression):
    """The price of a small operation is the Python calls that it makes: counted, since times vary."""
    code = compile(expression, "operation", "exec")
    names = {"x": xp.array(np.arange(10.0), rows(10, 1)), "np": np}
    exec(code, names)  # what is looked up once
    n_calls = 0

    def count(_frame, event, _arg):
        nonlocal n_calls
        n_calls += event == "call"

    sys.setprofile(count)
    try:
        exec(code, names)
    finally:
        sys.setprofile(None)
    assert is_host(names["x"])
    assert n_calls <= COSTS[expression], n_calls


def test_what_the_fast_way_does_not_take_goes_the_other():
    x = xp.array(np.arange(4.0), rows(4, 2))
    assert host.call(np.add, [x._view, [1, 2, 3, 4]], None) is None
    assert np.array_equal((x + [1, 2, 3, 4]).gather(), np.arange(4.0) + [1, 2, 3, 4])
