"""Reductions along any axes: each block is reduced where it lies, and what is left of the blocks is brought together and reduced again.

The order in which numbers are combined depends on the layout alone, so the same layout gives the same bits however tasks run. The result
lies where the first block along the reduced dimensions does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

import numpy as np

from . import blockwise, host, redistribute, ufunc
from .redistribute import View

# What may be combined in parts.
_ASSOCIATIVE = frozenset(
    getattr(np, name)
    for name in (
        "add multiply maximum minimum fmax fmin logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor gcd lcm hypot "
        "logaddexp logaddexp2"
    ).split()
)


def axes_of(axis: object, ndim: int) -> tuple[int, ...]:
    """Return the dimensions that an axis= argument names, in order."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, Iterable) else (axis,)
    found = []
    for one in given:
        number = operator.index(one)
        if not -ndim <= number < ndim:
            raise np.exceptions.AxisError(number, ndim)
        found.append(number % ndim)
    if len(set(found)) != len(found):
        raise ValueError("duplicate value in 'axis'")
    return tuple(sorted(found))


def _partial_sizes(layout: object, axes: tuple[int, ...]) -> tuple[tuple[int, ...] | None, ...]:
    """Return sizes of blocks when each block of elements has become one along `axes`."""
    return tuple(tuple(int(n > 0) for n in layout.sizes(k)) if k in axes else None for k in range(layout.ndim))


def in_two_steps(
    sources: list[View], axes: tuple[int, ...], keepdims: bool, dtypes: list[np.dtype], first: Callable, second: Callable, name: str
) -> list[View]:
    """Reduce views that lie alike; each step gets and gives as many arrays as there are dtypes. Return the results.

    first(outs, ins, offset): one block to one element along `axes`, which are kept; offset: where the block begins.
    second(outs, ins): what is left along `axes` to the results, which have them only if keepdims.
    """
    layout = sources[0].layout
    sources = [sources[0], *(blockwise.align(view, layout) for view in sources[1:])]
    small = blockwise.regrid(layout, _partial_sizes(layout, axes))
    partial = [blockwise.new(small, dtype) for dtype in dtypes]
    offsets = [layout.box(i)[0] for i in range(layout.n_blocks)]
    blockwise.launch(layout, partial, [*sources, offsets], lambda outs, ins: first(outs, ins[:-1], ins[-1]), name)
    joined = blockwise.regrid(small, tuple((small.shape[k],) if k in axes else None for k in range(layout.ndim)))
    columns = [blockwise.align(view, joined) for view in partial]
    if keepdims:
        final = blockwise.regrid(joined, tuple((1,) if k in axes else None for k in range(layout.ndim)))
    else:
        final = blockwise.regrid(joined, (None,) * layout.ndim, tuple(k for k in range(layout.ndim) if k not in axes))
    results = [blockwise.new(final, dtype) for dtype in dtypes]
    blockwise.launch(final, results, columns, second, name)
    return results


def reduce(
    function: np.ufunc, view: View, axis: object = None, dtype: object = None, out: View | None = None, keepdims: bool = False,
    initial: object = None, where: object = True,
) -> View:  # fmt: skip
    """Carry out `function.reduce(view, axis, …)`. Nothing waits."""
    shape = view.shape
    axes = axes_of(axis, len(shape))
    if function not in _ASSOCIATIVE:
        raise TypeError(ufunc.advice(f"numpy.{function.__name__}.reduce"))
    extra = {} if initial is None else {"initial": initial}
    if where is True and out is None and (made := host.reduce(function, view, axes, dtype, keepdims, extra)) is not None:
        return made
    if where is not True:
        where = ufunc.run(_copy, [ufunc.as_operand(where), view], [np.dtype(bool)], [None], "where")[0]
        if initial is None and function.identity is None:
            raise ValueError(f"reduction operation '{function.__name__}' does not have an identity, so to use a where mask one has to "
                             "specify 'initial'")  # fmt: skip
    probe = np.ones((1,) * len(shape), view.store.dtype)
    if where is True and any(shape[k] == 0 for k in axes):
        probe = np.ones([shape[k] if k in axes else 1 for k in range(len(shape))], view.store.dtype)
    kind = {} if dtype is None else {"dtype": dtype}
    if out is not None and dtype is None:
        kind["dtype"] = out.store.dtype
    result = function.reduce(probe, axis=axes, keepdims=True, **kind, **extra).dtype
    sources = [view] if where is True else [view, where]

    def first(outs: list, ins: list, offset: object) -> None:
        chosen = {} if where is True else {"where": ins[1]}
        if where is not True and function.identity is None:
            chosen["initial"] = initial  # of a maximum or minimum, where it does not matter how often it counts
        outs[0][...] = function.reduce(ins[0], axis=axes, keepdims=True, dtype=result, **chosen)

    def second(outs: list, ins: list) -> None:
        outs[0][...] = function.reduce(ins[0], axis=axes, keepdims=keepdims, dtype=result, **extra)

    (found,) = in_two_steps(sources, axes, keepdims, [result], first, second, function.__name__)
    if out is None:
        return found
    if out.shape != found.shape:
        raise ValueError(f"out=: expected the shape {found.shape}, got {out.shape}")
    redistribute.run(out, found)
    return out


def _copy(outs: list, ins: list) -> None:
    outs[0][...] = ins[0]


def arg_extreme(view: View, axis: int | None, keepdims: bool, is_max: bool) -> View:
    """Return the index of the first extreme element along an axis, or in the array as if it were flat; as NumPy, the first NaN counts."""
    shape = view.shape
    axes = axes_of(axis, len(shape))
    name = "argmax" if is_max else "argmin"
    if any(shape[k] == 0 for k in axes):
        raise ValueError(f"attempt to get {name} of an empty sequence")
    if (made := host.arg_extreme(name, view, axes, keepdims)) is not None:
        return made
    strides = [int(np.prod([shape[j] for j in axes if j > k], dtype=np.int64)) for k in axes]

    def first(outs: list, ins: list, offset: tuple[int, ...]) -> None:
        block = ins[0]
        rest = [k for k in range(block.ndim) if k not in axes]
        flat = block.transpose(*rest, *axes).reshape(*(block.shape[k] for k in rest), -1)
        at = (flat.argmax if is_max else flat.argmin)(axis=-1)
        values = np.take_along_axis(flat, at[..., None], -1)
        where = np.unravel_index(at, [block.shape[k] for k in axes]) if axes else ()
        number = sum((i + offset[k]) * stride for i, k, stride in zip(where, axes, strides))
        outs[0][...] = values.reshape(outs[0].shape)
        outs[1][...] = np.reshape(number, outs[1].shape)

    def second(outs: list, ins: list) -> None:
        values, numbers = ins
        best = (values.max if is_max else values.min)(axis=axes, keepdims=True)
        is_best = (values == best) | ((values != values) & (best != best))
        outs[0][...] = best.reshape(outs[0].shape)
        outs[1][...] = np.where(is_best, numbers, np.iinfo(np.intp).max).min(axis=axes, keepdims=True).reshape(outs[1].shape)

    dtypes = [view.store.dtype, np.dtype(np.intp)]
    return in_two_steps([view], axes, keepdims, dtypes, first, second, name)[1]
