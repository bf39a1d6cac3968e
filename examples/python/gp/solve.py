"""Triangular solves with the tiled factor L, in place on the blocks of a right-hand side.

A right-hand side has one row of blocks for each row of tiles of L, and one or more columns of blocks. An update runs where the
larger of its two tiles lives, so that the smaller one travels. The updates of one block follow one another in a fixed order:
the result does not depend on the number of devices, bit by bit.
"""

from __future__ import annotations

import math

from parla import spawn

from gp import blas


def forward(factor, b, tiles, columns, tasks):
    """Spawn the tasks that overwrite `b` (tiles x columns blocks) with L⁻¹ b."""
    for j in range(columns):
        for i in range(tiles):
            for k in range(i):
                _update(factor.block(i, k), b.block(k, j), b.block(i, j), False, tasks["forward", i, j, k])
            _divide(factor.block(i, i), b.block(i, j), False, tasks["forward", i, j])


def backward(factor, b, tiles, columns, tasks):
    """Spawn the tasks that overwrite `b` (tiles x columns blocks) with L⁻ᵀ b."""
    for j in range(columns):
        for i in reversed(range(tiles)):
            for k in range(i + 1, tiles):
                _update(factor.block(k, i), b.block(k, j), b.block(i, j), True, tasks["backward", i, j, k])
            _divide(factor.block(i, i), b.block(i, j), True, tasks["backward", i, j])


def _update(lik, bk, bi, transposed, name):
    """b[i] loses L[i,k] b[k], or with the factor transposed."""
    larger = lik if math.prod(lik.shape) > math.prod(bi.shape) else bi

    @spawn(name, placement=larger, input=[lik, bk], inout=[bi])
    def update():
        blas.gemm(lik.array, bk.array, bi.array, transpose_a=transposed)


def _divide(lii, bi, transposed, name):
    """b[i] becomes L[i,i]⁻¹ b[i], or with the factor transposed."""
    larger = lii if math.prod(lii.shape) > math.prod(bi.shape) else bi

    @spawn(name, placement=larger, input=[lii], inout=[bi])
    def divide():
        blas.trsm(lii.array, bi.array, transposed=transposed)
