"""The same model in plain NumPy and SciPy: what the tiled result is checked against and timed beside."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_limits

from gp import kernel


@dataclass(frozen=True)
class Reference:
    """Results of the reference, and how long its factorisation takes (median, seconds)."""

    matrix: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    log_likelihood: float
    factor_seconds: float


def solve(time_known, value, time_predicted, n_threads: int, n_repeats: int) -> Reference:
    """Condition on `value` at `time_known` and predict `time_predicted`, with `n_threads` BLAS threads.

    The factorisation is done `n_repeats` times for the median.
    """
    n, m = len(time_known), len(time_predicted)
    matrix = np.fromfunction(kernel.between_observations(time_known), (n, n), dtype=int)
    cross = np.fromfunction(kernel.to_predicted(time_known, time_predicted), (n, m), dtype=int)
    with threadpool_limits(limits=n_threads, user_api="blas"):
        seconds = []
        for _ in range(n_repeats):
            factor = np.array(matrix, order="F")
            start = time.perf_counter()
            factor, lower = scipy.linalg.cho_factor(factor, lower=True, overwrite_a=True, check_finite=False)
            seconds.append(time.perf_counter() - start)
        alpha = scipy.linalg.cho_solve((factor, lower), value)
        half = scipy.linalg.solve_triangular(factor, cross, lower=True)
        mean = cross.T @ alpha
    variance = kernel.TOTAL_VARIANCE - np.sum(np.square(half), axis=0)
    log_determinant = 2.0 * math.fsum(np.log(np.diagonal(factor)))
    log_likelihood = -0.5 * (math.fsum(value * alpha) + log_determinant + n * math.log(2.0 * math.pi))
    return Reference(matrix, mean, variance, log_likelihood, statistics.median(seconds))
