"""From what users write as `placement=` to the choices of the C interface.

A choice is a tuple of demands (arch, number, vcus, memory), one for each device that the task uses at once; several choices
are alternatives.
"""

from __future__ import annotations

from . import _parla
from .devices import Architecture, Demand, Device, Group, architecture_of_code, device_listing, read_bytes, read_share, device_table, cpu

_Row = tuple[int, int, float, int]


def _demand(item: object, vcus: float, memory: int) -> _Row:
    if isinstance(item, Architecture):
        return item.code, _parla.ANY_NUMBER, vcus, memory
    if isinstance(item, Device):
        return item.architecture.code, item.number, vcus, memory
    if isinstance(item, Demand):
        return (
            item.architecture.code,
            item.number,
            vcus if item.vcus is None else item.vcus,
            memory if item.memory is None else item.memory,
        )
    raise TypeError(
        f"placement: expected cpu, gpu, a device such as gpu(1), a list of alternatives, a tuple of devices used at once, an array "
        f"or a Task, not {item!r}"
    )


def _devices_of(item: object) -> tuple[Device, ...] | None:
    """Return the devices that an array lies on or that a task ran on; None for anything else."""
    if isinstance(item, _parla.Task):
        if not item.devices:
            raise ValueError(f"placement: {item!r} has not started, so nobody knows where it runs; await it before, or name devices")
        return item.devices
    if hasattr(item, "__parla_device__"):
        return (item.__parla_device__(),)
    if hasattr(item, "__parla_array__"):
        return (item.__parla_array__().__parla_device__(),)
    return None


def _choice(item: object, vcus: float, memory: int) -> tuple[_Row, ...]:
    devices = _devices_of(item)
    members = devices if devices is not None else item if isinstance(item, tuple) else (item,)
    rows = []
    for member in members:
        if isinstance(member, Group):
            rows += [_demand(inner, vcus, memory) for inner in member]
        else:
            place = _devices_of(member)
            rows += [_demand(inner, vcus, memory) for inner in ((member,) if place is None else place)]
    fixed = [row[:2] for row in rows if row[1] >= 0]
    if not rows or len(set(fixed)) != len(fixed):
        raise ValueError(f"placement: {item!r} must name at least one device and none of them twice")
    return tuple(rows)


def _check_exists(choices: tuple[tuple[_Row, ...], ...]) -> None:
    """Raise NoDeviceError if a choice names a device that the active runtime does not have."""
    present = {row[:2] for row in device_table()}
    for choice in choices:
        for arch, number, _, _ in choice:
            if number >= 0 and (arch, number) not in present:
                missing = f"{architecture_of_code[arch]}[{number}]"
                raise _parla.NoDeviceError(f"placement: {missing} does not exist; this runtime has {device_listing()}")


def place(placement: object, vcus: object, memory: object) -> tuple[tuple[_Row, ...], ...]:
    """Return the choices for one spawn. Raises TypeError, ValueError or NoDeviceError with what was given."""
    share = 0.0 if vcus is None else read_share(vcus, "vcus")
    n_bytes = 0 if memory is None else read_bytes(memory, "memory")
    if placement is None:
        placement = cpu
    if isinstance(placement, (list, set, frozenset)):
        choices = tuple(_choice(item, share, n_bytes) for item in placement)
        if not choices:
            raise ValueError("placement: an empty list names no device")
    else:
        choices = (_choice(placement, share, n_bytes),)
    _check_exists(choices)
    return choices
