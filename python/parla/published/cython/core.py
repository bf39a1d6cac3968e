"""`parla.cython.core`: work that takes a given time."""

from parla._parla import sleep_gil, sleep_nogil
from parla.busy import gpu_sleep_gil, gpu_sleep_nogil, sleep_nogil_data

__all__ = ["gpu_sleep_gil", "gpu_sleep_nogil", "sleep_gil", "sleep_nogil", "sleep_nogil_data"]
