"""Basic indexing: what `x[key]` names, worked out without touching data."""

from __future__ import annotations

import operator

import numpy as np

Range = tuple[int, int, int]


class UnsupportedIndexError(IndexError):
    """An index that NumPy has and CrossPy does not."""


def _refuse(item: object, what: str) -> UnsupportedIndexError:
    return UnsupportedIndexError(
        f"index {item!r}: {what}; CrossArray takes integers, slices with a step of at least 1, an ellipsis, new axes, and arrays of integers "
        "or booleans. Use x.gather()[...] for the rest, or x.blocks to work block by block"
    )


def _as_integer(item: object) -> int | None:
    """Return an integer index, or None for something else."""
    if isinstance(item, (bool, np.bool_)):
        raise _refuse(item, "boolean indices are not supported")
    try:
        return operator.index(item)
    except TypeError:
        return None


def _one(item: object, axis: int, extent: int) -> tuple[Range, bool]:
    """Return the range that one entry of a key names, and whether it drops the dimension."""
    if isinstance(item, slice):
        if item.step is not None and operator.index(item.step) < 0:
            raise _refuse(item, "negative steps are not supported; numpy.flip(x) gives a copy")
        start, stop, step = item.indices(extent)
        return (start, max(start, stop), step), False
    number = _as_integer(item)
    if number is None:
        raise _refuse(item, "this is no index")
    if not -extent <= number < extent:
        raise IndexError(f"index {number} is out of bounds for axis {axis} with size {extent}")
    number %= extent
    return (number, number + 1, 1), True


def parse(key: object, shape: tuple[int, ...]) -> list[tuple[Range, bool] | None]:
    """Return for each dimension of `shape` the range that `key` names there, and whether the dimension is dropped; None for a new dimension.

    Raises IndexError as NumPy does, and UnsupportedIndexError for what NumPy has beyond basic indexing.
    """
    items = list(key) if isinstance(key, tuple) else [key]
    n_indexed, at = 0, len(items)
    for i, item in enumerate(items):
        if item is Ellipsis:
            if at < len(items):
                raise IndexError("an index can only have a single ellipsis ('...')")
            at = i
        elif item is not None:
            n_indexed += 1
    if n_indexed > len(shape):
        raise IndexError(f"too many indices: the array has {len(shape)} dimensions, but {n_indexed} were indexed")
    items[at : at + 1] = [slice(None)] * (len(shape) - n_indexed)
    axes = iter(enumerate(shape))
    return [None if item is None else _one(item, *next(axes)) for item in items]


def count(part: Range) -> int:
    """Return how many numbers a range names."""
    start, stop, step = part
    return max(0, (stop - start + step - 1) // step)


def compose(outer: Range, inner: Range) -> Range:
    """Return the numbers of `outer` at the positions that `inner` names."""
    n = count(inner)
    if n == 0:
        return (0, 0, 1)
    start, step = outer[0] + inner[0] * outer[2], inner[2] * outer[2]
    return (start, start + (n - 1) * step + 1, step if n > 1 else 1)
