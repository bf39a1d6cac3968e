"""Products of matrices, block by block: a block of the result is the sum of products of a row of blocks and a column of blocks.

The result is cut as the rows of the left and the columns of the right operand are. Its blocks lie where those of the left operand do that
are at the same place of the grid; where that is not cut into columns, at those of its row; where it is not cut into rows either, at the
right operand's. Blocks of the operands travel to where they are used, each once to each rank. If only the inner dimension is cut, the
products are made where the factors lie and then summed.
"""

from __future__ import annotations

import os

import numpy as np
from parla import runtime as parla_runtime

from . import _crosspy, blockwise, reduction
from .layout import Layout
from .redistribute import View

_STRIP_ROWS = 64  # fewer rows than this are not worth a task


def matmul(a: View, b: View) -> View:
    """Return a @ b for views of one or two dimensions. Nothing waits."""
    if not 1 <= len(a.shape) <= 2 or not 1 <= len(b.shape) <= 2:
        raise TypeError("matmul of CrossArrays is for one or two dimensions; for stacks of matrices spawn tasks on x.blocks")
    if a.shape[-1] != b.shape[0]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} columns and {b.shape[0]} rows")
    left = a if len(a.shape) == 2 else View(a.store, a.box, (-1, *a.axes))
    right = b if len(b.shape) == 2 else View(b.store, b.box, (*b.axes, -1))
    made = _product(left, right)
    kept = tuple(k for k in (0, 1) if (len(a.shape), len(b.shape))[k] == 2)
    return View(made.store, made.box, kept)


def _product(a: View, b: View) -> View:
    rows, columns = a.layout, b.layout
    cuts = rows.sizes(1)
    if columns.sizes(0) != cuts:
        b = blockwise.align(b, _recut_rows(columns, cuts))
        columns = b.layout
    dtype = np.matmul(np.empty((0, 0), a.store.dtype), np.empty((0, 0), b.store.dtype)).dtype
    (p, q), (_, r) = rows.grid, columns.grid
    if p == r == 1 < q:
        return _inner(a, b, dtype, q)
    if q > 1 and p > 1:
        places = [rows.place(rows.block_at(i, j % q)) for i in range(p) for j in range(r)]
    elif p > 1:
        places = [rows.place(i) for i in range(p) for _ in range(r)]
    else:
        places = [columns.place(columns.block_at(j % columns.grid[0], j)) for j in range(r)]
    layout = Layout(_crosspy.grid((a.shape[0], b.shape[1]), (rows.sizes(0), columns.sizes(1)), None, places))
    made = blockwise.new(layout, dtype)
    _spawn_products(made, a, b, cuts)
    return made


def _recut_rows(layout: Layout, sizes: tuple[int, ...]) -> Layout:
    """Return a layout whose rows are cut into these sizes, each where the row of blocks with its first element lies."""
    n_rows, n_columns = layout.grid
    first = np.cumsum([0, *sizes[:-1]])
    at = np.minimum(np.searchsorted(np.cumsum(layout.sizes(0)), first, side="right"), n_rows - 1)
    places = [layout.place(layout.block_at(int(i), j)) for i in at for j in range(n_columns)]
    return Layout(_crosspy.grid(layout.shape, (sizes, layout.sizes(1)), None, places))


def _inner(a: View, b: View, dtype: np.dtype, n_parts: int) -> View:
    """Return the sum of the products of the parts of the inner dimension, each made where the left factor lies."""
    shape, places = (a.shape[0], b.shape[1]), [a.layout.place(k) for k in range(n_parts)]
    core = _crosspy.grid((n_parts, *shape), ((1,) * n_parts, (shape[0],), (shape[1],)), None, places)
    products = blockwise.new(Layout(core), dtype)
    targets, left, right = map(blockwise.pieces, (products, a, b))
    for k, n in enumerate(a.layout.sizes(1)):
        if 0 in shape:
            break
        if n == 0:
            blockwise.step(_clear, targets[k], (), "matmul", updates=False)
        else:
            blockwise.step(_multiply_first, targets[k], (left[k], right[k]), "matmul", updates=False)
    return reduction.reduce(np.add, products, 0, dtype)


def _clear(c: np.ndarray) -> None:
    c[...] = 0


def _multiply_first(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    np.matmul(a, b, out=c if c.ndim == 2 else c[0])


def _multiply_add(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    c += a @ b


def _spawn_products(c: View, a: View, b: View, cuts: tuple[int, ...]) -> None:
    rows, columns = c.layout.sizes(0), c.layout.sizes(1)
    targets, left, right = map(blockwise.pieces, (c, a, b))
    inner = [k for k, n in enumerate(cuts) if n]
    n_strips = _n_strips(c.layout, targets)
    for i, m in enumerate(rows):
        for j, n in enumerate(columns):
            if m == 0 or n == 0:
                continue
            target = targets[i * len(columns) + j]
            if not inner:
                blockwise.step(_clear, target, (), "matmul", updates=False)
            for start, stop in _strips(m, n_strips):
                for k in inner:
                    first, second = left[i * len(cuts) + k], right[k * len(columns) + j]
                    out = target
                    if stop - start < m:
                        out, first = target.rows(start, stop), first.rows(start, stop)
                    work = _multiply_first if k == inner[0] else _multiply_add
                    blockwise.step(work, out, (first, second), "matmul", updates=k != inner[0])


def _n_strips(layout: Layout, targets: list) -> int:
    """Return into how many strips the blocks on the CPU are cut, so that all cores have work: one where blocks are whole tasks."""
    if parla_runtime.current() is None or not all(isinstance(target, blockwise.Part) for target in targets):
        return 1
    on_cpu = sum(layout.place(i).arch == _crosspy.ARCH_CPU for i in range(layout.n_blocks))
    return 1 if on_cpu < layout.n_blocks else -(-len(os.sched_getaffinity(0)) // on_cpu)


def _strips(n_rows: int, count: int) -> list[tuple[int, int]]:
    count = max(1, min(count, n_rows // _STRIP_ROWS))
    return [(n_rows * s // count, n_rows * (s + 1) // count) for s in range(count)]
