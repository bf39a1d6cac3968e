"""Where the running task runs: its devices, their streams, and loops over them.

A body on several devices works on one of them at a time: ``for ctx in get_current_context().loop():`` makes each device in turn the
current one, ``@ctx.parfor()`` runs a function on all of them at once, one thread each. What is current is kept in a context
variable, so that it follows an `async def` body and the threads of a parfor.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator

from . import _parla
from .devices import Architecture, Device

__all__ = [
    "Context",
    "Event",
    "Locals",
    "Stream",
    "create_env",
    "get_current_context",
    "get_current_devices",
    "get_current_stream",
    "get_current_task",
]

Locals = threading.local()
"""Storage of each thread; a parfor sets `Locals.index` to the position of the thread's device."""


class Event:
    """A point in a stream that others can wait for.

    On a CUDA device it is CuPy's event; without CuPy, recording one waits until the point is reached. CPUs and simulated devices run
    bodies in order on the host: there everything before the point is over when it is recorded.
    """

    __slots__ = ("_native",)

    def __init__(self) -> None:
        self._native: object = None

    def record(self, stream: Stream | None) -> None:
        """Put the point at the end of what was given to `stream` so far."""
        native = None if stream is None else stream.native()
        if native is not None:
            self._native = self._native or _cuda().cupy().cuda.Event(disable_timing=True)
            self._native.record(native)
        elif stream is not None:
            stream.synchronize()

    def wait(self, stream: Stream | None) -> None:
        """Make `stream` wait for the point; the host goes on."""
        native = None if stream is None else stream.native()
        if self._native is None:
            return
        if native is None:
            self._native.synchronize()
        else:
            native.wait_event(self._native)

    def synchronize(self) -> None:
        """Block until the point is reached."""
        if self._native is not None:
            self._native.synchronize()


def _cuda() -> object:
    from . import _cuda as module  # which imports this one

    return module


class Stream:
    """The queue of work on one device that belongs to the running task. ``with stream:`` makes it CuPy's and PyTorch's current one.

    Libraries that know ``__cuda_stream__`` take it as it is; for Numba there is ``numba.cuda.external_stream(stream.pointer)``.

    Attributes
    ----------
    device : Device
    pointer : int
        Address of the vendor's handle (a CUstream), or of the simulated queue.
    """

    __slots__ = ("_entered", "_member", "device", "pointer")

    def __init__(self, device: Device, pointer: int, member: int = 0) -> None:
        self.device = device
        self.pointer = pointer
        self._member = member
        self._entered: list = []

    def native(self) -> object:
        """Return CuPy's stream over the same handle; None where the device is not CUDA's, and without CuPy."""
        if self.device.kind != "cuda" or _cuda().cupy() is None:
            return None
        ordinal = self.device.ordinal
        with _cuda().cupy().cuda.Device(ordinal):
            return _cuda().cupy_stream(self.pointer, ordinal)

    def __cuda_stream__(self) -> tuple[int, int]:
        """Return (0, handle): the protocol by which CUDA libraries hand streams on. Raises StateError where the device is not CUDA's."""
        if self.device.kind != "cuda":
            raise _parla.StateError(f"__cuda_stream__: {self.device!r} is no CUDA device")
        return 0, self.pointer

    @property
    def stream(self) -> object:
        """CuPy's stream; this object itself on devices of other kinds, so that ``with ctx.cupy_stream:`` runs there too."""
        return self.native() or self

    def synchronize(self) -> None:
        """Block until everything given to the stream is done."""
        if self.device.kind != "cuda":
            return
        native = self.native() if _parla.current_task() is None else None  # a thread of a parfor runs no task itself
        if native is not None:
            native.synchronize()
        else:
            _parla.drain(self._member)

    def __enter__(self) -> Stream:
        stack = contextlib.ExitStack()
        if self.device.kind == "cuda":
            _cuda().enter(stack, self.pointer, self.device.ordinal)
        self._entered.append(stack)
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.pop().close()

    def __repr__(self) -> str:
        return f"<Stream on {self.device!r}>"


# What .store() keeps and the events of each task, as long as somebody knows the task.
_storages: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_events: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class Context:
    """Where a task runs: its devices and their streams, in the order of the placement.

    A sequence of contexts of one device each. Such a *leaf* equals its device, so that ``ctx == gpu(1)`` and ``gpu in ctx`` read well.
    """

    __slots__ = ("_entered", "_members", "_task", "devices", "streams")

    def __init__(
        self, task: object, members: tuple[int, ...], devices: tuple[Device, ...], streams: tuple[Stream | None, ...]
    ) -> None:
        self._task = task
        self._members = members
        self._entered: list = []
        self.devices = devices
        self.streams = streams

    # --- What it has ---

    @property
    def device(self) -> Device:
        """The first device."""
        return self.devices[0]

    @property
    def stream(self) -> Stream | None:
        """The first device's stream; None on a CPU."""
        return self.streams[0]

    def __cuda_stream__(self) -> tuple[int, int]:
        """Return (0, handle) of the first device's stream. Raises StateError where it is no CUDA device."""
        if self.stream is None:
            raise _parla.StateError(f"__cuda_stream__: {self.device!r} is no CUDA device")
        return self.stream.__cuda_stream__()

    @property
    def cupy_stream(self) -> object:
        """CuPy's stream of the first device; see `Stream.stream` for other kinds. On a CPU something to enter that does nothing."""
        return contextlib.nullcontext() if self.stream is None else self.stream.stream

    @property
    def contexts(self) -> list[Context]:
        """The leaves."""
        return list(self)

    @property
    def position(self) -> int:
        """The place of the first device among those of the task."""
        return self._members[0]

    @property
    def gpu_ids(self) -> list[int]:
        """Numbers of the GPUs."""
        return [device.number for device in self.devices if device.architecture.name == "gpu"]

    @property
    def gpu_id(self) -> int:
        """Number of the first GPU. Raises ValueError if there is none."""
        if not self.gpu_ids:
            raise ValueError(f"gpu_id: {self!r} has no GPU")
        return self.gpu_ids[0]

    @property
    def global_ids(self) -> list[int]:
        """Numbers among all devices of the runtime."""
        return [device.index for device in self.devices]

    def has(self, kind: Architecture | Device) -> bool:
        """True if one of the devices is, or is of, `kind`."""
        return any(device == kind or device.architecture is kind for device in self.devices)

    def get_devices(self, architecture: Architecture) -> list[Device]:
        """Return the devices of an architecture."""
        return [device for device in self.devices if device.architecture is architecture]

    def get_all_devices(self) -> list[Device]:
        """Return all devices."""
        return list(self.devices)

    def get_cupy_devices(self) -> list:
        """Return what CuPy calls the GPUs; see `Device.device` for other kinds."""
        return [device.device for device in self.devices if device.architecture.name == "gpu"]

    def get_parla_device(self) -> Device:
        """Return the first device."""
        return self.device

    def get_library_device(self) -> object:
        """Return what the device's library calls the first device: CuPy's object, or the device itself."""
        return self.device.device

    def __call__(self) -> Device:
        return self.device

    # --- A sequence of leaves ---

    def __len__(self) -> int:
        return len(self.devices)

    def __getitem__(self, key: int | slice) -> Context:
        part = slice(key, key + 1 or None) if isinstance(key, int) else key
        if isinstance(key, int) and not -len(self) <= key < len(self):
            raise IndexError(f"{self!r} has no device {key}")
        return Context(self._task, self._members[part], self.devices[part], self.streams[part])

    def __iter__(self) -> Iterator[Context]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, kind: object) -> bool:
        return self.has(kind.device if isinstance(kind, Context) else kind)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Device):
            return self.devices == (other,)
        return isinstance(other, Context) and self.devices == other.devices

    def __hash__(self) -> int:
        return hash(self.devices[0] if len(self) == 1 else self.devices)

    def __repr__(self) -> str:
        return f"<Context {', '.join(map(repr, self.devices))}>"

    # --- Being current ---

    def __enter__(self) -> Context:
        token = _entered.set(self)
        stack = contextlib.ExitStack()
        stack.callback(_entered.reset, token)
        try:
            if self.stream is not None:
                stack.enter_context(self.stream)
        except BaseException:
            stack.close()
            raise
        self._entered.append(stack)
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.pop().close()

    def loop(self, contexts: Iterable[Context] | None = None) -> Iterator[Context]:
        """Yield each leaf, or each of `contexts`, while it is the current context."""
        for leaf in self if contexts is None else contexts:
            with leaf:
                yield leaf

    def parfor(self, contexts: Iterable[Context] | None = None) -> Callable[[Callable], list]:
        """Run the decorated function on each leaf at once, one thread each; the name becomes the list of results.

        The function gets its leaf as argument, is entered into it, and finds its position in `Locals.index`; arrays that the task names are
        local there as in the body. Blocks until all threads are over; raises the exception of one, an ExceptionGroup if several failed.
        """
        leaves = list(self if contexts is None else contexts)

        def run_all(function: Callable[[Context], object]) -> list:
            return _ParallelFor(leaves, function).run()

        return run_all

    # --- Storage ---

    @property
    def storage(self) -> dict:
        """A dict that lives as long as the task, one for each set of its devices."""
        return _storages.setdefault(self._task, {}).setdefault(self._members, {})

    def store(self, key: object, value: object) -> None:
        """Keep a value for later steps of the task."""
        self.storage[key] = value

    def retrieve(self, key: object) -> object:
        """Return what `store` kept; None if there is nothing."""
        return self.storage.get(key)

    # --- Order of device work ---

    def synchronize(self, events: bool = False, tags: object = None) -> None:
        """Block until the devices have done what the task gave them; with `events` until the events of these tags are reached."""
        if events:
            self.synchronize_events(tags)
            return
        for stream in self.streams:
            if stream is not None:
                stream.synchronize()

    def _events_of(self, tags: object) -> Iterator[tuple[Stream | None, Event]]:
        names = ["default"] if tags is None else [tags] if isinstance(tags, str) else list(tags)
        known = _events.setdefault(self._task, {})
        for member, stream in zip(self._members, self.streams):
            for name in names:
                yield stream, known.setdefault((member, name), Event())

    def create_events(self, tags: object = None) -> None:
        """Make an event of each tag on each device."""
        for _ in self._events_of(tags):
            pass

    def record_events(self, tags: object = None) -> None:
        """Put the events at the end of what the streams have to do."""
        for stream, event in self._events_of(tags):
            event.record(stream)

    def wait_events(self, tags: object = None) -> None:
        """Make the streams wait for the events of the same device; the host goes on."""
        for stream, event in self._events_of(tags):
            event.wait(stream)

    def synchronize_events(self, tags: object = None) -> None:
        """Block until the events are reached."""
        for _, event in self._events_of(tags):
            event.synchronize()

    create_event = create_events
    record_event = record_events
    wait_event = wait_events
    synchronize_event = synchronize_events


_entered: contextvars.ContextVar[Context | None] = contextvars.ContextVar("parla_context", default=None)


class _ParallelFor:
    """One function on several leaves, one thread each."""

    def __init__(self, leaves: list[Context], function: Callable[[Context], object]) -> None:
        self.leaves = leaves
        self.function = function
        self.results: list = [None] * len(leaves)
        self.errors: list[BaseException] = []
        self.lease = _parla.lend()

    def _run_one(self, index: int) -> None:
        Locals.index = index
        _parla.borrow(self.lease)
        try:
            with self.leaves[index] as leaf:
                self.results[index] = self.function(leaf)
        except BaseException as error:
            self.errors.append(error)
        finally:
            _parla.borrow(None)

    def run(self) -> list:
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(self._run_one, index), name=f"parfor-{index}")
            for index in range(len(self.leaves))
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            _parla.revoke(self.lease)
        if len(self.errors) > 1:
            raise BaseExceptionGroup("several threads of a parfor failed", self.errors)
        if self.errors:
            raise self.errors[0]
        return self.results


def get_current_task() -> _parla.Task | None:
    """Return the task whose body this thread runs; None outside of tasks."""
    return _parla.current_task()


def _inner_context() -> Context | None:
    """Return the context that was entered by a loop, a parfor or `with`; None if the task's own is the current one."""
    entered = _entered.get()
    if entered is None:
        return None
    task = _parla.current_task()
    # A task spawned inside a loop copies the context variables of its parent; a thread of a parfor runs no task itself.
    return entered if task is None or task is entered._task else None


def get_current_context() -> Context:
    """Return the running task's devices and streams; inside a loop over them the current one. Raises StateError outside of tasks."""
    inner = _inner_context()
    if inner is not None:
        return inner
    task = _parla.current_task()
    if task is None:
        raise _parla.StateError("get_current_context(): no task is running here; call it in a task's body")
    devices = task.devices
    pointers = [_parla.current_queue(member) for member in range(len(devices))]
    streams = tuple(
        Stream(device, pointer, member) if pointer else None for member, (device, pointer) in enumerate(zip(devices, pointers))
    )
    return Context(task, tuple(range(len(devices))), devices, streams)


def current_member() -> int:
    """Return the position of the current device among those of the task; -1 if no single one was chosen."""
    inner = _inner_context()
    return inner.position if inner is not None and len(inner) == 1 else -1


def get_current_devices() -> tuple[Device, ...]:
    """Return the devices of the running task, or of the current turn of a loop over them. Raises StateError outside of tasks."""
    inner = _inner_context()
    if inner is not None:
        return inner.devices
    task = _parla.current_task()
    if task is None:
        raise _parla.StateError("get_current_devices(): no task is running here; call it in a task's body")
    return task.devices


def get_current_stream() -> Stream | None:
    """Return the stream of the current device; None on a CPU."""
    return get_current_context().stream


def create_env(devices: Iterable[Device]) -> Context:
    """Return a context over some of the running task's devices, in the given order."""
    own = get_current_context()
    members = [own.devices.index(device) for device in devices]
    return Context(
        own._task,
        tuple(own._members[i] for i in members),
        tuple(own.devices[i] for i in members),
        tuple(own.streams[i] for i in members),
    )
