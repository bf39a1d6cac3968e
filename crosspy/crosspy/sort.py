"""Sorting. Along a dimension that is not cut each block sorts itself; along one that is cut, the array is laid out otherwise meanwhile; an
array of one dimension is sorted by samples.

Sample sort: each block is sorted; samples of all give splitters, one fewer than there are blocks; each block is cut at the splitters and its
pieces go to the places of the blocks that they belong to, where they are sorted, which is merging, since NumPy's stable sort finds the runs.
A splitter is a value with its position, so that equal values are dealt out evenly too: a block gets at most about twice its share. What
does not end up in its own block goes there with one more plan. Waits twice: for the samples and for the numbers of pieces' elements.
"""

from __future__ import annotations

import operator

import numpy as np

from . import _crosspy, blockwise, redistribute, reduction
from .layout import Layout
from .redistribute import View

_N_SAMPLES = 64  # of each block
_BLOCKS_PER_PLACE = 4  # more and smaller ones are joined first: pieces are as many as the square of the blocks


def sort(view: View, axis: int | None = -1) -> View:
    """Return a sorted copy that has the layout of the view. NaNs come last, as NumPy has them."""
    ndim = len(view.shape)
    if axis is None:
        if ndim != 1:
            raise TypeError("sort(axis=None) of a CrossArray is for one dimension: elements in C order of all blocks are no layout")
        axis = 0
    (axis,) = reduction.axes_of(operator.index(axis), ndim)
    copy = blockwise.align(view, view.layout, always=True)
    others = [k for k in range(ndim) if k != axis]
    if view.shape[axis] < 2 or 0 in view.shape:
        return copy
    if copy.layout.grid[axis] == 1:
        return _sort_blocks(copy, axis)
    if all(view.shape[k] == 1 for k in others):
        return _sort_line(copy, axis)
    widest = max(others, key=lambda k: view.shape[k])
    places = list(copy.layout.places)
    cuts = tuple(len(places) if k == widest else 1 for k in range(ndim))
    columns = Layout(_crosspy.grid(view.shape, cuts, None, places))
    sorted_ = _sort_blocks(blockwise.align(copy, columns), axis)
    redistribute.run(copy, sorted_)
    return copy


def _sort_blocks(view: View, axis: int) -> View:
    def work(outs: list, ins: list) -> None:
        outs[0].sort(axis=axis, kind="stable")

    blockwise.launch(view.layout, [view], [], work, "sort", updates=True)
    return view


def _part(view: View, start: int, stop: int) -> View:
    return View(view.store, ((start, stop, 1),), (0,))


def _line(layout: Layout, sizes: list[int]) -> Layout:
    """Return a line of blocks of these sizes at the places of those of `layout`."""
    return Layout(_crosspy.grid((sum(sizes),), (tuple(sizes),), None, [layout.place(i) for i in range(len(sizes))]))


def _gather(view: View) -> np.ndarray:
    out = np.empty(view.shape, view.store.dtype)
    redistribute.gather(view, out, view.shape, None)
    return out


def _sort_line(copy: View, axis: int) -> View:
    """Sort the only dimension with more than one element, which has several blocks."""
    line = View(copy.store, copy.box, (axis,))
    layout = line.layout
    places = list(layout.places)
    if layout.n_blocks > _BLOCKS_PER_PLACE * len(places):
        layout = Layout(_crosspy.grid(layout.shape, (len(places),), None, places))
    sizes = [int(n) for n in layout.sizes(0)]
    made = _sort_blocks(blockwise.align(line, layout, always=True), 0)
    splitters = _find_splitters(made, sizes)
    cuts = _find_cuts(made, splitters, sizes)
    counts = np.diff(cuts, axis=1)
    buckets = blockwise.new(_line(layout, counts.sum(axis=0).tolist()), made.store.dtype)
    at, begins = 0, np.cumsum([0, *sizes])
    for j in range(counts.shape[1]):
        for i in np.flatnonzero(counts[:, j]).tolist():
            n, start = int(counts[i, j]), int(begins[i] + cuts[i, j])
            redistribute.run(_part(buckets, at, at + n), _part(made, start, start + n))
            at += n
    redistribute.run(line, _sort_blocks(buckets, 0))
    return copy


def _positions(size: int) -> np.ndarray:
    """Return the positions of a sorted block's samples: evenly spread, the middle of each stretch."""
    n = min(size, _N_SAMPLES)
    return (2 * np.arange(n) + 1) * size // (2 * n) if n else np.zeros(0, int)


def _find_splitters(made: View, sizes: list[int]) -> list[tuple[object, int, int]]:
    """Return (value, block, position in it) of one splitter fewer than there are blocks, in order; the same at each rank."""
    positions = [_positions(size) for size in sizes]
    samples = blockwise.new(_line(made.layout, [len(found) for found in positions]), made.store.dtype)

    def work(outs: list, ins: list) -> None:
        outs[0][...] = ins[0][ins[1]]

    blockwise.launch(made.layout, [samples], [made, positions], work, "sample")
    values = _gather(samples)
    # Each sample stands for its share of its block's elements, and the buckets have the sizes of the blocks.
    weights = np.concatenate([np.full(len(found), size / max(1, len(found))) for found, size in zip(positions, sizes)])
    owners = np.repeat(np.arange(len(sizes)), [len(found) for found in positions])
    places = np.concatenate(positions)
    order = np.argsort(values, kind="stable")  # samples of one value in order of their blocks and positions
    reached = np.cumsum(weights[order]) - weights[order] / 2
    wanted = np.cumsum(sizes)[:-1]
    chosen = order[np.minimum(np.searchsorted(reached, wanted), len(order) - 1)]
    return [(values[c], int(owners[c]), int(places[c])) for c in chosen]


def _find_cuts(made: View, splitters: list[tuple[object, int, int]], sizes: list[int]) -> np.ndarray:
    """Return for each block where it is cut: an array of blocks x (splitters + 2)."""
    layout, n = made.layout, len(sizes)
    places = [layout.place(i) for i in range(n)]
    cuts = blockwise.new(Layout(_crosspy.grid((n, n + 1), ((1,) * n, (n + 1,)), None, places)), np.intp)

    def work(outs: list, ins: list) -> None:
        block, i = ins
        outs[0][0, 0], outs[0][0, -1] = 0, len(block)
        for k, (value, owner, position) in enumerate(splitters):
            if i == owner:
                outs[0][0, k + 1] = position
            else:  # of equal elements those of earlier blocks come first
                outs[0][0, k + 1] = np.searchsorted(block, value, side="right" if i < owner else "left")

    redistribute.assign_host(cuts, 0)
    blockwise.launch(layout, [cuts], [made, list(range(n))], work, "cut")
    return _gather(cuts)
