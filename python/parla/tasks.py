"""Tasks: spawning them, naming them, and waiting for several at once."""

from __future__ import annotations

import operator
from collections.abc import Generator, Iterable, Iterator

from . import _parla
from ._parla import Task, spawn
from .devices import Context, Stream, get_current_context, get_current_devices, get_current_stream

__all__ = [
    "AtomicTaskSpace",
    "CompletedTaskSpace",
    "Context",
    "Stream",
    "Task",
    "TaskSpace",
    "Tasks",
    "get_current_context",
    "get_current_devices",
    "get_current_stream",
    "get_current_task",
    "spawn",
    "tasks",
]


def get_current_task() -> Task | None:
    """Return the task whose body this thread runs; None outside of tasks."""
    return _parla.current_task()


def _flatten(items: Iterable, out: list[Task]) -> list[Task]:
    for item in items:
        if isinstance(item, Task):
            out.append(item)
        elif isinstance(item, (str, bytes)) or not hasattr(item, "__iter__"):
            raise TypeError(f"expected Tasks, spaces or iterables of them, not {item!r}")
        else:
            _flatten(item, out)
    return out


def _wait(members: tuple[Task, ...], timeout: float | None) -> list:
    _parla.wait_tasks(members, timeout)
    return _parla.outcomes(members)


class Tasks:
    """An ordered collection of tasks: awaitable, and usable wherever a dependency is.

    Parameters
    ----------
    *items : Task, TaskSpace, or iterables of them, to any depth
    name : str, optional
        Only for repr.
    """

    __slots__ = ("_members", "name")

    def __init__(self, *items: object, name: str = "") -> None:
        self._members = tuple(_flatten(items, []))
        self.name = name

    @property
    def tasks(self) -> list[Task]:
        """The members as a list."""
        return list(self._members)

    def wait(self, timeout: float | None = None) -> None:
        """Block until all have ended; raise the first failure. `timeout` is in seconds (TaskTimeout)."""
        _wait(self._members, timeout)

    def result(self, timeout: float | None = None) -> list:
        """Block until all have ended and return their results in order; raise the first failure."""
        return _wait(self._members, timeout)

    def __await__(self) -> Iterator:
        return _parla.await_tasks(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._members)

    def __getitem__(self, key: int | slice) -> Task | Tasks:
        found = self._members[key]
        return found if isinstance(found, Task) else Tasks(found)

    def __contains__(self, task: object) -> bool:
        return any(task is member for member in self._members)

    def __add__(self, other: Iterable) -> Tasks:
        return Tasks(self._members, other)

    def __repr__(self) -> str:
        return f"<Tasks{f' {self.name!r}' if self.name else ''}: {', '.join(task.name for task in self._members)}>"


TaskCollection = Tasks


def tasks(*items: object) -> Tasks:
    """Return the collection of all given tasks: ``await tasks(a, b, T[0:4])``."""
    return Tasks(*items)


def _read_integer(part: object, key: object) -> int:
    try:
        return operator.index(part)
    except TypeError:
        raise TypeError(f"a task's name is made of integers, strings, slices or lists of them, not {part!r} in {key!r}") from None


class _Selector:
    """One dimension of an index into a space: a value, several values, or a slice without an end."""

    __slots__ = ("is_single", "open_slice", "values")

    def __init__(self, part: object, key: object) -> None:
        self.open_slice = None
        self.is_single = False
        if isinstance(part, slice):
            self._read_slice(part, key)
        elif isinstance(part, str):
            self.is_single, self.values = True, [part]
        elif hasattr(part, "__iter__"):
            self.values = [item if isinstance(item, str) else _read_integer(item, key) for item in part]
        else:
            self.is_single, self.values = True, [_read_integer(part, key)]
        if self.open_slice is None:
            # A negative index names nothing: T[i-1] is empty for i = 0.
            self.values = [value for value in self.values if isinstance(value, str) or value >= 0]

    def _read_slice(self, part: slice, key: object) -> None:
        step = 1 if part.step is None else _read_integer(part.step, key)
        start = 0 if part.start is None else _read_integer(part.start, key)
        if step == 0:
            raise ValueError(f"slice step 0 in {key!r}")
        if part.stop is not None:
            self.values = list(range(start, _read_integer(part.stop, key), step))
        elif step < 0:
            raise ValueError(f"a slice with a negative step needs a stop: {key!r}")
        else:
            self.values = []
            self.open_slice = (max(start, start % step), step)

    def accepts(self, value: object) -> bool:
        if self.open_slice is None:
            return value in self.values
        start, step = self.open_slice
        return isinstance(value, int) and value >= start and (value - start) % step == 0


def _product(selectors: list[_Selector]) -> Generator[tuple]:
    if not selectors:
        yield ()
        return
    for value in selectors[0].values:
        for rest in _product(selectors[1:]):
            yield (value, *rest)


class TaskSpace(_parla.Space):
    """Names for tasks: ``T[i]``, ``T[i, j]``, ``T["a", 3]``. Reading a name makes it; spawning gives it work.

    A name can be a dependency before it is spawned. A name whose task has ended may be spawned again, a pending one may not.
    Slices give `Tasks`: a slice with a stop also names tasks of the future, ``T[2:]`` only those that exist. A negative index is
    empty, so ``dependencies=[T[i - 1]]`` is right for i = 0 too.

    Parameters
    ----------
    name : str
        What the names of its tasks begin with: task ``T[1, 2]`` of ``TaskSpace("T")`` is called "T_1_2".
    """

    def _select(self, key: object) -> Task | Tasks:
        if isinstance(key, (list, range, Tasks)) or (hasattr(key, "__iter__") and not isinstance(key, (str, tuple))):
            return Tasks([self[item] for item in key])
        parts = key if isinstance(key, tuple) else (key,)
        selectors = [_Selector(part, key) for part in parts]
        if any(selector.open_slice is not None for selector in selectors):
            return Tasks([task for found, task in self.items() if self._matches(found, selectors)])
        found = [self._at(indices if isinstance(key, tuple) else indices[0]) for indices in _product(selectors)]
        if found and all(selector.is_single for selector in selectors):
            return found[0]
        return Tasks(found)

    @staticmethod
    def _matches(key: object, selectors: list[_Selector]) -> bool:
        parts = key if isinstance(key, tuple) else (key,)
        return len(parts) == len(selectors) and all(selector.accepts(part) for selector, part in zip(selectors, parts))

    def wait(self, timeout: float | None = None) -> None:
        """Block until all tasks named so far have ended; raise the first failure. `timeout` is in seconds (TaskTimeout)."""
        _wait(tuple(self), timeout)

    def __await__(self) -> Generator:
        yield from _parla.await_tasks(tuple(self))

    def __contains__(self, item: object) -> bool:
        return any(item is task or (not isinstance(item, Task) and item == key) for key, task in self.items())

    def __repr__(self) -> str:
        return f"<TaskSpace {self.name!r}: {len(self)} tasks>"


AtomicTaskSpace = TaskSpace


class CompletedTaskSpace:
    """A space whose tasks are all done: every index gives an empty collection, so it can stand in for one that is not needed."""

    def __getitem__(self, key: object) -> Tasks:
        return Tasks()

    def __iter__(self) -> Iterator[Task]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def wait(self, timeout: float | None = None) -> None:
        """Return at once."""

    def __await__(self) -> Iterator:
        return _parla.await_tasks(())


default_space = TaskSpace("global")
"""The space of tasks that are spawned with an int or a str in place of a Task."""


async def _wait_in_loop(loop: object, members: tuple[Task, ...], is_single: bool) -> object:
    """Wait on an event loop of asyncio for tasks that Parla's threads run."""
    ended = loop.create_future()
    n_left = len(members)

    def wake() -> None:
        if not ended.done():
            ended.set_result(None)

    def note(task: Task) -> None:
        # Callbacks run one after the other on one thread, so the count needs no lock.
        nonlocal n_left
        n_left -= 1
        if n_left == 0 and not loop.is_closed():
            loop.call_soon_threadsafe(wake)

    for task in members:
        task.add_done_callback(note)
    if members:
        await ended
    return members[0].result() if is_single else _parla.outcomes(members)


def wait_in_asyncio(loop: object, members: tuple[Task, ...], is_single: bool) -> Iterator:
    """Return the iterator behind `await` on tasks in a coroutine of asyncio."""
    return _wait_in_loop(loop, members, is_single).__await__()
