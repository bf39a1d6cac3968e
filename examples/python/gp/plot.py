"""The picture: observations, prediction and its 95 % band, over all years and over the last ones."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")  # a file is written, so no display is needed

import matplotlib.pyplot as plt
import numpy as np

SEEN, HELD_OUT, MODEL, SHADE = "#37474f", "#d1495b", "#00798c", "#f4efe4"
ZOOM_YEARS = 2.0

STYLE = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
}


def write(path, series, prediction, scores):
    """Write the picture of `prediction` for the held-out part of `series` to the PNG file `path`."""
    with plt.rc_context(STYLE):
        figure, (whole, zoomed) = plt.subplots(
            2, 1, figsize=(10.0, 8.4), dpi=150, height_ratios=(1.0, 1.35), layout="constrained"
        )
        for axes, size in ((whole, 1.6), (zoomed, 9.0)):
            _panel(axes, series, prediction, size)
        _zoom(zoomed, series, prediction)
        figure.suptitle(f"{series.label}: Gaussian-process regression", fontsize=15, fontweight="bold")
        whole.set_title(f"{len(series.train_time)} values condition the model, {len(series.test_time)} are held out", loc="left")
        zoomed.set_title(
            f"Held out: RMSE {scores.rmse:.2f} ppm, {100 * scores.coverage:.1f} % of the values in the 95 % band", loc="left"
        )
        zoomed.set_xlabel("Year")
        whole.legend(loc="upper left", markerscale=3.0)
        figure.savefig(path)
        plt.close(figure)


def _panel(axes, series, prediction, size):
    axes.axvspan(series.test_time[0], series.test_time[-1], color=SHADE, lw=0, zorder=0, label="held-out weeks")
    axes.scatter(series.train_time, series.train_value, s=size, color=SEEN, lw=0, label="observed, known to the model")
    axes.fill_between(
        series.test_time,
        prediction.lower,
        prediction.upper,
        color=MODEL,
        alpha=0.25,
        lw=0,
        label="95 % band of an observation",
    )
    axes.plot(series.test_time, prediction.mean, color=MODEL, lw=1.6, label="predicted mean")
    axes.scatter(series.test_time, series.test_value, s=size, color=HELD_OUT, lw=0, zorder=3, label="observed, held out")
    axes.set_ylabel(f"{series.quantity} (ppm)")
    axes.margins(x=0.01)


def _zoom(axes, series, prediction):
    """Show the last years before the held-out weeks, and these."""
    first, last = series.test_time[0] - ZOOM_YEARS, series.test_time[-1]
    near = series.train_value[series.train_time >= first]
    low = min(near.min(initial=np.inf), prediction.lower.min(), series.test_value.min())
    high = max(near.max(initial=-np.inf), prediction.upper.max(), series.test_value.max())
    pad = 0.05 * (high - low)
    axes.set_xlim(first, last + 0.3)
    axes.set_ylim(low - pad, high + pad)
