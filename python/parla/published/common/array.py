"""`parla.common.array`: copies to the current device."""

from parla.array import asnumpy, clone_here, copy, get_array_module, is_array, storage_size

__all__ = ["asnumpy", "clone_here", "copy", "get_array_module", "is_array", "storage_size"]
