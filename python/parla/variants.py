"""One function, several implementations: which one is called depends on the devices that the task got."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from .context import get_current_devices, get_current_task
from .devices import Architecture

__all__ = ["specialize", "specialized"]

_Key = tuple[Architecture, ...]


def _key_of(item: object) -> _Key:
    members = item if isinstance(item, tuple) else (item,)
    for member in members:
        if not isinstance(member, Architecture):
            raise TypeError(f"variant: expected cpu, gpu, or a tuple or list of them, not {item!r}")
    return tuple(members)


def _keys_of(specs: tuple, max_amount: int) -> Iterator[_Key]:
    for spec in specs:
        for item in spec if isinstance(spec, list) else [spec]:
            key = _key_of(item)
            yield from (key * n for n in range(1, max_amount + 1))


class Specialized:
    """A function with variants for devices. Called in a task, the variant for exactly the task's devices runs, else the function itself.

    Attributes
    ----------
    variants : dict
        From tuples of architectures to functions.
    """

    def __init__(self, function: Callable) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self.variants: dict[_Key, Callable] = {}

    def variant(
        self, *specs: object, architecture: object = None, max_amount: int = 1, override: bool = False
    ) -> Callable[[Callable], Specialized]:
        """Decorate the implementation for some devices.

        Parameters
        ----------
        *specs : Architecture, tuple or list
            An architecture; a tuple of them for a task on several devices; a list of either, or several arguments, for alternatives.
        architecture : the same, by name
        max_amount : int
            The implementation also serves 2, … up to `max_amount` times these devices.
        override : bool
            Replace a variant that exists, which is an error otherwise.
        """
        specs = specs if architecture is None else (*specs, architecture)
        if not specs:
            raise TypeError("variant: name the devices that it is for, such as @f.variant(gpu)")
        if max_amount < 1:
            raise ValueError(f"variant(max_amount=): expected at least 1, not {max_amount!r}")
        keys = list(_keys_of(specs, max_amount))

        def add(function: Callable) -> Specialized:
            for key in keys:
                if key in self.variants and not override:
                    names = ", ".join(map(repr, key))
                    raise ValueError(f"{self.__name__}() has a variant for ({names}) already; replace it with override=True")
            for key in keys:
                self.variants[key] = function
            return self

        return add

    def _chosen(self) -> Callable:
        if get_current_task() is None:
            return self._function
        return self.variants.get(tuple(device.architecture for device in get_current_devices()), self._function)

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self._chosen()(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> object:
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        keys = ", ".join("+".join(map(repr, key)) for key in self.variants)
        return f"<specialized {self.__name__}(), variants: {keys or 'none'}>"


def specialize(function: Callable) -> Specialized:
    """Give a function variants for devices: ``@specialize def f(): …``, then ``@f.variant(gpu) def _(): …``.

    Examples
    --------
    >>> from parla import Parla, cpu, gpu, spawn
    >>> @specialize
    ... def where():
    ...     return "on a CPU"
    >>> @where.variant(gpu)
    ... def _():
    ...     return "on a GPU"
    >>> with Parla(devices="sim:1", n_workers=1):
    ...     [spawn(placement=place)(where).result() for place in (cpu, gpu)]
    ['on a CPU', 'on a GPU']
    """
    return Specialized(function)


specialized = specialize
