"""Random shapes, layouts, keys and contents for the tests of this folder."""

import collections
import functools
import os

import crosspy as xp
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

DEVICES = (("cpu", 0), ("gpu", 0), ("gpu", 1))
RUNTIME = "cpu,sim:2"

DTYPES = tuple(
    map(np.dtype, ("i1", ">i4", "f8", "c16", "?", "M8[s]", "S3", "V5", [("a", "i2"), ("b", "f4", (2,))]))
)


# How many random cases have been compared with NumPy; conftest.py prints it after each test.
n_cases = collections.Counter()


def fuzz(n_examples):
    """Return a decorator for Hypothesis tests: this many examples, eight times as many in a soak run; those that come to their end count."""
    scale = 8 if "PARLA_TEST_SEED" in os.environ else 1
    setting = settings(max_examples=n_examples * scale, deadline=None, suppress_health_check=[HealthCheck.too_slow])

    def decorate(test):
        inner = test.hypothesis.inner_test

        @functools.wraps(inner)
        def counted(*args, **kwargs):
            inner(*args, **kwargs)
            n_cases["crosspy"] += 1

        test.hypothesis.inner_test = counted
        return setting(test)

    return decorate


def content(shape, dtype, seed=0):
    """Return an array whose bytes all matter."""
    n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = (np.arange(n_bytes, dtype=np.int64) * 37 + 11 * seed + 3) % 251
    if dtype == bool:
        raw %= 2
    return raw.astype(np.uint8).view(dtype).reshape(shape).copy()


def same_bytes(a, b):
    """True if both have the same shape, type and bytes."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def view_key(key):
    """Return the same key with an ellipsis: NumPy then gives a view of an array where it would give or set a scalar."""
    items = key if isinstance(key, tuple) else (key,)
    return items if any(item is Ellipsis for item in items) else (*items, ...)


def shapes(min_dims=0, max_dims=3, max_side=7):
    """Shapes, some of them without elements."""
    return st.lists(st.integers(0, max_side), min_size=min_dims, max_size=max_dims).map(tuple)


def devices(hosts_only=False):
    """Lists of devices."""
    return st.lists(st.sampled_from(DEVICES[:1] if hosts_only else DEVICES), min_size=1, max_size=4)


@st.composite
def sizes(draw, extent):
    """How a dimension is cut: a number of even parts, or their lengths."""
    if draw(st.booleans()):
        return draw(st.integers(1, 4))
    cuts = sorted(draw(st.lists(st.integers(0, extent), max_size=3)))
    return [b - a for a, b in zip([0, *cuts], [*cuts, extent])]


@st.composite
def layouts(draw, shape, hosts_only=False):
    """Layouts of one shape, of all kinds; where arrays would begin as one NumPy array, half of them that begin as blocks."""
    layout = draw(_layouts(shape, hosts_only))
    if draw(st.booleans()):
        layout.is_on_host = False
    return layout


@st.composite
def _layouts(draw, shape, hosts_only):
    kind = draw(st.sampled_from(("split", "grid", "cyclic") if shape else ("grid",)))
    some = draw(devices(hosts_only))
    if kind == "split":
        axis = draw(st.integers(0, len(shape) - 1))
        cut = draw(sizes(shape[axis]))
        count = cut if isinstance(cut, int) else len(cut)
        return xp.Split(shape, some[:count], axis=axis, sizes=cut)
    if kind == "grid":
        blocks = [draw(sizes(extent)) for extent in shape]
        count = int(np.prod([part if isinstance(part, int) else len(part) for part in blocks], dtype=int))
        return xp.Grid(shape, blocks, some[:count])
    block = tuple(draw(st.integers(1, 4)) for _ in shape)
    grid = tuple(draw(st.integers(1, 3)) for _ in shape)
    source = tuple(draw(st.integers(0, extent - 1)) for extent in grid)
    return xp.BlockCyclic(shape, block, grid, some[: int(np.prod(grid))], source)


@st.composite
def keys(draw, shape):
    """Basic indices of an array: integers, slices with steps, perhaps an ellipsis, perhaps new axes, perhaps fewer than dimensions."""
    n = draw(st.integers(0, len(shape)))
    items = []
    at = draw(st.none() | st.integers(0, n))
    axes = list(range(n)) if at is None else [*range(at), *range(len(shape) - n + at, len(shape))]
    for axis in axes:
        extent = shape[axis]
        bounds = st.none() | st.integers(-extent - 2, extent + 2)
        choices = [st.builds(slice, bounds, bounds, st.none() | st.integers(1, 4))]
        if extent:
            choices.append(st.integers(-extent, extent - 1))
        items.append(draw(st.one_of(choices)))
    if at is not None:
        items.insert(at, Ellipsis)
    for _ in range(min(draw(st.sampled_from((0, 0, 1, 2))), 8 - len(shape))):
        items.insert(draw(st.integers(0, len(items))), None)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def stretchable(draw, shape):
    """Shapes that NumPy stretches to `shape` in an assignment."""
    kept = shape[draw(st.integers(0, len(shape))) :]
    ones = draw(st.integers(0, 2)) if len(kept) == len(shape) else 0
    return (1,) * ones + tuple(1 if draw(st.integers(0, 3)) == 0 else extent for extent in kept)
