"""`parla.cython.variants`."""

from parla.variants import specialize, specialized

__all__ = ["specialize", "specialized"]
