"""Work that takes a given time: kernels for tests, examples and measurements."""

from __future__ import annotations

from ._parla import sleep_gil, sleep_nogil
from .devices import Device

__all__ = ["gpu_sleep_gil", "gpu_sleep_nogil", "sleep_gil", "sleep_nogil", "sleep_nogil_data"]

_CYCLES_PER_US = 1000
_SPIN = "extern \"C\" __global__ void spin(long long n) { long long begin = clock64(); while (clock64() - begin < n) { } }"


def sleep_nogil_data(us: float, data: object) -> None:
    """Keep the processor busy for `us` microseconds without the GIL, on behalf of work on `data`, which is left alone."""
    sleep_nogil(us)


def gpu_sleep_nogil(device: Device | int, cycles: int, stream: object = None) -> None:
    """Keep a GPU busy for so many clock cycles. Returns at once on a CUDA device, where the work is put into `stream`.

    On other devices the body is the device's work: the call blocks for as long as a GPU of 1 GHz would take.
    """
    native = getattr(stream, "native", lambda: stream)()
    if native is None or (isinstance(device, Device) and device.kind != "cuda"):
        sleep_nogil(cycles / _CYCLES_PER_US)
        return
    import cupy

    with native:
        cupy.RawKernel(_SPIN, "spin")((1,), (1,), (cycles,))


def gpu_sleep_gil(device: Device | int, cycles: int, stream: object = None) -> None:
    """As `gpu_sleep_nogil`, and block until the work is done, holding the GIL where no GPU does it."""
    native = getattr(stream, "native", lambda: stream)()
    if native is None or (isinstance(device, Device) and device.kind != "cuda"):
        sleep_gil(cycles / _CYCLES_PER_US)
        return
    gpu_sleep_nogil(device, cycles, stream)
    native.synchronize()
