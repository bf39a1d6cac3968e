"""Parla: tasks over the cores and devices of one process.

``with Parla():`` starts a runtime; ``@spawn(T[i], dependencies=[T[i - 1]], placement=gpu)`` gives it a task. Importing the package
starts nothing.
"""

from __future__ import annotations

import atexit as _atexit
import importlib as _importlib
import os as _os

from . import _accesses, _cuda, _globals, _parla, _placement, array, context, devices, runtime, tasks, variants
from ._callbacks import listener as _listener
from ._callbacks import thread_begins as _thread_begins
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
    sleep_gil,
    sleep_nogil,
    spawn,
    spawn_many,
)
from ._placement import SynchronizationType
from ._warnings import ParlaWarning
from .array import PArray, clone_here, copy, get_array_module
from .context import (
    Context,
    Locals,
    Stream,
    create_env,
    get_current_context,
    get_current_devices,
    get_current_stream,
    get_current_task,
)
from .devices import Architecture, Device, cpu, get_all_devices, gpu
from .runtime import Parla, run
from .tasks import AtomicTaskSpace, BackendTaskSpace, CompletedTaskSpace, Tasks, TaskSpace, finish, wait
from .variants import specialize, specialized

__version__ = _parla.version

GPUEnvironment = TaskEnvironment = Context

# Module paths of the published front ends are files of this folder: parla.cpu, parla.common.array, parla.cython.tasks, ….
__path__.append(_os.path.join(_os.path.dirname(__file__), "published"))

# Imported when they are first asked for: importing parla stays quick.
_LAZY_MODULES = frozenset(
    (
        *("busy", "common", "cuda", "cython", "environments", "executor", "function_decorators", "ldevice", "parray", "partitioning"),
        *("published", "utility"),
    )
)
_LAZY_NAMES = {
    "ParlaExecutor": "executor",
    "gpu_sleep_gil": "busy",
    "gpu_sleep_nogil": "busy",
    "sleep_nogil_data": "busy",
}


def load_ipython_extension(ipython: object) -> None:
    """``%load_ext parla`` in a notebook: see `parla._notebook`."""
    _importlib.import_module("._notebook", __name__).load(ipython)


def unload_ipython_extension(ipython: object) -> None:
    """``%unload_ext parla``."""
    _importlib.import_module("._notebook", __name__).unload(ipython)


def __getattr__(name: str) -> object:
    if name in _LAZY_MODULES:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _LAZY_NAMES:
        return getattr(_importlib.import_module(f"{__name__}.{_LAZY_NAMES[name]}"), name)
    if name == "parla_num_threads":
        active = _parla.active()
        return len(_os.sched_getaffinity(0)) if active is None else active.info()["n_workers"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _notice_libraries() -> None:
    """Hold BLAS libraries that were loaded since the runtime started at its number of threads."""
    active = runtime.current()
    if active is not None:
        active._blas.apply()


# In the order of `hook` in python/src/state.h.
_parla._set_hooks(
    (
        _placement.place,
        _accesses.accesses,
        _globals.watch,
        _globals.rebound,
        _notice_libraries,
        tasks.wait_in_asyncio,
        tasks.default_space.__getitem__,
        devices.devices_of_rows,
        _listener.listen,
        _accesses.detach,
        _placement.hints,
        tasks.spawned,
        _cuda.body_begin,
        _cuda.body_end,
        _thread_begins,
    )
)
if runtime.is_launched():
    _importlib.import_module("._job", __name__).watch()
_atexit.register(runtime.stop_at_exit)

__all__ = [
    "Architecture",
    "AtomicTaskSpace",
    "BackendTaskSpace",
    "CompletedTaskSpace",
    "ConfigError",
    "Context",
    "Device",
    "DeviceError",
    "DeviceMemoryError",
    "ForkedError",
    "GPUEnvironment",
    "InvalidError",
    "Locals",
    "NoDeviceError",
    "PArray",
    "Parla",
    "ParlaError",
    "ParlaExecutor",
    "ParlaWarning",
    "ResourceError",
    "StateError",
    "Stream",
    "StuckError",
    "SynchronizationType",
    "SystemCallError",
    "Task",
    "TaskCancelled",
    "TaskEnvironment",
    "TaskError",
    "TaskSpace",
    "TaskTimeout",
    "Tasks",
    "TransportError",
    "UnsupportedError",
    "array",
    "clone_here",
    "context",
    "copy",
    "cpu",
    "create_env",
    "devices",
    "devices_grammar",
    "finish",
    "get_all_devices",
    "get_array_module",
    "get_current_context",
    "get_current_devices",
    "get_current_stream",
    "get_current_task",
    "gpu",
    "gpu_sleep_gil",
    "gpu_sleep_nogil",
    "parray",
    "run",
    "runtime",
    "sleep_gil",
    "sleep_nogil",
    "sleep_nogil_data",
    "spawn",
    "spawn_many",
    "specialize",
    "specialized",
    "tasks",
    "variants",
    "wait",
]
