"""What an array and all its views share: the layout and the content of each block."""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
from parla import StateError
from parla.array import asarray as as_parray
from parla.array import empty as empty_parray
from parla.array import PArray

from . import _crosspy, flow
from .block import Block, Tracker
from .layout import Layout


def as_dtype(dtype: object) -> np.dtype:
    """Return a NumPy dtype. Raises TypeError for elements that are Python objects or have no bytes."""
    dtype = np.dtype(dtype)
    if dtype.hasobject or dtype.itemsize == 0:
        raise TypeError(f"dtype: elements have a fixed number of bytes and hold no Python objects, unlike {dtype!r}")
    return dtype


# An array that is larger begins as blocks, on which several tasks can work at once.
MOST_BYTES = 4 * 2**20

_becomes_blocks = threading.Lock()


class Store:
    """Blocks without content, or around arrays that exist; those of other ranks are None.

    Attributes
    ----------
    host : numpy.ndarray or None
        All elements, while no task can know of the blocks (see `host`); None once there are blocks.
    """

    rank, _n_ranks = 0, 1

    def __init__(self, layout: Layout, dtype: np.dtype, arrays: list[PArray | None] | None = None) -> None:
        self.layout = layout
        self.dtype = dtype
        self.host = self._blocks = None
        self.rank, self._n_ranks = flow.ranks()
        if arrays is None:
            self._check_ranks()
        self._arrays = arrays
        self._tracker = Tracker()

    @classmethod
    def over(cls, layout: Layout, host: np.ndarray) -> Store:
        """Return a store with all its elements in a NumPy array that nobody else has."""
        store = cls.__new__(cls)
        store.layout = layout
        store.dtype = host.dtype
        store.host = host
        store._blocks = None
        return store

    def _check_ranks(self) -> None:
        others = [place for place in self.layout.places if not 0 <= place.rank < self._n_ranks]
        if others and self._n_ranks == 1:
            raise StateError(
                f"the layout names {others[0]}, but this program is a single process: use devices of rank {self.rank}, or start the "
                "program with mpirun and `parla.Parla(mpi=True)`"
            )
        if others:
            raise StateError(f"the layout names {others[0]}, but there are only {self._n_ranks} ranks")

    def _content(self, i: int, extent: tuple[int, ...], coordinates: tuple[int, ...]) -> PArray | None:
        if self._arrays is not None:
            return self._arrays[i]
        is_here = self.layout.place(i).rank == self.rank
        return empty_parray(extent, self.dtype, f"block {coordinates}") if is_here else None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks in C order. From now on tasks may know of them."""
        if self._blocks is None:
            with _becomes_blocks:
                if self._blocks is None:
                    if self.host is not None:
                        self._cut()
                    self._blocks = self._make_blocks()
        return self._blocks

    def _cut(self) -> None:
        """Let each block have its part of the elements, contiguous as if it had been made so."""
        self._tracker = Tracker()
        boxes = map(self.layout.box, range(self.layout.n_blocks))
        parts = [self.host[(*(slice(start, start + n) for start, n in zip(*box)), ...)] for box in boxes]
        self._arrays = [as_parray(np.ascontiguousarray(part).reshape(part.shape)) for part in parts]
        self.host = None

    def _make_blocks(self) -> tuple[Block, ...]:
        core = self.layout._core
        blocks = []
        for i in range(core.n_blocks):
            offset, extent, coordinates, _ = core.block(i)
            data = self._content(i, extent, coordinates)
            blocks.append(Block(i, offset, extent, coordinates, self.layout.place(i), self.dtype, data, self._tracker))
        if self._n_ranks > 1 and self._arrays is None:
            content = _crosspy.Blocks([block.data for block in blocks])
            self._tracker.core = _crosspy.Tracked(core, self.dtype.itemsize, content, self.rank)
        return tuple(blocks)

    @cached_property
    def core_blocks(self) -> _crosspy.Blocks:
        """The blocks' content as plans take it."""
        return _crosspy.Blocks([block.data for block in self.blocks])

    @property
    def tracked(self) -> _crosspy.Tracked | None:
        """What is known of the blocks across ranks; None for arrays that the other ranks do not know of."""
        return self._tracker.core if self.blocks else None


def begins_on_host(layout: Layout, dtype: np.dtype) -> bool:
    """True for what begins as one NumPy array: small, and all of it on the CPU of a single process."""
    if layout.size * dtype.itemsize > MOST_BYTES or flow.ranks()[1] > 1:
        return False
    if layout.is_on_host is None:
        layout.is_on_host = all(place.rank == 0 and place.arch == _crosspy.ARCH_CPU for place in layout.places)
    return layout.is_on_host


def new(layout: Layout, dtype: np.dtype) -> Store:
    """Return a store without content, as one NumPy array or as blocks."""
    return Store.over(layout, np.empty(layout.shape, dtype)) if begins_on_host(layout, dtype) else Store(layout, dtype)


def host_store(local: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype, rank: int) -> Store:
    """Return a store over the memory of a NumPy array at `rank`: one block on the CPU. At other ranks `local` is None."""
    core = _crosspy.grid(shape, (1,) * len(shape), None, [(rank, _crosspy.ARCH_CPU, 0)])
    return Store(Layout(core), dtype, [None if local is None else as_parray(local)])
