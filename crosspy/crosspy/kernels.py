"""Routines of linear algebra on local matrices, in place: with NumPy, and with CuPy where the matrices are CuPy's.

Triangular systems are halved until they are small, so that nearly all of the work is products of matrices, which run at the speed of BLAS
and without the GIL.
"""

from __future__ import annotations

import numpy as np
from parla import get_array_module

_SMALL = 64  # triangles of this size are solved as if they were full


def clear(a: np.ndarray) -> None:
    """Set all elements to 0."""
    a[...] = 0


def cholesky(a: np.ndarray) -> None:
    """Overwrite a matrix with its lower triangular factor."""
    a[...] = get_array_module(a).linalg.cholesky(a)


def solve_lower(triangle: np.ndarray, b: np.ndarray, *, unit: bool = False) -> None:
    """Overwrite b with the solution X of L X = b, L being the lower triangle, with ones on the diagonal if it is a unit one."""
    n = triangle.shape[0]
    if n <= _SMALL:
        module = get_array_module(b)
        lower = module.tril(triangle, -1) + module.eye(n, dtype=b.dtype) if unit else module.tril(triangle)
        b[...] = module.linalg.solve(lower, b)
        return
    half = n // 2
    solve_lower(triangle[:half, :half], b[:half], unit=unit)
    b[half:] -= triangle[half:, :half] @ b[:half]
    solve_lower(triangle[half:, half:], b[half:], unit=unit)


def solve_upper(triangle: np.ndarray, b: np.ndarray) -> None:
    """Overwrite b with the solution X of U X = b, U being the upper triangle."""
    n = triangle.shape[0]
    if n <= _SMALL:
        module = get_array_module(b)
        b[...] = module.linalg.solve(module.triu(triangle), b)
        return
    half = n // 2
    solve_upper(triangle[half:, half:], b[half:])
    b[:half] -= triangle[:half, half:] @ b[half:]
    solve_upper(triangle[:half, :half], b[:half])


def solve_from_right(b: np.ndarray, triangle: np.ndarray) -> None:
    """Overwrite b with the solution X of X Lᴴ = b, L being the lower triangle."""
    n = triangle.shape[0]
    if n <= _SMALL:
        module = get_array_module(b)
        b[...] = module.linalg.solve(module.tril(triangle), b.conj().T).conj().T
        return
    half = n // 2
    solve_from_right(b[:, :half], triangle[:half, :half])
    b[:, half:] -= b[:, :half] @ triangle[half:, :half].conj().T
    solve_from_right(b[:, half:], triangle[half:, half:])


def update(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Subtract a bᴴ from c."""
    c -= a @ b.conj().T


def update_diagonal(c: np.ndarray, a: np.ndarray) -> None:
    """Subtract a aᴴ from the lower triangle of c; what is above it is left in any state."""
    n = c.shape[0]
    if n <= 2 * _SMALL:
        c -= a @ a.conj().T
        return
    half = n // 2
    update_diagonal(c[:half, :half], a[:half])
    c[half:, :half] -= a[half:] @ a[:half].conj().T
    update_diagonal(c[half:, half:], a[half:])


def lu(a: np.ndarray) -> np.ndarray:
    """Overwrite a matrix (m, n), m >= n, with its LU factors; return for each column with which row its row changed places, in order."""
    n = a.shape[1]
    if n == 1:
        at = int(abs(a[:, 0]).argmax())
        if a[at, 0] == 0:
            raise np.linalg.LinAlgError("Singular matrix")
        a[[0, at], 0] = a[[at, 0], 0]
        a[1:, 0] /= a[0, 0]
        return np.array([at])
    half = n // 2
    first = lu(a[:, :half])
    swap_rows(a[:, half:], first)
    solve_lower(a[:half, :half], a[:half, half:], unit=True)
    a[half:, half:] -= a[half:, :half] @ a[:half, half:]
    second = lu(a[half:, half:])
    swap_rows(a[half:, :half], second)
    return np.concatenate([first, second + half])


def swap_rows(a: np.ndarray, pivots: np.ndarray) -> None:
    """Let row i change places with row pivots[i], for each i in order."""
    order = np.arange(a.shape[0])
    for i, other in enumerate(pivots.tolist()):
        order[i], order[other] = order[other], order[i]
    moved = np.flatnonzero(order != np.arange(len(order)))
    if len(moved):
        a[moved] = a[order[moved]]
