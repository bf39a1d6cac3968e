"""Tiled Cholesky factorisation K = L Lᵀ: one task per tile operation.

The tasks are spawned in the order of the textbook loops and name the blocks that they read and write; from that the runtime
derives which may run at the same time and which tiles have to move. Each task runs where the tile that it writes lives. Tasks
on columns further to the left start first, because everything to the right waits for them.
"""

from __future__ import annotations

from parla import spawn

from gp import blas


def factorise(a, tiles, tasks):
    """Spawn the tasks that overwrite the lower triangle of `a` (tiles x tiles blocks) with its Cholesky factor.

    They are named in the task space `tasks`; waiting for it waits for the factor. Blocks above the diagonal are not touched.
    A task fails with blas.NotPositiveDefinite if `a` has no factor.
    """
    for k in range(tiles):
        _factor_diagonal(a, k, tiles, tasks)
        for i in range(k + 1, tiles):
            _divide(a, i, k, tiles, tasks)
        for j in range(k + 1, tiles):
            _update_diagonal(a, j, k, tiles, tasks)
            for i in range(j + 1, tiles):
                _update(a, i, j, k, tiles, tasks)


def _factor_diagonal(a, k, tiles, tasks):
    """A[k,k] becomes its own factor L[k,k]."""
    akk = a.block(k, k)

    @spawn(tasks["potrf", k], placement=akk, inout=[akk], priority=tiles - k)
    def potrf():
        try:
            blas.potrf(akk.array)
        except blas.NotPositiveDefinite as error:
            raise blas.NotPositiveDefinite(f"the matrix is not positive definite: tile ({k}, {k}): {error}") from None


def _divide(a, i, k, tiles, tasks):
    """A[i,k] becomes L[i,k] = A[i,k] L[k,k]⁻ᵀ."""
    akk, aik = a.block(k, k), a.block(i, k)

    @spawn(tasks["trsm", i, k], placement=aik, input=[akk], inout=[aik], priority=tiles - k)
    def trsm():
        blas.trsm(akk.array, aik.array, right=True, transposed=True)


def _update_diagonal(a, j, k, tiles, tasks):
    """A[j,j] loses L[j,k] L[j,k]ᵀ."""
    ajk, ajj = a.block(j, k), a.block(j, j)

    @spawn(tasks["syrk", j, k], placement=ajj, input=[ajk], inout=[ajj], priority=tiles - j)
    def syrk():
        blas.syrk(ajk.array, ajj.array)


def _update(a, i, j, k, tiles, tasks):
    """A[i,j] loses L[i,k] L[j,k]ᵀ."""
    aik, ajk, aij = a.block(i, k), a.block(j, k), a.block(i, j)

    @spawn(tasks["gemm", i, j, k], placement=aij, input=[aik, ajk], inout=[aij], priority=tiles - j)
    def gemm():
        blas.gemm(aik.array, ajk.array, aij.array, transpose_b=True)
