"""The arrays among the arguments of a spawn, and local arrays in the result of a body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from . import _adapters, _cuda, _parla
from ._device_array import is_elsewhere
from .array import PArray, asarray, is_array

_adopted: list[PArray] = []  # made at spawn over plain arrays: alive until the runtime ends, when their content is written back


def _resolve(item: object, argument: str, is_on_host: bool) -> tuple[PArray, int]:
    member = 0
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], int):
        item, member = item
    if hasattr(item, "__parla_array__"):
        return item.__parla_array__(), member
    if is_elsewhere(item):
        if argument != "input":
            raise TypeError(
                f"{argument}: tasks cannot write into a {type(item).__name__} in place: make a = parla.array.asarray(…) of it, name a in "
                f"{argument}=, and copy back what is needed with parla.array.copy"
            )
        return asarray(item), member
    adapter = _adapters.find(item)
    if isinstance(item, np.ndarray) or adapter is not None:
        if not is_on_host:
            raise TypeError(
                f"{argument}: a plain NumPy array stays in host memory, but the task may run on a GPU: "
                f"make a = parla.array.asarray(…) of it, name a in {argument}=, and use a.array in the body"
            )
        if adapter is None and not item.flags.writeable and argument != "input":
            raise ValueError(f"{argument}: a read-only NumPy array cannot be written by a task")
        made = asarray(item)
        _adopted.append(made)
        return made, member
    raise TypeError(f"{argument}: expected a PArray, a NumPy array or a block, or a pair (array, device position), not {item!r}")


def _items(argument: object, name: str) -> Iterable:
    """Return the arrays in one argument of spawn: it may be one array, one pair, or an iterable of those."""
    if argument is None:
        return ()
    if is_array(argument) or (isinstance(argument, tuple) and len(argument) == 2 and isinstance(argument[1], int)):
        return (argument,)
    if not hasattr(argument, "__iter__"):
        raise TypeError(f"{name}: expected an array, a pair (array, device position) or a list of those, not {argument!r}")
    return argument


def accesses(input: object, output: object, inout: object, is_on_host: bool) -> list[tuple]:
    """Return the rows (Data, mode, member, region) for one spawn, one for each region of an array and device position.

    A plain NumPy array is taken only if the task runs on the CPU (`is_on_host`): its body uses that very array.
    """
    merged: dict[tuple, list] = {}
    for argument, items, mode in (
        ("input", input, _parla.IN),
        ("output", output, _parla.OUT),
        ("inout", inout, _parla.INOUT),
    ):
        for item in _items(items, argument):
            found, member = _resolve(item, argument, is_on_host)
            region = found._region()
            row = merged.setdefault((id(found._data), member, region), [found._data, mode, member, region])
            row[1] |= mode
    return [tuple(row) for row in merged.values()]


def _is_on_device(a: np.ndarray) -> bool:
    base = a
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, _parla.View)


def detach(result: object, views: list) -> object:
    """Return a body's result with copies in place of local arrays, also in tuples, lists and dicts; these lie in the views."""
    if isinstance(result, np.ndarray):
        return np.array(result) if _is_on_device(result) else result
    if _cuda.is_library_array(result):
        return _cuda.clone(result) if _cuda.is_in(result, views) else result
    if type(result) in (tuple, list):
        return type(result)(detach(item, views) for item in result)
    if type(result) is dict:
        return {key: detach(value, views) for key, value in result.items()}
    return result


def forget_adopted() -> None:
    """Let go of the PArrays that spawns have made over plain NumPy arrays. From: the end of a runtime."""
    _adopted.clear()
