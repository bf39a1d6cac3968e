"""A small picture of a trace for notebooks: how busy each worker and device was over time, and where the time went."""

from __future__ import annotations

import html

import numpy as np

from .losses import CAUSES, pools
from .recorded import TASK, Recorded

_N_COLUMNS = 120
_WIDTH, _HEIGHT, _LEFT = 6, 14, 200
_MAX_LINES = 64


def _busy(trace: Recorded, rank: int, line: int, marks: np.ndarray) -> np.ndarray:
    """Return the part of each column in which a line runs tasks."""
    here = (trace.rank == rank) & (trace.line == line) & (trace.kind == TASK)
    covered = np.zeros(len(marks) - 1)
    for t0, t1 in zip(trace.t0_us[here], trace.t1_us[here], strict=True):
        covered += np.clip(np.minimum(t1, marks[1:]) - np.maximum(t0, marks[:-1]), 0, None)
    return np.minimum(1, covered / np.diff(marks))


def as_html(trace: Recorded) -> str:
    """Return the picture: a row for each line that ran tasks, darker where it was busier, and the time of all pools by cause."""
    begin, end = float(trace.t0_us.min()), float(trace.t1_us.max())
    marks = np.linspace(begin, max(end, begin + 1e-3), _N_COLUMNS + 1)
    ran = trace.kind == TASK
    places = sorted(set(zip(trace.rank[ran].tolist(), trace.line[ran].tolist(), strict=True)))
    cells = []
    for i, (rank, line) in enumerate(places[:_MAX_LINES]):
        name = html.escape(f"rank {rank}, {trace.lines[rank, line]}")
        cells.append(f'<text x="0" y="{i * _HEIGHT + 11}" font-size="11" fill="currentColor">{name}</text>')
        for column, part in enumerate(_busy(trace, rank, line, marks).tolist()):
            if part > 0:
                place = f'x="{_LEFT + column * _WIDTH}" y="{i * _HEIGHT}" width="{_WIDTH}" height="{_HEIGHT - 2}"'
                cells.append(f'<rect {place} fill="#f97316" fill-opacity="{max(part, 0.05):.2f}"/>')
    found = pools(trace)
    whole_s = sum(pool.capacity for pool in found) * (end - begin) / 1e6 or 1.0
    shares = {"busy": sum(pool.busy_s for pool in found), **{cause: sum(pool.lost_s[cause] for pool in found) for cause in CAUSES}}
    words = ", ".join(f"{cause.replace('_', '/')} {100 * seconds / whole_s:.0f} %" for cause, seconds in shares.items())
    head = f"<div><b>Trace</b>: {(end - begin) / 1e6:.4g} s, {len(trace.ranks)} ranks, {trace.n_nodes} tasks; {words}</div>"
    size = f'width="{_LEFT + _N_COLUMNS * _WIDTH}" height="{min(len(places), _MAX_LINES) * _HEIGHT}"'
    more = f"<div>the first {_MAX_LINES} of {len(places)} lines are shown</div>" if len(places) > _MAX_LINES else ""
    return f'{head}<svg {size} role="img" aria-label="how busy workers and devices were">{"".join(cells)}</svg>{more}'
