"""Array types of other libraries that PArrays can be made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["register"]


class Adapter(NamedTuple):
    """How arrays of one type become NumPy arrays over the same memory, and the other way round."""

    to_numpy: Callable[[object], np.ndarray]
    from_numpy: Callable[[np.ndarray], object]
    from_device: Callable[[object], object] | None

    def wrap(self, local: object) -> object:
        """Return an array of the type over a local array."""
        if isinstance(local, np.ndarray):
            return self.from_numpy(local)
        return local if self.from_device is None else self.from_device(local)


_by_type: dict[type | str, Adapter] = {}


def register(
    kind: type | str,
    to_numpy: Callable[[object], np.ndarray],
    from_numpy: Callable[[np.ndarray], object] = lambda local: local,
    from_device: Callable[[object], object] | None = None,
) -> None:
    """Let arrays of a type be used wherever NumPy arrays are: in `asarray`, in input=, output= and inout= of a spawn, in `copy`.

    Parameters
    ----------
    kind : type or str
        The type, or its full name such as "torch.Tensor" so that its module need not be imported. Derived types count too.
    to_numpy : function
        Returns a NumPy array over the memory of one: what tasks write there must be seen in the original.
    from_numpy : function
        Returns an array of the type over the memory of a NumPy array: what `.array` gives in a task. Without it, NumPy arrays are given.
    from_device : function
        The same for an array on a CUDA device, which knows DLPack and ``__cuda_array_interface__``: `torch.from_dlpack`, say. Without it,
        CuPy's arrays are given.

    Examples
    --------
    >>> import array, numpy
    >>> register(array.array, numpy.frombuffer)
    """
    _by_type[kind] = Adapter(to_numpy, from_numpy, from_device)


def find(x: object) -> Adapter | None:
    """Return the adapter for an array; None for NumPy's own and for anything that is not registered."""
    if not _by_type or isinstance(x, np.ndarray):
        return None
    for kind in type(x).__mro__:
        adapter = _by_type.get(kind) or _by_type.get(f"{kind.__module__}.{kind.__qualname__}")
        if adapter is not None:
            return adapter
    return None
