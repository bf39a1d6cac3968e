"""Parla: tasks over the cores and devices of one process.

``with Parla():`` starts a runtime; ``@spawn(T[i], dependencies=[T[i - 1]], placement=gpu)`` gives it a task. Importing the package
starts nothing.
"""

from __future__ import annotations

import atexit as _atexit

from . import _globals, _parla, _placement, array, devices, runtime, tasks
from ._callbacks import listener as _listener
from ._parla import (
    ConfigError,
    DeviceError,
    DeviceMemoryError,
    ForkedError,
    InvalidError,
    NoDeviceError,
    ParlaError,
    ResourceError,
    StateError,
    StuckError,
    SystemCallError,
    Task,
    TaskCancelled,
    TaskError,
    TaskTimeout,
    TransportError,
    UnsupportedError,
    devices_grammar,
    spawn,
)
from ._warnings import ParlaWarning
from .array import PArray, clone_here, copy, get_array_module
from .devices import Architecture, Context, Device, Stream, cpu, get_current_context, get_current_devices, get_current_stream, gpu
from .runtime import Parla, run
from .tasks import AtomicTaskSpace, CompletedTaskSpace, Tasks, TaskSpace, get_current_task

__version__ = _parla.version


def _notice_libraries() -> None:
    """Hold BLAS libraries that were loaded since the runtime started at its number of threads."""
    active = runtime.current()
    if active is not None:
        active._blas.apply()


# In the order of `hook` in python/src/state.h.
_parla._set_hooks(
    (
        _placement.place,
        array.accesses,
        _globals.watch,
        _globals.rebound,
        _notice_libraries,
        tasks.wait_in_asyncio,
        tasks.default_space.__getitem__,
        devices.devices_of_rows,
        _listener.listen,
        array.detach,
    )
)
_atexit.register(runtime.stop_at_exit)

__all__ = [
    "Architecture",
    "AtomicTaskSpace",
    "CompletedTaskSpace",
    "ConfigError",
    "Context",
    "Device",
    "DeviceError",
    "DeviceMemoryError",
    "ForkedError",
    "InvalidError",
    "NoDeviceError",
    "PArray",
    "Parla",
    "ParlaError",
    "ParlaWarning",
    "ResourceError",
    "StateError",
    "Stream",
    "StuckError",
    "SystemCallError",
    "Task",
    "TaskCancelled",
    "TaskError",
    "TaskSpace",
    "TaskTimeout",
    "Tasks",
    "TransportError",
    "UnsupportedError",
    "array",
    "clone_here",
    "copy",
    "cpu",
    "devices",
    "devices_grammar",
    "get_array_module",
    "get_current_context",
    "get_current_devices",
    "get_current_stream",
    "get_current_task",
    "gpu",
    "run",
    "runtime",
    "spawn",
    "tasks",
]
