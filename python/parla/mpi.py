"""Parla between ranks: MPI requests that tasks await, and ranks that share the cores of a node.

``await parla.mpi.request(comm.Irecv(buffer, source=0))`` lets a task wait for MPI without its thread. `init`, or ``Parla(mpi=True)``, joins
each runtime to the ranks of a communicator. Needs mpi4py and an MPI with MPI_THREAD_MULTIPLE, which mpi4py asks for by itself.
"""

from __future__ import annotations

import gc
import os
import socket
import traceback
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence

from mpi4py import MPI

from . import _job, _mpi, _parla, runtime, tasks
from ._parla import Task

__all__ = ["Pending", "card", "init", "request", "transport", "wait"]


class _Ranks:
    """What joins each runtime of this process to a communicator (see `runtime.Companion`)."""

    def __init__(self, comm: MPI.Comm, on_failure: str, share: bool, kind: str | None = None, is_implicit: bool = False) -> None:
        self.comm = comm
        self.rank = comm.rank
        self.n_ranks = comm.size
        self.aborts = on_failure == "abort"
        self.card = ""
        self.layer: _mpi.Layer | None = None
        self.transport: _mpi.Transport | None = None
        self._kind = kind
        self._shares = share
        self.is_implicit = is_implicit
        self._whole: set[int] | None = None  # the cores before they were narrowed to this rank's part

    # --- Life of a runtime ---

    def starting(self) -> int:
        """Open the transport, narrow this process to its part of the node's cores; return how many workers fit, 0 for the library's choice."""
        self._open_transport()
        if not self._shares or os.environ.get("PARLA_WORKERS"):
            return 0
        part = _mpi.share(MPI._addressof(self.comm))
        if part["is_narrowed"] and not part["is_oversubscribed"]:
            self._whole = os.sched_getaffinity(0)
            os.sched_setaffinity(0, part["cores"])
        return part["n_cores"]

    def memory(self) -> object:
        """Return where arrays lie, so that other ranks of the node reach them; None: anywhere."""
        return None if self.transport is None else self.transport.memory()

    def started(self, parla: runtime.Parla) -> None:
        """Join a runtime that has just started."""
        self._open_transport()
        carried = self.transport.__parla_transport__() if self.transport is not None else None
        self.layer = _mpi.Layer(parla.__parla_runtime__(), MPI._addressof(self.comm), carried, self.aborts, self.is_implicit)
        if not self.is_implicit:
            self.card = _card(self.comm, parla)
            _mpi.log_info(self.card if self.comm.rank == 0 else "")

    def _open_transport(self) -> None:
        if self.transport is None and not self.is_implicit:
            self.transport = _mpi.Transport(MPI._addressof(self.comm), self._kind)

    def stopping(self) -> None:
        """Leave a runtime that is about to stop."""
        layer, self.layer = self.layer, None
        if layer is not None:
            _forget_completed()
            layer.close()

    def stopped(self) -> None:
        """Close what a runtime that has stopped, or could not start, has used."""
        opened, self.transport = self.transport, None
        if opened is not None:
            opened.close()
        if self._whole is not None:
            os.sched_setaffinity(0, self._whole)
            self._whole = None
        if self.is_implicit:
            runtime.set_companion(None)

    def traffic(self) -> dict[tuple[int, int], dict[str, int]]:
        """Return what went through the transport, by (from rank, to rank)."""
        counts = {}
        for other, (n_sent, n_sent_bytes, n_received, n_received_bytes) in enumerate(self.transport.traffic() if self.transport else ()):
            if n_sent:
                counts[self.rank, other] = {"n_messages": n_sent, "n_bytes": n_sent_bytes}
            if n_received and other != self.rank:
                counts[other, self.rank] = {"n_messages": n_received, "n_bytes": n_received_bytes}
        return counts

    def failed(self, error: BaseException, others: Sequence[BaseException] = ()) -> None:
        """End the job because of an error on this rank, after telling it; return only under ``on_failure="raise"``.

        An error may have come from another rank. If a task of this rank has failed by itself, that is told first: it may be the reason of all.
        Else the other rank, which knows more, gets a moment to end the job.
        """
        if isinstance(error, SystemExit) and not error.code:
            return
        if not self.aborts:
            if self.layer is not None:
                self.layer.fail(1, _job.summary(error))
            return
        own = [other for other in others if not _job.is_from_elsewhere(other)]
        for other in own[:3]:
            _job.show(type(other), other, other.__traceback__)
        if not own:
            _job.leave_to_others(error)
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            _job.show(type(error), error, error.__traceback__)
        _job.abort(self.comm, self.layer, error)


def _card(comm: MPI.Comm, parla: runtime.Parla) -> str:
    """Say who runs where. Collective."""
    rows = comm.allgather((socket.gethostname(), parla.stats()["tasks"]["n_workers"], tuple(map(repr, parla.devices))))
    nodes = Counter(row[0] for row in rows)
    text = f"{comm.size} rank{'s' * (comm.size > 1)} on {len(nodes)} node{'s' * (len(nodes) > 1)}"
    if len({row[1:] for row in rows}) == 1:
        return f"{text}, {'each ' * (comm.size > 1)}with {_resources(*rows[0][1:])}"
    return "; ".join([text, *(f"rank {i} on {row[0]} with {_resources(*row[1:])}" for i, row in enumerate(rows))])


def _resources(n_workers: int, devices: tuple[str, ...]) -> str:
    return f"{n_workers} worker{'s' * (n_workers > 1)} and {', '.join(devices)}"


# --- Use ---


def init(comm: MPI.Comm | None = None, *, on_failure: str | None = None, share: bool = True, transport: str | None = None) -> None:
    """Join the active runtime, and each that starts later, to the ranks of a communicator. Collective over it, as each start is then.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        Default: MPI.COMM_WORLD.
    on_failure : {"abort", "raise"}, optional
        What happens when an exception leaves a `with Parla` block or the program on this rank. "abort" prints its traceback and ends all
        ranks, which would else wait for this one for ever; "raise" leaves the end to the program. Default: "abort" if there are several ranks.
    share : bool
        Share out the cores of each node among its ranks before a runtime starts: sets the number of workers where neither the program nor
        PARLA_WORKERS does, and this process's CPU affinity while the runtime is active.
    transport : {"ucx", "mpi"}, optional
        How arrays travel between ranks, see `transport`. Default: PARLA_TRANSPORT, else UCX where every rank can use it.
    """
    comm = MPI.COMM_WORLD if comm is None else comm
    if on_failure not in (None, "abort", "raise"):
        raise ValueError(f"init(on_failure=): expected 'abort' or 'raise', not {on_failure!r}")
    on_failure = on_failure or ("abort" if comm.size > 1 else "raise")
    present = runtime.companion()
    if isinstance(present, _Ranks) and present.layer is not None and not present.is_implicit:
        if present.comm == comm:
            return
        raise _parla.StateError("parla.mpi.init(): the active runtime is joined to another communicator; leave its `with` block first")
    ranks = _Ranks(comm, on_failure, share, transport)
    active = runtime.current()
    if active is not None:
        if present is not None:
            present.stopping()
            present.stopped()
        ranks.started(active)
    runtime.set_companion(ranks)
    _job.watch()


def card() -> str:
    """Return one line on the ranks, their cores and devices; "" before a runtime was joined."""
    companion = runtime.companion()
    return companion.card if isinstance(companion, _Ranks) else ""


def transport() -> object:
    """Return a capsule "parla_transport" with the transport between the ranks (parla/transport.h), for other extensions.

    It belongs to the active runtime, which progresses it, and is valid until the end of its `with` block. Nobody else closes it.
    """
    companion = runtime.companion()
    opened = companion.transport if isinstance(companion, _Ranks) else None
    if opened is None or companion.layer is None:
        raise _parla.StateError("parla.mpi.transport(): needs a runtime that is joined to ranks: `with Parla(mpi=True):`")
    return opened.__parla_transport__()


def _layer() -> _mpi.Layer:
    """Return what requests are handed to. A runtime that was not joined by `init` is joined to this rank alone."""
    active = runtime.current()
    if active is None:
        raise _parla.StateError("parla.mpi needs an active runtime: use it inside `with parla.Parla():`")
    companion = runtime.companion()
    if not isinstance(companion, _Ranks):
        companion = _Ranks(MPI.COMM_SELF, "raise", share=False, is_implicit=True)
        companion.started(active)
        runtime.set_companion(companion)
    if companion.layer is None:
        raise _parla.StateError("parla.mpi: the runtime is stopping")
    return companion.layer


# Requests own the buffers of their messages. They are kept until they have completed: what was given up is kept for ever, since MPI may still
# write to it.
_kept: list[tuple[Task, object]] = []
_kept_limit = 64


def _keep(task: Task, owner: object) -> None:
    global _kept_limit
    _kept.append((task, owner))
    if len(_kept) > _kept_limit:
        _forget_completed()
        _kept_limit = max(64, 2 * len(_kept))


def _forget_completed() -> None:
    _kept[:] = [entry for entry in _kept if entry[0].state not in ("done", "failed")]


def _is_pickled(request: MPI.Request) -> bool:
    """Tell a request that may own a pickled message, which its own wait() unpickles: that of a lower-case irecv.

    mpi4py does not say so; but what a request keeps alive does: the description of a user's buffers (_p_msg…) or the bytes of a message that is
    sent mean that there is nothing to unpickle.
    """
    kept = gc.get_referents(request)
    return not all(item is None or isinstance(item, (bytes, type)) or type(item).__name__.startswith("_p_msg") for item in kept)


class Pending:
    """MPI requests under way: awaitable, and usable wherever a dependency is. Made by `request`."""

    __slots__ = ("_is_single", "_pickled", "_requests", "_results", "_statuses", "_taken", "_tasks")

    def __init__(self, requests: list[MPI.Request], statuses: list[MPI.Status | None], is_single: bool) -> None:
        self._requests = requests
        self._statuses = statuses
        self._is_single = is_single
        self._results: list | None = None
        self._pickled = [_is_pickled(request) for request in requests]
        layer = _layer()
        self._tasks = ()
        self._taken = None
        taken = [request for request, is_pickled in zip(requests, self._pickled) if not is_pickled]
        looked_at = [request for request, is_pickled in zip(requests, self._pickled) if is_pickled]
        if taken or not looked_at:
            # A persistent request stays its owner's, to be started again.
            keeps = tuple(isinstance(request, MPI.Prequest) for request in taken)
            event, self._taken = layer.take(tuple(map(MPI._addressof, taken)), keeps)
            self._adopt(event, (taken, self._taken))
        if looked_at:
            self._adopt(layer.peek(tuple(map(MPI._addressof, looked_at))), looked_at)

    def _adopt(self, event: object, owner: object) -> None:
        task = _parla.adopt(event, "MPI request" if self._is_single else "MPI requests")
        _keep(task, owner)
        self._tasks += (task,)

    def _finish(self) -> object:
        """Return the messages of pickled receives, None for other requests."""
        if self._results is None:
            self._results = []
            i_taken = 0
            for request, status, is_pickled in zip(self._requests, self._statuses, self._pickled):
                if is_pickled:
                    self._results.append(request.wait(status))
                    continue
                if status is not None:
                    _mpi.Layer.read_status(self._taken, i_taken, MPI._addressof(status))
                i_taken += 1
                self._results.append(None)
        return self._results[0] if self._is_single else list(self._results)

    @property
    def done(self) -> bool:
        """Have all requests completed, or failed?"""
        return all(task.state in ("done", "failed", "cancelled") for task in self._tasks)

    def wait(self, timeout: float | None = None) -> object:
        """Block until all have completed and return as `await` does. `timeout` is in seconds (TaskTimeout)."""
        tasks._wait(self._tasks, timeout)
        return self._finish()

    def __await__(self) -> Generator:
        yield from _parla.await_tasks(self._tasks)
        return self._finish()

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def __repr__(self) -> str:
        return f"<Pending: {len(self._requests)} MPI request{'s' * (len(self._requests) != 1)}{', done' * self.done}>"


def request(requests: MPI.Request | Iterable[MPI.Request], status: MPI.Status | list[MPI.Status] | None = None) -> Pending:
    """Hand MPI requests to the runtime, which tests them between tasks; does not block.

    Awaiting the result, in a task or under asyncio, gives the message of a lower-case `irecv`, None for any other request, and a list of
    these for several requests. A request that fails raises TransportError with MPI's words. The requests must not be used elsewhere
    afterwards; persistent ones may be started again once they have completed. Keep the buffers of collectives until then: mpi4py keeps only
    those of messages.

    Parameters
    ----------
    requests : mpi4py.MPI.Request or an iterable of them
        Of Isend, Irecv, isend, irecv, non-blocking collectives, started persistent requests.
    status : MPI.Status or a list of them, optional
        Filled when the requests have completed.
    """
    is_single = isinstance(requests, MPI.Request)
    listed = [requests] if is_single else list(requests)
    for item in listed:
        if not isinstance(item, MPI.Request):
            raise TypeError(f"parla.mpi.request: expected requests of mpi4py, not {item!r}")
    statuses = [status] if is_single or status is None else list(status)
    if status is None:
        statuses = [None] * len(listed)
    if len(statuses) != len(listed):
        raise ValueError(f"parla.mpi.request: {len(statuses)} statuses for {len(listed)} requests")
    return Pending(listed, statuses, is_single)


def wait(
    requests: MPI.Request | Iterable[MPI.Request], status: MPI.Status | list[MPI.Status] | None = None, timeout: float | None = None
) -> object:
    """Block until requests have completed, and return what awaiting them would. Other tasks go on meanwhile; in an `async def` task await."""
    return request(requests, status).wait(timeout)


if MPI.Is_initialized() and MPI.COMM_WORLD.size > 1:
    _job.watch()
