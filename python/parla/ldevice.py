"""Logical devices: a problem cut into more parts than there are devices, and the device of each part.

``LDeviceSequenceBlocked(6, placement=gpu)`` lays six logical devices on the GPUs, neighbours on the same one. `partition` calls a
function for each, `partition_tensor` cuts an array into one view for each: nothing is copied, tasks that name a view move it.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator

from ._placement import place
from .devices import Device, architecture_of_code, get_all_devices

__all__ = [
    "LDeviceCollection",
    "LDeviceGrid",
    "LDeviceGridArbitrary",
    "LDeviceGridBlocked",
    "LDeviceGridRaveled",
    "LDeviceSequence",
    "LDeviceSequenceArbitrary",
    "LDeviceSequenceBlocked",
    "PartitionedTensor",
]

_Index = tuple[int, ...]


def _devices_of(placement: object) -> list[Device]:
    """Return the devices that a placement allows, each once; all of the runtime for None."""
    everything = get_all_devices()
    if placement is None:
        return list(everything)
    found: dict[Device, None] = {}
    for choice in place(placement, None, None):
        for arch, number, _, _ in choice:
            architecture = architecture_of_code[arch]
            fitting = [device for device in everything if device.architecture is architecture]
            found.update(dict.fromkeys(device for device in fitting if number in (-1, device.number)))
    if not found:
        raise ValueError(f"placement: no device of the runtime matches {placement!r}")
    return list(found)


def _cut(i: int, n_parts: int, n: int, overlap: int) -> slice:
    """Return part i of n indices, the larger parts first, with `overlap` more at each inner border."""
    share, rest = divmod(n, n_parts)
    start = i * share + min(i, rest)
    stop = start + share + (i < rest)
    return slice(max(0, start - overlap), min(n, stop + overlap))


class PartitionedTensor:
    """What each logical device has, indexed as they are: ``parts[i]``, ``parts[i, j]``. Iteration is in row-major order."""

    def __init__(self, shape: _Index, parts: dict[_Index, object]) -> None:
        self.shape = shape
        self._parts = parts

    def __getitem__(self, index: int | _Index) -> object:
        return self._parts[index if isinstance(index, tuple) else (index,)]

    def __setitem__(self, index: int | _Index, part: object) -> None:
        key = index if isinstance(index, tuple) else (index,)
        if key not in self._parts:
            raise IndexError(f"index {index!r} is outside of the {self.shape} parts")
        self._parts[key] = part

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator:
        return iter(self._parts.values())

    def map(self, function: Callable[[object], object]) -> PartitionedTensor:
        """Return the results of a function on each part."""
        return PartitionedTensor(self.shape, {index: function(part) for index, part in self._parts.items()})

    def __repr__(self) -> str:
        return f"<PartitionedTensor of {self.shape} parts>"


class LDeviceCollection:
    """Logical devices with a device each. `shape` is how many there are along each dimension."""

    def __init__(self, shape: _Index, placement: object = None) -> None:
        if not all(n >= 1 for n in shape):
            raise ValueError(f"logical devices: expected at least one along each dimension, not {shape!r}")
        self.shape = tuple(shape)
        self.devices = _devices_of(placement)

    @property
    def n_ldevices(self) -> int:
        """How many there are."""
        n = 1
        for extent in self.shape:
            n *= extent
        return n

    def device(self, *index: int) -> Device:
        """Return the device of one logical device."""
        raise NotImplementedError("a derived class says which device each has")

    def memory(self, *index: int, kind: object = None) -> Callable[[object], object]:
        """Return a function that brings an array to the device of one logical device: it gives the array, which tasks move themselves."""
        self.device(*index)
        return lambda array: array

    def indices(self) -> Iterator[_Index]:
        """Yield the index of each logical device in row-major order."""
        return itertools.product(*map(range, self.shape))

    @property
    def assignments(self) -> dict[_Index, Device]:
        """The device of each."""
        return {index: self.device(*index) for index in self.indices()}

    def partition(self, mapper: Callable, memory_kind: object = None) -> PartitionedTensor:
        """Call ``mapper(i, …)`` for each logical device; it may also take `device` and `memory`."""
        wanted = inspect.signature(mapper).parameters
        parts = {}
        for index in self.indices():
            named = {"device": self.device(*index), "memory": self.memory(*index, kind=memory_kind)}
            parts[index] = mapper(*index, **{name: value for name, value in named.items() if name in wanted})
        return PartitionedTensor(self.shape, parts)

    def partition_tensor(self, data: object, overlap: int = 0, memory_kind: object = None) -> PartitionedTensor:
        """Cut an array along its first dimensions into views, which share `overlap` rows with their neighbours."""
        if len(data.shape) < len(self.shape):
            raise ValueError(f"partition_tensor: {len(self.shape)} dimensions of logical devices, the array has {len(data.shape)}")
        extents = list(zip(self.shape, data.shape))
        return PartitionedTensor(
            self.shape,
            {index: data[tuple(_cut(i, n, m, overlap) for i, (n, m) in zip(index, extents))] for index in self.indices()},
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape} on {self.devices}>"


class LDeviceSequence(LDeviceCollection):
    """Logical devices 0, 1, …."""

    def __init__(self, n_ldevices: int, placement: object = None) -> None:
        super().__init__((n_ldevices,), placement)

    def slice(self, i: int, n: int, overlap: int = 0) -> slice:
        """Return the part of n indices that logical device i has."""
        return _cut(i, self.shape[0], n, overlap)


class LDeviceSequenceBlocked(LDeviceSequence):
    """Neighbours share a device, as evenly as possible."""

    def device(self, i: int) -> Device:
        """Return the device of logical device i."""
        return self.devices[i * len(self.devices) // self.shape[0]]


class LDeviceSequenceArbitrary(LDeviceSequence):
    """The device of each is given: a list, or a function of the index."""

    def __init__(self, assignments: list[Device] | Callable[[int], Device], n_ldevices: int | None = None, placement: object = None) -> None:
        if n_ldevices is None:
            n_ldevices = len(assignments)
        super().__init__(n_ldevices, placement)
        self._given = assignments

    def device(self, i: int) -> Device:
        """Return the device of logical device i."""
        return self._given(i) if callable(self._given) else self._given[i]


class LDeviceGrid(LDeviceCollection):
    """Logical devices in a grid."""

    def __init__(self, n_ldevices_x: int, n_ldevices_y: int, placement: object = None) -> None:
        super().__init__((n_ldevices_x, n_ldevices_y), placement)

    def slice_x(self, i: int, n: int, overlap: int = 0) -> slice:
        """Return the part of n indices along x that row i of the grid has."""
        return _cut(i, self.shape[0], n, overlap)

    def slice_y(self, j: int, n: int, overlap: int = 0) -> slice:
        """Return the part of n indices along y that column j of the grid has."""
        return _cut(j, self.shape[1], n, overlap)


def _divisors(n: int) -> Iterator[tuple[int, int]]:
    for x in range(1, n + 1):
        if n % x == 0:
            yield x, n // x


class LDeviceGridBlocked(LDeviceGrid):
    """Rectangles of the grid share a device: the devices form a grid too, shaped so that the rectangles are as square as possible."""

    def __init__(self, n_ldevices_x: int, n_ldevices_y: int, placement: object = None) -> None:
        super().__init__(n_ldevices_x, n_ldevices_y, placement)
        fitting = [(x, y) for x, y in _divisors(len(self.devices)) if x <= n_ldevices_x and y <= n_ldevices_y]
        self._grid = min(fitting, key=self._imbalance) if fitting else None

    def _imbalance(self, grid: tuple[int, int]) -> float:
        height, width = self.shape[0] / grid[0], self.shape[1] / grid[1]
        return max(height, width) / min(height, width)

    def device(self, i: int, j: int) -> Device:
        """Return the device of logical device (i, j)."""
        if self._grid is None:  # more devices than rows and columns can be matched to
            return self.devices[(i * self.shape[1] + j) * len(self.devices) // self.n_ldevices]
        x, y = i * self._grid[0] // self.shape[0], j * self._grid[1] // self.shape[1]
        return self.devices[x * self._grid[1] + y]


class LDeviceGridRaveled(LDeviceGrid):
    """Neighbours in row-major order share a device, as evenly as possible."""

    def device(self, i: int, j: int) -> Device:
        """Return the device of logical device (i, j)."""
        return self.devices[(i * self.shape[1] + j) * len(self.devices) // self.n_ldevices]


class LDeviceGridArbitrary(LDeviceGrid):
    """The device of each is what a function of (i, j) says."""

    def __init__(self, assignments: Callable[[int, int], Device], n_ldevices_x: int, n_ldevices_y: int, placement: object = None) -> None:
        super().__init__(n_ldevices_x, n_ldevices_y, placement)
        self._given = assignments

    def device(self, i: int, j: int) -> Device:
        """Return the device of logical device (i, j)."""
        return self._given(i, j)
