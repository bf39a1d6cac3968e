"""Tasks: spawning them, naming them, and waiting for several at once."""

from __future__ import annotations

import contextvars
import operator
import sys
import types
from collections.abc import Callable, Generator, Iterable, Iterator

from . import _parla
from ._parla import Task, spawn, spawn_many
from .context import Context, Stream, get_current_context, get_current_devices, get_current_stream, get_current_task
from .variants import specialize, specialized

__all__ = [
    "AtomicTaskSpace",
    "BackendTaskSpace",
    "CompletedTaskSpace",
    "Context",
    "Stream",
    "Task",
    "TaskCollection",
    "TaskID",
    "TaskSpace",
    "Tasks",
    "finish",
    "get_current_context",
    "get_current_devices",
    "get_current_stream",
    "get_current_task",
    "spawn",
    "spawn_many",
    "specialize",
    "specialized",
    "tasks",
    "wait",
]

TaskID = Task
"""A name of a task is the task: ``T[i]`` before and after it is spawned."""


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

    Examples
    --------
    >>> from parla import Parla
    >>> with Parla(n_workers=1):
    ...     both = Tasks(spawn(args=(2, 5))(pow), [spawn(args=(-3,))(abs)])
    ...     both.result()
    [32, 3]
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
        """Block until all have ended and return their results in order; raise the first failure, of which the others are notes."""
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

    def __radd__(self, other: Iterable) -> Tasks:
        return Tasks(other, self._members)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tasks) and self._members == other._members

    def __hash__(self) -> int:
        return hash(self._members)

    def __repr__(self) -> str:
        return f"<Tasks{f' {self.name!r}' if self.name else ''}: {', '.join(task.name for task in self._members)}>"

    def _repr_html_(self) -> str:
        from ._display import tasks_html

        return tasks_html(self.name or "Tasks", enumerate(self._members))


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

    def __init__(self, part: object, key: object, first: int, end: int | None) -> None:
        self.open_slice = None
        self.is_single = False
        if isinstance(part, slice):
            self._read_slice(part, key, first, end)
        elif isinstance(part, str):
            self.is_single, self.values = True, [part]
        elif hasattr(part, "__iter__"):
            self.values = [item if isinstance(item, str) else _read_integer(item, key) for item in part]
        else:
            self.is_single, self.values = True, [_read_integer(part, key)]
        if self.open_slice is None:
            # A negative index names nothing: T[i-1] is empty for i = 0.
            self.values = [value for value in self.values if isinstance(value, str) or value >= 0]

    def _read_slice(self, part: slice, key: object, first: int, end: int | None) -> None:
        step = 1 if part.step is None else _read_integer(part.step, key)
        start = first if part.start is None else _read_integer(part.start, key)
        stop = end if part.stop is None else _read_integer(part.stop, key)
        if step == 0:
            raise ValueError(f"slice step 0 in {key!r}")
        if stop is not None and not (step < 0 and part.stop is None):
            self.values = list(range(start, stop, step))
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
    create : bool
        False: indexing never makes a name, it finds those that exist (``T.view[...]`` does so in any space).
    shape, start : int or tuple of int, optional
        Bounds along each dimension: indices from `start` (0) on, `shape` of them. What lies outside is empty, and slices without an
        end stop there. Indices that are strings have no bounds.

    Examples
    --------
    >>> T = TaskSpace("T")
    >>> T[1, "x"]
    <Task 'T_1_x' created>
    >>> T[0:3], T[-1], len(T)
    (<Tasks: T_0, T_1, T_2>, <Tasks: >, 4)
    >>> [task.name for task in T]
    ['T_0', 'T_1', 'T_2', 'T_1_x']
    """

    def __init__(
        self,
        name: str = "",
        create: bool = True,
        shape: int | tuple[int, ...] | None = None,
        start: int | tuple[int, ...] | None = None,
    ) -> None:
        self.shape = (operator.index(shape),) if hasattr(shape, "__index__") else None if shape is None else tuple(shape)
        self.start = (operator.index(start),) if hasattr(start, "__index__") else None if start is None else tuple(start)
        self.create = create
        self._has_bounds = not (create and shape is None and start is None)

    def _admits(self, key: tuple) -> bool:
        """True if the indices are inside the bounds."""
        for dimension, index in enumerate(key):
            first = self.start[dimension] if self.start and dimension < len(self.start) else 0
            if isinstance(index, str):
                continue
            if index < first or (self.shape and dimension < len(self.shape) and index >= first + self.shape[dimension]):
                return False
        return True

    def _bound(self, dimension: int) -> tuple[int, int | None]:
        """Return the first index along a dimension, and the one behind the last if the space has a shape."""
        first = self.start[dimension] if self.start and dimension < len(self.start) else 0
        has_end = self.shape is not None and dimension < len(self.shape)
        return first, first + self.shape[dimension] if has_end else None

    def _named(self, key: int | str | tuple, create: bool) -> Task | None:
        """Return the task of a checked key; None if there is none and `create` is false."""
        if not self._admits(key if isinstance(key, tuple) else (key,)):
            return None
        return self._at(key) if create else self._find(key)

    def _select(self, key: object, create: bool | None = None) -> Task | Tasks:
        create = self.create if create is None else create
        if isinstance(key, (list, range, Tasks)) or (hasattr(key, "__iter__") and not isinstance(key, (str, tuple))):
            return Tasks([item if isinstance(item, Task) else self._select(item, create) for item in key])
        parts = key if isinstance(key, tuple) else (key,)
        selectors = [_Selector(part, key, *self._bound(dimension)) for dimension, part in enumerate(parts)]
        if any(selector.open_slice is not None for selector in selectors):
            return Tasks([task for found, task in self.items() if self._matches(found, selectors)])
        named = [self._named(indices if isinstance(key, tuple) else indices[0], create) for indices in _product(selectors)]
        found = [task for task in named if task is not None]
        if found and all(selector.is_single for selector in selectors):
            return found[0]
        return Tasks(found)

    @property
    def view(self) -> _View:
        """The same indices, which here give only tasks that have been named before: ``T.view[0:n]``."""
        return _View(self)

    @staticmethod
    def _matches(key: object, selectors: list[_Selector]) -> bool:
        parts = key if isinstance(key, tuple) else (key,)
        return len(parts) == len(selectors) and all(selector.accepts(part) for selector, part in zip(selectors, parts))

    def wait(self, timeout: float | None = None) -> None:
        """Block until all tasks named so far have ended; raise the first failure. `timeout` is in seconds (TaskTimeout)."""
        _wait(tuple(self), timeout)

    def __await__(self) -> Generator:
        yield from _parla.await_tasks(tuple(self))

    def result(self, timeout: float | None = None) -> list:
        """Block until all tasks named so far have ended and return their results; raise the first failure."""
        return _wait(tuple(self), timeout)

    def __contains__(self, item: object) -> bool:
        if isinstance(item, Task):
            return any(item is task for task in self)
        return any(item == key for key, _ in self.items())

    def __add__(self, other: Iterable) -> Tasks:
        return Tasks(self, other)

    def __radd__(self, other: Iterable) -> Tasks:
        return Tasks(other, self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {len(self)} tasks>"

    def _repr_html_(self) -> str:
        from ._display import tasks_html

        return tasks_html(f"{type(self).__name__} {self.name}".strip(), self.items())


class _View:
    """A space whose indices make no names."""

    __slots__ = ("_space",)

    def __init__(self, space: TaskSpace) -> None:
        self._space = space

    def __getitem__(self, key: object) -> Task | Tasks:
        return self._space._select(key, False)

    def __len__(self) -> int:
        return len(self._space)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._space)

    def __contains__(self, item: object) -> bool:
        return item in self._space


class AtomicTaskSpace(TaskSpace):
    """A space that serves as a barrier, ``W.wait()``. Every space does here; the published programs name the two apart."""


BackendTaskSpace = AtomicTaskSpace


def wait(barrier: object, timeout: float | None = None) -> None:
    """Block until the tasks of a space or a collection, or one task, have ended; raise the first failure."""
    Tasks(barrier).wait(timeout)


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


class _Finish:
    """The tasks that one block spawns, waited for at its end."""

    def __init__(self) -> None:
        self._spawned: list[Task] = []
        self._owner: Task | None = None
        self._token: object = None

    def _open(self) -> _Finish:
        self._owner = get_current_task()
        self._token = _scope.set((self, _scope.get()))
        _parla.watch_spawns(1)
        return self

    def _close(self) -> Tasks:
        _parla.watch_spawns(-1)
        _scope.reset(self._token)
        return Tasks(self._spawned)

    def __enter__(self) -> _Finish:
        return self._open()

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        spawned = self._close()
        if error is None:
            spawned.wait()

    async def __aenter__(self) -> _Finish:
        return self._open()

    async def __aexit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        spawned = self._close()
        if error is None:
            await spawned


_scope: contextvars.ContextVar[tuple[_Finish, tuple | None] | None] = contextvars.ContextVar("parla_finish", default=None)


def spawned(task: Task) -> None:
    """Note a task that was spawned while a `finish` block is open somewhere. Called by the extension."""
    scope = _scope.get()
    # A task that is spawned in the block copies its context, but its own children do not count.
    if scope is not None and scope[0]._owner is get_current_task():
        while scope is not None:
            scope[0]._spawned.append(task)
            scope = scope[1]


def finish() -> _Finish:
    """Return a block that waits at its end for the tasks spawned in it: ``async with finish():`` in a task, ``with finish():`` elsewhere.

    Tasks that those spawn are not waited for. The first failure is raised at the end of the block.

    Examples
    --------
    >>> from parla import Parla
    >>> done = []
    >>> with Parla(n_workers=1):
    ...     with finish():
    ...         task = spawn(args=(1,))(done.append)
    ...     print(done)
    [1]
    """
    return _Finish()


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


class _Module(types.ModuleType):
    """This module, which is also the function of its name: ``from parla import tasks`` gives the module."""

    def __call__(self, *items: object) -> Tasks:
        return tasks(*items)


sys.modules[__name__].__class__ = _Module
