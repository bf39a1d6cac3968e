"""Runs synthetic task graphs and checks how they ran."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .. import array as parray
from .._parla import sleep_gil, sleep_nogil, spawn
from ..devices import cpu, gpu
from ..tasks import Tasks, TaskSpace
from . import graphs
from .graphs import DataInfo, DeviceType, TaskConfig, TaskID, TaskInfo
from .threads import Propagate

__all__ = [
    "GraphContext",
    "RunRecord",
    "run",
    "timeout",
    "verify_complete",
    "verify_dependencies",
    "verify_ntasks",
    "verify_order",
    "verify_states",
    "verify_time",
]


@dataclass
class RunRecord:
    """How a graph ran: begin and end of each body in seconds, the state of each task afterwards, and the time of the whole."""

    begins: dict[TaskID, float] = field(default_factory=dict)
    ends: dict[TaskID, float] = field(default_factory=dict)
    states: dict[TaskID, str] = field(default_factory=dict)
    seconds: float = 0.0


def timeout(seconds: float) -> Callable[[Callable], Callable]:
    """Decorate a function so that it runs on a thread of its own and TimeoutError is raised when that takes too long."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def limited(*args: object, **kwargs: object) -> object:
            thread = Propagate(target=function, args=args, kwargs=kwargs, daemon=True)
            thread.start()
            value = thread.join(seconds)
            if thread.is_alive():
                raise TimeoutError(f"{function.__name__}() takes longer than {seconds} s")
            return value

        return limited

    return decorate


def _placement(device: int, cost: TaskConfig) -> object:
    needs = {"vcus": cost.device_fraction, "memory": cost.memory}
    if device == DeviceType.CPU_DEVICE:
        return cpu[needs]
    return gpu[needs] if device == DeviceType.ANY_GPU_DEVICE else gpu(device - DeviceType.USER_CHOSEN_DEVICE)[needs]


def _work(cost: TaskConfig) -> None:
    for _ in range(cost.gil_accesses):
        part_us = cost.task_time / cost.gil_accesses
        sleep_nogil(part_us * (1 - cost.gil_fraction))
        sleep_gil(part_us * cost.gil_fraction)


def _cost_here(task: TaskInfo) -> TaskConfig:
    from ..context import get_current_devices

    device = get_current_devices()[0]
    if device.architecture is cpu:
        wanted = [DeviceType.CPU_DEVICE]
    else:
        wanted = [DeviceType.USER_CHOSEN_DEVICE + device.number, DeviceType.ANY_GPU_DEVICE]
    return next((task.task_runtime[key] for key in wanted if key in task.task_runtime), next(iter(task.task_runtime.values())))


def _spawn_one(task: TaskInfo, space: TaskSpace, arrays: dict[int, parray.PArray], record: RunRecord) -> None:
    def body() -> None:
        record.begins[task.task_id] = time.perf_counter()
        _work(_cost_here(task))
        record.ends[task.task_id] = time.perf_counter()

    data = task.data_dependencies
    spawn(
        space[task.task_id],
        [space[before] for before in task.task_dependencies],
        placement=[_placement(device, cost) for device, cost in task.task_runtime.items()],
        input=[arrays[i] for i in data.read if i in arrays],
        inout=[arrays[i] for i in data.readwrite if i in arrays],
        output=[arrays[i] for i in data.write if i in arrays],
    )(body)


def run(
    tasks: dict[TaskID, TaskInfo], data: dict[int, DataInfo] | None = None, *, timeout: float | None = None, name: str = "graph"
) -> RunRecord:
    """Run a graph on the active runtime: each body keeps a core busy for its time, on arrays of its data's size. Blocks.

    Raises the first failure of a task; TaskTimeout after `timeout` seconds.
    """
    record = RunRecord()
    arrays = {i: parray.array(bytearray(info.size), dtype="u1") for i, info in (data or {}).items() if info.size}
    space = TaskSpace(name)
    begin = time.perf_counter()
    for task in tasks.values():
        _spawn_one(task, space, arrays, record)
    Tasks(space).wait(timeout)
    record.seconds = time.perf_counter() - begin
    record.states = {task_id: space[task_id].state for task_id in tasks}
    return record


class GraphContext:
    """A graph in a file that exists for the time of a ``with`` block.

    Attributes
    ----------
    tmpfilepath : str
        The file, in a folder of its own unless `graph_path` names one.
    """

    def __init__(self, config: graphs.GraphConfig, name: str, graph_path: str | os.PathLike | None = None) -> None:
        generators = {
            graphs.IndependentConfig: graphs.generate_independent_graph,
            graphs.SerialConfig: graphs.generate_serial_graph,
            graphs.ReductionConfig: graphs.generate_reduction_graph,
            graphs.ReductionScatterConfig: graphs.generate_reduction_scatter_graph,
        }
        if type(config) not in generators:
            raise TypeError(f"GraphContext(config): expected one of the *Config classes, not {config!r}")
        self.config = config
        self.name = name
        self.tmpfilepath = None if graph_path is None else os.fspath(graph_path)
        self._text = generators[type(config)](config)
        self._stack = contextlib.ExitStack()
        self.data_config: dict[int, DataInfo] = {}
        self.graph: dict[TaskID, TaskInfo] = {}

    def __enter__(self) -> GraphContext:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        if self.tmpfilepath is None:
            self.tmpfilepath = os.path.join(folder, f"{self.name}.gph")
        with open(self.tmpfilepath, "w", encoding="utf-8") as file:
            file.write(self._text)
        self.data_config, self.graph = graphs.read_pgraph(self.tmpfilepath)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, timeout: float | None = None) -> RunRecord:
        """Run the graph on the active runtime."""
        return run(self.graph, self.data_config, timeout=timeout, name=self.name)


# --- Checks; each returns whether it holds ---


def _pairs(tasks: dict[TaskID, TaskInfo]) -> Iterator[tuple[TaskID, TaskID]]:
    for task in tasks.values():
        for before in task.task_dependencies:
            yield before, task.task_id


def verify_order(record: RunRecord, tasks: dict[TaskID, TaskInfo]) -> bool:
    """True if no body began before those that it depends on."""
    return all(record.begins[before] <= record.begins[after] for before, after in _pairs(tasks))


def verify_dependencies(record: RunRecord, tasks: dict[TaskID, TaskInfo]) -> bool:
    """True if every body began after the end of those that it depends on."""
    return all(record.ends[before] <= record.begins[after] for before, after in _pairs(tasks))


def verify_complete(record: RunRecord, tasks: dict[TaskID, TaskInfo]) -> bool:
    """True if every body ran to its end."""
    return set(record.ends) == set(tasks)


def verify_ntasks(record: RunRecord, tasks: dict[TaskID, TaskInfo]) -> bool:
    """True if as many bodies began as there are tasks."""
    return len(record.begins) == len(tasks)


def verify_states(record: RunRecord) -> bool:
    """True if all tasks are done."""
    return all(state == "done" for state in record.states.values())


def verify_time(record: RunRecord, tasks: dict[TaskID, TaskInfo]) -> bool:
    """True if every body took at least the shortest time that the graph says."""
    return all(
        record.ends[task_id] - record.begins[task_id] >= min(cost.task_time for cost in task.task_runtime.values()) * 1e-6 * 0.999
        for task_id, task in tasks.items()
    )
