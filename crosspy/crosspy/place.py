"""Places: a device of a rank, as layouts name them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from parla.devices import Architecture, Device, cpu, gpu

from . import _crosspy

_ARCHITECTURES = {_crosspy.ARCH_CPU: cpu, _crosspy.ARCH_GPU: gpu}
_CODES = {"cpu": _crosspy.ARCH_CPU, "gpu": _crosspy.ARCH_GPU}


class Place(NamedTuple):
    """A device of a rank. A value: it needs no runtime, and says nothing about whether the device exists.

    Attributes
    ----------
    rank : int
    arch : int
        Code of the architecture, as `parla.cpu.code` and `parla.gpu.code`.
    number : int
        Number of the device within its architecture.
    """

    rank: int
    arch: int
    number: int

    @property
    def device(self) -> Device:
        """The device, as `spawn(placement=...)` takes it on its rank."""
        return Device(_ARCHITECTURES[self.arch], self.number)

    def __parla_device__(self) -> Device:
        return self.device

    def __parla_rank__(self) -> int:
        return self.rank

    def __str__(self) -> str:
        name = f"{_ARCHITECTURES[self.arch].name}[{self.number}]"
        return name if self.rank == 0 else f"{self.rank}:{name}"

    __repr__ = __str__


def as_place(item: object) -> Place:
    """Return the place that `item` means.

    Accepted: a Place; a device such as ``gpu(1)`` (of rank 0); ``cpu`` (the one CPU device); a pair ``("gpu", 1)``; a pair of a
    rank and one of these, ``(2, gpu(1))``.
    """
    if isinstance(item, Place):
        return item
    if isinstance(item, Device):
        return Place(0, item.architecture.code, item.number)
    if isinstance(item, Architecture) and item is cpu:
        return Place(0, _crosspy.ARCH_CPU, 0)
    if isinstance(item, tuple) and len(item) == 2:
        first, second = item
        if isinstance(first, str) and first in _CODES:
            return Place(0, _CODES[first], operator.index(second))
        if not isinstance(first, str) and hasattr(first, "__index__"):
            return as_place(second)._replace(rank=operator.index(first))
    raise TypeError(f"devices: expected devices such as gpu(1) or ('gpu', 1), perhaps with a rank as in (2, gpu(1)), not {item!r}")


def as_places(items: object) -> list[Place]:
    """Return the places of one device or of an iterable of devices."""
    is_one = isinstance(items, (Place, Device, Architecture)) or (isinstance(items, tuple) and items and isinstance(items[0], str))
    if not is_one and not isinstance(items, Iterable):
        raise TypeError(f"devices: expected a device or a list of devices, not {items!r}")
    places = [as_place(item) for item in ([items] if is_one else items)]
    if not places:
        raise ValueError("devices: the list is empty")
    return places


def deal(places: Sequence[Place], count: int, what: str) -> list[Place]:
    """Deal places out in turn to `count` blocks, or cells of a grid."""
    if len(places) > count:
        raise ValueError(f"devices: {len(places)} devices for {count} {what}; there are not enough {what} for all of them")
    return [places[i % len(places)] for i in range(count)]
