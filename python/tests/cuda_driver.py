"""The CUDA driver for tests: streams, memory and copies that belong to somebody else than the package. Real or in host memory."""

import ctypes
import functools

NON_BLOCKING, DISABLE_TIMING = 1, 2


class _Location(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("id", ctypes.c_int))


class _PoolProps(ctypes.Structure):
    _fields_ = (
        ("alloc_type", ctypes.c_int),
        ("handle_types", ctypes.c_int),
        ("location", _Location),
        ("windows", ctypes.c_void_p),
        ("max_bytes", ctypes.c_size_t),
        ("usage", ctypes.c_ushort),
        ("reserved", ctypes.c_ubyte * 54),
    )


_VERSIONS = {
    **{"cuInit": 2000, "cuDeviceGet": 2000, "cuStreamCreate": 2000, "cuStreamSynchronize": 2000, "cuStreamDestroy": 4000},
    **{"cuDevicePrimaryCtxRetain": 7000, "cuDevicePrimaryCtxRelease": 11000, "cuCtxPushCurrent": 4000, "cuCtxPopCurrent": 4000},
    **{"cuMemPoolCreate": 11020, "cuMemPoolDestroy": 11020, "cuMemAllocFromPoolAsync": 11020, "cuMemFreeAsync": 11020},
    **{"cuMemsetD8Async": 3020, "cuMemcpyDtoDAsync": 3020, "cuMemcpyDtoHAsync": 3020, "cuCtxGetCurrent": 4000},
    **{"cuEventCreate": 2000, "cuEventRecord": 2000, "cuStreamWaitEvent": 3020, "cuEventDestroy": 4000},
}


@functools.cache
def _library():
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


@functools.cache
def _function(name):
    pointer, status = ctypes.c_void_p(), ctypes.c_int()
    code = _library().cuGetProcAddress_v2(
        name.encode(), ctypes.byref(pointer), _VERSIONS[name], ctypes.c_uint64(0), ctypes.byref(status)
    )
    assert code == 0 and pointer, name
    return ctypes.CFUNCTYPE(ctypes.c_int)(pointer.value)


def call(name, *arguments):
    code = _function(name)(*arguments)
    assert code == 0, f"{name}: {code}"


def _made(name, *arguments):
    out = ctypes.c_void_p()
    call(name, ctypes.byref(out), *arguments)
    return out.value


def is_there():
    """True if a driver is found, real or not, that has a card."""
    return _library() is not None and _function("cuInit")(ctypes.c_uint(0)) == 0


def has_card(ordinal):
    return _function("cuDeviceGet")(ctypes.byref(ctypes.c_int()), ctypes.c_int(ordinal)) == 0


def current_context():
    return _made("cuCtxGetCurrent")


class Fake:
    """The judge of the driver in host memory; `find` gives None on a real one."""

    _FIELDS = ("fail_call", "fail_work", "pause", "delay", "n_calls", "n_wrong", "last_wrong", "forget")

    class _Api(ctypes.Structure):
        pass

    _Api._fields_ = tuple((name, ctypes.c_void_p) for name in _FIELDS)

    @classmethod
    def find(cls):
        try:
            get = _library().fakecuda_get
        except AttributeError:
            return None
        get.restype = ctypes.POINTER(cls._Api)
        return cls(get().contents)

    def __init__(self, api):
        self._api = api

    def _call(self, name, result, *arguments):
        return ctypes.CFUNCTYPE(result)(getattr(self._api, name))(*arguments)

    def n_calls(self, function):
        return self._call("n_calls", ctypes.c_uint64, function.encode())

    def n_wrong(self):
        return self._call("n_wrong", ctypes.c_int)

    def last_wrong(self):
        return self._call("last_wrong", ctypes.c_char_p).decode()

    def forget(self):
        self._call("forget", None)

    def fail_work(self, n, code):
        self._call("fail_work", None, ctypes.c_int64(n), ctypes.c_int(code))

    def pause(self, is_paused):
        self._call("pause", None, ctypes.c_bool(is_paused))

    def delay(self, us):
        self._call("delay", None, ctypes.c_int64(us))


class Card:
    """Somebody else's work on a card: one stream, and memory that is filled and read there."""

    def __init__(self, ordinal):
        self.ordinal = ordinal
        self._context = _made("cuDevicePrimaryCtxRetain", ctypes.c_int(ordinal))
        props = _PoolProps(alloc_type=1, location=_Location(1, ordinal))
        with self:
            self._pool = _made("cuMemPoolCreate", ctypes.byref(props))
            self.stream = _made("cuStreamCreate", ctypes.c_uint(NON_BLOCKING))
        self._memory = []

    def __enter__(self):
        call("cuCtxPushCurrent", ctypes.c_void_p(self._context))
        return self

    def __exit__(self, *error):
        call("cuCtxPopCurrent", ctypes.byref(ctypes.c_void_p()))

    def alloc(self, n_bytes):
        with self:
            memory = _made(
                "cuMemAllocFromPoolAsync", ctypes.c_size_t(n_bytes), ctypes.c_void_p(self._pool), ctypes.c_void_p(self.stream)
            )
        self._memory.append(memory)
        return memory

    def fill(self, memory, value, n_bytes):
        with self:
            call("cuMemsetD8Async", ctypes.c_uint64(memory), ctypes.c_ubyte(value), ctypes.c_size_t(n_bytes), ctypes.c_void_p(self.stream))

    def copy(self, dst, src, n_bytes):
        with self:
            call("cuMemcpyDtoDAsync", ctypes.c_uint64(dst), ctypes.c_uint64(src), ctypes.c_size_t(n_bytes), ctypes.c_void_p(self.stream))

    def read(self, memory, n_bytes):
        out = (ctypes.c_ubyte * n_bytes)()
        with self:
            call("cuMemcpyDtoHAsync", out, ctypes.c_uint64(memory), ctypes.c_size_t(n_bytes), ctypes.c_void_p(self.stream))
        self.synchronize()
        return bytes(out)

    def wait_for(self, stream, waiting=None):
        """Make this stream (or `waiting`) wait for another."""
        with self:
            event = _made("cuEventCreate", ctypes.c_uint(DISABLE_TIMING))
            call("cuEventRecord", ctypes.c_void_p(event), ctypes.c_void_p(stream))
            call("cuStreamWaitEvent", ctypes.c_void_p(waiting or self.stream), ctypes.c_void_p(event), ctypes.c_uint(0))
            call("cuEventDestroy", ctypes.c_void_p(event))

    def synchronize(self):
        with self:
            call("cuStreamSynchronize", ctypes.c_void_p(self.stream))

    def close(self):
        with self:
            for memory in self._memory:
                call("cuMemFreeAsync", ctypes.c_uint64(memory), ctypes.c_void_p(self.stream))
            call("cuStreamSynchronize", ctypes.c_void_p(self.stream))
            call("cuStreamDestroy", ctypes.c_void_p(self.stream))
            call("cuMemPoolDestroy", ctypes.c_void_p(self._pool))
        call("cuDevicePrimaryCtxRelease", ctypes.c_int(self.ordinal))
