"""Blocks: the pieces of an array, in the form in which tasks take them."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

from .place import Place

if TYPE_CHECKING:
    from . import _crosspy
    from parla.array import PArray
    from parla.devices import Device


# What stands for blocks of other ranks in the body of a task.
copies: ContextVar[dict[Block, PArray]] = ContextVar("copies of blocks of other ranks")


def indices(offset: tuple[int, ...], extent: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Return the indices of the elements of a box: one integer array for each dimension, which together broadcast to its shape."""
    ndim = len(offset)
    return tuple(
        np.arange(first, first + n).reshape((1,) * k + (n,) + (1,) * (ndim - k - 1)) for k, (first, n) in enumerate(zip(offset, extent))
    )


class Tracker:
    """Where the blocks of one array find what is known of it across ranks."""

    __slots__ = ("core",)

    def __init__(self) -> None:
        self.core: _crosspy.Tracked | None = None


class Block:
    """One block of a CrossArray: a box of it that lies on one device of one rank.

    `spawn` takes it in ``placement=``, ``input=``, ``output=`` and ``inout=``. In the body of a task that names it, `array` is
    the local NumPy array, and the block can be indexed like one.

    Attributes
    ----------
    offset, extent : tuple of int
        Global index of its first element, and its shape.
    coordinates : tuple of int
        Where it is in the grid of blocks.
    place : Place
        Rank and device.
    index : int
        Its number, in C order of the coordinates.
    data : PArray or None
        Its content; None if it belongs to another rank.
    """

    __slots__ = ("_dtype", "_tracker", "coordinates", "data", "extent", "index", "offset", "place")

    def __init__(
        self,
        index: int,
        offset: tuple[int, ...],
        extent: tuple[int, ...],
        coordinates: tuple[int, ...],
        place: Place,
        dtype: np.dtype,
        data: PArray | None,
        tracker: Tracker,
    ) -> None:
        self.index = index
        self.offset = offset
        self.extent = extent
        self.coordinates = coordinates
        self.place = place
        self.data = data
        self._dtype = dtype
        self._tracker = tracker

    shape = property(lambda self: self.extent, doc="Its extents.")
    dtype = property(lambda self: self._dtype, doc="Type of the elements.")
    ndim = property(lambda self: len(self.extent), doc="Number of dimensions.")
    rank = property(lambda self: self.place.rank, doc="The rank that it belongs to.")

    @property
    def tracked(self) -> _crosspy.Tracked | None:
        """What is known of its array across ranks; None if there are no other ranks."""
        return self._tracker.core

    @property
    def device(self) -> Device:
        """The device of its rank on which it lies."""
        return self.place.device

    @property
    def box(self) -> tuple[slice, ...]:
        """Slices that name its elements in the whole array."""
        return tuple(slice(first, first + extent) for first, extent in zip(self.offset, self.extent))

    @property
    def indices(self) -> tuple[np.ndarray, ...]:
        """Global indices of its elements: one integer array for each dimension, which together broadcast to its shape."""
        return indices(self.offset, self.extent)

    @property
    def array(self) -> np.ndarray:
        """The local array: see `parla.PArray.array`."""
        return self.__parla_array__().array

    def __parla_array__(self) -> PArray:
        if self.data is not None:
            return self.data
        found = copies.get({}).get(self)
        if found is None:
            raise ValueError(
                f"{self!r} belongs to rank {self.rank}, not to this one: name it in input=, output= or inout= of a task, or use x.gather()"
            )
        return found

    def __parla_rank__(self) -> int | None:
        return None if self.tracked is None else self.place.rank

    def __parla_device__(self) -> Device:
        return self.place.device

    def __getitem__(self, key: object) -> object:
        return self.array[key]

    def __setitem__(self, key: object, value: object) -> None:
        self.array[key] = value

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self.__parla_array__().__array__(dtype, copy)

    def __repr__(self) -> str:
        return f"<Block {self.coordinates} offset={self.offset} shape={self.extent} dtype={self._dtype} on {self.place}>"
