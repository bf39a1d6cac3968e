"""Views of arrays by basic indexing: one int or range for each dimension of the whole array."""

from __future__ import annotations

import operator

import numpy as np

Axes = tuple["int | range", ...]


def apply_key(axes: Axes, key: object, name: str) -> Axes:
    """Return the axes of a view of the view `axes`, by basic indexing."""
    keys = list(key) if isinstance(key, tuple) else [key]
    n_free = sum(isinstance(axis, range) for axis in axes)
    if sum(item is Ellipsis for item in keys) > 1:
        raise IndexError(f"array {name!r}: more than one Ellipsis in {key!r}")
    position = next((i for i, item in enumerate(keys) if item is Ellipsis), None)
    if position is not None:
        keys[position : position + 1] = [slice(None)] * (n_free - len(keys) + 1)
    if len(keys) > n_free:
        raise IndexError(f"array {name!r}: {len(keys)} indices for {n_free} dimensions")
    keys += [slice(None)] * (n_free - len(keys))
    remaining = iter(keys)
    return tuple(_apply_to_axis(axis, next(remaining)) if isinstance(axis, range) else axis for axis in axes)


def _apply_to_axis(axis: range, key: slice | int) -> int | range:
    if isinstance(key, slice):
        return axis[key]
    return axis[operator.index(key)]


def is_basic(key: object) -> bool:
    """True if indexing with the key gives a view whose place can be told: integers, slices and Ellipsis."""
    for item in key if isinstance(key, tuple) else (key,):
        if isinstance(item, slice) or item is Ellipsis:
            continue
        if isinstance(item, (bool, np.bool_)) or not hasattr(item, "__index__") or getattr(item, "ndim", 0):
            return False
    return True


def key_of_axis(axis: int | range) -> int | slice:
    if isinstance(axis, int):
        return axis
    stop = axis.stop if axis.stop >= 0 else None
    return slice(axis.start, stop, axis.step) if len(axis) else slice(0, 0)


def region_of_axis(axis: int | range) -> tuple[int, int, int]:
    if isinstance(axis, int):
        return axis, axis + 1, 1
    if not axis:
        return 0, 0, 1
    if axis.step < 0:
        axis = axis[::-1]
    return axis.start, axis[-1] + 1, axis.step if len(axis) > 1 else 1
