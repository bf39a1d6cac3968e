"""CUDA devices for Python bodies: what is current in CuPy and PyTorch, whose memory CuPy takes, and what local arrays are.

The library makes the card's context current on the thread of a body. On top of that, each step of a body (up to an await, and on from
there) runs with the task's stream as the current one of CuPy, and of PyTorch if the program has imported it; both are as before when the
step is over. Numba has no current stream: its default stream is put in order with the task's instead.

CuPy is imported when a runtime with a CUDA device runs its first body there, PyTorch and Numba never.
"""

from __future__ import annotations

import contextlib
import importlib
import sys

import numpy as np

from . import _device_array, _parla
from ._device_array import DeviceArray
from .devices import Device, devices_of_rows

_PER_THREAD_STREAM = 2
_FROM_EXTERNAL = 14, 2  # the version whose Stream.from_external is known to leave the stream to its owner

_modules: dict[str, object] = {}
_streams: dict[tuple[int, int], object] = {}


def cupy() -> object:
    """Return CuPy, None where it is not installed."""
    if "cupy" not in _modules:
        spec = None if "cupy" in sys.modules else importlib.import_module("importlib.util").find_spec("cupy")
        has_cupy = "cupy" in sys.modules or (spec is not None and spec.origin is not None)  # not just a folder of that name
        _modules["cupy"] = importlib.import_module("cupy") if has_cupy else None
    return _modules["cupy"]


# --- Current ---


def cupy_stream(pointer: int, ordinal: int) -> object:
    """Return CuPy's stream over a handle; its device must be the current one."""
    key = (pointer, ordinal)
    if key not in _streams:
        known = cupy().cuda
        version = tuple(map(int, cupy().__version__.split(".")[:2]))
        if version >= _FROM_EXTERNAL:
            _streams[key] = known.Stream.from_external(_Handle(pointer))
        else:
            _streams[key] = known.ExternalStream(pointer, ordinal)
    return _streams[key]


class _Handle:
    """A stream by its handle alone."""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._pointer


def forget_streams() -> None:
    """Forget CuPy's streams. From: the end of a runtime, when their handles end."""
    _streams.clear()


def _numba_default_stream() -> int | None:
    """Return the stream that Numba uses by default, None if nobody has imported its CUDA part."""
    if "numba.cuda" not in sys.modules:
        return None
    config = getattr(sys.modules.get("numba"), "config", None)
    is_per_thread = getattr(config, "CUDA_PER_THREAD_DEFAULT_STREAM", 0)
    return _PER_THREAD_STREAM if is_per_thread else _device_array.LEGACY_STREAM


def enter(stack: contextlib.ExitStack, pointer: int, ordinal: int) -> None:
    """Make a stream the current one, until the stack is closed."""
    if cupy() is not None:
        known = cupy().cuda
        stack.enter_context(known.Device(ordinal))
        stack.enter_context(cupy_stream(pointer, ordinal))
        stack.enter_context(known.using_allocator(allocate))
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        stack.enter_context(torch.cuda.stream(torch.cuda.ExternalStream(pointer, device=ordinal)))
    numba_stream = _numba_default_stream()
    if numba_stream is not None and _parla.current_task() is not None:
        member = max(_device_array.current_member(), 0)
        _parla.order(member, numba_stream, True)
        stack.callback(_parla.order, member, numba_stream, False)


def body_begin(ordinal: int, pointer: int) -> contextlib.ExitStack | None:
    """Begin a step of a body on a CUDA device; what this returns is for `body_end`."""
    if cupy() is None and "torch" not in sys.modules and "numba.cuda" not in sys.modules:
        return None
    stack = contextlib.ExitStack()
    try:
        enter(stack, pointer, ordinal)
    except BaseException:
        stack.close()
        raise
    return stack


def body_end(stack: contextlib.ExitStack | None) -> None:
    """End a step."""
    if stack is not None:
        stack.close()


# --- Memory ---


def allocate(n_bytes: int) -> object:
    """Return memory for CuPy: a block of the device's pool, in the order of the task's stream."""
    known = cupy().cuda
    member = _device_array.member_here()
    if member is None:  # in a thread of a parfor, say
        return cupy().get_default_memory_pool().malloc(n_bytes)
    ordinal = _parla.current_task().devices[member].ordinal
    block = _parla.block(member, n_bytes) if n_bytes else None
    memory = known.UnownedMemory(block.address if n_bytes else 0, n_bytes, block, ordinal)
    return known.MemoryPointer(memory, 0)


# --- Arrays ---


def to_library(a: DeviceArray) -> object:
    """Return CuPy's array over the same memory, or the array itself where CuPy is not installed."""
    if cupy() is None:
        return a
    known = cupy().cuda
    base, n_bytes = a.owner.address, a.owner.n_bytes
    memory = known.UnownedMemory(base, n_bytes, a.owner, a.device.ordinal)
    return cupy().ndarray(a.shape, a.dtype, known.MemoryPointer(memory, a.address - base), a.strides)


def local_array(
    view: tuple, shape: tuple[int, ...], dtype: np.dtype, key: tuple, i_device: int
) -> object:
    """Return the local array of a task: a view of a copy on a CUDA device, of which the key is taken."""
    owner, offset, strides = view
    (device,) = devices_of_rows((_parla.active().devices[i_device],))
    whole = DeviceArray(owner, device, owner.address + offset, shape, strides, dtype, owner.is_readonly)
    return to_library(whole[key] if key else whole)


def is_library_array(x: object) -> bool:
    """True for arrays that `to_library` makes."""
    return isinstance(x, DeviceArray) or (_modules.get("cupy") is not None and isinstance(x, _modules["cupy"].ndarray))


def _address_of(x: object) -> int:
    return x.address if isinstance(x, DeviceArray) else x.data.ptr


def is_in(x: object, views: list) -> bool:
    """True if an array that `to_library` made lies in one of the views."""
    address = _address_of(x)
    return any(view.address <= address < view.address + max(view.n_bytes, 1) for view in views)


def clone(x: object) -> object:
    """Return a copy of any array on the running task's current device, which is a CUDA device."""
    return to_library(_device_array.clone(_device_array.memory_of(x, _device_array.member_here())))


def to_host(x: object) -> np.ndarray:
    """Return a copy in host memory of any library's array on a CUDA device. Blocks."""
    if isinstance(x, DeviceArray):
        return x.get()
    ordinal, _ = _device_array.describe(x)
    device = _device_array.device_of(x, ordinal)
    if device is None:
        return _own_host_copy(x, ordinal)

    def work(member: int) -> np.ndarray:
        return _device_array.to_host(_device_array.memory_of(x, member))

    return _device_array.run_on(device, work, "copy to the host")


def _own_host_copy(x: object, ordinal: int | None) -> np.ndarray:
    """Return a copy by the means of the array's library: no runtime has its card."""
    for way in ("get", "copy_to_host"):  # CuPy, Numba
        if hasattr(x, way):
            return getattr(x, way)()
    if hasattr(x, "detach"):  # PyTorch
        return x.detach().cpu().numpy()
    raise TypeError(f"{type(x).__name__} is on CUDA device {ordinal}: start a runtime that has it, as Parla(devices='cuda:{ordinal or 0}')")


def assign(local: object, key: object, value: object) -> None:
    """Write any array, or a scalar, into a part of a local array."""
    if not isinstance(local, DeviceArray) and isinstance(value, (np.ndarray, list, tuple)):
        value = clone(np.asarray(value))
    elif not isinstance(local, DeviceArray) and _device_array.is_elsewhere(value) and not is_library_array(value):
        value = clone(value)
    local[key] = value


def copy_into(dst: object, src: object) -> None:
    """Copy any array into an array of another library that is on a CUDA device. Blocks until that is done."""
    device = place_of(dst)
    if device is None:
        raise TypeError(f"copy: {type(dst).__name__} is on a CUDA device that no runtime has: start one that names it in devices=")

    def work(member: int) -> None:
        _device_array.fill(_device_array.memory_of(dst, member), src)
        _parla.drain(member)  # the streams that its library will use next are not known

    _device_array.run_on(device, work, "copy to another library's array")


_parts: dict[type, type] = {}


def as_part(x: object) -> object:
    """Return CuPy's array as one whose `array` is itself, since the published programs write ``a[0:n].array`` in a body."""
    known = _modules.get("cupy")
    if known is None or type(x) is not known.ndarray:
        return x
    if known.ndarray not in _parts:
        own = property(lambda self: self.view(type=known.ndarray))
        _parts[known.ndarray] = type("Part", (known.ndarray,), {"array": own, "__module__": __name__})
    return x.view(type=_parts[known.ndarray])


def place_of(x: object) -> Device | None:
    """Return the device of the active runtime that an array of another library is on; None without one."""
    return _device_array.device_of(x, _device_array.describe(x)[0])
