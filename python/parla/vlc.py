"""Virtual Library Contexts: copies of libraries, and of the Python interpreter, with CPUs and state of their own.

``vlc = VLC(n_cpus=2)``, ``blas = vlc.load("libopenblas.so.0")``, ``with vlc: blas.cblas_dgemm(...)``. A `PythonPool` holds whole
interpreters, each with a lock of its own: ``pool.call(function, array)`` runs pure Python in parallel in one process. docs/vlc.md has the
table of what may cross the border.
"""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from . import _interpreters, _parla

__all__ = ["VLC", "Library", "Pool", "PythonPool", "current", "limits"]

_FOREVER = -1
_SHARE = 1


class _Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("cpus", ctypes.c_char_p),
        ("n_cpus", ctypes.c_int),
        ("environment", ctypes.POINTER(ctypes.c_char_p)),
        ("global_libraries", ctypes.POINTER(ctypes.c_char_p)),
        ("memory", ctypes.c_int),
        ("flags", ctypes.c_uint),
    ]


class _Entry(ctypes.Structure):
    _fields_ = [
        ("vlc", ctypes.c_void_p),
        ("outer", ctypes.c_void_p),
        ("cpus", ctypes.c_uint64 * 16),
        ("nodes", ctypes.c_uint64 * 16),
        ("memory", ctypes.c_int),
        ("flags", ctypes.c_uint),
    ]


class _Info(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("cpus", ctypes.c_char_p),
        ("n_cpus", ctypes.c_int),
        ("n_libraries", ctypes.c_int),
        ("n_threads", ctypes.c_int),
        ("n_inside", ctypes.c_int),
        ("n_objects", ctypes.c_int),
        ("static_tls_bytes", ctypes.c_int),
        ("is_reused", ctypes.c_bool),
        ("why_loaded", ctypes.c_char_p),
    ]


class _Limits(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("n_contexts", ctypes.c_int),
        ("n_parked", ctypes.c_int),
        ("max_contexts", ctypes.c_int),
        ("static_tls_bytes", ctypes.c_int),
        ("static_tls_used_bytes", ctypes.c_int),
        ("tunable", ctypes.c_char_p),
    ]


# The extension depends on libparla, so a look-up in the one finds what is in the other.
_c = ctypes.CDLL(_parla.__file__)
_c.parla_error_detail.restype = ctypes.c_char_p
_c.parla_vlc_current.restype = ctypes.c_void_p
for _function in ("enter", "leave", "destroy", "query"):
    getattr(_c, f"parla_vlc_{_function}").argtypes = [ctypes.c_void_p] * (2 if _function in {"enter", "query"} else 1)
_c.parla_vlc_open.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p]
_c.parla_vlc_symbol.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def _check(code: int) -> None:
    if code < 0:
        raise _parla.error_for(code, (_c.parla_error_detail() or b"").decode())


def _strings(items: Iterable[str] | None) -> object:
    if items is None:
        return None
    encoded = [os.fsencode(item) for item in items]
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)


_MEMORY = ("inherit", "local", "bind", "prefer", "spread")


class _Function(ctypes._CFuncPtr):
    _flags_ = ctypes._FUNCFLAG_CDECL
    _restype_ = ctypes.c_int


class Library:
    """A library of a context: its functions are attributes, used as those of `ctypes.CDLL`.

    A function may be called from any thread; inside ``with vlc:`` the thread is bound to the context's CPUs.
    """

    def __init__(self, vlc: VLC, name: str | None) -> None:
        self._vlc, self._name, self._handle = vlc, name, None
        if name is not None:  # else: all that the context has
            handle = ctypes.c_void_p()
            _check(_c.parla_vlc_open(vlc._address(), ctypes.byref(handle), os.fsencode(name)))
            self._handle = handle.value

    def address(self, name: str) -> int:
        """Return the address of a function or variable."""
        found = ctypes.c_void_p()
        _check(_c.parla_vlc_symbol(self._vlc._address(), self._handle, name.encode(), ctypes.byref(found)))
        return found.value

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            function = _Function(self.address(name))
        except _parla.ParlaError as error:
            raise AttributeError(str(error)) from None
        function.__name__ = name
        self.__dict__[name] = function
        return function

    def __getitem__(self, name: str) -> Callable:
        return getattr(self, name)

    def __repr__(self) -> str:
        return f"<Library {self._name!r} of {self._vlc!r}>"


class VLC:
    """One context.

    Parameters
    ----------
    cpus : str or iterable of int, optional
        CPUs out of those that the process may use: "0-3,8" or [0, 1].
    n_cpus : int, optional
        So many CPUs that no other context has. Without both: all of the process.
    environment : mapping, optional
        Changes to the environment that libraries inside see; None removes a variable.
    memory : str
        "inherit", "local", "bind", "prefer" or "spread": memory nodes for threads inside.
    global_libraries : iterable of str
        Libraries whose symbols everything inside may use.
    share : bool
        Its n_cpus may be those of other contexts too.
    name : str, optional
        For messages.
    """

    def __init__(
        self,
        cpus: str | Iterable[int] | None = None,
        *,
        n_cpus: int = 0,
        environment: Mapping[str, str | None] | None = None,
        memory: str = "inherit",
        global_libraries: Iterable[str] | None = None,
        share: bool = False,
        name: str | None = None,
    ) -> None:
        if memory not in _MEMORY:
            raise ValueError(f"memory={memory!r}: expected one of {', '.join(_MEMORY)}")
        if cpus is not None and not isinstance(cpus, str):
            cpus = ",".join(str(cpu) for cpu in cpus)
        changes = None if environment is None else [k if v is None else f"{k}={v}" for k, v in environment.items()]
        options = _Options(
            size=ctypes.sizeof(_Options),
            name=None if name is None else name.encode(),
            cpus=None if cpus is None else cpus.encode(),
            n_cpus=n_cpus,
            environment=_strings(changes),
            global_libraries=_strings(global_libraries),
            memory=_MEMORY.index(memory),
            flags=_SHARE if share else 0,
        )
        made = ctypes.c_void_p()
        _check(_c.parla_vlc_create(ctypes.byref(made), ctypes.byref(options)))
        self._pointer: int | None = made.value
        self._entries = threading.local()

    def _address(self) -> int:
        if self._pointer is None:
            raise _parla.StateError("this context is closed")
        return self._pointer

    def load(self, library: str) -> Library:
        """Load a library, and what it depends on, into the context; return its functions. Blocks while constructors run."""
        return Library(self, library)

    def __enter__(self) -> VLC:
        entry = _Entry()
        _check(_c.parla_vlc_enter(self._address(), ctypes.byref(entry)))

        self._entries.__dict__.setdefault("stack", []).append(entry)
        return self

    def __exit__(self, *unused: object) -> None:
        _c.parla_vlc_leave(ctypes.byref(self._entries.stack.pop()))

    def info(self) -> dict:
        """Return name, cpus, n_cpus, n_libraries, n_threads, n_inside, n_objects, static_tls_bytes, is_reused, why_loaded."""
        found = _Info(size=ctypes.sizeof(_Info))
        _check(_c.parla_vlc_query(self._address(), ctypes.byref(found)))
        return _as_dict(found)

    def close(self) -> None:
        """Flush and unload; functions of its libraries must not be called any more. Closing again does nothing."""
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            _c.parla_vlc_destroy(pointer)

    def __repr__(self) -> str:
        if self._pointer is None:
            return "<VLC, closed>"
        info = self.info()
        return f"<VLC {info['name']} on CPUs {info['cpus']}>"


def _as_dict(found: ctypes.Structure) -> dict:
    pairs = {name: getattr(found, name) for name, _ in found._fields_[1:]}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in pairs.items()}


def limits() -> dict:
    """Return how many contexts there are and may be, and the environment variable that allows more."""
    found = _Limits(size=ctypes.sizeof(_Limits))
    _check(_c.parla_vlc_query_limits(ctypes.byref(found)))
    return _as_dict(found)


def current() -> int | None:
    """Return the address of the context that this thread is in, or None."""
    return _c.parla_vlc_current()


class Pool:
    """n contexts alike, each lent to one borrower at a time.

    Parameters
    ----------
    n : int
        How many.
    n_cpus : int
        CPUs of each, which no other context has.
    **options
        As VLC.
    """

    def __init__(self, n: int, *, n_cpus: int, **options: object) -> None:
        self.contexts: list[VLC] = []
        try:
            for _ in range(n):
                self.contexts.append(self._make(n_cpus, options))
        except BaseException:
            self.close()
            raise
        self._free = list(self.contexts)
        self._changed = threading.Condition()

    def _make(self, n_cpus: int, options: dict) -> VLC:
        return VLC(n_cpus=n_cpus, **options)

    @contextlib.contextmanager
    def lend(self, timeout: float | None = None) -> Iterator[VLC]:
        """Enter a context that nobody else has meanwhile. Blocks for one; `timeout` is in seconds (TaskTimeout)."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free, timeout):
                raise _parla.TaskTimeout(f"all {len(self.contexts)} contexts are lent")
            vlc = self._free.pop()
        try:
            with vlc:
                yield vlc
        finally:
            with self._changed:
                self._free.append(vlc)
                self._changed.notify()

    def _body(self, work: Callable, cores: int | None) -> Callable:
        """Return what spawn(vlc=, cores=) runs in place of `work`. The body's thread waits for a free context."""
        n_cpus = self.contexts[0].info()["n_cpus"] if self.contexts else 0
        if cores is not None and not 1 <= cores <= n_cpus:
            raise ValueError(f"spawn(cores={cores!r}): the contexts of this pool have {n_cpus} CPUs")
        if inspect.iscoroutinefunction(work) or not callable(work):
            raise TypeError("spawn(vlc=): expected a plain function: a body that awaits changes threads, and contexts belong to threads")
        return self.wrap(work)

    def wrap(self, function: Callable) -> Callable:
        """Return a function that runs `function` in a free context."""

        def body(*args: object, **kwargs: object) -> object:
            with self.lend():
                return function(*args, **kwargs)

        body.__name__ = getattr(function, "__name__", "body")
        return body

    def close(self) -> None:
        """Close all contexts. None may be lent."""
        for vlc in self.contexts:
            vlc.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.contexts)


def start_interpreter(n_cpus: int, options: dict) -> VLC:
    """Return a new context with a running interpreter in it."""
    globals_ = [_interpreters.find_libpython(), *options.get("global_libraries", ())]
    vlc = VLC(n_cpus=n_cpus, **{**options, "global_libraries": globals_})
    with vlc:
        vlc.interpreter = _interpreters.Interpreter(Library(vlc, None))
    return vlc


def take_interpreter(n_cpus: int, options: dict) -> VLC:
    """Return a context with a running interpreter: one that a pool with the same wishes has left, or a new one."""
    return _interpreters.take(n_cpus, options, start_interpreter)


def run_in(vlc: VLC, function: Callable, args: tuple, kwargs: dict) -> object:
    """Call a function in the interpreter of a context that the thread has entered and that nobody else uses meanwhile."""
    return vlc.interpreter.run(_interpreters.Request(function, args, kwargs))


class PythonPool(Pool):
    """n Python interpreters, each in a context with its own lock, modules and libraries.

    They are made once: closing the pool keeps them for the next one with as many CPUs. Arrays of NumPy are shared with the function
    while it runs, whatever their strides, and are not copied; what it keeps of them beyond that it has to copy. Other arguments, results
    and exceptions are pickled. A function that cannot be imported by name is sent as code with the values that it uses. Extension modules
    of this process (parla, mpi4py, cupy), open files, locks and generators cannot cross.

    Parameters
    ----------
    n : int
        How many.
    n_cpus : int
        CPUs of each.
    **options
        As VLC.
    """

    def __init__(self, n: int, *, n_cpus: int = 1, **options: object) -> None:
        super().__init__(n, n_cpus=n_cpus, **options)

    def _make(self, n_cpus: int, options: dict) -> VLC:
        return take_interpreter(n_cpus, options)

    def call(self, function: Callable, /, *args: object, **kwargs: object) -> object:
        """Run function(*args, **kwargs) in a free interpreter and return its result. Blocks, without the lock of this interpreter."""
        request = _interpreters.Request(function, args, kwargs)
        with self.lend() as vlc:
            return vlc.interpreter.run(request)

    def wrap(self, function: Callable) -> Callable:
        """Return a function that runs `function` in a free interpreter."""

        def body(*args: object, **kwargs: object) -> object:
            return self.call(function, *args, **kwargs)

        body.__name__ = getattr(function, "__name__", "body")
        return body

    def close(self) -> None:
        """Keep the interpreters for the next pool. None may be lent."""
        for vlc in self.contexts:
            _interpreters.give_back(vlc)
        self.contexts = []
