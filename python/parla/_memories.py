"""Which PArray is over which memory of the host: one for each array, as long as somebody has it, and none over a part of another's."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .array import PArray

_lock = threading.Lock()
_by_memory: dict[int, list[weakref.ref[PArray]]] = {}  # id of an array that owns memory: the PArrays over it


def _root(a: np.ndarray) -> np.ndarray:
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    return (a.ctypes.data, a.shape, a.strides, a.dtype) == (b.ctypes.data, b.shape, b.strides, b.dtype)


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    try:
        return np.shares_memory(a, b, max_work=10_000)
    except np.exceptions.TooHardError:
        return True


def find_or_make(a: np.ndarray, make: Callable[[], PArray]) -> PArray:
    """Return the PArray over the memory of `a`, made by `make` if there is none. Raises ValueError if there is one over a part of it."""
    key = id(_root(a))
    with _lock:
        references = [reference for reference in _by_memory.get(key, ()) if reference() is not None]
        for known in [reference() for reference in references]:
            if known is None:
                continue
            if _is_same(known._source, a):
                return known
            if _overlap(known._source, a):
                raise ValueError(
                    f"this NumPy array overlaps the memory of {known!r}, which tasks use: name a slice of that PArray instead, "
                    "so that the order of tasks and the content stay right"
                )
        made = make()
        _by_memory[key] = [*references, weakref.ref(made, lambda _: _forget(key))]
        return made


def _forget(key: int) -> None:
    references = [reference for reference in _by_memory.get(key, ()) if reference() is not None]
    if references:
        _by_memory[key] = references
    else:
        _by_memory.pop(key, None)
