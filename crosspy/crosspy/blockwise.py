"""Work on arrays block by block: one task for each block of a layout, with operands that lie as that layout does.

A view whose elements already lie where the layout has them is used as it is, without a copy; any other is copied by one plan into a
temporary array that lies so (`align`). The tasks are this rank's alone: each reads and writes blocks of its own device. Where there are
several ranks, all of them make the same calls, and the stream (`flow`) is told which arrays were written.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from parla import StateError, spawn
from parla import runtime as parla_runtime
from parla.array import PArray
from parla.devices import Device

from . import _crosspy, flow, redistribute
from .block import Block
from .layout import Layout
from .redistribute import View
from .store import Store



class Part(NamedTuple):
    """What a task uses of one block: an array or a part of one, and how its dimensions are arranged."""

    data: PArray
    device: Device
    order: tuple[int, ...] | None = None  # for each dimension, which of the data's it is; -1: a new one. None: as they are

    def rows(self, start: int, stop: int) -> Part:
        """Return some rows of this part."""
        if self.order is None:
            return self._replace(data=self.data[start:stop])
        k = self.order[0]  # a new dimension has one row
        return self if k < 0 else self._replace(data=self.data[(slice(None),) * k + (slice(start, stop),)])

    def arranged(self, local: np.ndarray) -> np.ndarray:
        """Return a view of the local array with the dimensions of this part."""
        if self.order is None:
            return local
        there = tuple(k for k in self.order if k >= 0)
        return local.transpose(there)[tuple(None if k < 0 else slice(None) for k in self.order)]


# For each block of a layout its content on this rank, an array of no elements where it has none; None for blocks of other ranks.
Parts = list["Part | np.ndarray | None"]


# --- Layouts for operands and results ---


def _places(layout: Layout) -> list[tuple[int, int, int]]:
    block = layout._core.block
    return [block(i)[3] for i in range(layout.n_blocks)]


@functools.lru_cache(maxsize=256)
def regrid(layout: Layout, sizes: tuple[tuple[int, ...] | None, ...], keep: tuple[int, ...] | None = None) -> Layout:
    """Return a layout with other extents: sizes[k] are those of the blocks along dimension k, None: as they are.

    The blocks stay where they are. keep: the dimensions that the result has, all by default; along the others the first block counts, and
    along those whose sizes are fewer than before the first ones do.
    """
    keep = tuple(range(layout.ndim)) if keep is None else keep
    new = [layout.sizes(k) if sizes[k] is None else sizes[k] for k in range(layout.ndim)]
    at = np.array(_places(layout), dtype=np.int64).reshape(*layout.grid, 3)
    chosen = at[tuple(slice(len(new[k])) if k in keep else 0 for k in range(layout.ndim))]
    places = [tuple(map(int, place)) for place in chosen.reshape(-1, 3)]
    kept = [new[k] for k in keep]
    return Layout(_crosspy.grid(tuple(map(sum, kept)), tuple(kept), None, places))


@functools.lru_cache(maxsize=256)
def under(layout: Layout, shape: tuple[int, ...]) -> Layout:
    """Return how an operand of this shape lies under a result of this layout: at each of its blocks what NumPy stretches to that block.

    Where the operand's only element is repeated along a dimension, each block has one of its own.
    """
    n_new = layout.ndim - len(shape)
    own = [0 <= k - n_new and shape[k - n_new] == extent for k, extent in enumerate(layout.shape)]
    if all(own):
        return layout
    return regrid(layout, tuple(None if same else (1,) * layout.grid[k] for k, same in enumerate(own)))


@functools.lru_cache(maxsize=256)
def common(layouts: tuple[Layout, ...], shape: tuple[int, ...]) -> Layout:
    """Return the layout of an element-wise result of this shape: that of the first operand which has the shape.

    If none has it, each dimension is cut as by the first operand that has its extent, and the blocks lie where those of the largest operand do.
    """
    for layout in layouts:
        if layout.shape == shape:
            return layout
    cuts = []
    for k in range(-len(shape), 0):
        fitting = [x for x in layouts if x.ndim >= -k and x.shape[k] == shape[k]]
        cuts.append((fitting[0].sizes(x_axis(fitting[0], k))) if fitting else (shape[k],))
    largest = max(layouts, key=lambda layout: layout.size)
    places, grid = _places(largest), largest.grid
    chosen = []
    for cell in itertools.product(*(range(len(cut)) for cut in cuts)):
        own = cell[len(cell) - len(grid) :] if grid else ()
        number = 0
        for c, n in zip(own, grid):
            number = number * n + min(c, n - 1)
        chosen.append(places[number])
    return Layout(_crosspy.grid(shape, tuple(cuts), None, chosen))


def x_axis(layout: Layout, k: int) -> int:
    """Return the number from 0 on of a dimension that is counted from the end."""
    return k + layout.ndim


# --- Operands ---


def new(layout: Layout, dtype: object) -> View:
    """Return all of a new array without content."""
    return redistribute.whole(Store(layout, np.dtype(dtype)))


def _part(data: PArray, device: Device) -> Part | np.ndarray:
    return Part(data, device) if data.size else np.empty(data.shape, data.dtype)


def parts(view: View) -> Parts:
    """Return the content of a view block by block, as its own layout has them: blocks, or parts of blocks."""
    if view.is_whole:
        return [None if block.data is None else _part(block.data, block.device) for block in view.store.blocks]
    layout, blocks, core = view.layout, view.store.blocks, view.store.layout._core
    kept = sorted(k for k in view.axes if k >= 0)
    order = tuple(kept.index(k) if k >= 0 else -1 for k in view.axes)
    if order == tuple(range(len(order))):
        order = None
    found: Parts = [None] * layout.n_blocks
    for i in layout.blocks_of(flow.ranks()[0]):
        offset, extent = layout.box(i)
        if 0 in extent:
            found[i] = np.empty(extent, view.store.dtype)
            continue
        first = [part[0] for part in view.box]
        for k, start in zip(view.axes, offset):
            if k >= 0:
                first[k] += start * view.box[k][2]
        block = blocks[core.find(tuple(first))]
        key: list[int | slice] = [at - start for at, start in zip(first, block.offset)]
        for k, n in zip(view.axes, extent):
            if k >= 0:
                key[k] = slice(key[k], key[k] + (n - 1) * view.box[k][2] + 1, view.box[k][2])
        found[i] = Part(block.data[tuple(key)] if key else block.data, block.device, order)
    return found


def align(view: View, layout: Layout, *, always: bool = False) -> View:
    """Return a view of the same elements that lies as `layout` does: this one, or (always) a copy. Nothing waits."""
    if view.layout == layout and not always:
        return view
    copy = new(layout, view.store.dtype)
    redistribute.run(copy, view)
    return copy


def align_host(value: np.ndarray, layout: Layout) -> list[np.ndarray | None]:
    """Return copies of what each own block of a layout needs of a NumPy array that NumPy stretches to its shape."""
    rank = flow.ranks()[0]
    found: list[np.ndarray | None] = [None] * layout.n_blocks
    for i in layout.blocks_of(rank):
        offset, extent = layout.box(i)
        ranges = zip(value.shape, offset[layout.ndim - value.ndim :], extent[layout.ndim - value.ndim :])
        found[i] = value[tuple(slice(None) if n == 1 else slice(start, start + m) for n, start, m in ranges)].copy()
    return found


# --- Tasks ---


def _body(function: Callable, outs: Sequence[Part], ins: Sequence[object]) -> None:
    function(list(map(local, outs)), list(map(local, ins)))


def _now(function: Callable, outs: Sequence[Part], ins: Sequence[object], mode: str) -> None:
    """Carry out one block's work on this thread, without a runtime."""
    with contextlib.ExitStack() as stack:
        local = {id(out.data): stack.enter_context(out.data.host(mode)) for out in outs}
        for item in ins:
            if isinstance(item, Part) and id(item.data) not in local:
                local[id(item.data)] = stack.enter_context(item.data.host("r"))
        function(
            [out.arranged(local[id(out.data)]) for out in outs],
            [item.arranged(local[id(item.data)]) if isinstance(item, Part) else item for item in ins],
        )


def local(piece: object) -> object:
    """Return in the body of a task what a piece stands for: the local array of a part or of a block; anything else as it is."""
    if isinstance(piece, Part):
        return piece.arranged(piece.data.array)
    return piece.array if isinstance(piece, Block) else piece


def pieces(view: View) -> list[Part | Block | None]:
    """Return the blocks of a view as `step` takes them: where there are several ranks all blocks, else this process' parts.

    A view that is no array of its own is copied first where there are several ranks.
    """
    if flow.current() is None:
        return list(parts(view))
    if not view.is_whole:
        view = align(view, view.layout, always=True)
    return list(view.store.blocks)


def step(
    function: Callable, target: Part | Block | tuple, read: Sequence[object], name: str, *, updates: bool, priority: int = 0
) -> None:
    """Run `function(local target, *local read)` where the target lies, with blocks of any rank to read and anything that is no array.

    Where there are several ranks all of them call it, in the same order. target: one or several of one place, the first of which says
    where. updates: the target is read as well.
    """
    targets = target if type(target) is tuple else (target,)
    if parla_runtime.current() is None:
        _now(lambda outs, ins: function(*outs, *ins), targets, read, "rw" if updates else "w")
        return
    written = [item.data if isinstance(item, Part) else item for item in targets]
    sources = {}
    for item in read:
        if isinstance(item, (Part, Block)):
            data = item.data if isinstance(item, Part) else item
            sources[id(data)] = data
    spawn(
        placement=targets[0] if isinstance(targets[0], Block) else targets[0].device,
        input=list(sources.values()),
        output=() if updates else written,
        inout=written if updates else (),
        args=(function, targets, tuple(read)),
        priority=priority,
        name=name,
    )(_step_body)


def _step_body(function: Callable, targets: tuple, read: tuple) -> None:
    function(*map(local, targets), *map(local, read))


def launch(
    layout: Layout, outs: Sequence[View], ins: Sequence[View | Sequence], function: Callable, name: str, *, updates: bool = False
) -> None:
    """Run `function(local outputs, local inputs)` for each own block of a layout, as tasks that are ordered by what they use.

    outs, ins: views that lie as the layout does, or lists of what each block gets. updates: the outputs are read as well.
    Blocks whose outputs have no elements are left out. Without an active runtime it is done at once.
    """
    is_active, stream = parla_runtime.current() is not None, flow.current()
    views = {view: parts(view) for view in (*outs, *ins) if isinstance(view, View)}
    if stream is not None:
        for tracked in {id(view.store): view.store.tracked for view in outs}.values():
            if tracked is not None:
                stream.core.overwrite(tracked)
    for i in layout.blocks_of(flow.ranks()[0]):
        written = [views[view][i] for view in outs]
        if not all(isinstance(part, Part) for part in written):
            continue
        read = [views[item][i] if isinstance(item, View) else item[i] for item in ins]
        targets = [part.data for part in written]
        both = updates or any(isinstance(item, Part) and any(item.data is data for data in targets) for item in read)
        if not is_active:
            place = layout.place(i)
            if place.arch != _crosspy.ARCH_CPU:
                raise StateError(f"{name}: block {i} lies on {place}: this needs an active parla.Parla(), as in `with parla.Parla():`")
            _now(function, written, read, "rw" if both else "w")
            continue
        sources = {id(item.data): item.data for item in read if isinstance(item, Part)}
        for data in targets:
            sources.pop(id(data), None)
        spawn(
            placement=layout.place(i).device,
            input=list(sources.values()),
            output=() if both else targets,
            inout=targets if both else (),
            args=(function, written, read),
            name=name,
        )(_body)
