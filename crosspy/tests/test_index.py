"""Keys against NumPy: which elements they name, what they drop, what they refuse. No runtime."""

import numpy as np
import pytest
from crosspy.index import UnsupportedIndexError, compose, count, parse
from crosspy_cases import keys, shapes
from hypothesis import given
from hypothesis import strategies as st


def pick(a, parsed):
    """Apply what parse() returned to a NumPy array, number by number."""
    ranges = [list(range(*entry[0])) for entry in parsed if entry is not None]
    picked = a[np.ix_(*ranges)] if ranges else a
    return picked.reshape([1 if entry is None else len(range(*entry[0])) for entry in parsed if entry is None or not entry[1]])


@given(st.data())
def test_basic_keys(data):
    shape = data.draw(shapes())
    a = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    key = data.draw(keys(shape))
    assert np.array_equal(pick(a, parse(key, shape)), a[key])


def is_new(key):
    """True if a key makes a new dimension."""
    return key is None or (isinstance(key, tuple) and any(item is None for item in key))


@given(st.data())
def test_keys_of_views(data):
    extent = data.draw(st.integers(1, 30))
    a = np.arange(extent)
    outer = data.draw(keys((extent,)).filter(lambda key: np.ndim(a[key]) == 1 and not is_new(key)))
    view = a[outer]
    inner = data.draw(keys(view.shape).filter(lambda key: not is_new(key)))
    ((first, _),) = parse(outer, a.shape)
    ((second, _),) = parse(inner, view.shape)
    both = compose(first, second)
    assert count(both) == np.size(view[inner])
    assert list(a[slice(*both)]) == list(np.atleast_1d(view[inner]))


@pytest.mark.parametrize("key", [8, -9, (0, 0, 0), (..., ...), "a", 1.5])
def test_what_numpy_refuses_is_refused(key):
    a = np.zeros((8, 2))
    with pytest.raises(IndexError):
        a[key]
    with pytest.raises(IndexError):
        parse(key, a.shape)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (slice(None, None, -1), "negative steps"),
        ("a", "no index"),
        (True, "boolean"),
        ((slice(None), np.bool_(False)), "boolean"),
    ],
)
def test_what_numpy_has_and_we_do_not_is_named(key, words):
    with pytest.raises(UnsupportedIndexError, match=words) as caught:
        parse(key, (8, 2))
    assert "x.gather()" in str(caught.value)


def test_a_step_of_zero():
    with pytest.raises(ValueError, match="zero"):
        parse(slice(None, None, 0), (8,))


def test_numpy_integers_are_integers():
    assert parse(np.int64(-1), (8,)) == parse(7, (8,))
    assert parse(np.array(3), (8,)) == parse(3, (8,))
