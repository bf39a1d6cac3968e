"""Factorisations and linear systems, as tasks on blocks: `crosspy.linalg`.

cholesky: the tiled right-looking algorithm; each tile operation runs where the tile that it writes lies. solve: an LU factorisation with
partial pivoting whose blocks are whole columns of blocks, so that a pivot is found in one place; the right-hand sides follow the
factorisation and are then solved backwards. Nothing waits: a matrix without a factor is told when the result is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from . import _crosspy, blockwise, kernels, redistribute
from .array import CrossArray
from .layout import Layout
from .redistribute import View


def _check_matrix(a: object, what: str) -> View:
    if not isinstance(a, CrossArray):
        raise TypeError(f"{what}: expected a CrossArray, not {type(a).__name__}")
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise np.linalg.LinAlgError(f"{what}: the matrix has the shape {a.shape}; it has to be square")
    return a._view


def _dtype(*views: View) -> np.dtype:
    """Return the type in which LAPACK computes."""
    found = np.result_type(*(view.store.dtype for view in views), np.float32)
    if found.char not in "fdFD":
        found = np.dtype(complex) if found.kind == "c" else np.dtype(float)
    return found


def _as(view: View, layout: Layout, dtype: np.dtype) -> View:
    """Return a copy with this layout and type."""
    copy = blockwise.align(view, layout, always=True)
    if copy.store.dtype == dtype:
        return copy
    made = blockwise.new(layout, dtype)
    blockwise.launch(layout, [made], [copy], _convert, "astype")
    return made


def _convert(outs: list, ins: list) -> None:
    outs[0][...] = ins[0]


def _places(view: View) -> list:
    return list(view.layout.places)


# --- Cholesky ---


def _tiles(view: View) -> Layout:
    """Return the view's layout if it has square tiles, else tiles of a good size dealt out to its places."""
    layout, n = view.layout, view.shape[0]
    largest = max(layout.sizes(0), default=0)
    if layout.sizes(0) == layout.sizes(1) and (largest <= 1024 or n <= 1024) and (len(layout.sizes(0)) > 1 or n <= 256):
        return layout
    places = _places(view)
    p = max(k for k in range(1, math.isqrt(len(places)) + 1) if len(places) % k == 0)
    tile = min(512, max(32, -(-n // (8 * len(places) // p))))
    return Layout(_crosspy.block_cyclic(view.shape, (tile, tile), (p, len(places) // p), (0, 0), places))


def cholesky(a: CrossArray) -> CrossArray:
    """Return the lower triangular factor L of a Hermitian positive definite matrix, a = L Lᴴ; only the lower triangle of `a` is read.

    The result has the layout of `a`. Collective; nothing waits. A matrix that is not positive definite makes reading the result fail: a
    ParlaError that names the LinAlgError of the task.
    """
    view = _check_matrix(a, "cholesky")
    tiles = _tiles(view)
    factor = _as(view, tiles, _dtype(view))
    _factorise(blockwise.pieces(factor), tiles.sizes(0))
    if tiles == view.layout:
        return CrossArray(factor)
    made = blockwise.new(view.layout, factor.store.dtype)
    redistribute.run(made, factor)
    return CrossArray(made)


def _factorise(tile: list, sizes: tuple[int, ...]) -> None:
    n, own = len(sizes), [k for k, size in enumerate(sizes) if size]
    for at, k in enumerate(own):
        left = n - k  # tasks further to the left start first: everything to the right waits for them
        blockwise.step(kernels.cholesky, tile[k * n + k], (), "potrf", updates=True, priority=left)
        for i in own[at + 1 :]:
            blockwise.step(kernels.solve_from_right, tile[i * n + k], (tile[k * n + k],), "trsm", updates=True, priority=left)
            blockwise.step(kernels.clear, tile[k * n + i], (), "clear", updates=False)
        for below, j in enumerate(own[at + 1 :], at + 2):
            blockwise.step(kernels.update_diagonal, tile[j * n + j], (tile[j * n + k],), "syrk", updates=True, priority=n - j)
            for i in own[below:]:
                read = (tile[i * n + k], tile[j * n + k])
                blockwise.step(kernels.update, tile[i * n + j], read, "gemm", updates=True, priority=n - j)


# --- Linear systems ---


def solve(a: CrossArray, b: CrossArray) -> CrossArray:
    """Return x with a @ x = b, for one right-hand side (n,) or several (n, m). x has the layout of `b`.

    Collective; nothing waits. A singular matrix makes reading the result fail: a ParlaError that names the LinAlgError of the task.
    """
    matrix = _check_matrix(a, "solve")
    if not isinstance(b, CrossArray) or not 1 <= b.ndim <= 2 or b.shape[0] != a.shape[0]:
        raise ValueError(f"solve: b is a CrossArray of shape ({a.shape[0]},) or ({a.shape[0]}, m), not {b!r}")
    rhs = b._view if b.ndim == 2 else View(b._view.store, b._view.box, (*b._view.axes, -1))
    n, m = rhs.shape
    dtype, places = _dtype(matrix, rhs), _places(matrix)
    made = blockwise.new(b._view.layout, dtype)
    if n == 0 or m == 0:
        return CrossArray(made)
    width = min(256, max(16, -(-n // (4 * len(places)))))
    panels = Layout(_crosspy.block_cyclic((n, n), (n, width), (1, len(places)), (0, 0), places))
    sides = Layout(_crosspy.block_cyclic((n, m), (n, -(-m // len(places))), (1, len(places)), (0, 0), places))
    factor, x = _as(matrix, panels, dtype), _as(rhs, sides, dtype)
    pivots = blockwise.new(blockwise.regrid(panels, ((1,), None)), np.intp)
    redistribute.assign_host(pivots, 0)
    panel, pivot, side = map(blockwise.pieces, (factor, pivots, x))
    spans = list(_spans(n, width))
    for k, (start, stop) in enumerate(spans):
        pair = panel[k], pivot[k]
        blockwise.step(_factor_panel, pair, (start,), "lu panel", updates=True, priority=len(spans) - k)
        for j in range(k + 1, len(spans)):
            blockwise.step(_forward, panel[j], (*pair, start, stop), "lu update", updates=True, priority=len(spans) - j)
        for block in side:
            blockwise.step(_forward, block, (*pair, start, stop), "lu forward", updates=True)
    for k, (start, stop) in reversed(list(enumerate(spans))):
        for block in side:
            blockwise.step(_backward, block, (panel[k], start, stop), "lu backward", updates=True)
    redistribute.run(made, x if b.ndim == 2 else View(x.store, (x.box[0], (0, 1, 1)), (0,)))
    return CrossArray(made)


def _spans(n: int, width: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, width):
        yield start, min(start + width, n)


def _factor_panel(panel: np.ndarray, pivot: np.ndarray, start: int) -> None:
    pivot[0] = kernels.lu(panel[start:])


def _forward(block: np.ndarray, panel: np.ndarray, pivot: np.ndarray, start: int, stop: int) -> None:
    kernels.swap_rows(block[start:], pivot[0])
    kernels.solve_lower(panel[start:stop], block[start:stop], unit=True)
    block[stop:] -= panel[stop:] @ block[start:stop]


def _backward(block: np.ndarray, panel: np.ndarray, start: int, stop: int) -> None:
    kernels.solve_upper(panel[start:stop], block[start:stop])
    block[:start] -= panel[:start] @ block[start:stop]
