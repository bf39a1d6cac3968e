"""Tasks over ranks: the stream of collective calls of a runtime that is joined to other ranks.

Every rank runs the same program and makes the same calls in the same order: it makes arrays, assigns, and spawns tasks on blocks. Each task
runs at one rank, the owner of the block that it writes; blocks that it reads from other ranks are sent by their owners, once for each time
that they were written. The work is done in C (crosspy/flow.h); this module connects it to spawn and to blocks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextvars import copy_context
from typing import NamedTuple

from parla import StateError, _parla, devices
from parla import runtime as parla_runtime
from parla.array import PArray, is_array

from . import _crosspy
from .block import Block, copies
from .place import Place

_MODES = (_parla.IN, _parla.OUT, _parla.INOUT)
_OWNER = -1


def ranks() -> tuple[int, int]:
    """Return this rank and the number of ranks that the program's runtimes are joined to: (0, 1) in a single process."""
    companion = parla_runtime.companion()
    return getattr(companion, "rank", 0), getattr(companion, "n_ranks", 1)


class _Use(NamedTuple):
    """A block of an array over several ranks in one argument of spawn."""

    i_list: int
    i_item: int
    block: Block


def _items(argument: object) -> list:
    """Return the arrays in one argument of spawn as a list (see parla.array)."""
    if argument is None:
        return []
    is_pair = isinstance(argument, tuple) and len(argument) == 2 and isinstance(argument[1], int)
    return [argument] if is_array(argument) or is_pair else list(argument)


def _array_of(item: object) -> object:
    return item[0] if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], int) else item


def _find_ranks(placement: object) -> Iterator[int]:
    """Yield the ranks that a placement names."""
    if hasattr(placement, "__parla_rank__"):
        rank = placement.__parla_rank__()
        if rank is not None:
            yield rank
    elif isinstance(placement, (list, tuple, set, frozenset)):
        for item in placement:
            yield from _find_ranks(item)


class Flow:
    """The stream of one runtime. It is what `Parla.attach` keeps."""

    def __init__(self, parla: parla_runtime.Parla, transport: object) -> None:
        self.core = _crosspy.Flow(parla.__parla_runtime__(), transport)
        _parla.set_flow(self.take_turn)

    # --- Life of the runtime ---

    def finishing(self) -> None:
        """The program has left the `with` block in order: see that all ranks have, after the same calls."""
        companion = parla_runtime.companion()
        if companion is not None and companion.aborts:
            self.meet()

    def stopping(self) -> None:
        """The runtime is about to leave the other ranks."""
        _parla.set_flow(None)
        self.core.close()

    # --- Spawns ---

    def take_turn(self, placement: object, input: object, output: object, inout: object) -> object:
        """Look at one spawn: what python/src/spawn.c calls."""
        lists = [_items(input), _items(output), _items(inout)]
        uses = [
            _Use(i_list, i_item, block)
            for i_list, items in enumerate(lists)
            for i_item, block in enumerate(map(_array_of, items))
            if isinstance(block, Block) and block.tracked is not None
        ]
        named = set(_find_ranks(placement))
        if not uses and not named:
            return None
        if _parla.current_task() is not None:
            raise StateError(
                "spawn: a task that names blocks of an array over several ranks, or a rank, is spawned by all ranks alike, and so never "
                "from the body of another task; for a task of this rank alone name block.data"
            )
        if len(named) > 1:
            raise ValueError(f"placement: a task runs at one rank, not at one of {sorted(named)}")
        rows = [(block.tracked, block.index, _MODES[i_list]) for i_list, _, block in uses]
        rank, data = self.core.begin(named.pop() if named else _OWNER, rows)
        if data is None:
            return rank
        return self._prepare(placement, lists, uses, rows, data)

    def _prepare(self, placement: object, lists: list[list], uses: list[_Use], rows: list[tuple], data: list) -> tuple:
        """Put copies in place of other ranks' blocks, for the library and for the body."""
        found = {}
        for use, capsule in zip(uses, data):
            block = use.block
            if block.data is not None:
                continue
            if block not in found:
                shape = tuple(map(range, block.extent))
                found[block] = PArray(_parla.Data.over(capsule), block.dtype, shape, f"block {block.coordinates} of rank {block.rank}")
            item = lists[use.i_list][use.i_item]
            lists[use.i_list][use.i_item] = (found[block], item[1]) if isinstance(item, tuple) else found[block]
        context = copy_context()
        if found:
            context.run(copies.set, found)
        writes_elsewhere = any(use.block.data is None and use.i_list > 0 for use in uses)
        return (placement, *lists, context, functools.partial(self.core.end, rows) if writes_elsewhere else None)

    # --- Meetings ---

    def meet(self, record: bytes = b"") -> list[bytes]:
        """Exchange small records with all ranks, and check that all have made the same calls."""
        return self.core.meet(record)


def current() -> Flow | None:
    """Return the stream of the active runtime; None where there are no other ranks."""
    active, companion = parla_runtime.current(), parla_runtime.companion()
    transport = getattr(companion, "transport", None)
    if active is None or transport is None or companion.n_ranks == 1:
        return None
    flow = active.attached(Flow)
    if flow is None:
        flow = Flow(active, transport.__parla_transport__())
        active.attach(flow)
    return flow


def meet(record: bytes = b"") -> list[bytes]:
    """Exchange records of at most 64 bytes with all ranks: one for each, padded with zeros. Collective; blocks."""
    flow = current()
    if flow is not None:
        return flow.meet(record)
    if ranks()[1] > 1:
        raise StateError("several ranks meet only while a runtime is active: use `with parla.Parla(mpi=True):`")
    return [record.ljust(64, b"\0")]


def sync() -> None:
    """Wait until all ranks are here, and check that they have made the same collective calls so far. Collective; blocks.

    Raises StateError at every rank, naming those that differ, if they have not. Does not wait for tasks.
    """
    if ranks()[1] > 1:
        meet()


def traffic() -> dict[str, int]:
    """Return what the collective calls so far make this rank send and receive: every block once for each version and reading rank.

    Keys: rank, n_ranks, n_calls, n_spawned, n_foreign, n_sent, n_sent_bytes, n_received, n_received_bytes, hash; all counts are 0 where
    there are no other ranks. What has really moved is in ``Parla.stats()["ranks"]``.
    """
    flow = current()
    if flow is not None:
        return flow.core.info()
    names = ("n_calls", "n_spawned", "n_foreign", "n_sent", "n_sent_bytes", "n_received", "n_received_bytes", "hash")
    rank, n_ranks = ranks()
    return {"rank": rank, "n_ranks": n_ranks, **dict.fromkeys(names, 0)}


def places(architecture: devices.Architecture) -> list[Place]:
    """Return the devices of one architecture at all ranks, rank by rank: ``xp.places(gpu)``. Collective; needs an active runtime."""
    numbers = [device.number for device in architecture]
    counts = [int.from_bytes(record[:4], "little") for record in meet(len(numbers).to_bytes(4, "little"))]
    return [Place(rank, architecture.code, number) for rank, count in enumerate(counts) for number in range(count)]
