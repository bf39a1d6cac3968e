"""`parla.function_decorators`: variants of functions."""

from parla.variants import specialize, specialized

__all__ = ["specialize", "specialized"]
