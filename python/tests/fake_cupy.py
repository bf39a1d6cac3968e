"""What the package calls of CuPy, over any CUDA driver: a double for machines where CuPy cannot run.

CuPy needs the CUDA runtime, which the driver in host memory (ctest/fakecuda) does not carry. `test_gpu_cupy.py` compares the names and
signatures with the real CuPy wherever that can be imported, which needs no driver. Nothing here computes.
"""

import contextlib
import threading

import cuda_driver
import numpy as np
from parla._axes import apply_key

__version__ = "14.2.0"
_thread = threading.local()


def _state():
    if not hasattr(_thread, "device"):
        _thread.device, _thread.streams, _thread.allocator = 0, {}, None
    return _thread


class cuda:
    class Device:
        def __init__(self, device=None):
            self.id = _state().device if device is None else int(device)
            self._before = []

        def __enter__(self):
            self._before.append(_state().device)
            _state().device = self.id
            return self

        def __exit__(self, *error):
            _state().device = self._before.pop()

    class Stream:
        def __init__(self, ptr, device_id):
            self.ptr, self.device_id = ptr, device_id

        @classmethod
        def from_external(cls, obj):
            version, pointer = obj.__cuda_stream__()
            assert version == 0
            return cls(pointer, _state().device)

        def __enter__(self):
            if self.device_id != _state().device:
                raise RuntimeError(f"the stream is of device {self.device_id}, the current one is {_state().device}")
            _state().streams.setdefault(self.device_id, []).append(self)
            return self

        def __exit__(self, *error):
            _state().streams[self.device_id].pop()

        def __cuda_stream__(self):
            return 0, self.ptr

    class UnownedMemory:
        def __init__(self, ptr, size, owner, device_id=-1):
            self.ptr, self.size, self._owner, self.device_id = ptr, size, owner, device_id

    class MemoryPointer:
        def __init__(self, mem, offset):
            self.mem, self.ptr = mem, mem.ptr + offset

    @staticmethod
    @contextlib.contextmanager
    def using_allocator(allocator=None):
        before, _state().allocator = _state().allocator, allocator
        try:
            yield
        finally:
            _state().allocator = before

    @staticmethod
    def alloc(size):
        return _state().allocator(size)

    @staticmethod
    def get_current_stream(device_id=-1):
        found = _state().streams.get(_state().device if device_id == -1 else device_id)
        return found[-1] if found else None


class ndarray:
    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.data = cuda.alloc(self.size * self.dtype.itemsize) if memptr is None else memptr
        if strides is None:
            strides = np.empty(self.shape, self.dtype).strides
        self.strides = tuple(strides)

    def view(self, dtype=None, type=None):
        return (type or ndarray)(self.shape, self.dtype, self.data, self.strides)

    def __getitem__(self, key):
        offset, shape, strides = 0, [], []
        for axis, stride in zip(apply_key(tuple(map(range, self.shape)), key, "double"), self.strides):
            first = axis if isinstance(axis, int) else axis.start if axis else 0
            offset += first * stride
            if not isinstance(axis, int):
                shape.append(len(axis))
                strides.append(axis.step * stride)
        place = cuda.MemoryPointer(self.data.mem, self.data.ptr + offset - self.data.mem.ptr)
        return type(self)(shape, self.dtype, place, strides)

    def __setitem__(self, key, value):
        part, n_bytes = self[key], value.size * value.dtype.itemsize
        packed = np.empty(part.shape, value.dtype).strides
        assert (part.shape, part.dtype, part.strides, value.strides) == (value.shape, value.dtype, packed, packed)
        cuda_driver.call(
            "cuMemcpyDtoDAsync",
            *(cuda_driver.ctypes.c_uint64(part.data.ptr), cuda_driver.ctypes.c_uint64(value.data.ptr)),
            *(cuda_driver.ctypes.c_size_t(n_bytes), cuda_driver.ctypes.c_void_p(cuda.get_current_stream().ptr)),
        )

    @property
    def device(self):
        return cuda.Device(self.data.mem.device_id)

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "data": (self.data.ptr if self.size else 0, False),
            "strides": self.strides,
            "version": 3,
            "stream": cuda.get_current_stream().ptr if cuda.get_current_stream() else 1,
        }
