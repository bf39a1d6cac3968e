"""How one rank ends a job of several: after an exception that leaves its program, or after sys.exit with a status.

The other ranks would wait for it for ever. Watching begins with the import of parla where a launcher has started the process, also if the
program then uses mpi4py alone; and with the import of parla.mpi.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import time
import traceback
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, NoReturn

from . import _parla, runtime

if TYPE_CHECKING:
    from mpi4py import MPI

    from . import _mpi

# How long a rank that was interrupted, or calls sys.exit, leaves it to the others to do the same: one of them ends the job for all.
_OTHERS_S = 1.0

_previous_hook = sys.excepthook
_process = 0  # that is watched; a forked child is no rank


def watch() -> None:
    """Install what ends the job. Again: only what somebody has replaced."""
    global _previous_hook, _process
    if _process != os.getpid():
        _process = os.getpid()
        _parla.watch_exit()
        if sys.version_info < (3, 12):
            sys.exit = _exit
        atexit.register(_at_exit)
    if sys.excepthook is not _hook:
        _previous_hook = sys.excepthook
        sys.excepthook = _hook


def _exit(status: object = None, /) -> NoReturn:
    """Exit the interpreter by raising SystemExit(status)."""
    raise SystemExit(status)  # the one of Python 3.11 makes no object of it, whose end could be noticed


def _mpi4py() -> ModuleType | None:
    """Return mpi4py.MPI while MPI runs."""
    module = sys.modules.get("mpi4py.MPI")
    return module if module is not None and module.Is_initialized() and not module.Is_finalized() else None


def _ending() -> tuple[MPI.Comm, _mpi.Layer | None] | None:
    """Return what ends the job; None where the program's end is nobody else's."""
    module, companion = _mpi4py(), runtime.companion()
    if module is None or _process != os.getpid():
        return None
    if companion is not None and not companion.is_implicit:
        return (companion.comm, companion.layer) if companion.aborts else None
    return (module.COMM_WORLD, None) if module.COMM_WORLD.size > 1 else None


def _hook(kind: type, error: BaseException, trace: TracebackType | None) -> None:
    """End the job for an exception that leaves the program."""
    ending = _ending()
    if ending is not None:
        leave_to_others(error)
    if ending is None or not issubclass(kind, KeyboardInterrupt):
        show(kind, error, trace)
    if ending is not None:
        abort(*ending, error)


def _at_exit() -> None:
    code = _parla.exit_code()
    ending = None if code is None or code == 0 else _ending()
    if ending is not None:
        time.sleep(_OTHERS_S if ending[0].rank == 0 else 2 * _OTHERS_S)
        abort(*ending, SystemExit(code))


def is_from_elsewhere(error: BaseException) -> bool:
    """Tell an error that another rank has told this one, or what followed from such errors alone."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_from_elsewhere, error.exceptions))
    while error is not None and not isinstance(error, _parla.TransportError):
        error = error.__cause__
    return error is not None


def leave_to_others(error: BaseException) -> None:
    """Give the rank where an error comes from, which knows more, a moment to end the job."""
    if is_from_elsewhere(error):
        time.sleep(_OTHERS_S)


def summary(error: BaseException) -> str:
    """Return an exception as one line."""
    return traceback.format_exception_only(type(error), error)[-1].strip()


def tell(text: str) -> None:
    """Write to the standard error in one piece, since other ranks may write there too."""
    sys.stderr.flush()
    sys.stderr.write(text)
    sys.stderr.flush()


def show(kind: type, error: BaseException, trace: TracebackType | None) -> None:
    """Show the traceback of an exception as Python would."""
    if _previous_hook is sys.__excepthook__:
        tell("".join(traceback.format_exception(kind, error, trace)))
    else:
        _previous_hook(kind, error, trace)


def abort(comm: MPI.Comm, layer: _mpi.Layer | None, error: BaseException) -> None:
    """End the job. Does not return."""
    status, what = 1, type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        status, what = 130, "interrupted (Ctrl-C)"
        if comm.rank != 0:
            time.sleep(_OTHERS_S)
    elif isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else 1
        what = f"exit({error.code!r})"
    sys.stdout.flush()
    tell(f"rank {comm.rank} of {comm.size} on {socket.gethostname()} ends the job: {what}\n")
    if layer is not None:
        layer.fail(status, summary(error))
    sys.modules["mpi4py.MPI"].COMM_WORLD.Abort(status)
