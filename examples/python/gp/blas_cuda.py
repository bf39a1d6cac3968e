"""The routines of blas.py on tiles in a GPU's memory: cuBLAS and cuSOLVER, through the thin interface that CuPy has to them.

CuPy's own functions would copy tiles that are parts of larger arrays, and its Cholesky factorisation makes a new array. The calls only
queue work in the current stream, which in a task's body is the task's; `potrf` alone waits, since it has to see whether it went well.
"""

from __future__ import annotations

import cupy
import numpy as np
from cupy.cuda.device import get_cublas_handle, get_cusolver_handle
from cupy_backends.cuda.libs import cublas, cusolver

_ONE, _MINUS_ONE = np.array(1.0), np.array(-1.0)
_OPERATION = {False: cublas.CUBLAS_OP_N, True: cublas.CUBLAS_OP_T}
_UPPER = cublas.CUBLAS_FILL_MODE_UPPER  # of the transpose, which is what libraries see that count by columns


def potrf(a):
    """Overwrite the lower triangle of `a` with its factor; return the order of the first leading minor that is not positive, or 0."""
    n, handle, info = a.shape[0], get_cusolver_handle(), cupy.empty(1, np.int32)
    work = cupy.empty(cusolver.dpotrf_bufferSize(handle, _UPPER, n, *_tile(a)), float)
    cusolver.dpotrf(handle, _UPPER, n, *_tile(a), work.data.ptr, work.size, info.data.ptr)
    return int(info[0])


def trsm(triangle, b, right, transposed):
    """Overwrite `b` with the solution X of L X = b or, if `right`, of X L = b."""
    side = cublas.CUBLAS_SIDE_LEFT if right else cublas.CUBLAS_SIDE_RIGHT
    how = side, _UPPER, _OPERATION[transposed], cublas.CUBLAS_DIAG_NON_UNIT
    cublas.dtrsm(get_cublas_handle(), *how, b.shape[1], b.shape[0], _ONE.ctypes.data, *_tile(triangle), *_tile(b))


def syrk(a, c):
    """Subtract a aᵀ from the lower triangle of `c`."""
    n, k = a.shape
    cublas.dsyrk(get_cublas_handle(), _UPPER, cublas.CUBLAS_OP_T, n, k, _MINUS_ONE.ctypes.data, *_tile(a), _ONE.ctypes.data, *_tile(c))


def gemm(a, b, c, transpose_a, transpose_b, add):
    """Subtract a b from `c`, or add it."""
    inner = a.shape[0 if transpose_a else 1]
    factor = _ONE if add else _MINUS_ONE
    cublas.dgemm(
        *(get_cublas_handle(), _OPERATION[transpose_b], _OPERATION[transpose_a], c.shape[1], c.shape[0], inner),
        *(factor.ctypes.data, *_tile(b), *_tile(a), _ONE.ctypes.data, *_tile(c)),
    )


def _tile(a):
    """Return the address and the row stride (in elements) of a tile."""
    if a.ndim != 2 or a.dtype != np.float64 or (a.shape[1] > 1 and a.strides[1] != a.itemsize):
        raise TypeError(f"expected a two-dimensional float64 array with contiguous rows, got {a.dtype} {a.shape}, strides {a.strides}")
    return a.data.ptr, max(1, a.strides[0] // a.itemsize if a.shape[0] > 1 else a.shape[1])
