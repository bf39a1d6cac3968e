"""What an array and all its views share: the layout and the content of each block."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from parla import StateError
from parla.array import asarray as as_parray
from parla.array import empty as empty_parray
from parla.array import PArray

from . import _crosspy
from .block import Block
from .layout import Layout


def as_dtype(dtype: object) -> np.dtype:
    """Return a NumPy dtype. Raises TypeError for elements that are Python objects or have no bytes."""
    dtype = np.dtype(dtype)
    if dtype.hasobject or dtype.itemsize == 0:
        raise TypeError(f"dtype: elements have a fixed number of bytes and hold no Python objects, unlike {dtype!r}")
    return dtype


class Store:
    """Blocks without content, or around arrays that exist. One process is rank 0."""

    def __init__(self, layout: Layout, dtype: np.dtype, arrays: list[PArray] | None = None) -> None:
        self.layout = layout
        self.dtype = dtype
        self.rank = 0
        if arrays is None:
            self._check_ranks()
        self._arrays = arrays

    def _check_ranks(self) -> None:
        others = [place for place in self.layout.places if place.rank != self.rank]
        if others:
            raise StateError(
                f"the layout names {others[0]}, but this program is a single process: use devices of rank {self.rank}"
            )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks in C order."""
        core, arrays = self.layout._core, self._arrays
        blocks = []
        for i in range(core.n_blocks):
            offset, extent, coordinates, _ = core.block(i)
            data = arrays[i] if arrays else empty_parray(extent, self.dtype, f"block {coordinates}")
            blocks.append(Block(offset, extent, coordinates, self.layout.place(i), self.dtype, data))
        return tuple(blocks)

    @cached_property
    def core_blocks(self) -> _crosspy.Blocks:
        """The blocks' content as plans take it."""
        return _crosspy.Blocks([block.data for block in self.blocks])


def host_store(local: np.ndarray) -> Store:
    """Return a store over the memory of a NumPy array: one block on the CPU."""
    core = _crosspy.grid(local.shape, (1,) * local.ndim, None, [(0, _crosspy.ARCH_CPU, 0)])
    return Store(Layout(core), local.dtype, [as_parray(local)])
