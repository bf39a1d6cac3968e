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
    """What the reference found; `matrix` is the covariance matrix."""

    matrix: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    log_likelihood: float


def solve(time_known, value, time_predicted):
    """Condition on `value` at `time_known` and predict `time_predicted`."""
    n, m = len(time_known), len(time_predicted)
    matrix = np.fromfunction(kernel.between_observations(time_known), (n, n), dtype=int)
    cross = np.fromfunction(kernel.to_predicted(time_known, time_predicted), (n, m), dtype=int)
    factor, lower = scipy.linalg.cho_factor(matrix, lower=True)
    alpha = scipy.linalg.cho_solve((factor, lower), value)
    half = scipy.linalg.solve_triangular(factor, cross, lower=True)
    variance = kernel.TOTAL_VARIANCE - np.sum(np.square(half), axis=0)
    log_determinant = 2.0 * math.fsum(np.log(np.diagonal(factor)))
    log_likelihood = -0.5 * (math.fsum(value * alpha) + log_determinant + n * math.log(2.0 * math.pi))
    return Reference(matrix, cross.T @ alpha, variance, log_likelihood)


def factor_seconds(matrix, thread_counts, n_repeats):
    """Return {threads: seconds of one factorisation, the median of `n_repeats`}; the thread counts take turns."""
    seconds = {n_threads: [] for n_threads in thread_counts}
    for _ in range(n_repeats):
        for n_threads, measured in seconds.items():
            factor = np.array(matrix, order="F")
            with threadpool_limits(limits=n_threads, user_api="blas"):
                start = time.perf_counter()
                scipy.linalg.cho_factor(factor, lower=True, overwrite_a=True, check_finite=False)
                measured.append(time.perf_counter() - start)
    return {n_threads: statistics.median(measured) for n_threads, measured in seconds.items()}
