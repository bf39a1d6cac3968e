"""Layouts: who owns which part of an array. Immutable, hashable values without data; none of this needs a runtime."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence

from . import _crosspy, drawing, show
from .place import Place, as_places, deal


def as_shape(shape: int | Iterable[int]) -> tuple[int, ...]:
    """Return a shape as a tuple of integers; one integer is a shape of one dimension."""
    if hasattr(shape, "__index__"):
        return (operator.index(shape),)
    return tuple(operator.index(extent) for extent in shape)


def _per_dimension(values: object, ndim: int, name: str) -> tuple:
    values = tuple(values) if isinstance(values, Iterable) else (values,)
    if len(values) != ndim:
        raise ValueError(f"{name}: expected {ndim} entries, one for each dimension, got {len(values)}")
    return values


class Layout:
    """An array's shape, how it is cut into blocks, and at which place (a device of a rank) each block lies.

    Blocks are numbered in C order of their coordinates in the grid of blocks. Two layouts are equal if they have the same blocks at
    the same places, however they were made. Make one with `Split`, `Grid`, `BlockCyclic` or `parse_layout`.
    """

    __slots__ = ("_core", "_words", "is_on_host", "whole")

    def __init__(self, core: _crosspy.Layout, words: str | None = None) -> None:
        self._core = core
        self._words = words
        self.is_on_host: bool | None = None  # found out when somebody asks: store.begins_on_host
        # All elements, as (start, stop, step) for each dimension, and all dimensions: `View.box` and `View.axes` of whole arrays.
        self.whole = tuple([(0, extent, 1) for extent in core.shape]), tuple(range(len(core.shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the array."""
        return self._core.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._core.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._core.shape)

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of blocks along each dimension."""
        return self._core.grid

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return self._core.n_blocks

    @property
    def places(self) -> tuple[Place, ...]:
        """The distinct places, in the order of the first block that lies there."""
        return tuple(Place(*place) for place, _ in self._core.places)

    @property
    def text(self) -> str:
        """The layout as text, which `parse_layout` reads back."""
        return self._core.text

    def sizes(self, axis: int) -> tuple[int, ...]:
        """Return the extents of the blocks along one dimension."""
        axis = operator.index(axis)
        return self._core.parts(axis + self.ndim if axis < 0 else axis)

    def box(self, i_block: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return (offset, extent) of a block."""
        return self._core.block(operator.index(i_block))[:2]

    def coordinates(self, i_block: int) -> tuple[int, ...]:
        """Return where in the grid a block is."""
        return self._core.block(operator.index(i_block))[2]

    def place(self, i_block: int) -> Place:
        """Return where a block lies."""
        return Place(*self._core.block(operator.index(i_block))[3])

    def block_at(self, *coordinates: int) -> int:
        """Return the number of the block at these coordinates of the grid; negative ones count from the end."""
        grid = self.grid
        if len(coordinates) != len(grid):
            raise IndexError(f"{len(coordinates)} coordinates for a grid of {len(grid)} dimensions")
        for k, c in enumerate(coordinates):
            if not -grid[k] <= c < grid[k]:
                raise IndexError(f"block coordinate {c} is out of bounds for dimension {k} with {grid[k]} blocks")
        return self._core.block_at(tuple(c + grid[k] if c < 0 else operator.index(c) for k, c in enumerate(coordinates)))

    def owner(self, *index: int) -> int:
        """Return the number of the block that holds an element. Takes O(1) or O(log blocks)."""
        shape = self.shape
        if len(index) != len(shape):
            raise IndexError(f"{len(index)} indices for {len(shape)} dimensions")
        for k, i in enumerate(index):
            if not -shape[k] <= i < shape[k]:
                raise IndexError(f"index {i} is out of bounds for axis {k} with size {shape[k]}")
        return self._core.find(tuple(i + shape[k] if i < 0 else operator.index(i) for k, i in enumerate(index)))

    def blocks_of(self, rank: int) -> list[int]:
        """Return the numbers of the blocks of one rank."""
        return self._core.of_rank(operator.index(rank))

    def bytes_by_place(self, itemsize: int) -> dict[Place, int]:
        """Return how many bytes lie at each place for elements of `itemsize` bytes."""
        return {Place(*place): items * itemsize for place, items in self._core.places}

    def picture(self) -> str:
        """Return the grid of blocks as text: a letter for each place, extents in the margins."""
        return show.picture(self)

    def view(self, box: tuple, axes: tuple[int, ...]) -> Layout:
        """Return the layout of a view: (start, stop, step) for each dimension, and the dimensions that it has, -1 for new ones."""
        return Layout(self._core.view(box, axes))

    def __eq__(self, other: object) -> bool:
        return self._core == other._core if isinstance(other, Layout) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._core)

    def __repr__(self) -> str:
        return self._words or show.describe(self)

    def svg(self) -> str:
        """Return a picture of the blocks, to scale and coloured by place, as SVG."""
        return drawing.svg(self)

    def _repr_html_(self) -> str:
        return drawing.layout_html(self)

    def __reduce__(self) -> tuple:
        return parse_layout, (self.text,)


def parse_layout(text: str) -> Layout:
    """Return the layout that `Layout.text` wrote. Raises ValueError that tells where the text is wrong."""
    return Layout(_crosspy.parse(text))


class Split(Layout):
    """Cuts one dimension into parts.

    Parameters
    ----------
    shape : int or tuple of int
    devices : device or list of devices
        Part i lies on ``devices[i % len(devices)]``; a device of another rank is ``(rank, device)``.
    axis : int
        Which dimension.
    sizes : int or sequence of int, optional
        How many parts, or how many indices each has. Default: as many as devices, as even as possible, longer ones first.
    """

    __slots__ = ()

    def __init__(
        self, shape: int | Sequence[int], devices: object, axis: int = 0, sizes: int | Sequence[int] | None = None
    ) -> None:
        shape, places, axis = as_shape(shape), as_places(devices), operator.index(axis)
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"axis: an array of {len(shape)} dimensions has no dimension {axis}")
        axis %= len(shape)
        if sizes is None:
            sizes = len(places)
        parts = operator.index(sizes) if hasattr(sizes, "__index__") else tuple(operator.index(size) for size in sizes)
        count = parts if isinstance(parts, int) else len(parts)
        per_axis = tuple(parts if k == axis else 1 for k in range(len(shape)))
        core = _crosspy.grid(shape, per_axis, None, deal(places, count, "parts"))
        super().__init__(core, f"Split({shape}, devices={places}, axis={axis}, sizes={show.sizes(core.parts(axis))})")


class Grid(Layout):
    """Cuts every dimension into parts, whose combinations are the blocks.

    Parameters
    ----------
    shape : int or tuple of int
    blocks : tuple
        For each dimension how many parts, or a sequence of how many indices each has.
    devices : device or list of devices
        Block i, in C order, lies on ``devices[i % len(devices)]``.
    """

    __slots__ = ()

    def __init__(self, shape: int | Sequence[int], blocks: Sequence, devices: object) -> None:
        shape, places = as_shape(shape), as_places(devices)
        sizes = tuple(
            operator.index(part) if hasattr(part, "__index__") else tuple(operator.index(size) for size in part)
            for part in _per_dimension(blocks, len(shape), "blocks")
        )
        count = math.prod(part if isinstance(part, int) else len(part) for part in sizes)
        core = _crosspy.grid(shape, sizes, None, deal(places, count, "blocks"))
        words = show.as_tuple([str(part) if isinstance(part, int) else show.sizes(part) for part in sizes])
        super().__init__(core, f"Grid({shape}, blocks={words}, devices={places})")


class BlockCyclic(Layout):
    """ScaLAPACK's layout: blocks of one size are dealt out to a grid of devices, in two dimensions or any other number.

    Parameters
    ----------
    shape : tuple of int
    block : tuple of int
        Extents of a block (ScaLAPACK's MB and NB); the last one of a dimension may be shorter.
    grid : tuple of int
        Extents of the grid of devices (P and Q).
    devices : device or list of devices
        The device at (p, q) of the grid is number p * Q + q of this list, which is dealt out in turn if it is shorter.
    source : tuple of int, optional
        Coordinates in the grid that own block (0, 0) (RSRC and CSRC). Default: all 0.
    """

    __slots__ = ()

    def __init__(
        self, shape: Sequence[int], block: Sequence[int], grid: Sequence[int], devices: object, source: Sequence[int] | None = None
    ) -> None:
        shape, places = as_shape(shape), as_places(devices)
        block = tuple(map(operator.index, _per_dimension(block, len(shape), "block")))
        grid = tuple(map(operator.index, _per_dimension(grid, len(shape), "grid")))
        source = (0,) * len(shape) if source is None else tuple(map(operator.index, _per_dimension(source, len(shape), "source")))
        if any(extent < 1 for extent in grid):
            raise ValueError(f"grid: extents are at least 1, got {grid}")
        core = _crosspy.block_cyclic(shape, block, grid, source, deal(places, math.prod(grid), "cells of the grid"))
        super().__init__(core, f"BlockCyclic({shape}, block={block}, grid={grid}, devices={places}, source={source})")
