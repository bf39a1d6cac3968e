"""`parla.common.parray.from_data`."""

from parla.array import array, asarray, asarray_batch

__all__ = ["array", "asarray", "asarray_batch"]
