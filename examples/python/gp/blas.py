"""Four BLAS and LAPACK routines on tiles: in place, without copies, and with the GIL released.

SciPy's own wrappers hold the GIL while they compute, so two tasks would take turns. SciPy also publishes the addresses of the
routines for Cython programs, as capsules; called through ctypes they are the same routines of the same library, and ctypes
releases the GIL around each call.

Tiles on a GPU are CuPy's arrays, and blas_cuda.py does the same with them.

Tiles are two-dimensional float64 arrays whose rows are contiguous. BLAS counts by columns, so it sees the transpose of each
tile: a lower triangle is asked for as an upper one, and the order of the factors of a product is swapped. All routines here
use the lower triangle.
"""

from __future__ import annotations

import ctypes

import numpy as np
import scipy.linalg.cython_blas
import scipy.linalg.cython_lapack

_CHAR = ctypes.c_char_p
_INT = ctypes.POINTER(ctypes.c_int)
_REAL = ctypes.POINTER(ctypes.c_double)
_TILE = ctypes.c_void_p
_ADD, _SUBTRACT = ctypes.c_double(1.0), ctypes.c_double(-1.0)


class NotPositiveDefinite(ArithmeticError):
    """A tile has no Cholesky factor: a leading minor is not positive."""


def _routine(module, name, *types):
    """Return the routine `name` of a scipy.linalg.cython_* module as a ctypes function."""
    capsule = module.__pyx_capi__[name]
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    signature = get_name(capsule)
    if b" int *" not in signature:
        raise ImportError(f"SciPy's {name} does not take 32-bit integers: {signature.decode()}")
    return ctypes.CFUNCTYPE(None, *types)(get_pointer(capsule, signature))


_dpotrf = _routine(scipy.linalg.cython_lapack, "dpotrf", _CHAR, _INT, _TILE, _INT, _INT)
_dtrsm = _routine(
    scipy.linalg.cython_blas, "dtrsm", _CHAR, _CHAR, _CHAR, _CHAR, _INT, _INT, _REAL, _TILE, _INT, _TILE, _INT
)
_dsyrk = _routine(
    scipy.linalg.cython_blas, "dsyrk", _CHAR, _CHAR, _INT, _INT, _REAL, _TILE, _INT, _REAL, _TILE, _INT
)
_dgemm = _routine(
    scipy.linalg.cython_blas,
    "dgemm",
    *(_CHAR, _CHAR, _INT, _INT, _INT, _REAL, _TILE, _INT, _TILE, _INT, _REAL, _TILE, _INT),
)


def potrf(a):
    """Overwrite the lower triangle of `a` (n, n) with its Cholesky factor; the rest is left as it is."""
    n = _same(a.shape[0], a.shape[1])
    minor = _on_gpu().potrf(a) if _is_on_gpu(a) else _potrf(a, n)
    if minor > 0:
        raise NotPositiveDefinite(f"the leading minor of order {minor} of {n} is not positive")


def _potrf(a, n):
    info = ctypes.c_int(0)
    _dpotrf(b"U", _int(n), *_tile(a), ctypes.byref(info))
    return info.value


def trsm(triangle, b, *, right=False, transposed=False):
    """Overwrite `b` (m, n) with the solution X of L X = b, with L the lower triangle of `triangle`.

    `transposed` solves with Lᵀ in place of L; `right` solves X L = b, with L (n, n).
    """
    _same(triangle.shape[0], triangle.shape[1], b.shape[1 if right else 0])
    if _is_on_gpu(b):
        return _on_gpu().trsm(triangle, b, right, transposed)
    _dtrsm(
        *(b"L" if right else b"R", b"U", b"T" if transposed else b"N", b"N"),
        *(_int(b.shape[1]), _int(b.shape[0]), _ADD, *_tile(triangle), *_tile(b)),
    )


def syrk(a, c):
    """Subtract a aᵀ from the lower triangle of `c`, with a (n, k) and c (n, n)."""
    n = _same(c.shape[0], c.shape[1], a.shape[0])
    if _is_on_gpu(c):
        return _on_gpu().syrk(a, c)
    _dsyrk(b"U", b"T", _int(n), _int(a.shape[1]), _SUBTRACT, *_tile(a), _ADD, *_tile(c))


def gemm(a, b, c, *, transpose_a=False, transpose_b=False, add=False):
    """Subtract a b from `c` (m, n), or add it; a and b are taken transposed where asked."""
    m, k = reversed(a.shape) if transpose_a else a.shape
    inner, n = reversed(b.shape) if transpose_b else b.shape
    _same((m, k, n), (c.shape[0], inner, c.shape[1]))
    if _is_on_gpu(c):
        return _on_gpu().gemm(a, b, c, transpose_a, transpose_b, add)
    _dgemm(
        *(b"T" if transpose_b else b"N", b"T" if transpose_a else b"N", _int(n), _int(m), _int(k)),
        *(_ADD if add else _SUBTRACT, *_tile(b), *_tile(a), _ADD, *_tile(c)),
    )


def _is_on_gpu(tile):
    return hasattr(tile, "__cuda_array_interface__")


def _on_gpu():
    from gp import blas_cuda  # needs CuPy

    return blas_cuda


def _same(first, *others):
    if any(other != first for other in others):
        raise ValueError(f"extents of tiles differ: {(first, *others)}")
    return first


def _int(value):
    return ctypes.byref(ctypes.c_int(value))


def _tile(a):
    """Return the address and the row stride (in elements) of a tile, as BLAS takes them."""
    if not isinstance(a, np.ndarray) or a.ndim != 2 or a.dtype != np.float64 or not a.flags.aligned:
        raise TypeError(f"expected a two-dimensional float64 NumPy array, got {type(a).__name__}")
    row, column = a.strides
    if a.shape[1] > 1 and column != a.itemsize:
        raise ValueError(f"the rows of a tile must be contiguous; this one has strides {a.strides}")
    stride = row // a.itemsize if a.shape[0] > 1 else a.shape[1]
    if stride < a.shape[1] or row % a.itemsize and a.shape[0] > 1:
        raise ValueError(f"the rows of a tile must not overlap; this one has strides {a.strides}")
    return a.ctypes.data, _int(max(1, stride))
