"""The covariance function of the CO2 model, with its published parameters.

Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, section 5.4.3, equations 5.15 to 5.19. Times
are in years, values in ppm.
"""

from __future__ import annotations

import numpy as np
from parla.array import get_array_module

TREND_SIZE, TREND_YEARS = 66.0, 67.0
SEASON_SIZE, SEASON_DECAY_YEARS, SEASON_SMOOTHNESS = 2.4, 90.0, 1.3
MEDIUM_SIZE, MEDIUM_YEARS, MEDIUM_SHAPE = 0.66, 1.2, 0.78
NOISE_SIZE, NOISE_YEARS = 0.18, 1.6 / 12.0
WHITE_SIZE = 0.19

# The prior variance of one observation: every component at lag 0.
TOTAL_VARIANCE = TREND_SIZE**2 + SEASON_SIZE**2 + MEDIUM_SIZE**2 + NOISE_SIZE**2 + WHITE_SIZE**2


def covariance(lag, same):
    """Return the covariance in ppm² of observations `lag` years apart (an array of any shape).

    `same` tells which pairs are one and the same observation: these share the white part of the noise. The other part is
    correlated over weeks, so that neighbouring observations share it.
    """
    square = np.square(lag)
    trend = TREND_SIZE**2 * np.exp(square * (-0.5 / TREND_YEARS**2))
    season = SEASON_SIZE**2 * np.exp(
        square * (-0.5 / SEASON_DECAY_YEARS**2) - (2.0 / SEASON_SMOOTHNESS**2) * np.square(np.sin(np.pi * lag))
    )
    medium = MEDIUM_SIZE**2 * (1.0 + square / (2.0 * MEDIUM_SHAPE * MEDIUM_YEARS**2)) ** -MEDIUM_SHAPE
    noise = NOISE_SIZE**2 * np.exp(square * (-0.5 / NOISE_YEARS**2)) + WHITE_SIZE**2 * same
    return trend + season + medium + noise


def between_observations(time):
    """Return f(i, j), the covariance of observations i and j (broadcast arrays of indices into `time`)."""
    return lambda i, j: covariance(_take(time, i) - _take(time, j), i == j)


def to_predicted(time, predicted):
    """Return f(i, j), the covariance of observation i and predicted observation j, which are never the same one."""
    return lambda i, j: covariance(_take(time, i) - _take(predicted, j), False)


def _take(values, indices):
    """Return values[indices] where the indices are: on the GPU of the task that asks, or here."""
    return get_array_module(indices).asarray(values)[indices]
