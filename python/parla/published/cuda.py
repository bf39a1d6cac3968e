"""`parla.cuda`: GPUs."""

from parla.devices import Device, gpu

__all__ = ["clean_memory", "get_gpus", "get_memory_log", "gpu", "log_memory", "summarize_memory"]

_log: list[dict[str, int]] = []


def get_gpus() -> list[Device]:
    """Return the GPUs of the active runtime."""
    return list(gpu)


def summarize_memory() -> dict[str, int]:
    """Return the bytes in use on each GPU, by name."""
    return {repr(device): device.query()["used_bytes"] for device in gpu}


def log_memory() -> None:
    """Append what `summarize_memory` says to a log."""
    _log.append(summarize_memory())


def get_memory_log() -> list[dict[str, int]]:
    """Return the log."""
    return list(_log)


def clean_memory() -> None:
    """Empty the log."""
    _log.clear()
