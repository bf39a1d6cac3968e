"""`parla.parray`: PArrays."""

from parla.array import PArray, array, asarray, asarray_batch

__all__ = ["PArray", "array", "asarray", "asarray_batch"]
