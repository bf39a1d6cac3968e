"""Python interpreters in contexts: starting them, and sending calls into them.

An interpreter is reached through one C function, a ctypes callback that lives inside: calling it takes the inner lock, while ctypes has
released the outer one. A request is bytes; arrays go as addresses. docs/vlc.md says what may cross.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib
import io
import marshal
import os
import pickle
import sys
import sysconfig
import threading
import types
from collections.abc import Callable

from ._inside import ONCE, fill_function, make_function, shared_array
from .array import PArray

__all__ = ["Interpreter", "Request", "find_libpython", "give_back", "take"]


def find_libpython() -> str:
    """Return the shared library of this version of Python; FileNotFoundError with the package to install."""
    name = sysconfig.get_config_var("INSTSONAME") or ""
    if ".so" not in name:
        name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    places = [sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib"), "/usr/lib"]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    places.append(f"/usr/lib/{multiarch}" if multiarch else None)
    for place in places:
        if place and os.path.exists(os.path.join(place, name)):
            return os.path.join(place, name)
    raise FileNotFoundError(
        f"{name} was not found; interpreters in contexts need Python's shared library (Debian: libpython3.{sys.version_info.minor})"
    )


# --- Sending ---

_DLPACK_CPU = 1


def _is_importable(function: Callable) -> bool:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not module or module == "__main__" or "<" in name:
        return False
    if module == make_function.__module__:
        return True
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    home = sys.modules.get(module)
    return found is function and getattr(home, "__file__", None) is not None and not _uses_outside(home)


def _uses_outside(module: types.ModuleType) -> bool:
    """Return whether a module has names of packages that cannot be imported inside: it cannot be imported there either."""
    for value in vars(module).values():
        home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
        if isinstance(home, str) and home.partition(".")[0] in ONCE:
            return True
    return False


def _names_of(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_of(constant)
    return names


def _as_array(item: object) -> object:
    """Return the array of NumPy that shares an argument's memory, or None if the argument is none that can be shared."""
    if isinstance(item, PArray):
        return item.array  # the local copy of the task's device
    kind = type(item)
    if kind.__module__ == "numpy":
        return item if kind.__name__ == "ndarray" and not item.dtype.hasobject else None
    if hasattr(kind, "__dlpack__") and hasattr(kind, "__dlpack_device__"):
        device = item.__dlpack_device__()[0]
        if int(device) != _DLPACK_CPU:
            what = f"{kind.__name__}: its memory is on a device (DLPack kind {int(device)})"
            raise TypeError(f"{what}; copy it to the host for an interpreter in a context")
        return importlib.import_module("numpy").from_dlpack(item)
    return None


class _Pickler(pickle.Pickler):
    """Pickles functions as code where they cannot be imported, modules by name, and arrays as addresses.

    What stands behind an address and is not held by the arguments themselves is in `held`.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.held: list[object] = []

    def reducer_override(self, item: object) -> object:
        if isinstance(item, types.ModuleType):
            return importlib.import_module, (item.__name__,)
        if isinstance(item, types.FunctionType) and not _is_importable(item):
            return self._function(item)
        if isinstance(item, memoryview):
            return self._memory(item)
        array = _as_array(item)
        if array is None:
            return NotImplemented
        if array is not item:
            self.held.append(array)
        address, is_read_only = array.__array_interface__["data"]
        return shared_array, (address, array.shape, array.strides, array.dtype, is_read_only)

    def _memory(self, view: memoryview) -> object:
        """Share a memoryview as an array of NumPy with the same items and strides, and make it a memoryview again inside."""
        array = importlib.import_module("numpy").asarray(view)
        if array.dtype.hasobject:
            raise TypeError("a memoryview of Python objects cannot cross into another interpreter")
        self.held.append(array)
        return memoryview, (array,)

    def _function(self, function: types.FunctionType) -> object:
        known = function.__globals__
        used = {name: known[name] for name in _names_of(function.__code__) if name in known and not hasattr(builtins, name)}
        cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
        state = (used, function.__defaults__, function.__kwdefaults__, cells)
        return make_function, (marshal.dumps(function.__code__), function.__name__, len(cells)), state, None, None, fill_function


class Request:
    """A call in the form in which it is sent. Holds the arguments, whose memory is used until the call has ended."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict) -> None:
        self._held = (function, args, kwargs)
        out = io.BytesIO()
        pickler = _Pickler(out)
        pickler.dump(self._held)
        self._behind = pickler.held
        self.data = out.getvalue()


# --- Receiving ---


class Interpreter:
    """One interpreter that has been started in a context. `run` is called by one thread at a time, inside the context."""

    def __init__(self, library: object) -> None:
        library.Py_InitializeEx.restype = None
        library.Py_InitializeEx(0)
        library.PyEval_SaveThread.restype = ctypes.c_void_p
        file = os.path.join(os.path.dirname(__file__), "_inside.py")
        cell = (ctypes.c_size_t * 2)()
        paths = [path for path in sys.path if path]
        program = (
            f"import sys\nsys.path[:] = {paths!r}\nimport importlib.util as u\n"
            f"s = u.spec_from_file_location('parla._inside', {file!r})\nm = u.module_from_spec(s)\n"
            f"sys.modules['parla._inside'] = m\ns.loader.exec_module(m)\nm.begin({ctypes.addressof(cell)})\n"
        )
        status = library.PyRun_SimpleStringFlags(ctypes.c_char_p(program.encode()), None)
        library.PyEval_SaveThread()  # gives the inner lock back; the thread state stays
        if status != 0 or not cell[0]:
            raise RuntimeError("an interpreter in a context did not start; its error output says why")
        arguments = [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t)]
        self._serve = ctypes.CFUNCTYPE(ctypes.c_int, *arguments)(cell[0])

    def run(self, request: Request) -> object:
        """Return the call's result or raise its exception, with the inner traceback as a note."""
        answer = (ctypes.c_size_t * 2)()
        status = self._serve(request.data, len(request.data), ctypes.cast(answer, ctypes.POINTER(ctypes.c_size_t)))
        if not answer[0]:
            raise RuntimeError("an interpreter in a context gave no answer")
        value = pickle.loads(ctypes.string_at(answer[0], answer[1]))
        if status == 0:
            return value
        exception, text = value
        if not isinstance(exception, BaseException):
            exception = RuntimeError(exception)
        exception.add_note(f"in an interpreter of a context:\n{text}")
        raise exception


# --- Kept for the next pool ---

_lock = threading.Lock()
_idle: list[tuple[int, dict, object]] = []


def take(n_cpus: int, options: dict, start: Callable) -> object:
    """Return a context with a running interpreter: one that was given back with the same wishes, or a new one."""
    with _lock:
        for i, (kept_cpus, kept_options, vlc) in enumerate(_idle):
            if kept_cpus == n_cpus and kept_options == options:
                del _idle[i]
                return vlc
    vlc = start(n_cpus, options)
    vlc.wishes = (n_cpus, options)
    return vlc


def give_back(vlc: object) -> None:
    """Keep a context for the next `take`."""
    with _lock:
        _idle.append((*vlc.wishes, vlc))
