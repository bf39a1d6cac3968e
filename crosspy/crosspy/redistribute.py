"""Copies between arrays: one plan for each, carried out by tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from parla import StateError, cpu, spawn
from parla import runtime as parla_runtime
from parla.array import PArray

from . import _crosspy
from .place import Place
from .store import Store, host_store

if TYPE_CHECKING:
    from .array import CrossArray


class Link(NamedTuple):
    """Traffic of an assignment from one place to another (or within one)."""

    source: Place
    destination: Place
    n_copies: int
    n_bytes: int


class View(NamedTuple):
    """Some elements of a store: (start, stop, step) for each dimension; bits of the dimensions that the view does not have."""

    store: Store
    box: tuple[tuple[int, int, int], ...]
    dropped: int


def whole(store: Store) -> View:
    """Return the view of all elements."""
    return View(store, tuple((0, extent, 1) for extent in store.layout.shape), 0)


def plan(dst: View, src: View) -> _crosspy.Plan:
    """Return the plan for dst[...] = src. Raises ValueError if the shapes do not fit."""
    itemsize = dst.store.dtype.itemsize
    return _crosspy.plan(dst.store.layout._core, dst.box, dst.dropped, src.store.layout._core, src.box, src.dropped, itemsize)


def _check_without_runtime(dst: Store) -> None:
    for i, place in enumerate(map(dst.layout.place, range(dst.layout.n_blocks))):
        if place.arch != _crosspy.ARCH_CPU:
            raise StateError(f"block {i} lies on {place}: writing it needs an active parla.Parla(), as in `with parla.Parla():`")


def run(dst: View, src: View) -> int:
    """Spawn the copies for dst[...] = src and return their number; without an active runtime copy at once."""
    made = plan(dst, src)
    if made.n_transfers:
        runtime = parla_runtime.current()
        if runtime is None:
            _check_without_runtime(dst.store)
        capsule = None if runtime is None else runtime.__parla_runtime__()
        made.run(capsule, dst.store.core_blocks, src.store.core_blocks, dst.store.rank)
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
    if dst.store is src.store:
        made = plan(dst, src)
        if dst.box == src.box:
            return
        if made.stays_in_a_block() or _crosspy.boxes_overlap(dst.box, src.box):
            src = _temporary(src)
    run(dst, src)


def _temporary(src: View) -> View:
    """Return a copy of a view, laid out as the view is."""
    copy = whole(Store(src.store.layout.view(src.box, src.dropped), src.store.dtype))
    run(copy, src)
    return copy


def assign_host(dst: View, value: object) -> None:
    """Carry out dst[...] = value for what NumPy makes an array of. The value is taken over before the call returns."""
    run(dst, whole(host_store(np.array(value, dtype=dst.store.dtype, order="C"))))


def gather(src: View, out: np.ndarray) -> None:
    """Copy the elements of a view into a NumPy array of the same shape, and wait until they are there."""
    target = host_store(out)
    if run(whole(target), src):
        wait_for(target.blocks[0].data)


def scatter(dst: View, local: np.ndarray) -> None:
    """Copy a NumPy array into a view, and wait until it has been read."""
    source = host_store(local)
    if run(dst, whole(source)):
        wait_for(source.blocks[0].data)


def links(dst: CrossArray, src: CrossArray) -> list[Link]:
    """Return what ``dst[...] = src`` would copy: one entry for each pair of places. Nothing is copied."""
    found = plan(dst._view, src._view).links()
    return [Link(Place(*source), Place(*destination), copies, n_bytes) for source, destination, copies, n_bytes in found]
