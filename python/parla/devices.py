"""Devices and architectures: where tasks run.

`cpu` and `gpu` exist before any runtime does. `gpu(1)` or `gpu[1]` is one device; whether it exists is known when a runtime is
active, and checked then. Simulated devices (`Parla(devices="sim:4")`) are of architecture `gpu`, and their repr says sim.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping

from . import _parla


def device_table() -> tuple[tuple[int, int, str, str, int], ...] | None:
    """Return the rows (arch, number, kind, name, memory_bytes) of the active runtime, or None."""
    runtime = _parla.active()
    return None if runtime is None else runtime.devices


def read_share(vcus: object, argument: str) -> float:
    share = float(vcus)
    if not 0 <= share <= 1:
        raise ValueError(
            f"{argument}: expected a share of one device, above 0 up to 1 (0: no limit), not {vcus!r}; "
            "for several devices use a tuple such as (gpu, gpu), for the whole device use 1"
        )
    return share


def read_bytes(memory: object, argument: str) -> int:
    try:
        n_bytes = operator.index(memory)
    except TypeError:
        n_bytes = int(memory) if isinstance(memory, float) and memory.is_integer() else -1
    if n_bytes < 0:
        raise ValueError(f"{argument}: expected a number of bytes, not {memory!r}")
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

    def __call__(self, number: int) -> Device:
        """Return device `number`. Raises NoDeviceError if a runtime is active that does not have it."""
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
        if isinstance(key, (list, tuple)):
            return [self(number) for number in key]
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


class Stream:
    """The queue of work on one device that belongs to the running task.

    Attributes
    ----------
    device : Device
    pointer : int
        Address of the vendor's handle (a CUstream), or of the simulated queue.
    """

    __slots__ = ("device", "pointer")

    def __init__(self, device: Device, pointer: int) -> None:
        self.device = device
        self.pointer = pointer

    def __repr__(self) -> str:
        return f"<Stream on {self.device!r}>"


class Context:
    """Where the running task runs: its devices and their streams, in the order of the placement."""

    __slots__ = ("devices", "streams")

    def __init__(self, devices: tuple[Device, ...], streams: tuple[Stream | None, ...]) -> None:
        self.devices = devices
        self.streams = streams

    @property
    def device(self) -> Device:
        """The first device."""
        return self.devices[0]

    @property
    def stream(self) -> Stream | None:
        """The first device's stream; None on a CPU."""
        return self.streams[0]

    def __len__(self) -> int:
        return len(self.devices)

    def __iter__(self) -> Iterator[Device]:
        return iter(self.devices)

    def __repr__(self) -> str:
        return f"<Context {', '.join(map(repr, self.devices))}>"


def get_current_devices() -> tuple[Device, ...]:
    """Return the devices of the running task. Raises StateError outside of tasks."""
    task = _parla.current_task()
    if task is None:
        raise _parla.StateError("get_current_devices(): no task is running here; call it in a task's body")
    return task.devices


def get_current_context() -> Context:
    """Return the running task's devices and streams. Raises StateError outside of tasks."""
    devices = get_current_devices()
    pointers = [_parla.current_queue(member) for member in range(len(devices))]
    return Context(devices, tuple(Stream(device, pointer) if pointer else None for device, pointer in zip(devices, pointers)))


def get_current_stream() -> Stream | None:
    """Return the stream of the running task's first device; None on a CPU."""
    return get_current_context().stream
