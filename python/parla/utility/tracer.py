"""Ranges of a program, as the published front end marks them with NVTX: here they lie in the trace (``Parla(trace=FILE)``) too."""

from __future__ import annotations

import importlib.util

from .. import _parla

__all__ = ["NVTXTracer"]


class NVTXTracer:
    """Marks ranges in the trace of the active runtime, and in NVTX where its package is installed. Without either, calls do nothing."""

    nvtx: object = None

    @staticmethod
    def initialize() -> None:
        """Look for the package nvtx. Ranges lie in the trace without it."""
        if NVTXTracer.nvtx is None and importlib.util.find_spec("nvtx") is not None:
            NVTXTracer.nvtx = importlib.import_module("nvtx")

    @staticmethod
    def push_range(message: str | None = None, color: str = "blue", domain: str | None = None) -> None:
        """Begin a range on this thread; ranges of a thread nest."""
        active = _parla.active()
        if active is not None:
            active.trace_begin(message or "range")
        if NVTXTracer.nvtx is not None:
            NVTXTracer.nvtx.push_range(message, color, domain)

    @staticmethod
    def pop_range(domain: str | None = None) -> None:
        """End the range that this thread has begun last."""
        active = _parla.active()
        if active is not None:
            active.trace_end()
        if NVTXTracer.nvtx is not None:
            NVTXTracer.nvtx.pop_range(domain)
