"""Predictive mean and variance, and the log marginal likelihood, from the factor and the solved systems.

Sums over tiles are taken in the order of the tiles, so that they do not depend on the number of devices.
"""

from __future__ import annotations

import math

import crosspy as xp
import numpy as np
from parla import spawn

from gp import blas


def mean(cross, alpha, out, tiles, columns, tasks):
    """Spawn the tasks that add K*ᵀ alpha to `out`; block (j, 0) of `out` belongs to column j of `cross`."""
    for j in range(columns):
        for i in range(tiles):
            _add_mean(cross.block(i, j), alpha.block(i, 0), out.block(j, 0), tasks["mean", j, i])


def explained_variance(half, out, tiles, columns, tasks):
    """Spawn the tasks that add the column sums of V² to `out`, with V = L⁻¹ K* in `half`."""
    for j in range(columns):
        for i in range(tiles):
            _add_squares(half.block(i, j), out.block(j, 0), tasks["variance", j, i])


def log_determinant(factor, tiles, tasks):
    """Spawn one task per diagonal tile; return the array of their results, which add up to log det L."""
    diagonal = [factor.block(i, i) for i in range(tiles)]
    sums = xp.empty(xp.Grid((tiles,), blocks=([1] * tiles,), devices=[block.place for block in diagonal]), dtype=float)
    for i in range(tiles):
        _log_diagonal(diagonal[i], sums.block(i), tasks["logdet", i])
    return sums


def log_likelihood(value, alpha, log_det_factor):
    """Return the log marginal likelihood of `value`, given alpha = K⁻¹ value and log det L."""
    return -0.5 * math.fsum(value * alpha) - log_det_factor - 0.5 * len(value) * math.log(2.0 * math.pi)


def _add_mean(cross, alpha, out, name):
    @spawn(name, placement=cross, input=[cross, alpha], inout=[out])
    def mean_of_block():
        blas.gemm(cross.array, alpha.array, out.array, transpose_a=True, add=True)


def _add_squares(half, out, name):
    @spawn(name, placement=half, input=[half], inout=[out])
    def squares_of_block():
        out.array[:, 0] += np.sum(np.square(half.array), axis=0)


def _log_diagonal(diagonal, out, name):
    @spawn(name, placement=diagonal, input=[diagonal], output=[out])
    def log_diagonal():
        out.array[0] = math.fsum(np.log(np.diagonal(diagonal.array)).tolist())
