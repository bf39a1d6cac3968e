"""The published front end's multiload: modules that exist once in each context, over interpreters in contexts (parla.vlc).

``with multiload(): import numpy as np`` gives `np` a stand-in: its functions run in the context that the thread is in
(``with multiload_contexts[1]: np.dot(a, b)``), and in this interpreter outside of any. A context is an interpreter with its own lock and its
own libraries, started when it is first entered. Arrays that are passed are shared while the call runs; results are pickled. What differs from
the published one: objects belong to one interpreter, so classes and constants of a stand-in are always this interpreter's, and an
object that a context made does not stay there.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import threading
import types
from collections.abc import Callable, Iterable, Iterator

from . import _parla, vlc
from ._inside import call_by_name, change_environment
from .environments import EnvironmentComponentDescriptor, EnvironmentComponentInstance, TaskEnvironment

__all__ = ["CPUAffinity", "MultiloadComponent", "MultiloadContext", "mark_module_as_global", "multiload", "multiload_contexts"]

N_CONTEXTS = 12

_thread = threading.local()


def _current() -> MultiloadContext | None:
    stack = getattr(_thread, "stack", None)
    return stack[-1] if stack else None


class MultiloadContext:
    """A context in which modules that were imported under `multiload` have copies of their own.

    Threads may share one: their calls take turns. What it is made with (CPUs, global libraries, variables) is set before it is first entered.
    """

    def __init__(self, index: int | None = None) -> None:
        self.index = index
        self._lock = threading.RLock()
        self._interpreter: vlc.VLC | None = None
        self._wishes: dict = {}

    def _before_start(self, what: str) -> None:
        if self._interpreter is not None:
            raise _parla.StateError(f"{what}: {self!r} has been entered already; do it before")

    def set_allowed_cpus(self, cpus: Iterable[int]) -> None:
        """Choose the CPUs of the context, out of those that the process may use; all without."""
        with self._lock:
            self._before_start("set_allowed_cpus")
            self._wishes["cpus"] = ",".join(str(cpu) for cpu in sorted(cpus))

    def setenv(self, name: str, value: object) -> None:
        """Set a variable of the context's environment."""
        self._change(name, str(value))

    def unsetenv(self, name: str) -> None:
        """Remove a variable from the context's environment."""
        self._change(name, None)

    def _change(self, name: str, value: str | None) -> None:
        with self._lock:
            if self._interpreter is None:
                self._wishes.setdefault("environment", {})[name] = value
            else:
                self.call(change_environment, name, value)

    def load_stub_library(self, name: str) -> None:
        """Make a library's symbols seen by everything that the context loads."""
        with self._lock:
            self._before_start("load_stub_library")
            self._wishes.setdefault("global_libraries", []).append(name)

    def dlopen(self, name: str) -> vlc.Library:
        """Load a library into the context; return its functions."""
        return self._started().load(name)

    def enable_fake_pid(self, *unused: object) -> None:
        """Refused: a process has one number, and the kernel tells it to whoever asks."""
        raise _parla.UnsupportedError("enable_fake_pid: a context has the process's number, as the kernel tells it; start a process instead")

    def _started(self) -> vlc.VLC:
        with self._lock:
            if self._interpreter is None:
                self._interpreter = vlc.take_interpreter(0, dict(self._wishes))
            return self._interpreter

    def call(self, function: Callable, /, *args: object, **kwargs: object) -> object:
        """Run a function in the context, bound to its CPUs, and return its result."""
        with self._lock, self._started() as context:
            return vlc.run_in(context, function, args, kwargs)

    def __enter__(self) -> MultiloadContext:
        self._started().__enter__()
        _thread.__dict__.setdefault("stack", []).append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _thread.stack.pop()
        self._started().__exit__(*error)

    def __repr__(self) -> str:
        return f"<MultiloadContext {self.index}>"


multiload_contexts = [MultiloadContext(i) for i in range(N_CONTEXTS)]


# --- Stand-ins ---

_global_modules = {"parla", "crosspy", "mpi4py", "cupy", "builtins", "sys", "os", "ctypes", "threading"}


def mark_module_as_global(name: str) -> None:
    """Leave a module, and those below it, out: importing it under `multiload` gives the module itself."""
    _global_modules.add(name)


def _is_global(name: str) -> bool:
    return any(name == marked or name.startswith(marked + ".") for marked in _global_modules)


class _StandIn(types.ModuleType):
    """Stands for a module: modules below it are stand-ins too, functions run in the thread's context, all else is the module's own."""

    def __init__(self, module: types.ModuleType) -> None:
        super().__init__(module.__name__, module.__doc__)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> object:
        return _wrap(getattr(self._module, name), self._module, name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self.__name__} stands for copies in several contexts: set {name} in each, with MultiloadContext.call")

    def __dir__(self) -> list[str]:
        return dir(self._module)

    def __repr__(self) -> str:
        return f"<stand-in for {self._module!r}>"


class _Function:
    """A function of a module, or of an object in it: called, it runs in the thread's context."""

    def __init__(self, function: Callable, module: str, path: str) -> None:
        self.__wrapped__, self._module, self._path = function, module, path
        self.__name__, self.__doc__ = path.rpartition(".")[2], getattr(function, "__doc__", None)

    def __call__(self, *args: object, **kwargs: object) -> object:
        context = _current()
        if context is None:
            return self.__wrapped__(*args, **kwargs)
        return context.call(call_by_name, self._module, self._path, args, kwargs)

    def __getattr__(self, name: str) -> object:
        found = getattr(self.__wrapped__, name)
        return _Function(found, self._module, f"{self._path}.{name}") if _is_function(found) else found

    def __repr__(self) -> str:
        return f"<{self._module}.{self._path} of the thread's context>"


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type)


_stand_ins: dict[str, _StandIn] = {}


def _stand_in(module: types.ModuleType) -> types.ModuleType:
    if isinstance(module, _StandIn) or _is_global(module.__name__):
        return module
    return _stand_ins.setdefault(module.__name__, _StandIn(module))


def _wrap(value: object, module: types.ModuleType, name: str) -> object:
    if isinstance(value, types.ModuleType):
        return _stand_in(value)
    return _Function(value, module.__name__, name) if _is_function(value) else value


_import_lock = threading.RLock()


@contextlib.contextmanager
def multiload() -> Iterator[None]:
    """Import modules so that each context has its own: ``with multiload(): import numpy as np``. For one thread at a time."""
    with _import_lock:
        real, thread, depth = builtins.__import__, threading.get_ident(), 0

        def load(name: str, *args: object, **kwargs: object) -> types.ModuleType:
            nonlocal depth
            depth += 1  # what a module imports for itself is its own affair
            try:
                module = real(name, *args, **kwargs)
            finally:
                depth -= 1
            return _stand_in(module) if depth == 0 and threading.get_ident() == thread else module

        builtins.__import__ = load
        try:
            yield
        finally:
            builtins.__import__ = real


# --- Components of environments ---


class CPUAffinity:
    """In a MultiloadComponent: its context has CPUs of its own, as many as `n_cpus` says, as far as there are some that no other has."""

    def __init__(self, n_cpus: int = 1) -> None:
        self.n_cpus = n_cpus


class MultiloadComponent(EnvironmentComponentDescriptor):
    """Gives an environment the next of `multiload_contexts`; ``with environment:`` enters it.

    Parameters
    ----------
    components : iterable
        `CPUAffinity`, or an instance of it.
    """

    _lock = threading.Lock()
    _n_taken = 0

    def __init__(self, components: Iterable = ()) -> None:
        self.components = [component() if isinstance(component, type) else component for component in components]
        for component in self.components:
            if not isinstance(component, CPUAffinity):
                raise TypeError(f"MultiloadComponent: expected CPUAffinity, not {component!r}")

    def __call__(self, environment: TaskEnvironment) -> MultiloadComponentInstance:
        with MultiloadComponent._lock:
            index = MultiloadComponent._n_taken
            if index >= N_CONTEXTS:
                raise _parla.ResourceError(f"MultiloadComponent: all {N_CONTEXTS} contexts of multiload_contexts belong to environments")
            MultiloadComponent._n_taken += 1
        context = multiload_contexts[index]
        for component in self.components:
            cpus = sorted(os.sched_getaffinity(0))
            first = index * component.n_cpus
            context.set_allowed_cpus({cpus[(first + i) % len(cpus)] for i in range(component.n_cpus)})
        return MultiloadComponentInstance(self, context)


class MultiloadComponentInstance(EnvironmentComponentInstance):
    """One environment's context."""

    def __init__(self, descriptor: MultiloadComponent, context: MultiloadContext) -> None:
        super().__init__(descriptor)
        self.multiload_context = context

    def __enter__(self) -> MultiloadComponentInstance:
        self.multiload_context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.multiload_context.__exit__(*error)
