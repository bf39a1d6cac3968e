"""Synthetic task graphs and their files (`.gph`).

A file has one line for the data, then one for each task::

    {1024 : 0}, {1024 : 1}
    (0, 3) | { 1 : 5000, 1.0, 1, 0.1, 0 }, { 3 : 4000, 0.5, 1, 0, 0 } | (0, 1) : (0, 2) | 0 : 1 : 2

The first line names size in bytes and first device of each datum (``-1``: the CPU). A task has its number or tuple of numbers; for each
device that it may run on ``{ device : time in us, share, GIL accesses, fraction of the time with the GIL, bytes }``; the tasks that it
depends on; and the data that it reads, changes and overwrites, by position in the first line. Devices are numbered as in `DeviceType`.
"""

from __future__ import annotations

import enum
import os
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

__all__ = [
    "DataInfo",
    "DeviceType",
    "GraphConfig",
    "IndependentConfig",
    "ReductionConfig",
    "ReductionScatterConfig",
    "SerialConfig",
    "TaskConfig",
    "TaskConfigs",
    "TaskDataInfo",
    "TaskInfo",
    "generate_independent_graph",
    "generate_reduction_graph",
    "generate_reduction_scatter_graph",
    "generate_serial_graph",
    "parse_blog",
    "read_pgraph",
    "shuffle_tasks",
]


class DeviceType(enum.IntEnum):
    """Where a task may run; numbers from USER_CHOSEN_DEVICE on are GPU 0, 1, …."""

    CPU_DEVICE = 0
    ANY_GPU_DEVICE = 1
    USER_CHOSEN_DEVICE = 2


@dataclass(frozen=True)
class TaskConfig:
    """What one task costs on one device: time in µs, share of the device, GIL accesses, fraction of the time with the GIL, bytes."""

    task_time: float = 1000
    device_fraction: float = 1
    gil_accesses: int = 1
    gil_fraction: float = 0
    memory: int = 0


@dataclass
class TaskConfigs:
    """What one task costs on each device that it may run on."""

    configurations: dict[int, TaskConfig] = field(default_factory=dict)

    def add(self, device: int, config: TaskConfig) -> None:
        """Set the cost on one device."""
        self.configurations[int(device)] = config


def _one_cpu() -> TaskConfigs:
    return TaskConfigs({int(DeviceType.CPU_DEVICE): TaskConfig()})


@dataclass
class GraphConfig:
    """What all graphs have: cost of a task, GPUs to spread over if `fixed_placement`, bytes of each datum (0: no data)."""

    task_config: TaskConfigs = field(default_factory=_one_cpu)
    fixed_placement: bool = False
    num_gpus: int = 1
    data_bytes: int = 0


@dataclass
class IndependentConfig(GraphConfig):
    """`task_count` tasks without dependencies."""

    task_count: int = 1


@dataclass
class SerialConfig(GraphConfig):
    """`chains` chains of `steps` tasks; each depends on the `dependency_count` before it."""

    steps: int = 1
    chains: int = 1
    dependency_count: int = 1


@dataclass
class ReductionConfig(GraphConfig):
    """A tree of `levels` levels above its leaves; each inner task depends on `branch_factor` others."""

    levels: int = 1
    branch_factor: int = 2


@dataclass
class ReductionScatterConfig(GraphConfig):
    """`levels` rows of `task_count` tasks; between two rows stands one task that depends on the first and on which the second depends."""

    levels: int = 2
    task_count: int = 1


TaskID = tuple[int, ...]


@dataclass(frozen=True)
class DataInfo:
    """One datum: its position, bytes, and first device (-1: the CPU)."""

    idx: int
    size: int
    location: int = -1


@dataclass(frozen=True)
class TaskDataInfo:
    """Positions of the data that a task reads, changes, and overwrites."""

    read: tuple[int, ...] = ()
    readwrite: tuple[int, ...] = ()
    write: tuple[int, ...] = ()


@dataclass(frozen=True)
class TaskInfo:
    """One task of a graph."""

    task_id: TaskID
    task_runtime: dict[int, TaskConfig]
    task_dependencies: tuple[TaskID, ...]
    data_dependencies: TaskDataInfo = TaskDataInfo()


# --- Reading ---

_ID = re.compile(r"\(([^()]*)\)|(\d+)")
_BRACED = re.compile(r"\{([^{}]*)\}|\(([^()]*)\)")


def _read_ids(text: str) -> tuple[TaskID, ...]:
    return tuple(
        tuple(int(part) for part in (inside or alone).split(",") if part.strip()) for inside, alone in _ID.findall(text)
    )


def _read_data(line: str) -> dict[int, DataInfo]:
    data = {}
    for idx, found in enumerate(_BRACED.findall(line)):
        size, _, location = (found[0] or found[1]).replace(",", ":").partition(":")
        data[idx] = DataInfo(idx, int(size), int(location or -1))
    return data


def _read_runtimes(text: str) -> dict[int, TaskConfig]:
    runtimes = {}
    for inside, _ in _BRACED.findall(text):
        device, _, numbers = inside.partition(":")
        time, share, accesses, fraction, memory = (float(number) for number in numbers.split(","))
        runtimes[int(device)] = TaskConfig(time, share, int(accesses), fraction, int(memory))
    if not runtimes:
        raise ValueError("no device with its time")
    return runtimes


def _read_task(line: str) -> TaskInfo:
    parts = [part.strip() for part in line.split("|")] + [""] * 4
    ids = _read_ids(parts[0])
    if len(ids) != 1:
        raise ValueError(f"expected one task, found {parts[0]!r}")
    modes = [tuple(int(number) for number in part.split(",") if number.strip()) for part in parts[3].split(":")] + [()] * 3
    return TaskInfo(ids[0], _read_runtimes(parts[1]), _read_ids(parts[2]), TaskDataInfo(*modes[:3]))


def read_pgraph(filename: str | os.PathLike) -> tuple[dict[int, DataInfo], dict[TaskID, TaskInfo]]:
    """Read a graph file; return its data by position and its tasks by number, in the order of the file.

    Raises ValueError with the line that cannot be read, names twice or depends on a task that is not there.
    """
    with open(filename, encoding="utf-8") as file:
        lines = file.read().splitlines()
    data = _read_data(lines[0]) if lines else {}
    tasks: dict[TaskID, TaskInfo] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            task = _read_task(line)
        except ValueError as error:
            raise ValueError(f"{os.fspath(filename)}, line {number}: {error}") from None
        if task.task_id in tasks:
            raise ValueError(f"{os.fspath(filename)}, line {number}: task {task.task_id} is there twice")
        tasks[task.task_id] = task
    for task in tasks.values():
        for before in task.task_dependencies:
            if before not in tasks:
                raise ValueError(f"{os.fspath(filename)}: task {task.task_id} depends on {before}, which is not there")
    return data, tasks


def shuffle_tasks(tasks: dict[TaskID, TaskInfo], seed: int | None = None) -> dict[TaskID, TaskInfo]:
    """Return the same tasks in random order: a graph may be spawned in any."""
    items = list(tasks.items())
    random.Random(seed).shuffle(items)
    return dict(items)


# --- Writing ---


def _data_line(config: GraphConfig, count: int) -> str:
    return ", ".join(f"{{{config.data_bytes} : -1}}" for _ in range(count if config.data_bytes else 0))


def _costs(config: GraphConfig, position: int) -> str:
    costs = []
    for device, cost in config.task_config.configurations.items():
        if config.fixed_placement:
            device = DeviceType.USER_CHOSEN_DEVICE + position % config.num_gpus
        numbers = f"{cost.task_time}, {cost.device_fraction}, {cost.gil_accesses}, {cost.gil_fraction}, {cost.memory}"
        costs.append(f"{{ {int(device)} : {numbers} }}")
    return ", ".join(costs)


def _task_line(
    config: GraphConfig, task: TaskID, position: int, before: Iterable[TaskID], read: Iterable[int] = (), changed: Iterable[int] = ()
) -> str:
    dependencies = " : ".join(str(each) for each in before)
    modes = "" if not config.data_bytes else f"{', '.join(map(str, read))} : {', '.join(map(str, changed))} : "
    return f"{task} | {_costs(config, position)} | {dependencies} | {modes}"


def _file(head: str, lines: Iterator[str]) -> str:
    return "\n".join([head, *lines]) + "\n"


def generate_independent_graph(config: IndependentConfig) -> str:
    """Return the file of a graph without dependencies; task i reads datum i."""
    lines = (_task_line(config, (i,), i, (), [i]) for i in range(config.task_count))
    return _file(_data_line(config, config.task_count), lines)


def generate_serial_graph(config: SerialConfig) -> str:
    """Return the file of one or more chains; the tasks of a chain change its datum in turn."""

    def lines() -> Iterator[str]:
        for step in range(config.steps):
            for chain in range(config.chains):
                before = [(step - k, chain) for k in range(1, config.dependency_count + 1) if step >= k]
                yield _task_line(config, (step, chain), chain, before, (), [chain])

    return _file(_data_line(config, config.chains), lines())


def generate_reduction_graph(config: ReductionConfig) -> str:
    """Return the file of a reduction tree, leaves first; task (level, i) reads what its branches have changed."""
    branch = config.branch_factor

    def lines() -> Iterator[str]:
        for level in range(config.levels, -1, -1):
            stride = branch ** (config.levels - level)
            for i in range(branch**level):
                is_leaf = level == config.levels
                before = [] if is_leaf else [(level + 1, i * branch + k) for k in range(branch)]
                read = [] if is_leaf else [(i * branch + k) * (stride // branch) for k in range(1, branch)]
                yield _task_line(config, (level, i), i, before, read, [i * stride])

    return _file(_data_line(config, branch**config.levels), lines())


def generate_reduction_scatter_graph(config: ReductionScatterConfig) -> str:
    """Return the file of rows of tasks with one task between each two rows: (2 * row, i) and (2 * row + 1, 0)."""
    width = config.task_count

    def lines() -> Iterator[str]:
        for row in range(config.levels):
            bridge = [(2 * row - 1, 0)] if row else []
            for i in range(width):
                yield _task_line(config, (2 * row, i), i, bridge, (), [i])
            if row + 1 < config.levels:
                yield _task_line(config, (2 * row + 1, 0), 0, [(2 * row, i) for i in range(width)], range(1, width), [0])

    return _file(_data_line(config, width), lines())


def parse_blog(filename: str | os.PathLike = "parla.blog") -> None:
    """Raise NotImplementedError: the published binary log is not written here."""
    raise NotImplementedError(f"parse_blog({os.fspath(filename)!r}): no binary log is written; record a trace with Parla(trace=FILE)")
