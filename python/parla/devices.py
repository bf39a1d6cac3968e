"""Devices and architectures: where tasks run.

`cpu` and `gpu` exist before any runtime does. `gpu(1)` or `gpu[1]` is one device; whether it exists is known when a runtime is
active, and checked then. Simulated devices (`Parla(devices="sim:4")`) are of architecture `gpu`, and their repr says sim.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator, Mapping

from . import _parla

VCU_UNITS = 1000
"""What the published front ends call one whole device."""

_N_COPIES = {"cpu": 4, "gpu": 3}


def device_table() -> tuple[tuple[int, int, str, str, int, int], ...] | None:
    """Return the rows (arch, number, kind, name, memory_bytes, ordinal) of the active runtime, or None."""
    runtime = _parla.active()
    return None if runtime is None else runtime.devices


_takes_raw_vcus = False


def take_raw_vcus(is_raw: bool) -> None:
    """Say whether vcus above 1 are units of 1/1000 of a device from now on. From: the start and the end of a runtime."""
    global _takes_raw_vcus
    _takes_raw_vcus = is_raw


def read_share(vcus: object, argument: str) -> float:
    try:
        share = float(vcus)
    except (TypeError, ValueError):
        raise TypeError(f"{argument}: expected a share of one device, a number above 0 up to 1, not {vcus!r}") from None
    if _takes_raw_vcus and 1 < share <= VCU_UNITS:
        return share / VCU_UNITS
    if not 0 <= share <= 1:
        raise ValueError(
            f"{argument}: expected a share of one device, above 0 up to 1 (0: no limit), not {vcus!r}; "
            "for several devices use a tuple such as (gpu, gpu), for the whole device use 1. The published front end takes "
            f"numbers above 1 as units of 1/{VCU_UNITS} of a device: Parla(raw_vcus=True) does the same"
        )
    return share


def read_bytes(memory: object, argument: str) -> int:
    try:
        n_bytes = operator.index(memory)
    except TypeError:
        n_bytes = int(memory) if isinstance(memory, float) and memory.is_integer() else -1
    if not 0 <= n_bytes <= sys.maxsize:
        raise ValueError(f"{argument}: expected a number of bytes, at most {sys.maxsize}, not {memory!r}")
    return n_bytes


class Demand:
    """A device, or any device of an architecture, with what a task needs of it.

    Made by indexing a device or an architecture with a dict: ``gpu[{"vcus": 0.5, "memory": 2**30}]``.
    """

    __slots__ = ("architecture", "memory", "number", "vcus")

    def __init__(self, architecture: Architecture, number: int, vcus: float | None, memory: int | None) -> None:
        self.architecture = architecture
        self.number = number
        self.vcus = vcus
        self.memory = memory

    def __repr__(self) -> str:
        where = self.architecture.name if self.number < 0 else f"{self.architecture.name}[{self.number}]"
        needs = [f"{key!r}: {value}" for key, value in (("vcus", self.vcus), ("memory", self.memory)) if value is not None]
        return f"{where}[{{{', '.join(needs)}}}]" if needs else where

    def __mul__(self, count: int) -> Group:
        return Group([self] * operator.index(count))

    __rmul__ = __mul__


class Group(tuple):
    """Several devices that one task uses at once; `gpu * 2` makes one."""

    __slots__ = ()


def _with_needs(architecture: Architecture, number: int, needs: Mapping) -> Demand:
    unknown = set(needs) - {"vcus", "memory"}
    if unknown:
        raise ValueError(f"device needs: expected the keys 'vcus' and 'memory', not {sorted(map(str, unknown))}")
    vcus, memory = needs.get("vcus"), needs.get("memory")
    return Demand(
        architecture,
        number,
        None if vcus is None else read_share(vcus, "vcus"),
        None if memory is None else read_bytes(memory, "memory"),
    )


class Device:
    """One device of a runtime, by its number within its architecture. Immutable; devices of equal name are equal."""

    __slots__ = ("_architecture", "_number")

    def __init__(self, architecture: Architecture, number: int) -> None:
        self._architecture = architecture
        self._number = number

    @property
    def architecture(self) -> Architecture:
        """`cpu` or `gpu`."""
        return self._architecture

    @property
    def number(self) -> int:
        """Its number within its architecture."""
        return self._number

    id = number

    @property
    def name(self) -> str:
        """What messages call it."""
        return repr(self)

    @property
    def global_id(self) -> int:
        """Its number among all devices, as `index`."""
        return self.index

    def get_global_id(self) -> int:
        """Return `global_id`, as the published front end calls it."""
        return self.global_id

    def __call__(self) -> Device:
        """Return itself: the published contexts of one device are called for their device, and here devices stand in their place."""
        return self

    @property
    def device(self) -> object:
        """CuPy's object for a CUDA device; the device itself for any other kind."""
        if self.kind != "cuda":
            return self
        import cupy

        return cupy.cuda.Device(self.ordinal)

    def query_resource(self, resource: int) -> int:
        """Return what the device has: bytes of memory (0), VCUs in units of 1/1000 of the device (1), copies at once (2)."""
        return (self.memory_bytes, VCU_UNITS, _N_COPIES[self._architecture.name])[resource]

    def query_reserved_resource(self, resource: int) -> int:
        """Return what running tasks have reserved, counted as in `query_resource`; arrays count as memory."""
        state = self.query()
        return (state["used_bytes"] + state["reserved_bytes"], round((1 - state["free_vcus"]) * VCU_UNITS), 0)[resource]

    query_mapped_resource = query_reserved_resource

    def _row(self) -> tuple[int, tuple]:
        for index, row in enumerate(device_table() or ()):
            if row[0] == self._architecture.code and row[1] == self._number:
                return index, row
        if device_table() is None:
            raise _parla.StateError(f"{self!r}: devices are known inside `with parla.Parla():` only")
        raise _parla.NoDeviceError(f"{self._architecture.name}[{self._number}] does not exist; this runtime has {device_listing()}")

    @property
    def index(self) -> int:
        """Its number among all devices of the active runtime, as the C interface counts them."""
        return self._row()[0]

    @property
    def kind(self) -> str:
        """The backend that drives it: "cpu", "sim" or "cuda"."""
        return self._row()[1][2]

    @property
    def ordinal(self) -> int:
        """Its number among the devices of its kind, as the kind's own libraries count them; several devices may be the same card."""
        return self._row()[1][5]

    @property
    def memory_bytes(self) -> int:
        """Bytes that arrays and reservations may take there."""
        return self._row()[1][4]

    def query(self) -> dict:
        """Return what the device has and did: memory and shares in use, tasks ended, time in bodies (ns)."""
        index = self.index
        return _parla.active().device(index)

    def __getitem__(self, needs: Mapping) -> Demand:
        return _with_needs(self._architecture, self._number, needs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Device):
            return NotImplemented
        return self._architecture is other._architecture and self._number == other._number

    def __hash__(self) -> int:
        return hash((self._architecture.code, self._number))

    def __repr__(self) -> str:
        for row in device_table() or ():
            if row[0] == self._architecture.code and row[1] == self._number:
                return row[3]
        return f"{self._architecture.name}[{self._number}]"

    def __reduce__(self) -> tuple:
        return _restore_device, (self._architecture.name, self._number)


class Architecture:
    """A kind of device: `cpu` or `gpu`. As a placement it means any device of the kind."""

    __slots__ = ("code", "name")

    def __init__(self, name: str, code: int) -> None:
        self.name = name
        self.code = code

    def __call__(self, number: int | list[int]) -> Device | list[Device]:
        """Return device `number`, or a list of devices. Raises NoDeviceError if a runtime is active that does not have it."""
        if isinstance(number, (list, tuple, range)):
            return [self(each) for each in number]
        device = Device(self, operator.index(number))
        if device.number < 0:
            raise ValueError(f"{self.name}({number}): device numbers start at 0")
        if device_table() is not None:
            device._row()
        return device

    def __getitem__(self, key: int | Mapping | slice | list) -> Device | Demand | list[Device]:
        if isinstance(key, Mapping):
            return _with_needs(self, _parla.ANY_NUMBER, key)
        if isinstance(key, slice):
            return [self(number) for number in range(*key.indices(len(self)))]
        return self(key)

    def __mul__(self, count: int) -> Group:
        return Group([self] * operator.index(count))

    __rmul__ = __mul__

    def __len__(self) -> int:
        if device_table() is None:
            raise _parla.StateError(f"len({self.name}): devices are known inside `with parla.Parla():` only")
        return sum(row[0] == self.code for row in device_table())

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Device]:
        return iter([Device(self, number) for number in range(len(self))])

    def __contains__(self, device: object) -> bool:
        return isinstance(device, Device) and device.architecture is self

    @property
    def devices(self) -> list[Device]:
        """The devices of this architecture in the active runtime."""
        return list(self)

    @property
    def id(self) -> int:
        """The number of the architecture, as the C interface counts them."""
        return self.code

    def __getattr__(self, name: str) -> Architecture:
        # The published module parla.cpu has the name of the architecture that is `parla.cpu`: the architecture stands for both.
        if name == self.name:
            return self
        raise AttributeError(f"{self.name} has no attribute {name!r}")

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name


cpu = Architecture("cpu", _parla.ARCH_CPU)
gpu = Architecture("gpu", _parla.ARCH_GPU)

architecture_of_code = {architecture.code: architecture for architecture in (cpu, gpu)}


def _restore_device(name: str, number: int) -> Device:
    return Device({"cpu": cpu, "gpu": gpu}[name], number)


def device_listing() -> str:
    return ", ".join(row[3] for row in device_table() or ())


def devices_of_rows(rows: tuple) -> tuple[Device, ...]:
    """Return the devices that rows of a runtime's table stand for."""
    return tuple(Device(architecture_of_code[row[0]], row[1]) for row in rows)


def get_all_devices() -> tuple[Device, ...]:
    """Return all devices of the active runtime, device 0 (the CPU) first."""
    table = device_table()
    if table is None:
        raise _parla.StateError("get_all_devices() needs an active runtime: use it inside `with parla.Parla():`")
    return devices_of_rows(table)


def __getattr__(name: str) -> object:
    # Published as names of this module; their homes import it.
    if name == "Stream":
        from .context import Stream

        return Stream
    if name == "DeviceManager":
        from parla.common.globals import DeviceManager

        return DeviceManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
