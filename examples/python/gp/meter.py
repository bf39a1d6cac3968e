"""Times the phases of the computation and counts what each makes the devices, the links between them and the ranks do."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass, replace

import crosspy as xp
from parla import TaskSpace, TaskTimeout
from tqdm import tqdm

REFRESH_SECONDS = 0.1


@dataclass(frozen=True)
class Phase:
    """One phase: its duration, tasks ended on each device, bytes copied over each (source, destination) pair of devices, bytes sent by
    each (source, destination) pair of ranks, how many of those the plans and the stream of tasks need, how many bytes went from one device
    to another, and how many the places of the tasks ask for."""

    name: str
    seconds: float
    tasks: dict[str, int]
    moved: dict[tuple[str, str], int]
    sent: dict[tuple[str, str], int]
    needed: int
    crossed: int
    least: int


class Meter:
    """Measures the phases that run inside `with meter.phase(name) as tasks:`, and shows their progress on a terminal."""

    def __init__(self, runtime, ranks, show_progress):
        """Measure `runtime`; show a progress bar on standard error if asked to and if that is a terminal."""
        self.phases = []
        self._runtime = runtime
        self._rank = ranks.rank
        self._prefix = f"{ranks.rank}:" if ranks.size > 1 else ""
        self._disable = None if show_progress and ranks.is_first else True

    @contextlib.contextmanager
    def phase(self, name):
        """Give a task space for the tasks of a phase; the phase ends when all tasks of all ranks have ended.

        Raises the first failure among the tasks in the space.
        """
        before, start = self._snapshot(), time.perf_counter()
        with self._runtime.phase(name):
            tasks = TaskSpace(name)
            yield tasks
            self._wait(name, before["tasks"])
            tasks.wait()
            xp.sync()
        seconds, after = time.perf_counter() - start, self._snapshot()
        found = {key: _difference(before[key], after[key]) for key in ("ended", "moved", "sent")}
        sums = [after[key] - before[key] for key in ("needed", "crossed", "least")]
        self.phases.append(Phase(name, seconds, *found.values(), *sums))

    def _snapshot(self):
        """Return the counters of this rank by the names of its devices, links and receivers."""
        stats, receipt, name = self._runtime.stats(), self._runtime.receipt(), self._prefix.__add__
        return {
            "tasks": stats["tasks"],
            "ended": {name(device): found["n_tasks"] for device, found in stats["devices"].items()},
            "moved": {(name(a), name(b)): found["n_bytes"] for (a, b), found in stats["links"].items()},
            "sent": {(f"rank {a}", f"rank {b}"): found["n_bytes"] for (a, b), found in stats["ranks"].items() if a == self._rank},
            "needed": xp.traffic()["n_sent_bytes"],
            "crossed": receipt["bytes"],
            "least": receipt["least_bytes"],
        }

    def _wait(self, name, before):
        """Wait for all tasks, moving a progress bar meanwhile."""
        with tqdm(desc=name, unit=" tasks", leave=False, disable=self._disable) as bar:
            while not self._all_ended():
                counts = self._runtime.stats()["tasks"]
                bar.total = counts["n_spawned"] - before["n_spawned"]
                bar.n = counts["n_ended"] - before["n_ended"]
                bar.refresh()

    def _all_ended(self):
        try:
            self._runtime.wait(REFRESH_SECONDS)
        except TaskTimeout:
            return False
        return True


def merged(phases):
    """Return one phase for each name, in order of first appearance, with the median time and the counts of the last."""
    last = {phase.name: phase for phase in phases}
    return [
        replace(phase, seconds=statistics.median(other.seconds for other in phases if other.name == phase.name))
        for phase in last.values()
    ]


def joined(phases_of_ranks):
    """Return the phases of all ranks as one list: the longest time, and the counts of all."""
    return [
        Phase(
            name=parts[0].name,
            seconds=max(part.seconds for part in parts),
            tasks={name: count for part in parts for name, count in part.tasks.items()},
            moved={link: count for part in parts for link, count in part.moved.items()},
            sent={pair: count for part in parts for pair, count in part.sent.items()},
            needed=sum(part.needed for part in parts),
            crossed=sum(part.crossed for part in parts),
            least=sum(part.least for part in parts),
        )
        for parts in zip(*phases_of_ranks, strict=True)
    ]


def _difference(before, after):
    """Return how much each counter has grown; those that have not are left out."""
    return {key: count - before.get(key, 0) for key, count in after.items() if count > before.get(key, 0)}
