"""NumPy's functions that work on a CrossArray, and the same under names of this package: numpy.sum(x), crosspy.sum is x.sum.

Each takes NumPy's arguments as far as they mean something here; an option that is not taken raises TypeError. All are collective, and but
for sort, allclose and array_equal nothing waits.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np

from . import _crosspy, create, linalg, reduction, ufunc
from . import sort as sorting
from .array import CrossArray, _functions
from .layout import Layout


def _for(*names: Callable) -> Callable:
    """Let these functions of NumPy be carried out by the decorated one."""

    def note(work: Callable) -> Callable:
        _functions.update(dict.fromkeys(names, work))
        return work

    return note


def _check(x: object, what: str) -> CrossArray:
    if not isinstance(x, CrossArray):
        raise TypeError(f"{what}: expected a CrossArray, not {type(x).__name__}; crosspy.array(a, layout) makes one")
    return x


def _methods(*functions: Callable) -> None:
    """Let each function be the method of its name."""
    for function in functions:
        name = function.__name__.removeprefix("a") if function.__name__ in ("amax", "amin") else function.__name__

        def call(a: CrossArray, *args: object, _name: str = name, **options: object) -> object:
            chosen = {key: value for key, value in options.items() if value is not np._NoValue}
            return getattr(_check(a, f"numpy.{_name}"), _name)(*args, **chosen)

        _functions[function] = call


_methods(
    *(np.sum, np.prod, np.max, np.min, np.amax, np.amin, np.any, np.all, np.mean, np.var, np.std, np.argmax, np.argmin),
    *(np.transpose, np.copy),
)


# --- About ---


_functions[np.shape] = lambda a: a.shape
_functions[np.ndim] = lambda a: a.ndim
_functions[np.size] = lambda a, axis=None: a.size if axis is None else a.shape[axis]


@_for(np.array_equal)
def array_equal(a: object, b: object) -> bool:
    """Return whether both have the same shape and elements. Waits."""
    return np.shape(a) == np.shape(b) and bool((a == b).all())


@_for(np.isclose)
def isclose(a: object, b: object, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> CrossArray:
    """Return element by element whether |a - b| <= atol + rtol |b|."""

    def work(outs: list, ins: list) -> None:
        outs[0][...] = np.isclose(ins[0], ins[1], rtol, atol, equal_nan)

    return _elementwise(work, [a, b], bool, "isclose")


@_for(np.allclose)
def allclose(a: object, b: object, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Return whether all elements are close. Waits."""
    return bool(isclose(a, b, rtol, atol, equal_nan).all())


# --- Element by element ---


def _elementwise(work: Callable, operands: Sequence[object], dtype: object, name: str) -> CrossArray:
    plain = [ufunc.as_operand(item._view if isinstance(item, CrossArray) else item) for item in operands]
    return CrossArray(ufunc.run(work, plain, [np.dtype(dtype)], [None], name)[0])


def _dtype_of(item: object) -> object:
    return item.dtype if isinstance(item, CrossArray) else ufunc.as_operand(item)


@_for(np.where)
def where(condition: object, x: object = None, y: object = None) -> CrossArray:
    """Return elements of x where the condition holds, else of y."""
    if x is None or y is None:
        raise TypeError("where(condition) alone is not there: it needs x and y; x[condition] takes elements")

    def work(outs: list, ins: list) -> None:
        outs[0][...] = np.where(*ins)

    return _elementwise(work, [condition, x, y], np.result_type(_dtype_of(x), _dtype_of(y)), "where")


@_for(np.clip)
def clip(a: CrossArray, a_min: object = None, a_max: object = None, out: CrossArray | None = None) -> CrossArray:
    """Return the elements, but no less than a_min and no more than a_max."""
    into = {} if out is None else {"out": out}
    if a_min is None:
        return np.positive(a, **into) if a_max is None else np.minimum(a, a_max, **into)
    return np.maximum(a, a_min, **into) if a_max is None else np.minimum(np.maximum(a, a_min), a_max, **into)


def _of_blocks(function: Callable, a: CrossArray, *args: object) -> CrossArray:
    """Apply a function of NumPy that works element by element and is no universal one."""

    def work(outs: list, ins: list) -> None:
        outs[0][...] = function(ins[0], *args)

    dtype = function(np.ones(1, a.dtype), *args).dtype
    return _elementwise(work, [_check(a, function.__name__)], dtype, function.__name__)


@_for(np.round, np.around)
def round(a: CrossArray, decimals: int = 0) -> CrossArray:  # noqa: A001
    """Return the elements rounded to a number of decimals."""
    return _of_blocks(np.round, a, decimals)


for _function in (np.real, np.imag, np.angle, np.nan_to_num, np.isposinf, np.isneginf, np.sinc, np.i0):
    _functions[_function] = lambda a, *args, _f=_function: _of_blocks(_f, a, *args)


@_for(np.count_nonzero)
def count_nonzero(a: CrossArray, axis: object = None, *, keepdims: bool = False) -> CrossArray:
    """Return how many elements are not zero."""
    return (a != 0).sum(axis, np.intp, keepdims=keepdims)


@_for(np.ptp)
def ptp(a: CrossArray, axis: object = None) -> CrossArray:
    """Return the largest minus the smallest element."""
    return a.max(axis) - a.min(axis)


# --- Making and joining ---


def _like(make: Callable) -> Callable:
    def made(a: CrossArray, *args: object, dtype: object = None) -> CrossArray:
        return make(_check(a, make.__name__).layout, *args, dtype=a.dtype if dtype is None else dtype)

    return made


_functions[np.empty_like] = empty_like = _like(create.empty)
_functions[np.zeros_like] = zeros_like = _like(create.zeros)
_functions[np.full_like] = full_like = _like(create.full)
_functions[np.ones_like] = ones_like = lambda a, dtype=None: full_like(a, 1, dtype=dtype)


@_for(np.concatenate)
def concatenate(arrays: Sequence[CrossArray], axis: int = 0) -> CrossArray:
    """Return arrays joined along a dimension. The blocks along it are those of the arrays; across it they are cut as the first array is."""
    arrays = [_check(x, "concatenate") for x in arrays]
    if not arrays:
        raise ValueError("need at least one array to concatenate")
    first, axis = arrays[0], operator.index(axis)
    if not -first.ndim <= axis < first.ndim:
        raise np.exceptions.AxisError(axis, first.ndim)
    axis %= first.ndim
    rest = first.shape[:axis] + first.shape[axis + 1 :]
    if any(x.shape[:axis] + x.shape[axis + 1 :] != rest for x in arrays):
        raise ValueError(f"concatenate: the shapes {[x.shape for x in arrays]} differ beside dimension {axis}")
    made = create.empty(_joined([x.layout for x in arrays], axis), np.result_type(*(x.dtype for x in arrays)))
    at = 0
    for x in arrays:
        part = made[(slice(None),) * axis + (slice(at, at + x.shape[axis]),)]
        part[...] = x.astype(made.dtype, copy=False)
        at += x.shape[axis]
    return made


def _joined(layouts: list[Layout], axis: int) -> Layout:
    """Return a layout with the blocks of several one behind the other along a dimension, at their places."""
    first = layouts[0]
    places = []
    for layout in layouts:
        at = np.arange(layout.n_blocks).reshape(layout.grid)
        for k in range(layout.ndim):
            if k != axis:
                at = at.take(np.minimum(np.arange(first.grid[k]), layout.grid[k] - 1), axis=k)
        places.append((layout, at))
    cells = np.concatenate([np.array([[n, i] for i in at.ravel()]).reshape(*at.shape, 2) for n, (_, at) in enumerate(places)], axis=axis)
    chosen = [places[int(n)][0].place(int(i)) for n, i in cells.reshape(-1, 2)]
    shape = list(first.shape)
    shape[axis] = sum(layout.shape[axis] for layout in layouts)
    sizes = [first.sizes(k) if k != axis else sum((layout.sizes(axis) for layout in layouts), ()) for k in range(first.ndim)]
    return Layout(_crosspy.grid(tuple(shape), tuple(sizes), None, chosen))


@_for(np.stack)
def stack(arrays: Sequence[CrossArray], axis: int = 0) -> CrossArray:
    """Return arrays of one shape joined along a new dimension."""
    arrays = [_check(x, "stack") for x in arrays]
    return concatenate([expand_dims(x, axis) for x in arrays], axis)


@_for(np.take)
def take(a: CrossArray, indices: object, axis: int | None = None) -> CrossArray:
    """Return the elements at these indices along a dimension, in blocks that lie as those of `a` along it do."""
    a = _check(a, "take")
    if axis is None and a.ndim != 1:
        raise TypeError(ufunc.advice("numpy.take without axis="))
    k = 0 if axis is None else reduction.axes_of(axis, a.ndim)[0]
    return a[(slice(None),) * k + (indices if np.ndim(indices) == 0 else np.asarray(indices),)]


@_for(np.compress)
def compress(condition: object, a: CrossArray, axis: int | None = None) -> CrossArray:
    """Return the elements along a dimension where the condition holds."""
    return take(a, np.flatnonzero(condition), axis)


@_for(np.flip)
def flip(a: CrossArray, axis: object = None) -> CrossArray:
    """Return a copy with the elements along some dimensions in the opposite order. NumPy gives a view."""
    a = _check(a, "flip")
    for k in reduction.axes_of(axis, a.ndim):
        a = take(a, np.arange(a.shape[k])[::-1], k)
    return a


# --- Views ---


@_for(np.expand_dims)
def expand_dims(a: CrossArray, axis: int) -> CrossArray:
    """Return a view with a new dimension."""
    axis = operator.index(axis)
    if not -a.ndim - 1 <= axis <= a.ndim:
        raise np.exceptions.AxisError(axis, a.ndim + 1)
    return a[(slice(None),) * (axis % (a.ndim + 1)) + (None,)]


@_for(np.squeeze)
def squeeze(a: CrossArray, axis: object = None) -> CrossArray:
    """Return a view without dimensions of one element."""
    wanted = [k for k, n in enumerate(a.shape) if n == 1] if axis is None else list(reduction.axes_of(axis, a.ndim))
    if any(a.shape[k] != 1 for k in wanted):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return a[tuple(0 if k in wanted else slice(None) for k in range(a.ndim))]


@_for(np.swapaxes)
def swapaxes(a: CrossArray, axis1: int, axis2: int) -> CrossArray:
    """Return a view with two dimensions exchanged."""
    order = list(range(a.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return a.transpose(order)


@_for(np.moveaxis)
def moveaxis(a: CrossArray, source: object, destination: object) -> CrossArray:
    """Return a view with dimensions moved to other positions."""
    sources, targets = (_axes(axes, a.ndim) for axes in (source, destination))
    if len(sources) != len(targets):
        raise ValueError("moveaxis: source and destination name as many dimensions as each other")
    if len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ValueError("moveaxis: a dimension is named twice")
    order = [k for k in range(a.ndim) if k not in sources]
    for target, moved in sorted(zip(targets, sources)):
        order.insert(target, moved)
    return a.transpose(order)


def _axes(axes: object, ndim: int) -> list[int]:
    given = [axes] if np.ndim(axes) == 0 else list(axes)
    return [reduction.axes_of(k, ndim)[0] for k in given]


# --- Linear algebra and sorting ---


@_for(np.dot)
def dot(a: object, b: object) -> CrossArray:
    """Return the product of matrices or vectors; of all elements where one is a number."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    return np.matmul(a, b)


@_for(np.vdot)
def vdot(a: CrossArray, b: CrossArray) -> CrossArray:
    """Return the sum of conj(a) * b over all elements."""
    if a.shape != b.shape:
        raise ValueError(f"vdot: the shapes {a.shape} and {b.shape} differ")
    product = np.conjugate(a) * b
    return product.sum(dtype=product.dtype)  # as NumPy, also for small integers


@_for(np.sort)
def sort(a: CrossArray, axis: int | None = -1, kind: str | None = None) -> CrossArray:
    """Return a sorted copy with the layout of `a`; the order of equal elements is that of a stable sort. Waits if the axis is cut."""
    return CrossArray(sorting.sort(_check(a, "sort")._view, axis))


@_for(np.linalg.norm)
def norm(x: CrossArray, ord: object = None, axis: object = None, keepdims: bool = False) -> CrossArray:  # noqa: A002
    """Return the Euclidean (Frobenius) norm, or of vectors the largest (inf), the sum (1) or any other p-norm."""
    x = _check(x, "norm")
    if x.dtype.kind not in "fc":
        x = x.astype(float)
    axes, size = reduction.axes_of(axis, x.ndim), abs(x)
    if len(axes) not in (1, 2) and (ord is not None or axis is not None):
        raise ValueError(f"norm: it takes one or two dimensions, not {len(axes)}")
    is_vectors = len(axes) == 1
    if ord is None or (ord == 2 if is_vectors else ord in ("fro", "f")):
        return np.sqrt((size * size).sum(axes, keepdims=keepdims))
    if not is_vectors:
        raise TypeError(ufunc.advice(f"numpy.linalg.norm of a matrix with ord={ord!r}"))
    if isinstance(ord, str):
        raise ValueError(f"norm: there is no ord={ord!r} for vectors")
    if ord in (np.inf, -np.inf):
        return size.max(axes, keepdims=keepdims) if ord > 0 else size.min(axes, keepdims=keepdims)
    if ord == 0:
        return (x != 0).sum(axes, size.dtype, keepdims=keepdims)
    return (size**ord).sum(axes, keepdims=keepdims) ** (1 / ord)


_functions[np.linalg.cholesky] = linalg.cholesky
_functions[np.linalg.solve] = linalg.solve
