"""Globals that a body reads, when it is spawned where loop variables are globals.

Closure cells are captured by value at spawn, globals are not: they are shared state. At the top level of a module or a notebook
a loop variable is a global, so a body that reads it later sees the value of a later turn. The extension calls `watch` for bodies
spawned there, and `rebound` when a body starts and one of its globals has become another object.
"""

from __future__ import annotations

import types
import warnings
import weakref

from ._warnings import ParlaWarning

_names_of_code: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_warned: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _scan(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Return the names that code, with the code nested in it, reads and writes as globals."""
    import dis  # slow to import, and only needed for bodies that are spawned at the top level

    read, written = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            read.add(instruction.argval)
        elif instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            written.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner_read, inner_written = _scan(constant)
            read |= inner_read
            written |= inner_written
    return read, written


def _names(code: types.CodeType) -> tuple[str, ...]:
    names = _names_of_code.get(code)
    if names is None:
        read, written = _scan(code)
        # A body that assigns a global uses it as shared state on purpose.
        names = _names_of_code[code] = tuple(sorted(read - written))
    return names


def watch(function: types.FunctionType) -> tuple[tuple[str, object], ...] | None:
    """Return (name, value) of the globals that the body reads and that are bound now; None if there are none."""
    values = function.__globals__
    watched = tuple((name, values[name]) for name in _names(function.__code__) if name in values)
    return watched or None


def _is_same_value(old: object, new: object) -> bool:
    if type(old) is not type(new) or not isinstance(old, (int, float, complex, str, bytes, frozenset)):
        return False
    return old == new


def rebound(function: types.FunctionType, name: str, old: object, new: object) -> None:
    """Warn, once for each body and name, that the body reads another value than the one at spawn."""
    if _is_same_value(old, new):
        return
    code = function.__code__
    names = _warned.setdefault(code, set())
    if name in names:
        return
    names.add(name)
    warnings.warn_explicit(
        f"the task body {function.__qualname__}() reads the global {name!r}, which was rebound between spawn and run. Globals are "
        f"shared, only variables of enclosing functions are captured by value: give {function.__qualname__}() a parameter and pass "
        f"the value with spawn(..., args=({name},)), or spawn inside a function.",
        ParlaWarning,
        filename=code.co_filename,
        lineno=code.co_firstlineno,
    )
