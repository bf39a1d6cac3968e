"""What comes out: the prediction, how good it is, and whether it agrees with the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gp import blas

# Half the width of the interval that holds 95 % of a normal distribution, in standard deviations.
BAND = 1.959964

RESIDUAL_LIMIT = 1e-14
PREDICTION_LIMIT = 1e-8


@dataclass(frozen=True)
class Prediction:
    """Mean (ppm) and variance (ppm²) of the observations to predict."""

    mean: np.ndarray
    variance: np.ndarray

    @property
    def lower(self):
        """The lower end of the 95 % band."""
        return self.mean - BAND * np.sqrt(self.variance)

    @property
    def upper(self):
        """The upper end of the 95 % band."""
        return self.mean + BAND * np.sqrt(self.variance)


@dataclass(frozen=True)
class Scores:
    """Root mean square error (ppm) and share of the values inside the 95 % band."""

    rmse: float
    coverage: float


def score(prediction, values):
    """Compare a prediction with the values that were held out."""
    inside = (prediction.lower <= values) & (values <= prediction.upper)
    return Scores(float(np.sqrt(np.mean(np.square(prediction.mean - values)))), float(np.mean(inside)))


@dataclass(frozen=True)
class Check:
    """A relative error and the limit that it has to keep."""

    name: str
    error: float
    limit: float

    @property
    def passed(self):
        """True if the error is a number within the limit."""
        return self.error <= self.limit


def check(solution, reference):
    """Return the checks of a tiled solution against the reference."""
    n = len(solution.factor)
    return [
        Check("|L Lᵀ - K| / |K|", residual(solution.factor, reference.matrix), RESIDUAL_LIMIT * n**0.5),
        Check("mean, beside SciPy", relative(solution.mean, reference.mean), PREDICTION_LIMIT),
        Check("variance, beside SciPy", relative(solution.variance, reference.variance), PREDICTION_LIMIT),
        Check("log likelihood per value", abs(solution.log_likelihood - reference.log_likelihood) / n, PREDICTION_LIMIT),
    ]


def residual(factor, matrix):
    """Return |L Lᵀ - K| / |K| in the Frobenius norm, with L the lower triangle of `factor`."""
    difference = matrix.copy()
    blas.syrk(np.tril(factor), difference)
    return _symmetric_norm(difference) / _symmetric_norm(matrix)


def relative(value, expected):
    """Return the relative distance of two arrays or numbers in the Euclidean norm."""
    return float(np.linalg.norm(np.subtract(value, expected)) / np.linalg.norm(expected))


def _symmetric_norm(matrix):
    """Return the Frobenius norm of the symmetric matrix whose lower triangle is given."""
    return float(np.hypot(np.sqrt(2.0) * np.linalg.norm(np.tril(matrix, -1)), np.linalg.norm(np.diagonal(matrix))))
