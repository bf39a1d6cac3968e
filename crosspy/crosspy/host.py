"""Small arrays of one process: all elements in one NumPy array, and operations carried out by NumPy at once.

A store whose blocks would all lie on the CPU of a single process begins as one NumPy array if that is small (`store.new`): no task knows of
it, so there is nothing to wait for, and an operation on it costs little more than NumPy's. Once somebody asks for its blocks, to name them
in tasks, it becomes blocks for good (`Store.blocks`), and operations on it are tasks.

The functions here return None where some operand is not of that kind; the caller then goes the way of tasks. Results are laid out as there,
and reductions combine the same numbers in the same order, so nobody can tell the two ways apart but by the time that they take.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from . import blockwise
from .layout import Layout
from .redistribute import View
from .store import MOST_BYTES, Store

_MOST_BLOCKS = 64  # that a reduction goes through one by one

_WIDEST = 16  # bytes of an element of a result whose type is not known yet
_SCALARS = frozenset((int, float, complex, bool))


def _new(layout: Layout, array: np.ndarray) -> View:
    return View(Store.over(layout, array), *layout.whole)


def _layout_of(shape: tuple[int, ...], views: list[View]) -> Layout:
    return blockwise.common(tuple([view.layout for view in views]), shape)


# --- Element by element ---


def call(function: np.ufunc, inputs: Sequence[object], out: View | None) -> View | None:
    """Carry out a universal function of one result on views and NumPy's arrays and scalars."""
    plain, views, shapes = [], [], []
    for item in inputs:
        kind = type(item)
        if kind is View:
            views.append(item)
            item = item.local
            if item is None:
                return None
            shapes.append(item.shape)
        elif kind is np.ndarray:
            if item.dtype.hasobject:
                return None
            shapes.append(item.shape)
        elif kind not in _SCALARS and not isinstance(item, np.generic):
            return None
        plain.append(item)
    if not shapes:
        return None
    shape = shapes[0]
    if len(shapes) > 1 and shapes.count(shape) < len(shapes):
        shape = np.broadcast_shapes(*shapes)
        if math.prod(shape) * _WIDEST > MOST_BYTES:
            return None
    if out is not None:
        target = out.local
        if target is None or target.shape != shape:
            return None
        function(*plain, out=target)
        return out
    made = function(*plain, order="C")  # as blocks are, whatever the operands: sums take their order from it
    if not shape:
        made = np.asarray(made)
    layout = views[0].layout
    return _new(layout if layout._core.shape == shape else _layout_of(shape, views), made)


def run(work: Callable, inputs: Sequence[object], dtypes: Sequence[np.dtype], shape: tuple[int, ...]) -> list[View] | None:
    """Run `work(outputs, inputs)` once, for `ufunc.run`."""
    plain = [item.local if type(item) is View else item for item in inputs]
    if any(item is None for item in plain) or math.prod(shape) * _WIDEST > MOST_BYTES:
        return None
    made = [np.empty(shape, dtype) for dtype in dtypes]
    work(made, plain)
    layout = _layout_of(shape, [item for item in inputs if type(item) is View])
    return [_new(layout, array) for array in made]


# --- Reductions ---


@functools.lru_cache(maxsize=256)
def _reduced(layout: Layout, axes: tuple[int, ...], keepdims: bool) -> Layout:
    """Return where the results of a reduction lie: as `reduction.in_two_steps` has it."""
    one = tuple((1,) if k in axes else None for k in range(layout.ndim))
    if keepdims:
        return blockwise.regrid(layout, one)
    return blockwise.regrid(layout, (None,) * layout.ndim, tuple(k for k in range(layout.ndim) if k not in axes))


@functools.lru_cache(maxsize=256)
def _boxes(layout: Layout) -> tuple[tuple[tuple[slice, ...], tuple[int, ...]], ...] | None:
    """Return the slices and coordinates of each block; None where some block is empty, or there are too many."""
    if layout.n_blocks > _MOST_BLOCKS or layout.size == 0:
        return None
    found = []
    for i in range(layout.n_blocks):
        offset, extent, coordinates, _ = layout._core.block(i)
        if 0 in extent:
            return None
        found.append((tuple(slice(start, start + n) for start, n in zip(offset, extent)), coordinates))
    return tuple(found)


def reduce(function: np.ufunc, view: View, axes: tuple[int, ...], dtype: object, keepdims: bool, extra: dict) -> View | None:
    """Carry out `function.reduce(view, axes, dtype, keepdims, **extra)`, block by block as tasks would."""
    source = view.local
    if source is None:
        return None
    layout = view.layout
    if layout.n_blocks == 1:
        made = function.reduce(source, axis=axes, dtype=dtype, keepdims=keepdims, **extra)
    else:
        boxes = _boxes(layout)
        if boxes is None:
            return None
        partial = None
        for box, at in boxes:
            one = function.reduce(np.ascontiguousarray(source[box]), axis=axes, dtype=dtype, keepdims=True)
            if partial is None:
                partial = np.empty([layout.grid[k] if k in axes else n for k, n in enumerate(layout.shape)], one.dtype)
            partial[tuple(slice(at[k], at[k] + 1) if k in axes else box[k] for k in range(len(box)))] = one
        made = function.reduce(partial, axis=axes, dtype=partial.dtype, keepdims=keepdims, **extra)
    return _new(_reduced(layout, axes, keepdims), np.asarray(made))


def arg_extreme(name: str, view: View, axes: tuple[int, ...], keepdims: bool) -> View | None:
    """Carry out argmax or argmin along one dimension or all."""
    source = view.local
    if source is None:
        return None
    made = getattr(source, name)(axis=axes[0] if len(axes) < source.ndim else None)
    if keepdims:
        made = np.reshape(made, [1 if k in axes else n for k, n in enumerate(source.shape)])
    return _new(_reduced(view.layout, axes, keepdims), np.asarray(made))
