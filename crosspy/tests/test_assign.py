"""Reading and assigning views between all kinds of layouts, against NumPy byte for byte."""

import crosspy as xp
import numpy as np
import parla
import pytest
from crosspy_cases import DTYPES, content, fuzz, keys, layouts, same_bytes, shapes, stretchable, view_key
from hypothesis import assume, given
from hypothesis import strategies as st

pytestmark = [pytest.mark.usefixtures("runtime"), pytest.mark.timeout(300)]


@fuzz(500)
@given(st.data())
def test_from_layout_to_layout(data):
    shape, dtype = data.draw(shapes()), data.draw(st.sampled_from(DTYPES))
    first, second = data.draw(layouts(shape)), data.draw(layouts(shape))
    a = content(shape, dtype)
    x = xp.array(a, first)
    y = x.to(second)
    assert same_bytes(x.gather(), a)
    assert same_bytes(y.gather(), a)
    assert y.layout == second
    assert y.dtype == dtype


@fuzz(500)
@given(st.data())
def test_views_are_read(data):
    shape, dtype = data.draw(shapes()), data.draw(st.sampled_from(DTYPES))
    a = content(shape, dtype)
    x = xp.array(a, data.draw(layouts(shape)))
    for _ in range(3):
        key = data.draw(keys(a.shape))
        a, x = a[view_key(key)], x[key]
        assert x.shape == a.shape
        assert x.layout.shape == a.shape
    assert same_bytes(x.gather(), a)
    assert same_bytes(x.copy().gather(), a)


@fuzz(500)
@given(st.data())
def test_views_are_assigned_from_arrays(data):
    shape, dtype = data.draw(shapes()), data.draw(st.sampled_from(DTYPES))
    a = content(shape, dtype)
    x = xp.array(a, data.draw(layouts(shape)))
    key = data.draw(keys(shape))
    value = content(data.draw(stretchable(a[view_key(key)].shape)), dtype, seed=1)
    y = xp.array(value, data.draw(layouts(value.shape)))
    if data.draw(st.booleans()):
        x[key] = y
    else:
        x[key] = value
        value[...] = content(value.shape, dtype, seed=2)  # the assignment has taken its value already
        value = y.gather()
    a[view_key(key)] = value
    assert same_bytes(x.gather(), a)


@fuzz(500)
@given(st.data())
def test_views_of_one_array_may_overlap(data):
    shape = data.draw(shapes(min_dims=1, max_dims=2))
    a = content(shape, np.dtype("i4"))
    x = xp.array(a, data.draw(layouts(shape)))
    to, source = data.draw(keys(shape)), data.draw(keys(shape))
    try:
        a[view_key(to)] = a[view_key(source)].copy()
    except ValueError:
        assume(False)
    x[to] = x[source]
    assert same_bytes(x.gather(), a)


@fuzz(500)
@given(st.data())
def test_views_are_assigned_from_views_of_others(data):
    """Source and destination are views of arrays of any number of dimensions; NumPy decides whether the shapes fit."""
    a = content(data.draw(shapes()), np.dtype("i4"))
    b = content(data.draw(shapes()), np.dtype("i4"), seed=5)
    x, y = xp.array(a, data.draw(layouts(a.shape))), xp.array(b, data.draw(layouts(b.shape)))
    to, source = data.draw(keys(a.shape)), data.draw(keys(b.shape))
    try:
        a[view_key(to)] = b[view_key(source)]
    except ValueError:
        with pytest.raises(ValueError, match="does not fit"):
            x[to] = y[source]
    else:
        x[to] = y[source]
    assert same_bytes(x.gather(), a)


def test_scalars_are_converted_as_numpy_does():
    a = np.arange(12, dtype="i2").reshape(3, 4)
    x = xp.array(a, xp.Split(a.shape, [("gpu", 0), ("gpu", 1)], axis=1))
    for key, value in (((0, 1), 7), ((slice(None), 2), -1), ((1,), 2.9), (..., [[1], [2], [3]]), ((slice(0, 0),), 5)):
        a[key] = value
        x[key] = value
        assert np.array_equal(x.gather(), a)
    with pytest.raises(TypeError):
        x[0] = 1j
    with pytest.raises(ValueError, match=r"shape \(3,\) does not fit a destination of shape \(4,\)"):
        x[0] = [1, 2, 3]


def test_types_must_agree_between_arrays():
    layout = xp.Split(4, [("gpu", 0), ("gpu", 1)])
    x, y = xp.zeros(layout, "f4"), xp.zeros(layout, "f8")
    with pytest.raises(TypeError, match="float64 to float32"):
        x[...] = y


def test_assignment_from_a_block():
    a = np.arange(12.0).reshape(6, 2)
    x = xp.array(a, xp.Split(a.shape, [("gpu", 0), ("cpu", 0)]))
    y = xp.zeros(xp.Split((3, 2), [("gpu", 1)], axis=1))
    y[...] = x.block(1)
    assert np.array_equal(y.gather(), a[3:])


def test_only_what_moves_is_moved(runtime):
    """A split by columns from one by rows: each device keeps half of what it has."""
    n = 64
    rows, columns = (xp.Split((n, n), [("gpu", 0), ("gpu", 1)], axis=axis) for axis in (0, 1))
    x = xp.fromfunction(lambda i, j: i * n + j, rows)
    y = xp.empty(columns)
    quarter = n * n // 4 * 8
    planned = {(str(link.source), str(link.destination)): link.n_bytes for link in xp.links(y, x)}
    gpus = ("gpu[0]", "gpu[1]")
    assert planned == {(a, b): quarter for a in gpus for b in gpus}
    runtime.wait()
    before = _traffic(runtime)
    y[...] = x
    runtime.wait()
    after = _traffic(runtime)
    moved = {link: after[link] - before.get(link, 0) for link in after if link[0] != link[1]}
    assert {link: n_bytes for link, n_bytes in moved.items() if n_bytes} == {
        (a, b): quarter for a in _names(runtime) for b in _names(runtime) if a != b
    }
    assert np.array_equal(y.gather(), np.arange(n * n, dtype=float).reshape(n, n))


def _names(runtime):
    return [repr(device) for device in runtime.devices if device.architecture is parla.gpu]


def _traffic(runtime):
    return {link: counters["n_bytes"] for link, counters in runtime.stats()["links"].items()}


def test_plans_are_remembered():
    layouts_ = [xp.Split((40, 3), [("gpu", 0), ("gpu", 1)], axis=0, sizes=20), xp.Split((40, 3), [("cpu", 0)])]
    x, y = (xp.zeros(layout) for layout in layouts_)
    y[...] = x
    before = xp.plan_cache_info()
    for _ in range(5):
        y[...] = x
    after = xp.plan_cache_info()
    assert after["misses"] == before["misses"]
    assert after["hits"] == before["hits"] + 5
