"""`parla.detail`."""

__all__ = ["Detail"]


class Detail:
    """Base class of the published package's internal objects."""
