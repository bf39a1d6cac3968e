"""`parla.cython.tasks`: tasks, spaces, and the published names of states.

A state is the string that `Task.state` gives; ``isinstance(task.state, TaskCompleted)`` and ``task.state == TaskCompleted`` both work.
"""

from __future__ import annotations

from parla.context import Context, create_env
from parla.tasks import (
    AtomicTaskSpace,
    BackendTaskSpace,
    CompletedTaskSpace,
    Task,
    TaskCollection,
    TaskID,
    Tasks,
    TaskSpace,
    finish,
    get_current_context,
    get_current_devices,
    get_current_stream,
    get_current_task,
    spawn,
    wait,
)

ComputeTask = Task
TaskList = AtomicTaskList = TaskCollection
TaskEnvironment = CPUEnvironment = GPUEnvironment = TerminalEnvironment = Context


class _StateType(type):
    """A class whose instances are some of the strings that `Task.state` gives."""

    states: frozenset = frozenset()

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, str) and value in cls.states

    def __eq__(cls, other: object) -> bool:
        return cls.__instancecheck__(other) if isinstance(other, str) else cls is other

    def __hash__(cls) -> int:
        return id(cls)


def _state(name: str, *states: str) -> _StateType:
    return _StateType(name, (), {"states": frozenset(states), "__doc__": f"Tasks that are {' or '.join(states)}."})


TaskCreated = _state("TaskCreated", "created")
TaskSpawned = _state("TaskSpawned", "waiting")
TaskMapped = _state("TaskMapped", "ready")
TaskReserved = _state("TaskReserved", "reserved")
TaskReady = _state("TaskReady", "ready", "reserved")
TaskRunning = _state("TaskRunning", "running", "suspended")
TaskRunahead = _state("TaskRunahead", "launched")
TaskCompleted = _state("TaskCompleted", "done")
TaskException = _state("TaskException", "failed", "cancelled")

__all__ = [
    "AtomicTaskList",
    "AtomicTaskSpace",
    "BackendTaskSpace",
    "CPUEnvironment",
    "CompletedTaskSpace",
    "ComputeTask",
    "GPUEnvironment",
    "Task",
    "TaskCollection",
    "TaskCompleted",
    "TaskCreated",
    "TaskEnvironment",
    "TaskException",
    "TaskID",
    "TaskList",
    "TaskMapped",
    "TaskReady",
    "TaskReserved",
    "TaskRunahead",
    "TaskRunning",
    "TaskSpace",
    "TaskSpawned",
    "Tasks",
    "TerminalEnvironment",
    "create_env",
    "finish",
    "get_current_context",
    "get_current_devices",
    "get_current_stream",
    "get_current_task",
    "spawn",
    "wait",
]
