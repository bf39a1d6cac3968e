"""`parla.device`: devices and sizes of memory."""

from parla.devices import Architecture, Device, cpu, get_all_devices, gpu

__all__ = ["Architecture", "Device", "Gib", "Mib", "get_all_devices", "get_architecture", "kib"]

kib = 1024
Mib = 1024 * kib
Gib = 1024 * Mib


def get_architecture(name: str) -> Architecture:
    """Return the architecture of a name: "cpu", or "gpu" and "cuda"."""
    known = {"cpu": cpu, "gpu": gpu, "cuda": gpu}
    if name not in known:
        raise ValueError(f"get_architecture: expected one of {', '.join(known)}, not {name!r}")
    return known[name]
