"""Element-wise operations: NumPy's universal functions on views, block by block.

The result lies as `out` does, or as the first operand that has its shape (`blockwise.common`); every operand that lies otherwise is copied
to where the result is, and nothing is gathered. Plain NumPy operands are the same at each rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import blockwise, host, redistribute
from .redistribute import View

_SCALARS = (int, float, complex, bool)
_KEPT = ("dtype", "casting", "signature", "sig")
_IGNORED = ("order", "subok")


def advice(what: str) -> str:
    """Return the words for an operation that is not there."""
    return f"{what} does not work on a CrossArray: use x.gather(), or tasks on x.blocks"


def _sample(operand: object) -> object:
    """Return what stands for an operand when NumPy is asked for the type of a result."""
    if isinstance(operand, View):
        return np.empty((0,), operand.store.dtype)
    return operand if np.ndim(operand) == 0 else np.empty((0,), operand.dtype)


def as_operand(value: object) -> object:
    """Return a view or a Python scalar as it is, anything else as a NumPy array or scalar."""
    if isinstance(value, (View, np.generic)) or type(value) in _SCALARS:
        return value
    made = np.asarray(value)
    if made.dtype == object:
        raise TypeError(f"an operand that NumPy makes an array of objects of cannot be combined with a CrossArray: {value!r}")
    return made


def shape_of(operand: object) -> tuple[int, ...]:
    """Return the shape of an operand of any kind."""
    return operand.shape if isinstance(operand, View) else np.shape(operand)


def call(ufunc: np.ufunc, inputs: Sequence[object], outs: Sequence[View | None], kwargs: dict) -> list[View]:
    """Carry out a universal function; outs[i] is where the i-th result goes, None: to a new array. Nothing waits."""
    kwargs = {key: value for key, value in kwargs.items() if key not in _IGNORED and value is not None}
    where = kwargs.pop("where", True)
    unknown = set(kwargs) - set(_KEPT)
    if unknown:
        raise TypeError(advice(f"numpy.{ufunc.__name__}({', '.join(sorted(unknown))}=)"))
    inputs = [as_operand(value) for value in inputs]
    targets = [None if out is None else np.empty((0,), out.store.dtype) for out in outs]
    samples = [_sample(value) for value in inputs]
    if all(np.ndim(sample) == 0 for sample in samples):
        samples[0] = np.asarray(samples[0])[None][:0]
    found = ufunc(*samples, out=tuple(targets), **kwargs)
    dtypes = [result.dtype for result in (found if ufunc.nout > 1 else (found,))]

    def work(local_outs: list, local_ins: list) -> None:
        if where is not True:
            *local_ins, chosen = local_ins
            ufunc(*local_ins, out=tuple(local_outs), where=chosen, **kwargs)
        else:
            ufunc(*local_ins, out=tuple(local_outs), **kwargs)

    if where is not True:
        where = as_operand(where)
        if shape_of(where) == () and not isinstance(where, View):
            where = np.asarray(where, bool)
        if (where.store.dtype if isinstance(where, View) else where.dtype) != bool:
            raise TypeError("where= is a boolean array")
        inputs = [*inputs, where]
    return run(work, inputs, dtypes, outs, ufunc.__name__, partly=where is not True)


def run(
    work: Callable, inputs: Sequence[object], dtypes: Sequence[np.dtype], outs: Sequence[View | None], name: str, partly: bool = False
) -> list[View]:
    """Run `work(local outputs, local inputs)` on each block of the results, to whose shape NumPy stretches the inputs."""
    given = [out for out in outs if out is not None]
    shape = np.broadcast_shapes(*map(shape_of, inputs), *(out.shape for out in given))
    for out in given:
        if out.shape != shape:
            raise ValueError(f"{name}(out=): expected the shape {shape}, got {out.shape}")
    if not given and (made := host.run(work, inputs, dtypes, shape)) is not None:
        return made
    views = [value for value in inputs if isinstance(value, View)]
    layout = given[0].layout if given else blockwise.common(tuple(view.layout for view in views), shape)
    targets = [_target(out, dtype, layout, views, partly) for out, dtype in zip(outs, dtypes)]
    columns = []
    for value in inputs:
        if isinstance(value, View):
            columns.append(blockwise.align(value, blockwise.under(layout, value.shape)))
        elif np.ndim(value) == 0:
            columns.append([value] * layout.n_blocks)
        else:
            columns.append(blockwise.align_host(value, layout))
    blockwise.launch(layout, targets, columns, work, name, updates=partly and bool(given))
    for out, target in zip(outs, targets):
        if out is not None and out is not target:
            redistribute.run(out, target)
    return [target if out is None else out for out, target in zip(outs, targets)]


def _target(out: View | None, dtype: np.dtype, layout: object, inputs: list[View], partly: bool) -> View:
    """Return what tasks write: the output itself where no task would read elements that another one overwrites."""
    if out is None:
        return blockwise.new(layout, dtype)
    overlaps = any(
        view.store is out.store and view != out and redistribute.overlap(view, out) for view in inputs
    )
    if out.layout == layout and not overlaps:
        return out
    made = blockwise.new(layout, out.store.dtype)
    if partly:
        redistribute.run(made, out)
    return made
