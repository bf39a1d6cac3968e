"""`parla.warning`."""

from parla._warnings import ParlaWarning

__all__ = ["PerformanceWarning"]


class PerformanceWarning(ParlaWarning):
    """Something that works but slower than it could."""
