"""From what users write as `placement=` to the choices of the C interface.

A choice is a tuple of demands (arch, number, vcus, memory), one for each device that the task uses at once; several choices
are alternatives.
"""

from __future__ import annotations

import enum
import itertools
import operator
from collections.abc import Iterable

from . import _parla
from .devices import Architecture, Demand, Device, Group, architecture_of_code, device_listing, read_bytes, read_share, device_table, cpu
from .context import Context
from .tasks import Tasks

_Row = tuple[int, int, float, int]


# Named devices can be combined in many ways; this many are enough to choose from.
_MAX_CHOICES = 64


class SynchronizationType(enum.IntEnum):
    """When tasks that depend on a task start, as the published front end names it (`runahead=` of a spawn).

    With NONE they start when its device work is done. Otherwise, and by default here, their device work is put in order behind it by
    events, and those on devices start before it is done, without a wait of the host; those on the CPU start when it is done. Work of a
    body's own making in other streams is for the body to put in order, as with USER of the published front end.
    """

    NONE = 0
    BLOCKING = 1
    NON_BLOCKING = 2
    USER = 3


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
        f"placement: expected cpu, gpu, a device such as gpu(1), a list of alternatives, a tuple of devices used at once, an array, "
        f"a Task or a context, not {item!r}"
    )


def _devices_of(item: object) -> tuple[Device, ...] | None:
    """Return the devices that an array lies on, that a task ran on or that a context has; None for anything else."""
    if isinstance(item, Context):
        return item.devices
    if isinstance(item, _parla.Task):
        if not item.devices:
            raise ValueError(f"placement: {item!r} has not started, so nobody knows where it runs; await it before, or name devices")
        return item.devices
    if hasattr(item, "__parla_device__"):
        return (item.__parla_device__(),)
    if hasattr(item, "__parla_array__"):
        return (item.__parla_array__().__parla_device__(),)
    return None


def _alternatives(placement: object) -> Iterable:
    if hasattr(placement, "__parla_placement__"):
        placement = placement.__parla_placement__()
    if isinstance(placement, (list, set, frozenset, _parla.Space)) or isinstance(placement, Tasks):
        return placement
    return (placement,)


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


def _together(choices: tuple[tuple[_Row, ...], ...], count: int) -> tuple[tuple[_Row, ...], ...]:
    """Return the choices of `count` devices at once, where each given choice stands for one device of them."""
    if any(len(choice) != 1 for choice in choices):
        raise ValueError("placement: with ndevices= each alternative is one device; a tuple says already how many are used at once")
    open_rows = [row for (row,) in choices if row[1] < 0]
    named_rows = [row for (row,) in choices if row[1] >= 0]
    groups = [(row,) * count for row in open_rows]
    groups += itertools.islice(itertools.combinations(named_rows, count), _MAX_CHOICES)
    if not groups:
        raise ValueError(f"placement: {count} devices at once (ndevices=), but {len(named_rows)} are named")
    return tuple(groups)


def place(placement: object, vcus: object, memory: object, ndevices: object = None) -> tuple[tuple[_Row, ...], ...]:
    """Return the choices for one spawn. Raises TypeError, ValueError or NoDeviceError with what was given."""
    share = 0.0 if vcus is None else read_share(vcus, "vcus")
    n_bytes = 0 if memory is None else read_bytes(memory, "memory")
    count = 1 if ndevices is None else operator.index(ndevices)
    if count < 1:
        raise ValueError(f"ndevices: expected at least 1, not {ndevices!r}")
    choices = tuple(_choice(item, share, n_bytes) for item in _alternatives(cpu if placement is None else placement))
    if not choices:
        raise ValueError("placement: an empty list names no device")
    if count > 1:
        choices = _together(choices, count)
    _check_exists(choices)
    return choices


def hints(prefer: object, runahead: object, tags: object) -> tuple[int, bool]:
    """Check what only weighs or only tells a person; return the mask of preferred devices, and whether dependents may run ahead."""
    if runahead is not None and runahead not in tuple(SynchronizationType):
        raise TypeError(f"runahead: expected a SynchronizationType, not {runahead!r}")
    if tags is not None and not all(isinstance(tag, str) for tag in ([tags] if isinstance(tags, str) else tags)):
        raise TypeError(f"tags: expected strings, not {tags!r}")
    runs_ahead = runahead != SynchronizationType.NONE
    if prefer is None:
        return 0, runs_ahead
    wanted = {row[:2] for item in _alternatives(prefer) for row in _choice(item, 0.0, 0)}
    rows = enumerate(device_table())
    return sum(1 << index for index, row in rows if row[:2] in wanted or (row[0], _parla.ANY_NUMBER) in wanted), runs_ahead
