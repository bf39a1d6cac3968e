"""Device files of the published front end: which devices a program may use, in YAML.

    CPU: {num_cores: 4, mem_sz: 8000000000}
    GPU: {num_devices: 2, mem_sz: [4000000000, 4000000000]}

`num_cores` becomes the number of workers. GPUs that the machine does not have become simulated ones only where the file says so
(``simulated: true`` under GPU) or the program does (``Parla(devices="sim", dev_config_file=…)``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import _parla


@dataclass(frozen=True)
class DeviceFile:
    """What a device file asks for."""

    n_cores: int | None
    cpu_bytes: int | None
    gpu_bytes: tuple[int | None, ...]  # one for each GPU
    is_simulated: bool

    def devices(self, kind: str) -> str:
        """Return the devices in the library's grammar, with GPUs of a kind of backend."""
        cpu = "cpu" if self.cpu_bytes is None else f"cpu,mem={self.cpu_bytes}"
        return ",".join([cpu, *(kind if n is None else f"{kind},mem={n}" for n in self.gpu_bytes)])


def _whole(section: dict, key: str, path: str) -> int | None:
    value = section.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise _parla.ConfigError(f"{path}: {key}: expected a whole number from 0 on, not {value!r}")
    return value


def _section(content: object, key: str, known: set[str], path: str) -> dict:
    if not isinstance(content, dict):
        raise _parla.ConfigError(f"{path}: expected the sections CPU and GPU, found {content!r}")
    section = content.get(key) or {}
    if not isinstance(section, dict) or set(section) - known:
        raise _parla.ConfigError(f"{path}: {key}: expected the keys {', '.join(sorted(known))}, found {section!r}")
    return section


def _gpu_bytes(section: dict, path: str) -> tuple[int | None, ...]:
    sizes = section.get("mem_sz")
    count = _whole(section, "num_devices", path)
    if not isinstance(sizes, list):
        sizes = [_whole(section, "mem_sz", path)] * (count or 0)
    if count is None:
        count = len(sizes)
    if len(sizes) < count or not all(size is None or (isinstance(size, int) and size > 0) for size in sizes):
        raise _parla.ConfigError(f"{path}: GPU: mem_sz: expected {count} sizes in bytes, not {sizes!r}")
    return tuple(sizes[:count])


def read(path: str | os.PathLike) -> DeviceFile:
    """Read a device file. Raises ConfigError that names the file and what is wrong in it."""
    try:
        import yaml
    except ImportError:
        raise _parla.ConfigError("dev_config_file: reading YAML needs the package PyYAML: pip install pyyaml") from None
    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file) or {}
    except OSError as error:
        raise _parla.ConfigError(f"dev_config_file: {error}") from error
    except yaml.YAMLError as error:
        raise _parla.ConfigError(f"{name}: not YAML: {error}") from error
    cpu = _section(content, "CPU", {"num_cores", "mem_sz"}, name)
    gpu = _section(content, "GPU", {"num_devices", "mem_sz", "simulated"}, name)
    n_cores, cpu_bytes = _whole(cpu, "num_cores", name), _whole(cpu, "mem_sz", name)
    return DeviceFile(n_cores or None, cpu_bytes or None, _gpu_bytes(gpu, name), bool(gpu.get("simulated")))


def _count_of_real() -> int:
    """Return how many real GPUs a runtime finds on this machine."""
    probe = _parla.Runtime(1, "auto")
    try:
        return sum(row[0] == _parla.ARCH_GPU for row in probe.devices)
    finally:
        probe.stop()


def devices_for(file: DeviceFile, given: str | None) -> str:
    """Return the devices, in the library's grammar, that a file asks for; `given` is what the program said itself, "sim" or nothing."""
    if given not in (None, "sim", "cuda"):
        raise ValueError(f"Parla(devices={given!r}, dev_config_file=…): the file names the devices; give devices='sim' to simulate its GPUs")
    if not file.gpu_bytes:
        return file.devices("")
    if given == "sim" or file.is_simulated:
        return file.devices("sim")
    n_real = _count_of_real()
    if n_real == 0:
        raise _parla.NoDeviceError(
            f"dev_config_file: it asks for {len(file.gpu_bytes)} GPUs and this machine has none; to simulate them write "
            "`simulated: true` under GPU in the file, or say Parla(devices='sim', dev_config_file=…)"
        )
    parts = ["cpu" if file.cpu_bytes is None else f"cpu,mem={file.cpu_bytes}"]
    for index, n_bytes in enumerate(file.gpu_bytes):
        kind = f"cuda:{index % n_real}"
        parts.append(kind if n_bytes is None else f"{kind},mem={n_bytes}")
    return ",".join(parts)
