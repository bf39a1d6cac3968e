"""`parla.cython.device_manager`."""

from parla.common.globals import DeviceManager
from parla.context import Stream
from parla.devices import Architecture, Device, cpu, gpu

cuda = gpu
PyDeviceManager = DeviceManager
PyArchitecture = Architecture
PyDevice = Device

__all__ = ["Architecture", "Device", "DeviceManager", "PyArchitecture", "PyDevice", "PyDeviceManager", "Stream", "cpu", "cuda", "gpu"]
