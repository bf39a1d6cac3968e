"""Input, synthetic draws and scores of the main example: the parts that need no runtime."""

import datetime

import numpy as np
import pytest
from gp import data, kernel, outcome, reference


def test_the_record(co2_csv):
    series = data.read_csv(co2_csv)
    assert (len(series.train_time), len(series.test_time)) == (1912, 313)
    assert series.train_time[-1] < 1996.0 <= series.test_time[0]
    assert np.all(np.diff(np.concatenate([series.train_time, series.test_time])) > 0)
    assert 313.0 <= series.train_value.min() and series.test_value.max() < 375.0


def test_decimal_year():
    assert data.decimal_year(datetime.date(1995, 1, 1)) == 1995.0
    assert data.decimal_year(datetime.date(1996, 7, 2)) == pytest.approx(1996.5, abs=1e-12)
    assert data.decimal_year(datetime.date(2001, 12, 31)) < 2002.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.csv:1: expected the header line 'date,co2', found ''"),
        ("day,co2\n", "x.csv:1: expected the header line"),
        ("date,co2\n19580329,316.1,7\n", "x.csv:2: expected 2 fields"),
        ("date,co2\n19580329,316.1\n1958-04-05,317\n", "x.csv:3: expected a date as YYYYMMDD, found '1958-04-05'"),
        ("date,co2\n19581329,316.1\n", "x.csv:2: expected a date"),
        ("date,co2\n19580329,316.1\n\n19580405,n/a\n", "x.csv:4: expected a finite number of ppm or nothing, found 'n/a'"),
        ("date,co2\n19580329,inf\n", "x.csv:2: expected a finite number"),
        ("date,co2\n19580329,316.1\n19580329,316.2\n", "x.csv:3: date 19580329 does not come after 19580329"),
        ("date,co2\n19580329,316.1\n19580405,316.1\n", "x.csv: at least 2 values after 1995 are needed, found 0"),
    ],
)
def test_malformed_input(tmp_path, text, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(data.DataError) as caught:
        data.read_csv(path)
    assert str(caught.value).startswith(str(tmp_path)) and message in str(caught.value)


def test_input_that_is_no_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"date,co2\n\xff\xfe\n")
    with pytest.raises(data.DataError, match="not a text file"):
        data.read_csv(path)
    with pytest.raises(data.DataError, match="No such file"):
        data.read_csv(tmp_path / "missing.csv")
    with pytest.raises(data.DataError, match="directory"):
        data.read_csv(tmp_path)


def test_draws_have_the_kernel_as_covariance():
    """The mean over many draws of products of two weeks tends to the kernel; noise is small beside the trend's 66²."""
    n, count = 40, 400
    draws = np.stack([np.concatenate([s.train_value, s.test_value]) for s in (data.draw(n, i, 8) for i in range(count))]) - 340.0
    expected = kernel.TOTAL_VARIANCE
    assert np.mean(np.square(draws)) == pytest.approx(expected, rel=0.25)
    steps = np.diff(draws, axis=1)
    lag = kernel.covariance(np.array([data.WEEK]), False)[0]
    assert np.mean(np.square(steps)) == pytest.approx(2.0 * (expected - lag), rel=0.05)


def test_draws_repeat_with_their_seed():
    one, same, other = data.draw(50, 3), data.draw(50, 3), data.draw(50, 4)
    np.testing.assert_array_equal(one.train_value, same.train_value)
    assert not np.array_equal(one.train_value, other.train_value)


def test_reference_on_the_record(co2_csv):
    series = data.read_csv(co2_csv)
    found = reference.solve(series.train_time, series.train_value - series.offset, series.test_time)
    prediction = outcome.Prediction(found.mean + series.offset, found.variance)
    scores = outcome.score(prediction, series.test_value)
    assert scores.rmse == pytest.approx(0.7, abs=0.05)
    assert 0.9 < scores.coverage <= 1.0
    assert np.all(found.variance > kernel.NOISE_SIZE**2)
    seconds = reference.factor_seconds(found.matrix[:100, :100], [1, 2], 3)
    assert list(seconds) == [1, 2] and min(seconds.values()) > 0.0


def test_residual_and_checks():
    rng = np.random.default_rng(1)
    a = rng.standard_normal((30, 30))
    matrix = a @ a.T + np.eye(30)
    factor = np.linalg.cholesky(matrix)
    assert outcome.residual(factor, matrix) < 1e-15
    factor[20, 3] += 1e-6
    expected = np.linalg.norm(factor @ factor.T - matrix) / np.linalg.norm(matrix)
    assert outcome.residual(factor, matrix) == pytest.approx(expected, rel=1e-6)
    assert outcome.Check("x", 1.0, 1.0).passed
    assert not outcome.Check("x", float("nan"), 1.0).passed
