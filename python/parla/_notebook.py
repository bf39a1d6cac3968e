"""``%load_ext parla``: the line magic ``%parla``, for a runtime that lasts over the cells of a notebook.

    %parla start sim:2      start a runtime, here with two simulated GPUs; n_workers=N says how many workers
    %parla                  what is active, and how many tasks it has run
    %parla stop             wait for its tasks and stop it; raises what failed and nobody has looked at

A kernel that ends stops its runtime. When tasks are left and none has ended for 10 s, the cell is told who waits for whom: an `await` of a
name that nobody spawns would else look like a long computation. Cells may ``await`` tasks, spaces and arrays at top level.
"""

from __future__ import annotations

from typing import Any

from . import runtime

_STALL_S = 10.0
_started: runtime.Parla | None = None


def _start(words: list[str]) -> runtime.Parla:
    global _started
    if runtime.current() is not None:
        raise RuntimeError("%parla start: a runtime is active already; %parla stop ends it")
    options: dict[str, Any] = {"stall": _STALL_S}
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name == "n_workers":
            options["n_workers"] = int(value)
        elif "devices" not in options:
            options["devices"] = word
        else:
            options["devices"] += f",{word}"
    _started = runtime.Parla(**options)
    try:
        return _started.__enter__()
    except BaseException:
        _started = None
        raise


def _stop() -> None:
    global _started
    if _started is None:
        raise RuntimeError("%parla stop: nothing was started with %parla start")
    stopping, _started = _started, None
    stopping.__exit__(None, None, None)


def _say() -> str:
    active = runtime.current()
    if active is None:
        return "no runtime is active: %parla start [devices] [n_workers=N]"
    tasks = active.stats()["tasks"]
    return f"{active!r}, {tasks['n_workers']} workers, {tasks['n_spawned']} tasks spawned"


def parla_magic(line: str) -> runtime.Parla | None:
    """Start, stop or show a runtime that lasts over cells: %parla start [devices] [n_workers=N], %parla, %parla stop."""
    words = line.split()
    if not words:
        print(_say())
        return None
    if words[0] == "start":
        return _start(words[1:])
    if words == ["stop"]:
        _stop()
        return None
    raise ValueError(f"%parla {line}: expected start [devices] [n_workers=N], stop, or nothing")


def load(ipython: Any) -> None:
    """Register the magic."""
    ipython.register_magic_function(parla_magic, "line", "parla")


def unload(ipython: Any) -> None:
    """Stop what the magic has started, and remove it."""
    if _started is not None:
        _stop()
    del ipython.magics_manager.magics["line"]["parla"]
