"""Making arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from parla import StateError, get_array_module, spawn
from parla import runtime as parla_runtime

from . import _crosspy, flow, redistribute, store
from .array import CrossArray
from .block import Block, indices
from .layout import Layout
from .store import as_dtype


def _check_layout(layout: object) -> Layout:
    if not isinstance(layout, Layout):
        raise TypeError(f"layout: expected a Split, Grid, BlockCyclic or other Layout, not {layout!r}")
    return layout


def empty(layout: Layout, dtype: object = float) -> CrossArray:
    """Return an array without content; its blocks have to be written before they are read."""
    return CrossArray(redistribute.whole(store.new(_check_layout(layout), as_dtype(dtype))))


def full(layout: Layout, value: object, dtype: object = None) -> CrossArray:
    """Return an array filled with `value`, a scalar or what broadcasts to the shape. Spawns copies; nothing waits."""
    made = empty(layout, np.asarray(value).dtype if dtype is None else dtype)
    made[...] = value
    return made


def zeros(layout: Layout, dtype: object = float) -> CrossArray:
    """Return an array of zeros. Spawns copies; nothing waits."""
    made = empty(layout, dtype)
    made[...] = np.zeros((), made.dtype)
    return made


def array(
    a: object, layout: Layout, dtype: object = None, *, root: int | None = None, limit: int = redistribute.PART_BYTES
) -> CrossArray:
    """Return an array with the content of a NumPy array, or of what NumPy makes an array of. Waits until `a` has been read.

    Parameters
    ----------
    a : array_like
        Where there are several ranks, the same at each of them, unless `root` is given.
    layout : Layout
    dtype : dtype, optional
        Type of the elements. Default: that of `a`.
    root : int, optional
        Only this rank has `a`, and sends the others their blocks; `a` is not looked at elsewhere.
    limit : int, optional
        How many bytes may be on the way between ranks at once: a larger array goes in parts, and the ranks wait for each other between
        them. The same at each rank. Default: 64 MiB.
    """
    _check_layout(layout)
    redistribute.check_limit(limit, "array")
    rank, n_ranks = flow.ranks()
    if root is not None and not 0 <= root < n_ranks:
        raise ValueError(f"array(root=): there is no rank {root} among {n_ranks}")
    if root is None or n_ranks == 1:
        local = _as_shaped(a, layout, dtype)
        made = empty(layout, local.dtype)
        if made._view.local is not None:
            made._view.local[...] = local
        else:
            redistribute.scatter(made._view, local, layout.shape, None)
        return made
    local, dtype = _agree(a if rank == root else None, layout, dtype, root, rank == root)
    made = empty(layout, dtype)
    redistribute.scatter(made._view, local, layout.shape, root, limit)
    return made


def _as_shaped(a: object, layout: Layout, dtype: object) -> np.ndarray:
    local = np.asarray(a, dtype=dtype)
    if local.shape != layout.shape:
        raise ValueError(f"array(a, layout): a has the shape {local.shape}, the layout {layout.shape}")
    return local


def _agree(a: object, layout: Layout, dtype: object, root: int, is_root: bool) -> tuple[np.ndarray | None, np.dtype]:
    """Tell all ranks the type of the root's array, or that it cannot be used: then all raise."""
    local, words, failure = None, b"", None
    if is_root:
        try:
            local = _as_shaped(a, layout, dtype)
            words = as_dtype(local.dtype).str.encode()
            if local.dtype.fields is not None and dtype is None:
                raise TypeError("array(root=): give dtype= at all ranks for elements with fields")
        except (TypeError, ValueError) as error:
            words, failure = b"!", error
    told = flow.meet(words)[root].rstrip(b"\0")
    if failure is not None:
        raise failure
    if told == b"!":
        raise ValueError(f"array(root=): the array of rank {root} cannot be used; that rank says why")
    return local, np.dtype(told.decode()) if dtype is None else as_dtype(dtype)


def fromfunction(function: Callable, layout: Layout, dtype: object = float) -> CrossArray:
    """Return an array of values computed from global indices, block by block, each in a task on the block's device.

    Parameters
    ----------
    function : callable
        Called once for each block with one integer array for each dimension: the global indices of the block, which broadcast
        against each other as those of `numpy.ogrid` do. It returns values that broadcast to the block's shape. The calls run at the
        same time, in any order.
    layout : Layout
    dtype : dtype
        Type of the elements, to which the values are converted.

    Nothing waits: tasks that name the blocks run after these. Without an active runtime the blocks lie on CPUs and are computed
    at once. """
    made = empty(layout, dtype)
    if parla_runtime.current() is None:
        _fill_now(function, made)
        return made
    stream = flow.current()
    if stream is not None:
        stream.core.overwrite(made._view.store.tracked)
    for block in made.local:
        if 0 not in block.extent:
            spawn(placement=block.device, output=[block.data], args=(function, block), name=f"fromfunction {block.coordinates}")(_fill)
    return made


def _fill(function: Callable, block: Block) -> None:
    """Compute one block: the body of a task."""
    local = block.array
    module = get_array_module(local)
    indices = block.indices if module is np else map(module.asarray, block.indices)
    local[...] = function(*indices)


def _fill_now(function: Callable, made: CrossArray) -> None:
    if (local := made._view.local) is not None:
        for box in map(made.layout.box, range(made.layout.n_blocks)):
            if 0 not in box[1]:
                local[tuple(slice(start, start + n) for start, n in zip(*box))] = function(*indices(*box))
        return
    for block in made.local:
        if block.place.arch != _crosspy.ARCH_CPU:
            raise StateError(f"{block!r} needs an active parla.Parla(): call fromfunction inside `with parla.Parla():`")
    for block in made.local:
        if 0 not in block.extent:
            with block.data.host("w") as local:
                local[...] = function(*block.indices)
