"""The half of an interpreter's work that is done inside its context. Imports nothing of parla: it is loaded there from its file alone.

The names that requests refer to (`shared_array`, `make_function`, `fill_function`) are the same on both sides.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib
import importlib.abc
import marshal
import os
import pickle
import sys
import traceback
import types

ONCE = {"parla", "crosspy", "mpi4py", "cupy"}
"""Packages that must exist once in a process."""


def shared_array(address: int, shape: tuple, strides: tuple, dtype: object, is_read_only: bool) -> object:
    """Return an array over memory of the other side; valid while the call runs."""
    import numpy

    if 0 in shape:
        return numpy.empty(shape, dtype)
    low = sum((n - 1) * s for n, s in zip(shape, strides) if s < 0)
    high = sum((n - 1) * s for n, s in zip(shape, strides) if s > 0) + dtype.itemsize
    memory = (ctypes.c_char * (high - low)).from_address(address + low)
    array = numpy.ndarray(shape, dtype, buffer=memory, offset=-low, strides=strides)
    array.flags.writeable = not is_read_only
    return array


def make_function(code: bytes, name: str, n_cells: int) -> types.FunctionType:
    """Return a function without its surroundings, which may refer to it."""
    cells = tuple(types.CellType() for _ in range(n_cells))
    return types.FunctionType(marshal.loads(code), {"__builtins__": builtins, "__name__": "parla_body"}, name, None, cells)


def fill_function(function: types.FunctionType, state: tuple) -> None:
    """Give a function its globals, defaults and closure."""
    used, function.__defaults__, function.__kwdefaults__, cells = state
    function.__globals__.update(used)
    for cell, value in zip(function.__closure__ or (), cells):
        cell.cell_contents = value


def call_by_name(module: str, path: str, args: tuple, kwargs: dict) -> object:
    """Call a function of a module of this side."""
    found: object = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found(*args, **kwargs)


def change_environment(name: str, value: str | None) -> None:
    """Set a variable of this side's environment, or remove it."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


class _Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in ONCE and name != "parla._inside":
            raise ImportError(f"{name} must exist once in a process and cannot be imported inside a context: use it outside")


def _failure(error: BaseException) -> bytes:
    text = "".join(traceback.format_exception(error))
    try:
        data = pickle.dumps((error, text))
        pickle.loads(data)
    except Exception:
        data = pickle.dumps((f"{type(error).__name__}: {error}", text))
    return data


def _serve(request: object, length: int, answer: object) -> int:
    global _last
    status = 0
    try:
        function, args, kwargs = pickle.loads(ctypes.string_at(request, length))
        _last = pickle.dumps(function(*args, **kwargs), protocol=5)
    except BaseException as error:  # SystemExit too: it is for the caller to end the process
        status, _last = 1, _failure(error)
    function = args = kwargs = None
    answer[0] = ctypes.cast(ctypes.c_char_p(_last), ctypes.c_void_p).value
    answer[1] = len(_last)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return status


class _Outside(types.ModuleType):
    """Stands for the package parla, so that parla._inside has a parent."""

    __path__ = ()

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ImportError("parla must exist once in a process and cannot be used inside a context: spawn tasks outside")


_last = b""
_callback = None


def begin(cell: int) -> None:
    """Write the address of the function that takes requests to `cell`."""
    global _callback
    parent = sys.modules["parla"] = _Outside("parla")
    parent._inside = sys.modules["parla._inside"]
    sys.meta_path.insert(0, _Refuse())
    types_of = (ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t))
    _callback = ctypes.CFUNCTYPE(ctypes.c_int, *types_of)(_serve)
    ctypes.c_size_t.from_address(cell).value = ctypes.cast(_callback, ctypes.c_void_p).value
