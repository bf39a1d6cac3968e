"""The phases of the computation in order: covariance, factorisation, solves, prediction. Each ends before the next one starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import crosspy as xp
import numpy as np

from gp import cholesky, kernel, predict, solve


@dataclass(frozen=True)
class Solution:
    """What the tiled computation found, and how its matrix was laid out."""

    layout: object
    factor: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    log_likelihood: float


def run(time_known, value, time_predicted, devices, block, n_repeats, meter):
    """Condition on `value` at `time_known` and predict `time_predicted`, with tiles of block x block on `devices`.

    The factorisation is done `n_repeats` times, for the median. Needs an active runtime; `meter` times the phases. All ranks call it;
    the first one gets the Solution, the others None.
    Raises blas.NotPositiveDefinite, from a task, if the covariance matrix has no factor.
    """
    n, m = len(time_known), len(time_predicted)
    tiles, columns = math.ceil(n / block), math.ceil(m / block)
    grid = _most_square(len(devices))

    def spread(shape):
        return xp.BlockCyclic(shape, block=(block, block), grid=grid, devices=devices)

    def spread_rows(length):
        return xp.BlockCyclic((length, 1), block=(block, 1), grid=(len(devices), 1), devices=devices)

    with meter.phase("covariance"):
        covariance = xp.fromfunction(kernel.between_observations(time_known), spread((n, n)), dtype=float)
        cross = xp.fromfunction(kernel.to_predicted(time_known, time_predicted), spread((n, m)), dtype=float)
    factor = xp.empty(covariance.layout, dtype=float)
    for _ in range(n_repeats):
        with meter.phase("copy"):
            factor[...] = covariance
        with meter.phase("factorise") as tasks:
            cholesky.factorise(factor, tiles, tasks)

    alpha = xp.array(value[:, np.newaxis], spread_rows(n))
    with meter.phase("solve") as tasks:
        solve.forward(factor, alpha, tiles, 1, tasks)
        solve.backward(factor, alpha, tiles, 1, tasks)
        logs = predict.log_determinant(factor, tiles, tasks)

    mean, explained = xp.zeros(spread_rows(m), dtype=float), xp.zeros(spread_rows(m), dtype=float)
    with meter.phase("predict") as tasks:
        predict.mean(cross, alpha, mean, tiles, columns, tasks)
        solve.forward(factor, cross, tiles, columns, tasks)
        predict.explained_variance(cross, explained, tiles, columns, tasks)
    with meter.phase("gather"):
        gathered = [array.gather(root=0) for array in (alpha, mean, explained, logs, factor)]
    if gathered[0] is None:
        return None
    alpha, mean, explained, logs, lower = gathered
    return Solution(
        layout=covariance.layout,
        factor=np.tril(lower),
        mean=mean[:, 0],
        variance=kernel.TOTAL_VARIANCE - explained[:, 0],
        log_likelihood=predict.log_likelihood(value, alpha[:, 0], math.fsum(logs)),
    )


def _most_square(count):
    """Return the grid (p, q) of `count` = p q devices that is nearest to a square, with p <= q."""
    p = next(p for p in range(math.isqrt(count), 0, -1) if count % p == 0)
    return p, count // p
