"""`parla.common.spawn`."""

from parla import spawn, specialize

__all__ = ["spawn", "specialize"]
