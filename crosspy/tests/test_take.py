"""Indexing with arrays of integers and booleans, beside NumPy."""

import crosspy as xp
import numpy as np
import pytest
from crosspy_cases import DTYPES, content, fuzz, layouts, same_bytes, shapes
from hypothesis import given
from hypothesis import strategies as st
from parla import cpu

pytestmark = pytest.mark.usefixtures("runtime")


@st.composite
def array_keys(draw, shape):
    """Keys with an index array or more: lists and arrays that broadcast, masks of one dimension or several, among basic indices."""
    common = draw(st.sampled_from([(3,), (0,), (2, 2), (1,)]))
    items, k = [], 0
    while k < len(shape):
        kind = draw(st.sampled_from(("array", "mask", "slice", "integer", "array")))
        if kind == "mask":
            n = draw(st.integers(1, min(2, len(shape) - k)))
            bits = draw(st.lists(st.booleans(), min_size=1, max_size=5))
            items.append(np.resize(np.array(bits), shape[k : k + n]))
            k += n
            continue
        extent = shape[k]
        if kind == "array" and extent:
            own = tuple(1 if draw(st.booleans()) else n for n in common)[draw(st.integers(0, len(common) - 1)) :]
            raw = np.array(draw(st.lists(st.integers(-extent, extent - 1), min_size=1, max_size=4)))
            made = np.resize(raw, own).astype(draw(st.sampled_from(("i8", "u1", "i2")))) % extent
            items.append(made.tolist() if draw(st.booleans()) and made.size else made.astype(np.intp))
        elif kind == "integer" and extent:
            items.append(draw(st.integers(-extent, extent - 1)))
        else:
            bounds = st.none() | st.integers(-extent - 2, extent + 2)
            items.append(draw(st.builds(slice, bounds, bounds, st.none() | st.integers(1, 3))))
        k += 1
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), None)
    if items and isinstance(items[-1], slice) and draw(st.booleans()):
        items[-1] = Ellipsis
    if not any(isinstance(item, (list, np.ndarray)) for item in items):
        items = [[0, -1] if shape[0] else np.zeros(shape[:1], bool), *items[1:]] if items and items[0] is not None else [[0]]
    return tuple(items)


def numpys(a, key):
    """Return NumPy's result, or the error that it raises."""
    try:
        return a[key]
    except IndexError as error:
        return error


@fuzz(400)
@given(st.data())
def test_elements_are_picked_and_put(data):
    shape = data.draw(shapes(1))
    a = content(shape, data.draw(st.sampled_from(DTYPES)))
    x = xp.array(a, data.draw(layouts(shape)))
    key = data.draw(array_keys(shape))
    wanted = numpys(a, key)
    if isinstance(wanted, IndexError):
        with pytest.raises(IndexError):
            x[key]
        with pytest.raises(IndexError):
            x[key] = a[:0]
        return
    found = x[key]
    assert same_bytes(found.gather(), wanted)
    value = content(wanted.shape, a.dtype, 5)
    how = data.draw(st.sampled_from(("array", "numpy", "number")))
    if how == "number" and a.dtype.names is None and a.dtype.kind != "V":
        value = value.reshape(-1)[:1].reshape(()) if value.size else np.zeros((), a.dtype)
    a[key] = value
    x[key] = xp.array(value, data.draw(layouts(value.shape))) if how == "array" else value
    if not has_twins(a.shape, key):
        assert same_bytes(x.gather(), a)
    assert same_bytes(found.gather(), wanted)  # a copy, no view


def has_twins(shape, key):
    """True if a key names an element twice; which value it then gets is not said where the values are in several blocks."""
    numbers = np.arange(int(np.prod(shape))).reshape(shape)[key]
    return len(np.unique(numbers)) < numbers.size


@fuzz(100)
@given(st.data())
def test_of_views(data):
    shape = data.draw(shapes(2, 3))
    a = content(shape, np.dtype("f8"))
    x = xp.array(a, data.draw(layouts(shape)))
    b, y = a[1:, ::2].T, x[1:, ::2].T
    if b.shape[0] == 0 or 0 in b.shape:
        return
    at = np.resize(np.array(data.draw(st.lists(st.integers(0, b.shape[0] - 1), min_size=1, max_size=5))), 3)
    assert same_bytes(y[at].gather(), b[at])
    b[at], y[at] = 3, 3
    assert same_bytes(x.gather(), a)


def test_a_mask_or_index_may_be_a_cross_array():
    a = np.arange(12.0)
    x = xp.array(a, xp.Split(12, [("gpu", 0), ("gpu", 1)]))
    assert np.array_equal(x[x > 5].gather(), a[a > 5])
    x[x > 5] = 0
    a[a > 5] = 0
    assert np.array_equal(x.gather(), a)
    at = xp.array(np.array([3, 1]), xp.Split(2, [cpu]))
    assert np.array_equal(x[at].gather(), a[[3, 1]])


def test_the_result_lies_where_the_elements_did():
    x = xp.array(np.arange(12), xp.Split(12, [("gpu", 0), ("gpu", 1)]))
    y = x[np.arange(0, 12, 2)]
    assert y.layout == xp.Split(6, [("gpu", 0), ("gpu", 1)])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ([0, 4], "index 4 is out of bounds for axis 0 with size 4"),
        (([0, 1], [0, 1, 2]), "shape mismatch"),
        (np.array([0.5]), "integer or boolean"),
        (np.zeros(3, bool), "boolean index did not match"),
        (([0], [0], [0]), "too many indices"),
    ],
)
def test_errors_are_numpys(key, words):
    x = xp.array(np.arange(12).reshape(4, 3), xp.Split((4, 3), [("gpu", 0), ("gpu", 1)]))
    with pytest.raises(IndexError, match=words):
        x[key]
    with pytest.raises(IndexError, match=words):
        x[key] = 1


def test_values_must_fit():
    x = xp.array(np.arange(12.0).reshape(4, 3), xp.Split((4, 3), [("gpu", 0), ("gpu", 1)]))
    with pytest.raises(ValueError, match="could not be broadcast"):
        x[[0, 1]] = np.zeros(2)
    with pytest.raises(TypeError, match="one type"):
        x[[0, 1]] = xp.zeros(xp.Split((2, 3), [cpu]), "f4")


def test_values_of_small_arrays_are_assigned_without_tasks():
    a = np.arange(12.0).reshape(3, 4)
    x = xp.array(a, xp.Split(a.shape, [cpu]))
    x[[2, 0]] = x[[0, 1]]
    x.T[[3, 1]] = x.T[:2]  # what is read is written too
    a[[2, 0]] = a[[0, 1]]
    a.T[[3, 1]] = a.T[:2].copy()
    assert x._view.local is not None
    assert np.array_equal(x.gather(), a)


def test_functions():
    a = np.arange(24.0).reshape(4, 6)
    x = xp.array(a, xp.Grid(a.shape, (2, 2), [("gpu", 0), ("gpu", 1)]))
    assert np.array_equal(np.take(x, [3, 0, 0], axis=1).gather(), np.take(a, [3, 0, 0], axis=1))
    assert np.array_equal(np.take(x, 2, axis=-1).gather(), np.take(a, 2, axis=-1))
    assert np.array_equal(np.compress([True, False, True], x, axis=0).gather(), np.compress([True, False, True], a, axis=0))
    for axis in (None, 0, 1, (0, 1)):
        assert np.array_equal(np.flip(x, axis).gather(), np.flip(a, axis))
    with pytest.raises(TypeError, match="axis="):
        np.take(x, [0])
