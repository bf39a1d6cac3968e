"""Arrays in memory of a CUDA device that need no other library, and copies between any two arrays in a task's stream.

`DeviceArray` is what `.array` gives on a CUDA device where CuPy is not installed. It computes nothing: it is sliced, copied, and handed
to libraries that know ``__cuda_array_interface__`` or DLPack.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import _parla
from ._axes import apply_key
from .context import current_member
from .devices import Device

LEGACY_STREAM = 1  # the default stream, by the handle that both protocols take for it
_NO_STREAM = -1  # in DLPack: the consumer orders the work itself

_CUDA, _CUDA_MANAGED = 2, 13  # device types of DLPack
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}  # kinds of NumPy to codes of DLPack
_KINDS = {code: kind for kind, code in _CODES.items()}


class Memory(NamedTuple):
    """Where the elements of an array are. `owner` keeps them there; `i_device` counts as the runtime does, 0 is the host."""

    i_device: int
    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    owner: object

    @property
    def side(self) -> tuple[int, int, tuple[int, ...]]:
        """One side of `_parla.copy`."""
        return self.i_device, self.address, self.strides


def contiguous_strides(shape: tuple[int, ...], item_bytes: int) -> tuple[int, ...]:
    """Return the strides in bytes of an array in C order."""
    strides = [item_bytes] * len(shape)
    for k in range(len(shape) - 2, -1, -1):
        strides[k] = strides[k + 1] * max(shape[k + 1], 1)
    return tuple(strides)


class DeviceArray:
    """An array in memory of a CUDA device: shape, type and place. Slicing gives views; what computes is another library's business.

    `get` copies it to the host, ``a[...] = value`` fills it from any array, `copy` makes one that outlives the task. It is handed on by
    ``__cuda_array_interface__`` (version 3, with the task's stream) and by DLPack, whose consumer's stream waits for the task's.
    """

    __slots__ = ("__weakref__", "_owner", "address", "device", "dtype", "is_readonly", "shape", "strides")
    __array_ufunc__ = None

    def __init__(
        self,
        owner: object,
        device: Device,
        address: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: np.dtype,
        is_readonly: bool = False,
    ) -> None:
        self._owner = owner
        self.device = device
        self.address = address
        self.shape = shape
        self.strides = strides
        self.dtype = dtype
        self.is_readonly = is_readonly

    @property
    def owner(self) -> object:
        """What keeps the memory: the view of an array's copy, or a block."""
        return self._owner

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def array(self) -> DeviceArray:
        """Itself, since the published programs write ``a[0:n].array`` in a body."""
        return self

    @property
    def memory(self) -> Memory:
        """Where the elements are."""
        return Memory(self.device.index, self.address, self.shape, self.strides, self.dtype, self._owner)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __getitem__(self, key: object) -> DeviceArray:
        axes = apply_key(tuple(map(range, self.shape)), key, "of a device")
        address, shape, strides = self.address, [], []
        for axis, stride in zip(axes, self.strides):
            if isinstance(axis, int):
                address += axis * stride
                continue
            address += axis.start * stride if axis else 0
            shape.append(len(axis))
            strides.append(axis.step * stride)
        return DeviceArray(self._owner, self.device, address, tuple(shape), tuple(strides), self.dtype, self.is_readonly)

    def __setitem__(self, key: object, value: object) -> None:
        if self.is_readonly:
            raise ValueError("this array is read-only: the task named it as input=")
        fill(self[key].memory, value)

    def get(self) -> np.ndarray:
        """Return a copy in host memory. Blocks until the work before it is done."""
        return to_host(self.memory)

    def copy(self) -> DeviceArray:
        """Return a copy on the device of the running task, which may be kept beyond the task."""
        return clone(self.memory)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("this array is in memory of a CUDA device: NumPy needs a copy of it, .get() makes one")

    def __repr__(self) -> str:
        return f"<DeviceArray on {self.device!r}: shape {self.shape}, {self.dtype}>"

    # --- For other libraries ---

    @property
    def __cuda_array_interface__(self) -> dict:
        is_contiguous = self.strides == contiguous_strides(self.shape, self.dtype.itemsize)
        interface = {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "data": (self.address if self.size else 0, self.is_readonly),
            "strides": None if is_contiguous else self.strides,
            "version": 3,
        }
        member = member_on(self.device)
        if member is not None:  # elsewhere the task that wrote it has ended
            interface["stream"] = _parla.current_queue(member)
        return interface

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CUDA, self.device.ordinal

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"dl_device={dl_device}: this array is on {self.__dlpack_device__()}; copy it with .get() or clone_here()")
        if stream == 0:
            raise ValueError("__dlpack__(stream=0) is ambiguous: 1 is the default stream, 2 that of the thread")
        given = self.copy() if copy else self
        is_versioned = max_version is not None and max_version[0] >= 1
        if given.is_readonly and not is_versioned:
            raise BufferError("this array is read-only (the task named it as input=), which DLPack can tell from version 1.0 on only")
        if given.dtype.kind not in _CODES or not given.dtype.isnative or any(s % given.dtype.itemsize for s in given.strides):
            raise BufferError(f"DLPack has no words for {given.dtype} with strides {given.strides}")
        member = member_on(self.device)
        if member is not None and stream != _NO_STREAM and stream != _parla.current_queue(member):
            _parla.order(member, LEGACY_STREAM if stream is None else stream, True)
        return _parla.dlpack_export(
            given._owner,
            given.address,
            given.shape,
            tuple(stride // given.dtype.itemsize for stride in given.strides),
            (_CODES[given.dtype.kind], 8 * given.dtype.itemsize),
            given.__dlpack_device__(),
            given.is_readonly,
            is_versioned,
        )


# --- Where the running task is ---


def member_on(device: Device) -> int | None:
    """Return the position of a device among those of the running task, None if it is not there."""
    task = _parla.current_task()
    if task is None:
        return None
    devices = task.devices
    chosen = current_member()
    if chosen >= 0 and devices[chosen] == device:
        return chosen
    return devices.index(device) if device in devices else None


def member_here() -> int | None:
    """Return the position of the running task's current device if that is a CUDA device, else None."""
    task = _parla.current_task()
    if task is None:
        return None
    member = max(current_member(), 0)
    return member if task.devices[member].kind == "cuda" else None


def run_on(device: Device, work: Callable[[int], object], name: str, **accesses: object) -> object:
    """Return work(position of the device) from inside the running task if it is there, else from a task of its own. Blocks."""
    member = member_on(device)
    if member is not None:
        return work(member)
    return _parla.spawn(placement=device, name=name, **accesses)(lambda: work(0)).result()


# --- Arrays of other libraries ---


def is_elsewhere(x: object) -> bool:
    """True for an array of any library in memory of a CUDA device."""
    if isinstance(x, np.ndarray) or hasattr(x, "__parla_array__"):
        return False
    place = getattr(x, "__dlpack_device__", None)
    if place is None:
        return hasattr(x, "__cuda_array_interface__")
    try:
        return place()[0] in (_CUDA, _CUDA_MANAGED)
    except Exception:  # an array that has no place, such as a sparse one: no array for us
        return False


def _dtype_of(code: int, bits: int, lanes: int) -> np.dtype:
    if lanes != 1 or code not in _KINDS or bits % 8:
        raise TypeError(f"an array with elements of DLPack's type (code {code}, {bits} bits, {lanes} lanes) has no type of NumPy's")
    return np.dtype("?" if _KINDS[code] == "b" else f"{_KINDS[code]}{bits // 8}")


def _capsule(x: object, stream: int) -> object:
    try:
        return x.__dlpack__(stream=stream, max_version=(1, 0))
    except TypeError:  # from before version 1
        return x.__dlpack__(stream=stream)


def _signed(n: int) -> int:
    """Return `n` as a number of 64 bits with a sign: CuPy divides negative strides by the item's size as if they had none."""
    return (n + 2**63) % 2**64 - 2**63


def _by_dlpack(x: object, stream: int) -> tuple[int, Memory]:
    holder, address, shape, strides, kind, (_, ordinal), _ = _parla.dlpack_import(_capsule(x, stream))
    dtype = _dtype_of(*kind)
    in_bytes = contiguous_strides(shape, dtype.itemsize) if strides is None else tuple(_signed(s * dtype.itemsize) for s in strides)
    return ordinal, Memory(-1, address, shape, in_bytes, dtype, holder)


def _interface(x: object) -> tuple[int | None, int | None, Memory]:
    """Return (card, stream to wait for, memory) of an array by its interface."""
    interface = x.__cuda_array_interface__
    if interface.get("mask") is not None:
        raise TypeError("an array with a mask cannot be taken: there is no place for the mask")
    shape, dtype = tuple(interface["shape"]), np.dtype(interface["typestr"])
    strides = interface.get("strides") or contiguous_strides(shape, dtype.itemsize)
    # Before version 3 an array did not tell its stream: it was to be ready in the default stream.
    stream = interface.get("stream", None if interface.get("version", 0) >= 3 else LEGACY_STREAM)
    address = interface["data"][0]
    return _parla.locate(address) if address else None, stream, Memory(-1, address, shape, tuple(strides), dtype, x)


def describe(x: object) -> tuple[int | None, Memory]:
    """Return the card that an array is on (None: it is empty, or on none) and its memory, whose device is left open. Waits for nothing."""
    if hasattr(x, "__dlpack__"):
        return _by_dlpack(x, _NO_STREAM)
    ordinal, _, memory = _interface(x)
    return ordinal, memory


def _in_order(x: object, member: int, device: Device) -> Memory:
    """Return the memory of an array on a device; the running task's stream waits for what the array's library has queued for it."""
    own = _parla.current_queue(member)
    is_here = _parla.current_task().devices[member].ordinal == device.ordinal
    if not hasattr(x, "__dlpack__"):
        _, stream, memory = _interface(x)
    elif is_here:
        return _by_dlpack(x, own)[1]
    else:  # DLPack knows streams of the array's own device only: its default stream stands between the two
        stream, memory = LEGACY_STREAM, _by_dlpack(x, LEGACY_STREAM)[1]
    if stream is not None and stream != own:
        _parla.order(member, stream, False, device.index)
    return memory


def device_of(x: object, ordinal: int | None) -> Device | None:
    """Return the device of the active runtime that is the card, the running task's if it is one of several; None without one.

    What is on no card may be on any device.
    """
    if isinstance(x, DeviceArray):
        return x.device
    runtime = _parla.active()
    rows = () if runtime is None else [row for row in runtime.devices if row[2] == "cuda"]
    found = [Device(_gpu(), row[1]) for row in rows if ordinal in (None, row[5])]
    task = _parla.current_task()
    here = [device for device in found if task is not None and device in task.devices]
    return (here or found or [None])[0]


def _gpu() -> object:
    from .devices import gpu

    return gpu


def memory_of(x: object, member: int) -> Memory:
    """Return where an array of any library is, in the order of the running task's stream at a position."""
    if isinstance(x, DeviceArray):
        return x.memory
    if not is_elsewhere(x):
        return _host_memory(np.asarray(x))
    ordinal = describe(x)[0]
    device = device_of(x, ordinal)
    if device is None:
        raise TypeError(f"{type(x).__name__} is on CUDA device {ordinal}, which this runtime does not have: name it in devices=")
    return _in_order(x, member, device)._replace(i_device=device.index)


def _host_memory(a: np.ndarray) -> Memory:
    return Memory(0, a.ctypes.data, a.shape, a.strides, a.dtype, a)


# --- Copies ---


def _other_queues(member: int, *sides: Memory) -> list[tuple[int, int]]:
    """Return (stream, device) of the running task's other devices that hold one of the sides."""
    devices = _parla.current_task().devices
    if len(devices) == 1:
        return []
    wanted = {side.i_device for side in sides}
    return [(_parla.current_queue(k), each.index) for k, each in enumerate(devices) if k != member and each.index in wanted]


def _queue(member: int, dst: Memory, src: Memory) -> None:
    """Copy in the running task's stream, in order with its streams on other devices. A side in host memory has been read or written when
    this returns."""
    others = _other_queues(member, dst, src)
    if dst.shape != src.shape or dst.dtype.itemsize != src.dtype.itemsize:
        raise ValueError(f"copying {src.dtype}{src.shape} into {dst.dtype}{dst.shape}: on CUDA devices both must be equal")
    for stream, i_device in others:
        _parla.order(member, stream, False, i_device)
    _parla.copy(member, dst.dtype.itemsize, dst.shape, dst.side, src.side)
    for stream, i_device in others:
        _parla.order(member, stream, True, i_device)
    if dst.i_device == 0 or src.i_device == 0:
        _parla.drain(member)


def fill(dst: Memory, value: object) -> None:
    """Copy any array, or a scalar, into memory of a device of the running task, or of a device that one of its own may use."""

    def work(member: int) -> None:
        src = memory_of(value, member)
        if src.i_device == 0:
            src = _host_memory(np.ascontiguousarray(np.broadcast_to(np.asarray(value), dst.shape), dtype=dst.dtype))
        elif src.dtype != dst.dtype:
            raise TypeError(f"copying {src.dtype} into {dst.dtype}: convert it first")
        _queue(member, dst, src)

    run_on(_device_at(dst.i_device), work, "copy to a device")


def to_host(src: Memory) -> np.ndarray:
    """Return a copy in host memory. Blocks."""
    made = np.empty(src.shape, src.dtype)
    run_on(_device_at(src.i_device), lambda member: _queue(member, _host_memory(made), src), "copy to the host")
    return made


def clone(src: Memory) -> DeviceArray:
    """Return a copy on the running task's current device, in memory that belongs to the copy."""
    member = member_here()
    if member is None:
        raise _parla.StateError("a copy in memory of a CUDA device is made by a task that runs on one")
    device = _parla.current_task().devices[member]
    n_bytes = math.prod(src.shape) * src.dtype.itemsize
    block = _parla.block(member, n_bytes)
    made = DeviceArray(block, device, block.address, src.shape, contiguous_strides(src.shape, src.dtype.itemsize), src.dtype)
    _queue(member, made.memory, src)
    return made


def _device_at(i_device: int) -> Device:
    row = _parla.active().devices[i_device]
    return Device(_gpu(), row[1])
