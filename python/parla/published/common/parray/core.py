"""`parla.common.parray.core`."""

from parla.array import PArray

__all__ = ["PArray"]
