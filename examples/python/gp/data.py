"""Time series to condition on and to predict: read from a CSV file, or drawn from the kernel."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gp.kernel import covariance

LAST_TRAINING_YEAR = 1995
HELD_OUT_WEEKS = 312
WEEK = 7.0 / 365.25


class DataError(Exception):
    """The input cannot be used; the message names the file and, where there is one, the line."""


@dataclass(frozen=True)
class Series:
    """Observations: what the model sees, and what it has to predict. Times in years, values in ppm."""

    label: str
    quantity: str
    train_time: np.ndarray
    train_value: np.ndarray
    test_time: np.ndarray
    test_value: np.ndarray

    @property
    def offset(self) -> float:
        """The mean of the training values, taken off before the model sees them."""
        return float(np.mean(self.train_value))


def read_csv(path: Path) -> Series:
    """Read `date,co2` rows (YYYYMMDD, ppm; an empty value is a gap) and split them after 1995.

    Raises DataError for a file that is missing or malformed, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file (byte {error.start} is not UTF-8)") from error
    if not lines or lines[0].strip() != "date,co2":
        raise DataError(f"{path}:1: expected the header line 'date,co2', found {_shown(lines[0] if lines else '')}")

    dates: list[datetime.date] = []
    values: list[float] = []
    previous = datetime.date.min
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            date, value = _parse_row(line)
            if date <= previous:
                raise ValueError(f"date {date:%Y%m%d} does not come after {previous:%Y%m%d}")
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from None
        previous = date
        if value is not None:
            dates.append(date)
            values.append(value)
    return _split(path, dates, np.array(values))


def _parse_row(line: str) -> tuple[datetime.date, float | None]:
    fields = line.split(",")
    if len(fields) != 2:
        raise ValueError(f"expected 2 fields (date,co2), found {len(fields)} in {_shown(line)}")
    stamp, text = fields[0].strip(), fields[1].strip()
    try:
        if len(stamp) != 8 or not (stamp.isascii() and stamp.isdigit()):
            raise ValueError
        date = datetime.date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:]))
    except ValueError:
        raise ValueError(f"expected a date as YYYYMMDD, found {_shown(stamp)}") from None
    if not text:
        return date, None
    try:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError
    except ValueError:
        raise ValueError(f"expected a finite number of ppm or nothing, found {_shown(text)}") from None
    return date, value


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _split(path: Path, dates: list[datetime.date], values: np.ndarray) -> Series:
    times = np.array([decimal_year(date) for date in dates])
    known = np.array([date.year <= LAST_TRAINING_YEAR for date in dates], dtype=bool)
    for part, name in ((known, f"up to {LAST_TRAINING_YEAR}"), (~known, f"after {LAST_TRAINING_YEAR}")):
        if np.count_nonzero(part) < 2:
            raise DataError(f"{path}: at least 2 values {name} are needed, found {np.count_nonzero(part)}")
    return Series(f"Weekly CO₂ ({path.name})", "CO₂", times[known], values[known], times[~known], values[~known])


def decimal_year(date: datetime.date) -> float:
    """Return the date as a number of years: 1995-07-02 is 1995.4986."""
    first = datetime.date(date.year, 1, 1)
    length = datetime.date(date.year + 1, 1, 1) - first
    return date.year + (date - first) / length


def draw(size: int, seed: int, held_out: int = HELD_OUT_WEEKS) -> Series:
    """Draw a synthetic series from the kernel: `size` weeks to condition on, then `held_out` weeks to predict.

    The covariance of evenly spaced points is a Toeplitz matrix; it is embedded into a circulant one, whose square root is
    two Fourier transforms. That is exact while all eigenvalues of the circulant matrix are non-negative.
    """
    n = size + held_out
    root = np.sqrt(_circulant_eigenvalues(n))
    noise = np.random.default_rng(seed).standard_normal(root.size)
    values = np.fft.ifft(root * np.fft.fft(noise)).real[:n] + 340.0
    times = decimal_year(datetime.date(1958, 3, 29)) + WEEK * np.arange(n)
    label = f"Synthetic weekly series (seed {seed})"
    return Series(label, "Draw", times[:size], values[:size], times[size:], values[size:])


def _circulant_eigenvalues(n: int) -> np.ndarray:
    """Return the eigenvalues of the smallest circulant matrix of 2**k rows, k >= 16, that embeds n points and is definite."""
    period = 1 << 16
    while period < 2 * n or (eigenvalues := _spectrum(period)).min() < 0.0:
        period *= 2
    return eigenvalues


def _spectrum(period: int) -> np.ndarray:
    lags = np.minimum(np.arange(period), period - np.arange(period))
    row = covariance(WEEK * lags, lags == 0)
    return np.fft.fft(row).real
