"""Times the phases of the computation and counts what each makes the devices and the links between them do."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass, replace

from parla import TaskSpace, TaskTimeout
from tqdm import tqdm

REFRESH_SECONDS = 0.1


@dataclass(frozen=True)
class Phase:
    """One phase: its duration, tasks ended on each device, bytes copied over each (source, destination) pair of devices."""

    name: str
    seconds: float
    tasks: dict[str, int]
    moved: dict[tuple[str, str], int]


class Meter:
    """Measures the phases that run inside `with meter.phase(name) as tasks:`, and shows their progress on a terminal."""

    def __init__(self, runtime, show_progress):
        """Measure `runtime`; show a progress bar on standard error if asked to and if that is a terminal."""
        self.phases = []
        self._runtime = runtime
        self._disable = None if show_progress else True

    @contextlib.contextmanager
    def phase(self, name):
        """Give a task space for the tasks of a phase; the phase ends when all tasks have ended.

        Raises the first failure among the tasks in the space.
        """
        before, start = self._runtime.stats(), time.perf_counter()
        with self._runtime.phase(name):
            tasks = TaskSpace(name)
            yield tasks
            self._wait(name, before["tasks"])
            tasks.wait()
        seconds, after = time.perf_counter() - start, self._runtime.stats()
        self.phases.append(Phase(name, seconds, _tasks(before, after), _moved(before, after)))

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


def _tasks(before, after):
    """Return the tasks that ended on each device between two snapshots."""
    counts = {name: device["n_tasks"] - before["devices"][name]["n_tasks"] for name, device in after["devices"].items()}
    return {name: count for name, count in counts.items() if count}


def _moved(before, after):
    """Return the bytes that were copied over each link between two snapshots."""
    none = {"n_bytes": 0}
    counts = {link: found["n_bytes"] - before["links"].get(link, none)["n_bytes"] for link, found in after["links"].items()}
    return {link: count for link, count in counts.items() if count}
