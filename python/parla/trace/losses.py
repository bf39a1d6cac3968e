"""Where the time of workers and devices went.

A *pool* is what can run tasks: the workers of a rank, or one device. At each moment its capacity is busy with tasks or free, and what is
free is put down to the first of these that holds, as much as there is of it:

scheduler
    tasks were ready: everything that they depend on had ended, and they had not begun.
memory
    arrays were written back from the device to make room there.
transfer
    copies to the pool were on their way.
mpi
    messages of other ranks were to come: a receive was posted (tasks over ranks; not the program's own requests).
waits
    tasks were suspended: they awaited MPI requests, events, or other tasks.
dependency
    none of these: no task could run before another ended, or none was spawned.
gil
    bodies in Python waited for the interpreter lock: this is taken from the busy time, not from the free.
start_end
    as before, but before the pool's first task or after its last.

The sum of all, busy time included, is capacity times duration. A task without predecessors counts as ready from its start on, since a trace
does not say when it was spawned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .recorded import COPY, MESSAGE, PHASE, TASK, Recorded

_EVICTION = "eviction of "  # in front of the names of copies that make room, from libparla/src/sched/move.c
_GIL = "wait for the GIL"  # the name of that phase, from python/src/callback.c

CAUSES = {
    "scheduler": "tasks were ready and had not begun",
    "memory": "arrays were written back to make room",
    "transfer": "copies were on their way",
    "mpi": "messages of other ranks were to come",
    "waits": "suspended tasks waited (MPI, events, tasks)",
    "gil": "bodies in Python waited for the interpreter lock",
    "dependency": "no task could begin",
    "start_end": "before the first task, after the last",
}


@dataclass(frozen=True)
class Pool:
    """Seconds of one pool: `capacity` times the trace's duration, as busy and lost time."""

    rank: int
    name: str
    capacity: int
    busy_s: float
    lost_s: dict[str, float]  # by CAUSES
    n_tasks: int


@dataclass(frozen=True)
class _Lines:
    """Lines of a pool, and the device whose copies concern it (None: all of the rank)."""

    rank: int
    name: str
    lines: list[int]
    capacity: int
    is_device: bool


def _pools(trace: Recorded) -> Iterator[_Lines]:
    for rank in trace.ranks:
        workers: list[int] = []
        devices: dict[str, list[int]] = {}
        for (of_rank, line), name in trace.lines.items():
            if of_rank != rank:
                continue
            if name.startswith("worker "):
                workers.append(line)
            elif " queue " in name:
                devices.setdefault(name.partition(" queue ")[0], []).append(line)
        if workers:
            n_workers = len({trace.lines[rank, line].partition(" (")[0] for line in workers})  # "worker 0 (2)" is a further line of one
            yield _Lines(rank, "workers", workers, n_workers, False)
        for name, lines in devices.items():
            yield _Lines(rank, name, lines, 1, True)


def task_spans(trace: Recorded) -> tuple[np.ndarray, np.ndarray]:
    """Return for each task when its first step began and when its last one ended, in microseconds; NaN for tasks without a span."""
    first, last = np.full(trace.n_nodes, np.inf), np.full(trace.n_nodes, -np.inf)
    steps = trace.node >= 0
    np.minimum.at(first, trace.node[steps], trace.t0_us[steps])
    np.maximum.at(last, trace.node[steps], trace.t1_us[steps])
    first[np.isinf(first)] = np.nan
    last[np.isinf(last)] = np.nan
    return first, last


def _ready_from(trace: Recorded, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return for each task when the last of its predecessors ended; its own start where there is none."""
    ready = np.full(trace.n_nodes, -np.inf)
    if len(trace.edges):
        ends = last[trace.edges[:, 0]]
        known = ~np.isnan(ends)
        np.maximum.at(ready, trace.edges[known, 1], ends[known])
    return np.where(np.isinf(ready), first, np.minimum(ready, first))


def _gaps(trace: Recorded) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return task, begin and end of each time between two steps of a task."""
    steps = np.flatnonzero(trace.node >= 0)
    steps = steps[np.lexsort((trace.t0_us[steps], trace.node[steps]))]
    before, after = steps[:-1], steps[1:]
    same = (trace.node[before] == trace.node[after]) & (trace.t1_us[before] < trace.t0_us[after])
    before, after = before[same], after[same]
    return trace.node[before], trace.t1_us[before], trace.t0_us[after]


def _union(line: np.ndarray, t0: np.ndarray, t1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the spans that no other span of their line lies around: a task that helps runs others inside of it."""
    order = np.lexsort((-t1, t0, line))
    line, t0, t1 = line[order], t0[order], t1[order]
    outer = np.ones(len(t0), dtype=bool)
    end = -np.inf
    for i in range(len(t0)):
        if i > 0 and line[i] != line[i - 1]:
            end = -np.inf
        outer[i] = t1[i] > end
        end = max(end, t1[i])
    return t0[outer], t1[outer]


def _levels(intervals: list[tuple[np.ndarray, np.ndarray]], begin: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how many of each kind of interval hold in each piece of time between two changes, and the pieces' lengths."""
    times = [np.array([begin, end])]
    for t0, t1 in intervals:
        times += [np.clip(t0, begin, end), np.clip(t1, begin, end)]
    marks = np.unique(np.concatenate(times))
    levels = np.zeros((len(intervals), len(marks)), dtype=np.int64)
    for level, (t0, t1) in zip(levels, intervals, strict=True):
        np.add.at(level, np.searchsorted(marks, np.clip(t0, begin, end)), 1)
        np.add.at(level, np.searchsorted(marks, np.clip(t1, begin, end)), -1)
    return np.cumsum(levels, axis=1)[:, :-1], np.diff(marks)


def _pool(trace: Recorded, lines: _Lines, ready: np.ndarray, first: np.ndarray, gaps: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Pool:
    begin, end = trace.t0_us.min(), trace.t1_us.max()
    here = (trace.rank == lines.rank) & np.isin(trace.line, lines.lines) & (trace.kind == TASK)
    nodes = np.unique(trace.node[here])
    nodes = nodes[nodes >= 0]
    copies = (trace.rank == lines.rank) & (trace.kind == COPY)
    if lines.is_device and here.any():
        copies &= trace.device == trace.device[here][0]
    evictions = np.array([name.startswith(_EVICTION) for name in trace.names], dtype=bool)[trace.name] & copies & lines.is_device
    copies &= ~evictions
    receives = np.array([name.startswith("receive ") for name in trace.names], dtype=bool)
    messages = (trace.rank == lines.rank) & (trace.kind == MESSAGE) & receives[trace.name]
    suspended = np.isin(gaps[0], nodes)
    locked = (trace.rank == lines.rank) & np.isin(trace.line, lines.lines) & (trace.kind == PHASE)
    locked &= np.array([name == _GIL for name in trace.names], dtype=bool)[trace.name]
    if lines.is_device:  # several queues of a device are one device
        key = np.zeros(here.sum(), dtype=np.int64)
    else:
        key = trace.line[here]
    busy_spans = _union(key, trace.t0_us[here], trace.t1_us[here])
    intervals = [
        busy_spans,
        (ready[nodes], first[nodes]),
        (trace.t0_us[evictions], trace.t1_us[evictions]),
        (trace.t0_us[copies], trace.t1_us[copies]),
        (trace.t0_us[messages], trace.t1_us[messages]),
        (gaps[1][suspended], gaps[2][suspended]),
        (trace.t0_us[locked], trace.t1_us[locked]),
    ]
    levels, lengths = _levels(intervals, begin, end)
    busy = np.minimum(levels[0], lines.capacity)
    free = lines.capacity - busy
    lost = {}
    for cause, there in zip(("scheduler", "memory", "transfer", "mpi", "waits"), levels[1:], strict=False):
        part = np.minimum(free, there)
        lost[cause] = float(part @ lengths) / 1e6
        free = free - part
    waiting = np.minimum(busy, levels[6])
    lost["gil"] = float(waiting @ lengths) / 1e6
    inside = np.zeros(len(lengths), dtype=bool)
    if busy.any():
        some = np.flatnonzero(busy)
        inside[some[0] : some[-1] + 1] = True
    lost["dependency"] = float((free * inside) @ lengths) / 1e6
    lost["start_end"] = float((free * ~inside) @ lengths) / 1e6
    return Pool(lines.rank, lines.name, lines.capacity, float((busy - waiting) @ lengths) / 1e6, lost, len(nodes))


def pools(trace: Recorded) -> list[Pool]:
    """Return the pools of all ranks: workers first, then devices."""
    first, last = task_spans(trace)
    ready, gaps = _ready_from(trace, first, last), _gaps(trace)
    return [_pool(trace, lines, ready, first, gaps) for lines in _pools(trace)]
