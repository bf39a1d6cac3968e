"""Arrays that move to the tasks that use them, and helpers that work on any array.

A `PArray` is one array with copies on devices. Listed in input=, output= or inout= of a spawn it orders tasks and is moved; in the
body `.array` is the local array: NumPy's on the CPU and on simulated devices, CuPy's on CUDA devices (a plain `DeviceArray` where CuPy is
not installed).
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator

import numpy as np

from . import _adapters, _cuda, _device_array, _memories, _parla
from ._adapters import register
from ._axes import Axes, apply_key, is_basic, key_of_axis, region_of_axis
from ._device_array import DeviceArray, is_elsewhere
from .context import current_member
from .devices import Device, cpu, devices_of_rows

__all__ = [
    "DeviceArray",
    "PArray",
    "array",
    "asarray",
    "asarray_batch",
    "asnumpy",
    "can_assign_from",
    "clone_here",
    "copy",
    "empty",
    "get_array_module",
    "get_memory",
    "is_array",
    "register",
    "storage_size",
]

_HOST_MODES = {"r": _parla.IN, "rw": _parla.INOUT, "w": _parla.OUT}


class PArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array with coherent copies on devices. Made by `asarray`, `array` and `empty`; lives longer than a runtime.

    In the body of a task that names it, operators, indexing and NumPy functions work on the local copy and give plain arrays.
    Outside of tasks they work on the host's copy, after waiting for the tasks that write the array; integers, slices and Ellipsis as
    indices give a view that is a PArray too, all other forms a plain array with a copy. Views may overlap. Hashing is by identity.

    Examples
    --------
    >>> from parla import Parla, gpu, spawn
    >>> a = asarray(np.arange(6.0), name="a")
    >>> with Parla(devices="sim:2", n_workers=1):
    ...     for i in range(2):
    ...         part = a[3 * i : 3 * i + 3]
    ...         @spawn(placement=gpu(i), inout=[part], args=(part, i))
    ...         def add(part, i):
    ...             part.array[:] += 10 * (i + 1)
    >>> a + 0
    array([10., 11., 12., 23., 24., 25.])
    >>> float(a[-1])
    25.0
    """

    __slots__ = ("__weakref__", "_adapter", "_axes", "_data", "_dtype", "_source", "name")

    def __init__(
        self,
        data: _parla.Data,
        dtype: np.dtype,
        axes: Axes,
        name: str,
        source: np.ndarray | None = None,
        adapter: _adapters.Adapter | None = None,
    ) -> None:
        self._data = data
        self._dtype = dtype
        self._axes = axes
        self._source = source
        self._adapter = adapter
        self.name = name

    __hash__ = object.__hash__

    # --- Shape ---

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each dimension."""
        return tuple(len(axis) for axis in self._axes if isinstance(axis, range))

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of one copy."""
        return self.size * self._dtype.itemsize

    @property
    def _is_whole(self) -> bool:
        return self._region() is None

    def _region(self) -> tuple[tuple[int, int, int], ...] | None:
        """Return one (start, stop, step) per dimension of the whole array, None for all of it."""
        shape = self._data.shape
        if all(isinstance(axis, range) and axis == range(n) for axis, n in zip(self._axes, shape)):
            return None
        return tuple(region_of_axis(axis) for axis in self._axes)

    # --- Content ---

    def _lay_over(self, view: tuple, i_device: int = 0) -> np.ndarray:
        buffer, offset, strides = view
        if buffer.is_native:
            key = tuple(map(key_of_axis, self._axes))
            return _cuda.local_array(view, self._data.shape, self._dtype, key, i_device)
        whole = np.ndarray(self._data.shape, self._dtype, buffer, offset, strides)
        return whole[(*map(key_of_axis, self._axes), ...)] if self._axes else whole

    def _local(self) -> np.ndarray | None:
        """Return the local array of the running task, or of the current device of a loop over its devices; None outside of tasks."""
        local = self._data.local(current_member(), self._region())
        if local is False:
            raise _parla.StateError(
                f"array {self.name!r} is named by the task only in part: use the slices that its spawn names, or name what the body uses"
            )
        return None if local is None else self._lay_over(local[0], local[2])

    @property
    def array(self) -> np.ndarray:
        """The local array: NumPy's, on a CUDA device CuPy's, or of the registered type that the PArray was made of.

        In a task: the copy on the task's device, valid until the body ends or awaits; read-only if the task named it as input=. A
        task on a GPU that keeps it longer fails; one that returns it returns a copy.
        Outside: the host's copy, after waiting for the tasks that write the array. It may be written; copies on devices then are
        fetched anew. It shows what later tasks write on devices only when `.array` is asked for again.
        """
        local = self._plain_array()
        return local if self._adapter is None else self._adapter.wrap(local)

    def _plain_array(self) -> np.ndarray:
        local = self._local()
        if local is not None:
            return local
        region = self._region()
        view = self._data.acquire(_parla.INOUT, None, region)
        try:
            return self._lay_over(view)
        finally:
            self._data.release(_parla.INOUT, region)

    def get(self, device: Device | None = None) -> np.ndarray:
        """Return the content from a device: the local array in a task, else a NumPy array with a copy of what the device has. Blocks."""
        if device is None or _parla.in_body():
            return self.array
        return _parla.spawn(placement=device, input=[self], name=f"get {self.name}")(lambda: np.array(asnumpy(self))).result()

    @contextlib.contextmanager
    def host(self, mode: str = "r") -> Iterator[np.ndarray]:
        """Give the host's copy for the time of a `with` block; tasks that would conflict wait for its end.

        mode: "r" to read, "rw" to read and write, "w" to overwrite all of it. Blocks until the tasks that it depends on have ended.
        Not for use in tasks.
        """
        if mode not in _HOST_MODES:
            raise ValueError(f"host(mode): expected 'r', 'rw' or 'w', not {mode!r}")
        access, region = _HOST_MODES[mode], self._region()
        view = self._data.acquire(access, None, region)
        try:
            yield self._lay_over(view)
        finally:
            self._data.release(access, region)

    def update(self, value: object) -> None:
        """Overwrite the content with `value`.

        It must broadcast to the shape; outside of tasks a whole array may also get another shape and type, and then becomes a new one
        under the same name: views that were made before keep showing the old one.
        """
        local = self._local()
        if local is not None and _cuda.is_library_array(local):
            _cuda.assign(local, ..., _operand(value))
            return
        if local is None and is_elsewhere(value) and self._update_there(value):
            return
        value = asnumpy(value)
        if local is not None:
            local[...] = value
        elif self._is_whole and not _broadcasts(value.shape, self.shape):
            made = array(value, name=self.name)
            self._data, self._dtype, self._axes, self._source = made._data, made._dtype, made._axes, made._source
        else:
            with self.host("w") as local:
                local[...] = value

    def _update_there(self, value: object) -> bool:
        """Overwrite the content with an equal array of another library, on its device; False if there is no such device."""
        device = _cuda.place_of(value)
        if device is None or tuple(value.shape) != self.shape:
            return False
        _parla.spawn(placement=device, output=[self], name=f"update {self.name}")(lambda: self.update(value)).result()
        return True

    def _view(self, key: object) -> PArray:
        return PArray(self._data, self._dtype, apply_key(self._axes, key, self.name), self.name, self._source, self._adapter)

    def _depends_on(self, key: object) -> bool:
        """True if what the running task may do with this array depends on the key: it names parts of it, or some parts to write."""
        local = self._data.local(current_member(), self._region())
        if local is None or not is_basic(key):
            return False
        return local is False or (local[3] > 1 and local[1] == _parla.IN)

    def __getitem__(self, key: object) -> PArray | np.ndarray:
        if self._depends_on(key):
            return _as_part(self._view(key)._local()[()])
        local = self._local()
        if local is not None:
            return _as_part(local[key])
        if not is_basic(key):
            with self.host("r") as local:
                return np.array(local[_plain(key)])
        return self._view(key)

    def __setitem__(self, key: object, value: object) -> None:
        if is_basic(key) and (not _parla.in_body() or self._depends_on(key)):
            self._view(key).update(value)
            return
        local = self._local()
        if local is not None and _cuda.is_library_array(local):
            _cuda.assign(local, _plain(key), _operand(value))
            return
        if local is not None:
            local[_plain(key)] = asnumpy(value)
            return
        key, value = _plain(key), asnumpy(value)
        with self.host("rw") as local:
            local[key] = value

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        if _parla.in_body():
            local = self._plain_array()
            if _cuda.is_library_array(local):
                raise TypeError(
                    f"array {self.name!r} is in memory of a CUDA device here: NumPy needs a copy of it, parla.array.asnumpy(a) makes one"
                )
            return np.array(local, dtype=dtype, copy=copy) if copy or dtype is not None else local
        if copy is False:
            raise ValueError(f"array {self.name!r}: outside of tasks NumPy gets a copy; use `with a.host() as local:` to look without one")
        with self.host("r") as local:
            return np.array(local, dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **kwargs: object) -> object:
        outputs = kwargs.get("out", ())
        if outputs:
            kwargs["out"] = tuple(out._plain_array() if isinstance(out, PArray) else out for out in outputs)
        if "where" in kwargs:
            kwargs["where"] = _plain(kwargs["where"])
        result = getattr(ufunc, method)(*map(_operand, inputs), **kwargs)
        return outputs[0] if len(outputs) == 1 and isinstance(outputs[0], PArray) else result

    def __array_function__(self, function: Callable, types: object, args: tuple, kwargs: dict) -> object:
        out = kwargs.get("out")
        if isinstance(out, PArray):
            kwargs = {**kwargs, "out": out._plain_array()}
        # What the function writes into its first argument must reach this array, not a copy.
        if function in _WRITERS and args and isinstance(args[0], PArray):
            function(args[0]._plain_array(), *map(_plain, args[1:]), **{key: _plain(value) for key, value in kwargs.items()})
            return None
        result = function(*map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()})
        return out if isinstance(out, PArray) else result

    def __dlpack__(self, **options: object) -> object:
        """Return a DLPack capsule over the local copy; outside of tasks over the host's, as for `array`."""
        return self._plain_array().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._plain_array().__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> dict:
        """Of the local copy, where that is CUDA memory; AttributeError elsewhere."""
        local = self._local() if _parla.in_body() else None
        if local is None or not _cuda.is_library_array(local):
            raise AttributeError(f"array {self.name!r} is not in memory of a CUDA device here")
        return local.__cuda_array_interface__

    def __getattr__(self, name: str) -> object:
        if hasattr(PArray, name):  # a property has raised AttributeError: told as it is
            return object.__getattribute__(self, name)
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"PArray has no attribute {name!r}")
        return getattr(_operand(self), name)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator:
        return (self[i] for i in range(len(self)))

    def __contains__(self, item: object) -> bool:
        return bool(np.any(_operand(self) == _operand(item)))

    # --- As one number, and as a copy ---

    def __bool__(self) -> bool:
        return bool(_operand(self))

    def _number(self) -> np.ndarray:
        if self.size != 1:
            raise TypeError(f"array {self.name!r}: only an array of one element is a number, not one of shape {self.shape}")
        return asnumpy(self)

    def __int__(self) -> int:
        return int(self._number())

    def __float__(self) -> float:
        return float(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        return operator.index(self._number())

    def __format__(self, spec: str) -> str:
        return format(asnumpy(self), spec) if spec else str(self)

    def __reduce__(self) -> tuple:
        """For pickle and copy: another PArray with a copy of the content, on the host. Blocks as `asnumpy`."""
        return _restore, (np.array(asnumpy(self)) if _parla.in_body() else asnumpy(self), self.name)

    # --- Where it is ---

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices of the active runtime that hold a valid copy."""
        mask = self._data.query()[1]
        runtime = _parla.active()
        rows = () if runtime is None else runtime.devices
        return devices_of_rows(tuple(row for index, row in enumerate(rows) if mask >> index & 1))

    def exists_on_device(self, device: Device | int) -> bool:
        """True if a device, or the one with this number among all, holds a valid copy."""
        index = device.index if isinstance(device, Device) else operator.index(device)
        return any(found.index == index for found in self.devices)

    def nbytes_at(self, device: Device | int) -> int:
        """Return the bytes that a valid copy takes on a device; 0 if there is none."""
        return self.nbytes if self.exists_on_device(device) else 0

    def evict(self, device: Device | int | None = None, keep_one_copy: bool = True) -> None:
        """Free the copy on one device, or on all. Blocks until the tasks on it have ended.

        Content that is only there is written back to the host, so one copy is kept in any case: `keep_one_copy` changes nothing.
        """
        self._data.evict(-1 if device is None else device.index if isinstance(device, Device) else operator.index(device))

    def evict_all(self) -> None:
        """Free the copies on all devices, as `evict()`."""
        self.evict()

    def set_name(self, name: str) -> None:
        """Set what messages call the array."""
        self.name = name

    def print_overview(self) -> None:
        """Print shape, type and the devices that hold a valid copy."""
        print(self._overview())

    def _overview(self) -> str:
        places = ", ".join(map(repr, self.devices)) or "host"
        return f"PArray {self.name!r}: shape {self.shape}, {self._dtype}, {self.nbytes} bytes, valid on {places}"

    def __repr__(self) -> str:
        return f"<{self._overview()}>"

    def _repr_html_(self) -> str:
        """For notebooks: the content too where the host has it. Nothing is moved or waited for to show it."""
        from ._display import array_html

        return array_html(self._overview(), self._content_on_host())

    def _content_on_host(self) -> str | None:
        """Return the content as text if that takes no copy and no task is about to write it, else None."""
        on_host = _parla.active() is None or any(device.architecture is cpu for device in self.devices)
        if _parla.in_body() or not on_host:
            return None
        try:
            view = self._data.acquire(_parla.IN, 0.0, self._region())
        except _parla.TaskTimeout:
            return None
        try:
            return str(self._lay_over(view))
        finally:
            self._data.release(_parla.IN, self._region())

    def __parla_data__(self) -> object:
        """Return a capsule "parla_data" with the parla_data pointer, borrowed from this object."""
        return self._data.__parla_data__()

    def __parla_array__(self) -> PArray:
        return self

    def __parla_device__(self) -> Device:
        """Return the device that holds the array; the last one, if several do: the CPU only if no other does."""
        found = self.devices
        if found:
            return found[-1]
        return cpu(0)


class _Part(np.ndarray):
    """A part of a local array: a NumPy array whose `array` is itself, since the published programs write ``a[0:n].array`` in a body."""

    @property
    def array(self) -> np.ndarray:
        return self.view(np.ndarray)

    def __array_wrap__(self, result: np.ndarray, context: object = None, return_scalar: bool = False) -> object:
        return result[()] if return_scalar else result.view(np.ndarray)


def _as_part(part: object) -> object:
    return part.view(_Part) if type(part) is np.ndarray else _cuda.as_part(part)


# NumPy's functions that write into their first argument.
_WRITERS = (np.copyto, np.put, np.putmask, np.place, np.fill_diagonal, np.put_along_axis)


def _operand(item: object) -> object:
    """Return what to compute with: for a PArray the local array, outside of tasks a copy; anything else as it is."""
    if not hasattr(item, "__parla_array__"):
        return item
    item = item.__parla_array__()
    local = item._plain_array() if _parla.in_body() else None
    return local if local is not None else np.asarray(item)


def _plain(item: object) -> object:
    """Return an argument with plain arrays in place of PArrays, also in lists, tuples and dicts."""
    if isinstance(item, PArray):
        return _operand(item)
    if type(item) in (list, tuple):
        return type(item)(map(_plain, item))
    if type(item) is dict:
        return {key: _plain(value) for key, value in item.items()}
    return item


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


# --- Making ---

def _make(
    shape: tuple[int, ...], dtype: np.dtype, name: str, source: np.ndarray | None, adapter: _adapters.Adapter | None = None
) -> PArray:
    if dtype.hasobject:
        raise TypeError(f"array {name!r}: elements of type {dtype} are Python objects, which cannot be moved to a device")
    if source is None:
        data = _parla.Data(shape, dtype.itemsize, name)
    else:
        data = _parla.Data(shape, dtype.itemsize, name, source.ctypes.data, source.strides, source)
    return PArray(data, dtype, tuple(map(range, shape)), name, source, adapter)


def _over(a: np.ndarray, name: str, adapter: _adapters.Adapter | None = None) -> PArray:
    """Return the PArray over the memory of `a`: the same one each time."""
    return _memories.find_or_make(a, lambda: _make(a.shape, a.dtype, name, a, adapter))


def asarray(
    a: object, dtype: object = None, order: str | None = None, like: object = None, on_gpu: bool = False, name: str | None = None
) -> PArray:
    """Return a PArray over the memory of `a`, without a copy where possible.

    The same NumPy array gives the same PArray as long as that is alive. Lists, arrays of another dtype and read-only arrays are
    copied. While tasks use the PArray, look at its content through it. Types of other libraries are taken once they are registered
    (`register`). Arrays on CUDA devices that know ``__cuda_array_interface__`` or DLPack (CuPy's, Numba's, PyTorch's) are copied on their
    device; blocks until that is done.

    `like` and `on_gpu` are accepted as published: the PArray moves to the device of each task that names it anyway.
    """
    if hasattr(a, "__parla_array__"):
        return a.__parla_array__()
    adapter = _adapters.find(a)
    if is_elsewhere(a):
        return _copied(a, dtype, name, adapter)
    local = np.asarray(a if adapter is None else adapter.to_numpy(a), dtype=dtype, order=order)
    if not local.flags.writeable or any(stride == 0 and n > 1 for stride, n in zip(local.strides, local.shape)):
        local = np.array(local, order=order or "K")
    return _over(local, name or "array", adapter)


def _copied(a: object, dtype: object, name: str | None, adapter: _adapters.Adapter | None) -> PArray:
    """Return a PArray with a copy of an array that is on a CUDA device."""
    _, memory = _device_array.describe(a)
    device = _cuda.place_of(a)
    if device is None or (dtype is not None and np.dtype(dtype) != memory.dtype):
        return _over(np.array(_cuda.to_host(a), dtype=dtype), name or "array", adapter)
    made = _make(memory.shape, memory.dtype, name or "array", None, adapter)
    _parla.spawn(placement=device, output=[made], name=f"copy to {made.name}")(lambda: made.update(a)).result()
    return made


def array(
    obj: object,
    dtype: object = None,
    *,
    copy: bool = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    like: object = None,
    on_gpu: bool = False,
    name: str | None = None,
) -> PArray:
    """Return a PArray with a copy of `obj` as its content; with ``copy=False`` over its memory where possible.

    `subok`, `like` and `on_gpu` are accepted as published and change nothing: see `asarray`.
    """
    adapter = _adapters.find(obj)
    local = np.array(asnumpy(obj) if is_array(obj) else obj, dtype=dtype, order=order, ndmin=ndmin, copy=True if copy else None)
    return asarray(local, name=name) if adapter is None else _over(local, name or "array", adapter)


def empty(shape: int | tuple[int, ...], dtype: object = float, name: str | None = None) -> PArray:
    """Return a PArray without content; a task or the host has to write it before it is read. Memory is taken when it is first used."""
    if not isinstance(shape, (tuple, list)):
        shape = (shape,)
    shape = tuple(operator.index(n) for n in shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"empty(shape): negative extent in {shape}")
    return _make(shape, np.dtype(dtype), name or "array", None)


def _restore(content: np.ndarray, name: str) -> PArray:
    return asarray(content, name=name)


def asarray_batch(*items: object, base: str = "array") -> object:
    """Apply `asarray` to all arrays in nested dicts, lists and tuples; return the same structure (one item, or a list of several).

    The PArrays are called ``base_0``, ``base_1``, … in the order in which they are met.
    """
    count = 0

    def convert(item: object) -> object:
        if isinstance(item, dict):
            return {key: convert(value) for key, value in item.items()}
        if isinstance(item, (list, tuple)):
            return type(item)(map(convert, item))
        if not is_array(item):
            return item
        nonlocal count
        count += 1
        return asarray(item, name=f"{base}_{count - 1}")

    converted = [convert(item) for item in items]
    return converted[0] if len(converted) == 1 else converted


# --- Helpers ---


def is_array(x: object) -> bool:
    """True for NumPy arrays, PArrays, blocks that stand for a PArray, registered types, and arrays on CUDA devices."""
    return isinstance(x, np.ndarray) or hasattr(x, "__parla_array__") or _adapters.find(x) is not None or is_elsewhere(x)


def storage_size(*arrays: object) -> int:
    """Return the bytes that the arrays take together."""
    return sum(x.nbytes if hasattr(x, "nbytes") else asnumpy(x).nbytes for x in arrays)


def get_memory(x: object) -> Device:
    """Return the device that holds an array."""
    if hasattr(x, "__parla_device__"):
        return x.__parla_device__()
    return (_cuda.place_of(x) if is_elsewhere(x) else None) or cpu(0)


def can_assign_from(dst: object, src: object) -> bool:
    """True if `copy(dst, src)` may be called: both are arrays, and the shape of `src` broadcasts."""
    return is_array(dst) and is_array(src) and _broadcasts(tuple(src.shape), tuple(dst.shape))


def get_array_module(x: object = None) -> object:
    """Return the module whose functions work on `x`, or on arrays of the current device: CuPy on CUDA devices, else NumPy."""
    x = _operand(x)
    is_there = _cuda.is_library_array(x) or (x is None and _device_array.member_here() is not None)
    return np if not is_there or _cuda.cupy() is None else _cuda.cupy()


def asnumpy(x: object) -> np.ndarray:
    """Return `x` as a NumPy array.

    For a PArray outside of tasks that is a copy, after waiting for the tasks that write it; so is that of an array on a CUDA device.
    """
    if hasattr(x, "__parla_array__") and _parla.in_body():
        x = x.__parla_array__()._plain_array()
    if not isinstance(x, np.ndarray) and is_elsewhere(x):
        return _cuda.to_host(x)
    adapter = _adapters.find(x)
    if adapter is not None:
        return adapter.to_numpy(x)
    return np.asarray(x.__parla_array__() if hasattr(x, "__parla_array__") else x)


def clone_here(x: object) -> np.ndarray:
    """Return a copy of `x` on the device of the running task (outside of tasks: on the host).

    A PArray must be named by the task. On a CUDA device it is CuPy's array (a `DeviceArray` without CuPy), in memory of the task's pool.
    """
    if _device_array.member_here() is not None:
        return _cuda.clone(_operand(x))
    return np.array(asnumpy(x))


def copy(dst: object, src: object) -> None:
    """Copy the content of `src` into `dst`, with NumPy's broadcasting.

    Between two PArrays of equal shape and type, outside of tasks, the copy is a task of its own, ordered with others on these arrays, and
    the call returns at once. Everything else is done before it returns.
    """
    dst = dst.__parla_array__() if hasattr(dst, "__parla_array__") else dst
    src = src.__parla_array__() if hasattr(src, "__parla_array__") else src
    if not isinstance(dst, PArray) and is_elsewhere(dst):
        _cuda.copy_into(dst, _operand(src))
    elif not isinstance(dst, PArray):
        np.copyto(asnumpy(dst), asnumpy(src))
    elif _parla.in_body() and not _cuda.is_library_array(dst._plain_array()):
        np.copyto(dst._plain_array(), asnumpy(src))
    elif _can_copy_as_task(dst, src):
        _parla.data_copy(dst._data, dst._region(), src._data, src._region(), -1)
    else:
        dst.update(src)


def _can_copy_as_task(dst: PArray, src: object) -> bool:
    if not isinstance(src, PArray) or _parla.active() is None or src._data is dst._data:
        return False
    is_ascending = all(isinstance(axis, range) and axis.step > 0 for axis in (*dst._axes, *src._axes))
    return is_ascending and src.shape == dst.shape and src.dtype == dst.dtype
