"""Copies between arrays: one plan for each, carried out by tasks."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from parla import StateError, cpu, spawn
from parla import runtime as parla_runtime
from parla.array import PArray

from . import _crosspy, flow, index
from .layout import Layout
from .place import Place
from .store import Store, host_store

if TYPE_CHECKING:
    from .array import CrossArray


# What gather and scatter have on the way between ranks at once, unless told otherwise.
PART_BYTES = 64 * 2**20


class Link(NamedTuple):
    """Traffic of an assignment from one place to another (or within one)."""

    source: Place
    destination: Place
    n_copies: int
    n_bytes: int


class View(NamedTuple):
    """Some elements of a store, seen as an array of their own.

    Attributes
    ----------
    box : tuple of (start, stop, step)
        Which elements, for each dimension of the store. Those that the view does not have were indexed by one number.
    axes : tuple of int
        The dimensions of the store that the view has, in any order; -1 for new ones of one element.
    """

    store: Store
    box: tuple[tuple[int, int, int], ...]
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""
        layout = self.store.layout
        if self.box is layout.whole[0] and self.axes is layout.whole[1]:
            return layout._core.shape
        return tuple(1 if k < 0 else index.count(self.box[k]) for k in self.axes)

    @property
    def is_whole(self) -> bool:
        """True if it has all elements and all dimensions of its store, in order."""
        return (self.box, self.axes) == self.store.layout.whole

    @property
    def local(self) -> np.ndarray | None:
        """The elements, not copied, if all of the store's are in one NumPy array (see `host`)."""
        store, box, axes = self
        host, whole = store.host, store.layout.whole
        if host is None or (box is whole[0] and axes is whole[1]):
            return host
        key = [slice(*part) if k in axes else part[0] for k, part in enumerate(box)]
        found = host[(*key, ...)]
        kept = sorted(k for k in axes if k >= 0)
        found = found.transpose([kept.index(k) for k in axes if k >= 0])
        return found[(*(None if k < 0 else slice(None) for k in axes), ...)]

    @property
    def layout(self) -> Layout:
        """Where the elements are, as an array of their own."""
        store, box, axes = self
        return store.layout if (box, axes) == store.layout.whole else store.layout.view(box, axes)


def whole(store: Store) -> View:
    """Return the view of all elements."""
    return View(store, *store.layout.whole)


def index_view(view: View, key: object) -> View:
    """Return the view of a view that a basic key names. Raises IndexError as NumPy does."""
    store, box, axes = view
    parts, kept, left = list(box), [], iter(axes)
    for entry in index.parse(key, view.shape):
        k = -1 if entry is None else next(left)
        if k >= 0:
            parts[k] = index.compose(box[k], entry[0])
        if entry is None or not entry[1]:
            kept.append(k)
            if entry is not None and k < 0 and index.count(entry[0]) == 0:
                return _no_elements(view, key)
    if len(kept) > _crosspy.MAX_NDIM:
        raise IndexError(f"an array has at most {_crosspy.MAX_NDIM} dimensions, this would have {len(kept)}")
    return View(store, tuple(parts), tuple(kept))


def _no_elements(view: View, key: object) -> View:
    """Return an array without elements that has the shape of what a key names: a view of none of them."""
    shape = np.broadcast_to(np.empty(()), view.shape)[key].shape
    return whole(Store(Layout(_crosspy.grid(shape, (1,) * len(shape), None, [view.layout.place(0)])), view.store.dtype))


def plan(dst: View, src: View) -> _crosspy.Plan:
    """Return the plan for dst[...] = src. Raises ValueError if the shapes do not fit."""
    itemsize = dst.store.dtype.itemsize
    return _crosspy.plan(dst.store.layout._core, dst.box, dst.axes, src.store.layout._core, src.box, src.axes, itemsize)


def _check_without_runtime(dst: Store) -> None:
    for i, place in enumerate(map(dst.layout.place, range(dst.layout.n_blocks))):
        if place.arch != _crosspy.ARCH_CPU:
            raise StateError(f"block {i} lies on {place}: writing it needs an active parla.Parla(), as in `with parla.Parla():`")


def run(dst: View, src: View, is_local: bool = False) -> int:
    """Spawn the copies for dst[...] = src and return their number; without an active runtime copy at once.

    Collective if there are several ranks. is_local: each rank has a source of its own, and writes its own blocks.
    """
    target, source = dst.local, src.local
    if target is not None and source is not None:
        if target.shape != source.shape:
            plan(dst, src)  # raises if they do not fit
        target[...] = source
        return 1
    made = plan(dst, src)
    stream = flow.current()
    if stream is not None:
        stream.core.assign(made, dst.store.tracked, dst.store.core_blocks, src.store.core_blocks, is_local)
    elif made.n_transfers:
        runtime = parla_runtime.current()
        if runtime is None:
            _check_without_runtime(dst.store)
        capsule = None if runtime is None else runtime.__parla_runtime__()
        made.run(capsule, dst.store.core_blocks, src.store.core_blocks, dst.store.rank, is_local)
    return made.n_transfers


def _nothing() -> None:
    """Do nothing: the body of a task that is waited for."""


def wait_for(array: PArray) -> None:
    """Wait until all tasks spawned so far that use `array` have ended, and it lies on the host. Raises if a writer failed."""
    if parla_runtime.current() is not None:
        spawn(placement=cpu, inout=[array], name="crosspy wait")(_nothing).result()


def assign(dst: View, src: View) -> None:
    """Carry out dst[...] = src, also if both are views of one array that overlap."""
    if dst.store.dtype != src.store.dtype:
        raise TypeError(
            f"assignment of {src.store.dtype} to {dst.store.dtype}: the elements of both arrays have one type; "
            "make the source with dtype=, or use x.gather().astype(...)"
        )
    if dst.store is src.store and dst.local is None:
        made = plan(dst, src)
        if dst == src:
            return
        if made.stays_in_a_block() or _crosspy.boxes_overlap(dst.box, src.box):
            src = _temporary(src)
    run(dst, src)


def overlap(a: View, b: View) -> bool:
    """True if two views of one array have elements in common."""
    return _crosspy.boxes_overlap(a.box, b.box)


def _temporary(src: View) -> View:
    """Return a copy of a view, laid out as the view is."""
    copy = whole(Store(src.layout, src.store.dtype))
    run(copy, src)
    return copy


def assign_host(dst: View, value: object) -> None:
    """Carry out dst[...] = value for what NumPy makes an array of. The value is taken over before the call returns.

    Where there are several ranks, each has the value and writes its own blocks.
    """
    local = np.array(value, dtype=dst.store.dtype, order="C")
    source = host_store(local, local.shape, local.dtype, flow.ranks()[0])
    run(dst, whole(source if dst.local is None else Store.over(source.layout, local)), is_local=True)


def check_limit(limit: int, what: str) -> None:
    """Raise if a limit of `what` is no number of bytes."""
    if limit < 1:
        raise ValueError(f"{what}(limit=): expected a number of bytes of at least 1, not {limit}")


def _ranges(shape: tuple[int, ...], itemsize: int, limit: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield the parts, as (start, stop) for each dimension, into which a shape is cut so that none has more bytes than the limit.

    Cut along the first dimensions, so that parts are as contiguous as they can be. One element is never cut.
    """
    if not shape or math.prod(shape) * itemsize <= limit:
        yield tuple((0, extent) for extent in shape)
        return
    n_rows = limit // (math.prod(shape[1:]) * itemsize)
    for start in range(0, shape[0], max(n_rows, 1)):
        stop = min(start + max(n_rows, 1), shape[0])
        for rest in [tuple((0, extent) for extent in shape[1:])] if n_rows else _ranges(shape[1:], itemsize, limit):
            yield ((start, stop), *rest)


def _part(view: View, ranges: tuple[tuple[int, int], ...]) -> View:
    """Return a part of a view: (start, stop) for each of its dimensions."""
    box = list(view.box)
    for k, (low, high) in zip(view.axes, ranges):
        if k >= 0:
            start, stop, step = box[k]
            box[k] = (start + low * step, min(start + high * step, stop), step)
    return View(view.store, tuple(box), view.axes)


def _in_parts(dst: View, src: View, shape: tuple[int, ...], limit: int, is_local: bool, mine: Store | None) -> None:
    """Carry out dst[...] = src, and wait until this rank has what it gets of it, or has given what it has of it: its store `mine`.

    What several ranks exchange at once has at most `limit` bytes: the next part begins when all are through with the one before. A part
    that fails does not keep the others from being exchanged, so that the ranks stay together.
    """
    failure = None
    parts = list(_ranges(shape, dst.store.dtype.itemsize, limit)) if flow.ranks()[1] > 1 and not is_local else [None]
    for ranges in parts:
        target, source = (dst, src) if ranges is None else (_part(dst, ranges), _part(src, ranges))
        try:
            if run(target, source, is_local) and mine is not None:
                wait_for(mine.blocks[0].data)
        except Exception as error:
            if len(parts) == 1:
                raise
            failure = failure or error
        if len(parts) > 1:
            flow.sync()
    if failure is not None:
        raise failure


def gather(src: View, out: np.ndarray | None, shape: tuple[int, ...], root: int | None, limit: int = PART_BYTES) -> None:
    """Copy the elements of a view into the NumPy array `out` of this shape at one rank or at all, and wait at those until they are there."""
    rank, n_ranks = flow.ranks()
    flow.sync()
    try:
        for receiver in range(n_ranks) if root is None else (root,):
            target = host_store(out if receiver == rank else None, shape, src.store.dtype, receiver)
            _in_parts(whole(target), src, shape, limit, False, target if receiver == rank else None)
    except Exception:
        _look_at_failures(src)
        raise


def _look_at_failures(src: View) -> None:
    """Note that who reads an array was told of its failure: other blocks which failed alike are not told again at the runtime's end.

    Not where there are several ranks: a block may be waiting for a writer at another one.
    """
    if flow.ranks()[1] > 1:
        return
    for block in src.store.blocks:
        if block.data is not None:
            with contextlib.suppress(Exception):
                wait_for(block.data)


def scatter(dst: View, local: np.ndarray | None, shape: tuple[int, ...], root: int | None, limit: int = PART_BYTES) -> None:
    """Copy the NumPy array of one rank, or of each, into a view, and wait until it has been read."""
    rank = flow.ranks()[0]
    owner = rank if root is None else root
    source = host_store(local if owner == rank else None, shape, dst.store.dtype, owner)
    _in_parts(dst, whole(source), shape, limit, root is None, source if owner == rank else None)


def links(dst: CrossArray, src: CrossArray) -> list[Link]:
    """Return what ``dst[...] = src`` would copy: one entry for each pair of places. Nothing is copied."""
    found = plan(dst._view, src._view).links()
    return [Link(Place(*source), Place(*destination), copies, n_bytes) for source, destination, copies, n_bytes in found]
