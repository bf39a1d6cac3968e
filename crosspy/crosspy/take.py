"""Indexing with arrays: elements picked one by one, along some dimensions of a view.

A key is brought into one form (`Points`): the dimensions that arrays index come first, all arrays have one shape, and what remains are basic
indices of the others. The result has the arrays' dimensions, the first of which is cut into as many parts as the first indexed dimension is and
lies as that one does, and the other dimensions as they are. Each block of the result is one task that reads those blocks in which its
elements lie; an assignment is one task for each block that it changes. Index arrays are the same at each rank, and are gathered if they
are CrossArrays.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from parla import get_array_module

from . import _crosspy, blockwise, flow, redistribute
from .layout import Layout
from .redistribute import View
from .store import Store

# Positions in the target, and indices in the source, along the dimensions of the arrays.
Group = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]


class Points(NamedTuple):
    """Elements of a view: the arrays index its first dimensions.

    Attributes
    ----------
    view : View
        What is indexed.
    arrays : tuple of numpy.ndarray
        Indices, not negative, of one shape.
    order : tuple of int
        How the dimensions of the result are arranged for NumPy's: first those of the arrays, then the other ones of the view.
    """

    view: View
    arrays: tuple[np.ndarray, ...]
    order: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents before they are arranged."""
        return self.arrays[0].shape + self.view.shape[len(self.arrays) :]


# --- Keys ---


def _as_array(item: object) -> np.ndarray | None:
    """Return an index array, or None for a basic index. CrossArrays have been gathered."""
    if item is None or item is Ellipsis or isinstance(item, slice) or (isinstance(item, (int, np.integer)) and not isinstance(item, bool)):
        return None
    if isinstance(item, (bool, np.bool_)):
        return None  # refused by index.parse
    made = np.asarray(item)
    if made.size == 0 and not isinstance(item, np.ndarray):
        made = made.astype(np.intp)
    return made if made.ndim else None


def _in_bounds(array: np.ndarray, axis: int, extent: int) -> np.ndarray:
    if array.dtype.kind not in "iu":
        raise IndexError(f"arrays used as indices must be of integer or boolean type, not {array.dtype}")
    array = array.astype(np.intp)
    wrong = array[(array < -extent) | (array >= extent)]
    if wrong.size:
        raise IndexError(f"index {wrong.flat[0]} is out of bounds for axis {axis} with size {extent}")
    return np.where(array < 0, array + extent, array)


def _expand(items: list, shape: tuple[int, ...]) -> list:
    """Return an entry for each dimension and each new one: arrays, integers, slices and None. Masks have become integers."""
    found: list = []
    for item in items:
        array = _as_array(item)
        if array is None or array.dtype != bool:
            found.append(item if array is None else array)
            continue
        found.extend(array.nonzero())
    n_used = sum(item is not None and item is not Ellipsis for item in found)
    if n_used > len(shape):
        raise IndexError(f"too many indices: the array has {len(shape)} dimensions, but {n_used} were indexed")
    dots = [i for i, item in enumerate(found) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = dots[0] if dots else len(found)
    found[at : at + 1] = [slice(None)] * (len(shape) - n_used)
    return found


def _check_masks(items: list, shape: tuple[int, ...]) -> None:
    """Raise IndexError, as NumPy does, where a mask has not the extents of the dimensions that it stands for."""
    n_after, at = 0, 0
    sizes = [array.ndim if (array := _as_array(item)) is not None and array.dtype == bool else int(item is not None) for item in items]
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if dots:
        n_after = sum(sizes[dots[0] + 1 :])
    for i, (item, size) in enumerate(zip(items, sizes)):
        if item is Ellipsis:
            at = len(shape) - n_after
            continue
        array = _as_array(item)
        if array is not None and array.dtype == bool and array.shape != shape[at : at + size]:
            k = next((k for k in range(size) if at + k >= len(shape) or array.shape[k] != shape[at + k]), 0)
            have = shape[at + k] if at + k < len(shape) else None
            raise IndexError(f"boolean index did not match indexed array along axis {at + k}; size of axis is {have} but size of "
                             f"corresponding boolean axis is {array.shape[k]}")  # fmt: skip
        at += size


def is_needed(key: object) -> bool:
    """True for a key with an index array or a list in it."""
    if type(key) in (int, slice):
        return False
    return any(_is_array(item) for item in (key if isinstance(key, tuple) else (key,)))


def _is_array(item: object) -> bool:
    if isinstance(item, (list, range)):
        return True
    return isinstance(item, tuple) or (getattr(item, "ndim", 0) > 0 and hasattr(item, "dtype"))


def parse(view: View, key: object) -> Points:
    """Return what a key with index arrays names in a view. Raises IndexError as NumPy does."""
    shape = view.shape
    items = list(key) if isinstance(key, tuple) else [key]
    items = [item.gather() if hasattr(item, "gather") else item for item in items]
    _check_masks(items, shape)
    entries = _expand(items, shape)
    is_picked = [not (entry is None or isinstance(entry, slice)) for entry in entries]
    axes = itertools.count()
    arrays = []
    for entry, picks in zip(entries, is_picked):
        axis = None if entry is None else next(axes)
        if picks:
            arrays.append(_in_bounds(np.asarray(entry), axis, shape[axis]))
    try:
        arrays = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = " ".join(str(np.shape(entry)) for entry, picks in zip(entries, is_picked) if picks)
        raise IndexError(f"shape mismatch: indexing arrays could not be broadcast together with shapes {shapes}") from None
    basic = tuple(slice(None) if picks else entry for entry, picks in zip(entries, is_picked))
    rest = redistribute.index_view(view, basic)
    picked = [k for k, picks in enumerate(is_picked) if picks]
    others = [k for k, picks in enumerate(is_picked) if not picks]
    front = View(rest.store, rest.box, tuple(rest.axes[k] for k in (*picked, *others)))
    n, n_before = arrays[0].ndim, 0
    if picked == list(range(picked[0], picked[-1] + 1)):
        n_before = picked[0]
    order = (*range(n, n + n_before), *range(n), *range(n + n_before, n + len(others)))
    return Points(front, tuple(arrays), order)


# --- Where ---


def _layout(points: Points) -> Layout:
    """Return where the result lies, before it is arranged."""
    source, n = points.view.layout, len(points.arrays)
    shape, rest = points.arrays[0].shape, source.shape[n:]
    n_parts = max(1, min(source.grid[0], shape[0]))
    sizes = (n_parts, *(1,) * (len(shape) - 1), *(source.sizes(k) for k in range(n, source.ndim)))
    cells = itertools.product(range(n_parts), *map(range, source.grid[n:]))
    places = [source.place(source.block_at(cell[0], *(0,) * (n - 1), *cell[1:])) for cell in cells]
    return Layout(_crosspy.grid(shape + rest, sizes, None, places))


def _starts(sizes: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)])


def _groups(arrays: Sequence[np.ndarray], layout: Layout) -> Iterator[tuple[tuple[int, ...], Group]]:
    """Yield for each block of the indexed dimensions the points in it: its coordinates there, and where its points are."""
    n = len(arrays)
    starts = [_starts(layout.sizes(k)) for k in range(n)]
    cells = [np.searchsorted(begin, array, side="right") - 1 for begin, array in zip(starts, arrays)]
    number = np.ravel_multi_index(cells, layout.grid[:n]) if arrays[0].size else np.empty(arrays[0].shape, np.intp)
    for one in np.unique(number):
        at = np.nonzero(number == one)
        cell = tuple(int(c) for c in np.unravel_index(one, layout.grid[:n]))
        yield cell, (at, tuple(array[at] - begin[c] for array, begin, c in zip(arrays, starts, cell)))


# --- Getting and setting ---


def _like(group: Sequence[np.ndarray], local: np.ndarray) -> tuple:
    module = get_array_module(local)
    return tuple(group) if module is np else tuple(map(module.asarray, group))


def _pick(groups: Sequence[Group], target: np.ndarray, *sources: np.ndarray) -> None:
    for (at, where), source in zip(groups, sources):
        target[_like(at, target)] = source[_like(where, source)]


def get(points: Points) -> View:
    """Return a new array of these elements. Nothing waits."""
    layout = _layout(points)
    local = points.view.local
    if local is not None:
        return _arranged(redistribute.whole(Store.over(layout, np.ascontiguousarray(local[points.arrays]))), points.order)
    made = blockwise.new(layout, points.view.store.dtype)
    source, view = points.view.layout, points.view
    n = points.arrays[0].ndim
    targets, pieces = blockwise.pieces(made), blockwise.pieces(view)
    for i, target in enumerate(targets):
        offset, extent = layout.box(i)
        if target is None or 0 in extent:
            continue
        part = [array[offset[0] : offset[0] + extent[0]] for array in points.arrays]
        rest = layout.coordinates(i)[n:]
        groups, read = [], []
        for cell, group in _groups(part, source):
            groups.append(group)
            read.append(pieces[source.block_at(*cell, *rest)])
        blockwise.step(functools.partial(_pick, groups), target, read, "take", updates=False)
    return _arranged(made, points.order)


def _arranged(view: View, order: tuple[int, ...]) -> View:
    return View(view.store, view.box, tuple(view.axes[k] for k in order)) if order != tuple(range(len(order))) else view


def _put(groups: Sequence[Group], target: np.ndarray, *sources: object) -> None:
    for (where, at), source in zip(groups, sources):
        target[_like(where, target)] = source if np.ndim(source) == 0 else source[_like(at, source)]


def put(points: Points, value: object) -> None:
    """Assign to these elements a view, or what NumPy makes an array of. An element that is named twice gets one of its values."""
    inverse = np.argsort(points.order)
    shape, local = points.shape, points.view.local
    arranged = tuple(shape[k] for k in points.order)
    dtype = points.view.store.dtype
    if isinstance(value, View):
        if value.store.dtype != dtype:
            raise TypeError(f"assignment of {value.store.dtype} to {dtype}: the elements of both arrays have one type")
        given = value.local
        if local is not None and given is not None and given.shape == arranged:
            local[points.arrays] = given.copy().transpose(inverse)  # a copy: both may be views of one array
            return
        copy = blockwise.new(_layout(points), dtype)
        redistribute.run(_arranged(copy, points.order), value)
        parts, layout = blockwise.pieces(copy), copy.layout
    else:
        host = np.array(value, dtype=dtype)
        try:
            host = np.broadcast_to(host, arranged).transpose(inverse)
        except ValueError:
            raise ValueError(f"shape mismatch: value array of shape {host.shape} could not be broadcast to indexing result of shape "
                             f"{arranged}") from None  # fmt: skip
        if local is not None:
            local[points.arrays] = host
            return
        parts = layout = None
    target = points.view
    if flow.current() is not None and not target.is_whole:
        target = blockwise.align(target, target.layout, always=True)
    _put_blocks(points, target, parts, layout, None if parts is not None else host)
    if target is not points.view:
        redistribute.run(points.view, target)


def _put_blocks(points: Points, target: View, parts: list | None, layout: Layout | None, host: np.ndarray | None) -> None:
    """Spawn the tasks of an assignment to a view: from blocks of a layout, or from a NumPy array."""
    blocks, own, n = blockwise.pieces(target), target.layout, len(points.arrays)
    by_cell: dict[tuple[int, ...], list] = {}
    rows = [(0, points.arrays[0].shape[0])]
    if layout is not None:
        starts = _starts(layout.sizes(0))
        rows = list(zip(starts, starts[1:]))
    for i, (start, stop) in enumerate(rows):
        for cell, (at, where) in _groups([array[start:stop] for array in points.arrays], own):
            by_cell.setdefault(cell, []).append((i, (where, at)))
    n_points = points.arrays[0].ndim
    for j, block in enumerate(blocks):
        offset, extent = own.box(j)
        cell = own.coordinates(j)
        found = by_cell.get(cell[:n])
        if block is None or found is None or 0 in extent:
            continue
        if host is not None:
            box = (slice(None),) * n_points + tuple(slice(o, o + e) for o, e in zip(offset[n:], extent[n:]))
            read = [host[box]]
        else:
            read = [parts[layout.block_at(i, *(0,) * (n_points - 1), *cell[n:])] for i, _ in found]
        blockwise.step(functools.partial(_put, [group for _, group in found]), block, read, "put", updates=True)
