"""Tiled Cholesky factorisation K = L Lᵀ: one task per tile operation.

The tasks are spawned in the order of the textbook loops and name the blocks that they read and write; from that the runtime
derives which may run at the same time and which tiles have to move, between devices and between ranks. Each task runs where the
tile that it writes lives. Tasks on columns further to the left start first, because everything to the right waits for them.
"""

from parla import spawn

from gp import blas


def factorise(a, tiles, tasks):
    """Spawn the tasks that overwrite the lower triangle of `a` (tiles x tiles blocks) with its Cholesky factor.

    They are named in the task space `tasks`; waiting for it waits for the factor. Blocks above the diagonal are not touched.
    A task fails with blas.NotPositiveDefinite if `a` has no factor.
    """
    for k in range(tiles):
        _on_tile(tasks["potrf", k], tiles - k, blas.potrf, a.block(k, k))
        for i in range(k + 1, tiles):
            _on_tile(tasks["trsm", i, k], tiles - k, _divide, a.block(i, k), a.block(k, k))
        for j in range(k + 1, tiles):
            _on_tile(tasks["syrk", j, k], tiles - j, _update_diagonal, a.block(j, j), a.block(j, k))
            for i in range(j + 1, tiles):
                _on_tile(tasks["gemm", i, j, k], tiles - j, _update, a.block(i, j), a.block(i, k), a.block(j, k))


def _on_tile(name, priority, operation, written, *read):
    @spawn(name, placement=written, input=read, inout=[written], priority=priority)
    def operate():
        try:
            operation(written.array, *(block.array for block in read))
        except blas.NotPositiveDefinite as error:
            raise blas.NotPositiveDefinite(f"the matrix is not positive definite: tile {written.coordinates}: {error}") from None


def _divide(aik, akk):  # A[i,k] becomes L[i,k] = A[i,k] L[k,k]⁻ᵀ
    blas.trsm(akk, aik, right=True, transposed=True)


def _update_diagonal(ajj, ajk):  # A[j,j] loses L[j,k] L[j,k]ᵀ
    blas.syrk(ajk, ajj)


def _update(aij, aik, ajk):  # A[i,j] loses L[i,k] L[j,k]ᵀ
    blas.gemm(aik, ajk, aij, transpose_b=True)
