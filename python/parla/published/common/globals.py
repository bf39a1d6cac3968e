"""`parla.common.globals`: what is active, and the published constants."""

from __future__ import annotations

import enum
import importlib.util

import parla
from parla import _parla
from parla._placement import SynchronizationType
from parla.context import Context, Locals, get_current_context, get_current_devices, get_current_stream, get_current_task
from parla.devices import Device
from parla.tasks import TaskSpace, default_space

_Locals = Locals

CUPY_ENABLED = importlib.util.find_spec("cupy") is not None
CROSSPY_ENABLED = importlib.util.find_spec("crosspy") is not None
cupy = None
if CUPY_ENABLED:
    import cupy

VCU_BASELINE = parla.devices.VCU_UNITS


class DeviceType(enum.IntEnum):
    """Architectures, as the published front end numbers them."""

    INVALID = -1
    ANY = 0
    CPU = 1
    GPU = 2


class AccessMode(enum.IntEnum):
    """How a task uses an array."""

    IN = 0
    OUT = 1
    INOUT = 2
    FREED = 3
    REMOVED = 4


def get_active_device() -> Device:
    """Return the first of the current devices."""
    return get_current_devices()[0]


def get_default_taskspace() -> TaskSpace:
    """Return the space of tasks that are spawned with an int or a str in place of a Task."""
    return default_space


def get_scheduler() -> parla.Parla | None:
    """Return the active runtime, or None."""
    return parla.runtime.current()


class DeviceManager:
    """The devices of the active runtime."""

    def get_all_devices(self) -> tuple[Device, ...]:
        """Return all devices, the CPU first."""
        return parla.devices.get_all_devices()

    def get_devices(self, architecture: parla.Architecture) -> list[Device]:
        """Return the devices of an architecture."""
        return list(architecture)

    def get_num_devices(self, architecture: parla.Architecture | None = None) -> int:
        """Return how many devices there are, of an architecture or in all."""
        return len(self.get_all_devices() if architecture is None else architecture)

    def print_registered_devices(self) -> None:
        """Print one line for each device."""
        for device in self.get_all_devices():
            print(f"{device!r}: {device.memory_bytes} bytes")


def get_device_manager() -> DeviceManager:
    """Return an object that lists the devices of the active runtime."""
    return DeviceManager()


class _StreamPool:
    """The streams of the running task: the runtime gives each task its own."""

    def get_stream(self, device: Device) -> object:
        """Return the running task's stream on a device."""
        context = get_current_context()
        return context.streams[context.devices.index(device)]

    def return_stream(self, stream: object) -> None:
        """Do nothing: streams go back by themselves when the task ends."""


def get_stream_pool() -> _StreamPool:
    """Return an object that gives the running task its streams."""
    return _StreamPool()


def has_environment() -> bool:
    """True inside a task."""
    return _parla.current_task() is not None


def print_config() -> None:
    """Print the environment variables that the library reads, with their defaults."""
    for line in _parla.environment().splitlines():
        name, default, meaning = line.split("\t")
        print(f"{name} (default {default}): {meaning}")


__all__ = [
    "CROSSPY_ENABLED",
    "CUPY_ENABLED",
    "VCU_BASELINE",
    "AccessMode",
    "DeviceManager",
    "Context",
    "DeviceType",
    "SynchronizationType",
    "cupy",
    "get_active_device",
    "get_current_context",
    "get_current_devices",
    "get_current_stream",
    "get_current_task",
    "get_default_taskspace",
    "get_device_manager",
    "get_scheduler",
    "get_stream_pool",
    "has_environment",
    "print_config",
]
