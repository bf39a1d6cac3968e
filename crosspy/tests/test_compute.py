"""Element-wise operations, reductions and sorting between all kinds of layouts, against NumPy."""

import operator

import crosspy as xp
import numpy as np
import parla
import pytest
from crosspy_cases import fuzz, keys, layouts, shapes, stretchable, view_key
from hypothesis import given
from hypothesis import strategies as st

pytestmark = [pytest.mark.usefixtures("runtime"), pytest.mark.timeout(300)]

NUMBERS = tuple(map(np.dtype, ("?", "i1", "u2", "i8", "f4", "f8", "c16")))


def numbers(shape, dtype, seed=0):
    """Return small numbers, so that sums in any order are the same bits."""
    raw = (np.arange(int(np.prod(shape, dtype=int))) * 37 + 11 * seed + 3) % 19 - (0 if dtype.kind in "bu" else 9)
    return raw.astype(dtype).reshape(shape)


def same(found, wanted):
    """True if a CrossArray, or a NumPy array, has the type, shape and elements of NumPy's result."""
    found, wanted = found.gather() if isinstance(found, xp.CrossArray) else found, np.asarray(wanted)
    return found.shape == wanted.shape and found.dtype == wanted.dtype and np.array_equal(found, wanted, equal_nan=wanted.dtype.kind in "fc")


def both(call, *pairs):
    """Call with NumPy's operands and with ours; return (ours, NumPy's), or None and the error's type if both refuse."""
    with np.errstate(all="ignore"):
        try:
            wanted = call(*(theirs for _, theirs in pairs))
        except (TypeError, ValueError, IndexError) as error:
            with pytest.raises((TypeError, ValueError, IndexError, parla.ParlaError)):  # what depends on elements is told when they are read
                found = call(*(ours for ours, _ in pairs))
                for one in found if isinstance(found, tuple) else (found,):
                    one.gather()
            return None, type(error)
        return call(*(ours for ours, _ in pairs)), wanted


@st.composite
def operands(draw, shape):
    """A pair (ours, NumPy's) of what stretches to a shape: an array in any layout, a view of one, a NumPy array, or a number."""
    dtype = draw(st.sampled_from(NUMBERS))
    a = numbers(draw(stretchable(shape)), dtype, draw(st.integers(0, 3)))
    kind = draw(st.sampled_from(("array", "array", "view", "numpy", "number")))
    if kind == "number":
        number = draw(st.sampled_from((2, 0.5, True, 1j, np.float32(3))))
        return number, number
    if kind == "numpy":
        return a, a
    x = xp.array(a, draw(layouts(a.shape)))
    if kind == "view":
        wide = np.repeat(a[None], 3, axis=0)
        x = xp.array(wide, draw(layouts(wide.shape)))[1]
    return x, a


BINARY = (
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.lt, operator.ge, operator.eq),
    *(operator.ne, operator.and_, operator.or_, np.maximum, np.hypot, np.arctan2, np.logical_xor, np.copysign, operator.pow),
)
UNARY = (operator.neg, operator.abs, np.sqrt, np.exp, np.isfinite, np.square, np.conjugate, np.rint, operator.invert, np.sign)


@fuzz(500)
@given(st.data())
def test_binary_operations(data):
    shape = data.draw(shapes())
    a = numbers(shape, data.draw(st.sampled_from(NUMBERS)))
    x = xp.array(a, data.draw(layouts(shape)))
    pair = [(x, a), data.draw(operands(shape))]
    if data.draw(st.booleans()):
        pair.reverse()
    found, wanted = both(data.draw(st.sampled_from(BINARY)), *pair)
    assert found is None or same(found, wanted)


@fuzz(200)
@given(st.data())
def test_unary_operations_of_views(data):
    shape = data.draw(shapes())
    a = numbers(shape, data.draw(st.sampled_from(NUMBERS)))
    x = xp.array(a, data.draw(layouts(shape)))
    key = data.draw(keys(shape))
    found, wanted = both(data.draw(st.sampled_from(UNARY)), (x[key].T, a[view_key(key)].T))
    assert found is None or same(found, wanted)


@fuzz(200)
@given(st.data())
def test_two_results(data):
    shape = data.draw(shapes())
    a = numbers(shape, data.draw(st.sampled_from(NUMBERS)))
    pair = [(xp.array(a, data.draw(layouts(shape))), a), data.draw(operands(shape))]
    found, wanted = both(divmod, *pair)
    assert found is None or all(map(same, found, wanted))


@fuzz(300)
@given(st.data())
def test_in_place_and_out(data):
    """Also into views, from views of the same array that overlap with what is written, with casts, and where a mask says."""
    shape = data.draw(shapes())
    dtype = data.draw(st.sampled_from(NUMBERS))
    a = numbers(shape, dtype)
    x = xp.array(a, data.draw(layouts(shape)))
    to = data.draw(keys(shape))
    theirs, ours = a[view_key(to)], x[to]
    if data.draw(st.booleans()) and ours.ndim and ours.shape[0] > 1:  # an operand of the same array, shifted
        operand, pair = None, (ours[:-1], theirs[:-1].copy())
        ours, theirs = ours[1:], theirs[1:]
    else:
        operand = pair = data.draw(operands(theirs.shape))
    mask = data.draw(st.none() | st.just(numbers(theirs.shape, np.dtype(bool), 2)))
    options = [{}, {}] if mask is None else [{"where": xp.array(mask, data.draw(layouts(mask.shape)))}, {"where": mask}]
    function = data.draw(st.sampled_from((np.add, np.multiply, np.maximum)))
    with np.errstate(all="ignore"):
        try:
            function(theirs, pair[1], out=theirs, **options[1])
        except (TypeError, ValueError) as error:
            with pytest.raises(type(error)):
                function(ours, pair[0], out=ours, **options[0])
        else:
            assert function(ours, pair[0], out=ours, **options[0]) is ours
    assert same(x, a), (to, operand)


REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "mean", "var", "std")


@fuzz(500)
@given(st.data())
def test_reductions(data):
    shape = data.draw(shapes())
    a = numbers(shape, data.draw(st.sampled_from(NUMBERS)))
    x = xp.array(a, data.draw(layouts(shape)))
    key = data.draw(keys(shape))
    b, y = a[view_key(key)].T, x[key].T
    one = st.integers(-b.ndim, b.ndim - 1)
    axis = data.draw(st.none() | one | st.tuples(one) | st.tuples(one, one) | st.just(()) if b.ndim else st.none() | st.just(()))
    name, keepdims = data.draw(st.sampled_from(REDUCTIONS)), data.draw(st.booleans())
    with np.errstate(all="ignore"):
        found, wanted = both(lambda z: getattr(np, name)(z, axis=axis, keepdims=keepdims), (y, b))
    if found is None:
        return
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    assert np.allclose(found.gather(), wanted, rtol=1e-5, equal_nan=True)


@fuzz(200)
@given(st.data())
def test_where_the_extremes_are(data):
    shape = data.draw(shapes())
    a = numbers(shape, data.draw(st.sampled_from(NUMBERS)))
    if a.dtype.kind == "f" and a.size and data.draw(st.booleans()):
        a.flat[data.draw(st.lists(st.integers(0, a.size - 1), min_size=1, max_size=3))] = np.nan
    x = xp.array(a, data.draw(layouts(shape)))
    axis = data.draw(st.none() | st.integers(-a.ndim, a.ndim - 1)) if a.ndim else None
    function, keepdims = data.draw(st.sampled_from((np.argmax, np.argmin))), data.draw(st.booleans())
    found, wanted = both(lambda z: function(z, axis=axis, keepdims=keepdims), (x, a))
    assert found is None or same(found, wanted)


def test_masked_and_initial_sums():
    a = np.arange(24.0).reshape(4, 6)
    x = xp.array(a, xp.Grid(a.shape, (2, 3), [("gpu", 0), ("cpu", 0)]))
    mask = a % 3 == 0
    assert same(x.sum(0, initial=5, where=mask), a.sum(0, initial=5, where=mask))
    assert same(x.max(1, initial=-1, where=x % 7 == 0), a.max(1, initial=-1, where=a % 7 == 0))
    out = xp.zeros(xp.Split(6, ("gpu", 1)))
    assert x.sum(0, out=out) is out and same(out, a.sum(0))
    with pytest.raises(ValueError, match="initial"):
        x.max(where=mask)
    with pytest.raises(ValueError, match="zero-size"):
        x[:0].max()
    with np.errstate(invalid="ignore"):
        assert np.isnan(float(x[:0].mean()))
    assert float(x[:0].sum()) == 0


@fuzz(200)
@given(st.data())
def test_sorting(data):
    shape = data.draw(shapes())
    a = numbers(shape, data.draw(st.sampled_from(NUMBERS)))
    if a.dtype.kind == "f" and a.size and data.draw(st.booleans()):
        a.flat[data.draw(st.integers(0, a.size - 1))] = np.nan
    x = xp.array(a, data.draw(layouts(shape)))
    axis = data.draw(st.integers(-a.ndim, a.ndim - 1)) if a.ndim else -1
    found, wanted = both(lambda z: np.sort(z, axis), (x, a))
    if found is not None:
        assert same(found, wanted)
        assert found.layout == x.layout
        assert same(x, a)


@pytest.mark.parametrize("kind", ["random", "equal", "sorted", "reversed", "few", "records"])
def test_sample_sort_of_many(kind):
    """Whatever the elements are, each block gets at most about twice its share while they are sorted."""
    n, rng = 20_011, np.random.default_rng(5)
    a = {
        "random": lambda: rng.standard_normal(n),
        "equal": lambda: np.full(n, 7),
        "sorted": lambda: np.arange(n),
        "reversed": lambda: np.arange(n)[::-1].copy(),
        "few": lambda: rng.integers(0, 3, n),
        "records": lambda: rng.bytes(4 * n) and np.frombuffer(rng.bytes(3 * n), "S3"),
    }[kind]()
    x = xp.array(a, xp.Split(n, [("gpu", 0), ("gpu", 1), ("cpu", 0)], sizes=6))
    assert np.array_equal(np.sort(x).gather(), np.sort(a))
    x.sort()
    assert np.array_equal(x.gather(), np.sort(a))


def test_results_lie_where_the_operands_do(runtime):
    """Nothing moves where operands lie alike, and else only what has to: no operation gathers."""
    n = 64
    rows, columns = (xp.Split((n, n), [("gpu", 0), ("gpu", 1)], axis=axis) for axis in (0, 1))
    x, y, z = xp.full(rows, 2.0), xp.full(rows, 3.0), xp.full(columns, 5.0)
    runtime.wait()
    before = _moved(runtime)
    both_ = x * y + 1
    runtime.wait()
    assert both_.layout == rows and _moved(runtime) == before
    total = both_ + z
    runtime.wait()
    assert total.layout == rows
    assert _moved(runtime) - before == n * n // 2 * 8
    assert np.array_equal(total.gather(), np.full((n, n), 12.0))


def _moved(runtime):
    return sum(link["n_bytes"] for (a, b), link in runtime.stats()["links"].items() if a != b)


def test_functions():
    a = np.arange(24.0).reshape(4, 6)
    x = xp.array(a, xp.Grid(a.shape, (2, 3), [("gpu", 0), ("cpu", 0)]))
    for call in (
        lambda z: np.where(z > 5, z, -1),
        lambda z: np.clip(z, 3, 9),
        lambda z: np.clip(z, None, 9),
        lambda z: np.round(z / 7, 2),
        lambda z: np.real(z * 1j),
        lambda z: np.ptp(z, axis=0),
        lambda z: np.concatenate([z, z[:2], z[::3]]),
        lambda z: np.concatenate([z[:, :1], z.astype("f4")], axis=-1),
        lambda z: np.stack([z, z + 1], axis=1),
        lambda z: np.squeeze(np.expand_dims(z, 1)),
        lambda z: np.swapaxes(z[None], 0, 2),
        lambda z: np.moveaxis(z[None], 0, -1),
        lambda z: np.transpose(z),
        lambda z: np.zeros_like(z),
        lambda z: np.ones_like(z, dtype="i2"),
        lambda z: np.full_like(z, 9),
        lambda z: np.dot(z, z.T),
        lambda z: np.dot(z, 3),
        lambda z: np.isclose(z, z.T[0, 0]),
    ):
        assert same(call(x), call(a))
    for call in (np.count_nonzero, np.linalg.norm, lambda z: np.vdot(z, z), lambda z: np.linalg.norm(z, axis=0, ord=1)):
        assert np.allclose(call(x).gather(), call(a))
    assert np.array_equal(x, a) and not np.array_equal(x, a[:2]) and np.allclose(x, a + 1e-12)
    assert 23 in x and 24 not in x
    assert f"{x.sum():.1f}" == "276.0"
    assert np.add.reduce(x).gather().tolist() == a.sum(0).tolist()


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "f4", "c16"])
def test_norms_of_elements_whose_squares_do_not_fit(dtype):
    """Types and values as NumPy's: integers are floating-point numbers before they are squared."""
    a = np.array([100, 100, 128, 50, 0, 3]).astype(dtype)
    x, m = xp.array(a, xp.Split(6, [("gpu", 0), ("gpu", 1)])), xp.array(a.reshape(2, 3), xp.Split((2, 3), [("gpu", 0), ("gpu", 1)]))
    pairs = [((x, a), {"ord": order}) for order in (None, np.inf, -np.inf, 0, 1, 2, 3)]
    pairs += [((m, a.reshape(2, 3)), options) for options in ({}, {"ord": "fro"}, {"axis": 0}, {"axis": (0, 1), "keepdims": True})]
    for (ours, theirs), options in pairs:
        found, wanted = np.linalg.norm(ours, **options), np.asarray(np.linalg.norm(theirs, **options))
        assert found.shape == wanted.shape and found.dtype == wanted.dtype, options
        assert np.allclose(found.gather(), wanted, rtol=1e-6), options


def test_types_of_variances_and_products_are_those_of_numpy():
    a = np.arange(9.0)
    x = xp.array(a, xp.Split(9, [("gpu", 0), ("gpu", 1)]))
    found, wanted = np.var(x, dtype=np.float32), np.var(a, dtype=np.float32)
    assert found.dtype == wanted.dtype and np.isclose(float(found), wanted)
    small = np.array([100, 100, -128], np.int8)
    assert same(np.vdot(xp.array(small, xp.Split(3, [("gpu", 0), ("gpu", 1)])), small), np.vdot(small, small))
    assert same(np.where(x > 4, x, list(range(9))), np.where(a > 4, a, list(range(9))))


@pytest.mark.parametrize(
    "operation",
    [
        lambda z: np.moveaxis(z, 0, [1, 2]),
        lambda z: np.moveaxis(z, [0, 1], [1, 1]),
        lambda z: np.moveaxis(z, [0, -3], [1, 2]),
        lambda z: np.linalg.norm(z, "fro"),
        lambda z: np.linalg.norm(z, axis=()),
        lambda z: np.linalg.norm(z[0, 0], "fro"),
    ],
)
def test_what_numpy_refuses_is_refused(operation):
    a = np.ones((2, 3, 4))
    for operand in (a, xp.array(a, xp.Split(a.shape, [("gpu", 0), ("gpu", 1)]))):
        with pytest.raises(ValueError):
            operation(operand)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: np.vecdot(x, x),
        lambda x: np.add.outer(x, x),
        lambda x: np.add.accumulate(x),
        lambda x: np.subtract.reduce(x),
        lambda x: np.cumsum(x),
        lambda x: np.linalg.inv(x),
        lambda x: np.linalg.norm(x, 2),
        lambda x: np.kron(x, x),
        lambda x: np.add(x, 1, out=np.zeros((4, 4))),
        lambda x: x.gather() @ x,
        lambda x: x + object(),
        lambda x: np.where(x),
        lambda x: np.matmul(x[None], x[None]),
    ],
)
def test_what_is_not_there_raises(operation):
    x = xp.array(np.eye(4), xp.Split((4, 4), [("gpu", 0), ("gpu", 1)]))
    with pytest.raises(TypeError):
        operation(x)


def test_a_failing_block_tells_why():
    x = xp.array(np.array([1, 0, 2]), xp.Split(3, [("gpu", 0), ("gpu", 1)]))
    with np.errstate(all="raise"), pytest.raises((FloatingPointError, parla.ParlaError), match="divide by zero"):
        (1 // x).gather()


