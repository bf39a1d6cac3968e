"""Layouts as SVG, for notebooks and pages: the first two dimensions to scale, a colour for each place."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from . import show

if TYPE_CHECKING:
    from .array import CrossArray
    from .layout import Layout

_SIDE = 260  # of the picture's longer side, in pixels
_MAX_BLOCKS = 4096
_COLOURS = ("#60a5fa", "#f59e0b", "#34d399", "#f472b6", "#a78bfa", "#fb7185", "#22d3ee", "#a3e635", "#fbbf24", "#94a3b8")


def _extents(layout: Layout) -> tuple[int, int]:
    """Return rows and columns of what is drawn."""
    if layout.ndim == 0:
        return 1, 1
    return (1, layout.shape[0]) if layout.ndim == 1 else layout.shape[:2]


def _rectangle(layout: Layout, i_block: int, scale: tuple[float, float], colour: str) -> str:
    offset, extent = layout.box(i_block)
    if layout.ndim < 2:
        offset, extent = (0, *offset, 0)[:2], (1, *extent, 1)[:2]
    x, y = offset[1] * scale[1], offset[0] * scale[0]
    width, height = extent[1] * scale[1], extent[0] * scale[0]
    box = ", ".join(f"{o}:{o + e}" for o, e in zip(*layout.box(i_block), strict=True))
    title = html.escape(f"block {layout.coordinates(i_block)} [{box}] at {layout.place(i_block)}")
    place = f'x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"'
    return f'<rect {place} fill="{colour}" stroke="currentColor" stroke-opacity="0.35"><title>{title}</title></rect>'


def svg(layout: Layout) -> str:
    """Return the picture: blocks to scale, each with its box and place on hovering; at most 4,096 blocks of the first planes."""
    rows, columns = _extents(layout)
    longer = max(rows, columns, 1)
    # A very long side would leave a line: the shorter one is drawn at least a tenth as long.
    height, width = (max(_SIDE * side / longer, _SIDE / 10) for side in (rows, columns))
    scale = (height / max(rows, 1), width / max(columns, 1))
    colour = {place: _COLOURS[i % len(_COLOURS)] for i, place in enumerate(layout.places)}
    drawn = []
    for i_block in range(min(layout.n_blocks, _MAX_BLOCKS)):
        if not any(layout.coordinates(i_block)[2:]):
            drawn.append(_rectangle(layout, i_block, scale, colour[layout.place(i_block)]))
    size = f'width="{width + 2:.0f}" height="{height + 2:.0f}" viewBox="-1 -1 {width + 2:.2f} {height + 2:.2f}"'
    return f'<svg {size} role="img" aria-label="{html.escape(repr(layout))}">{"".join(drawn)}</svg>'


def layout_html(layout: Layout) -> str:
    """Return the picture with its legend: how much lies at each place."""
    shares = layout.bytes_by_place(1)
    places = layout.places
    rows = [
        f'<div><span style="color:{_COLOURS[i % len(_COLOURS)]}">&#9632;</span> {html.escape(str(place))}: '
        f"{shares[place]:,} of {layout.size:,} elements</div>"
        for i, place in enumerate(places[: 2 * len(_COLOURS)])
    ]
    if len(places) > len(rows):
        rows.append(f"<div>and {len(places) - len(rows)} more places</div>")
    return f"<div><code>{html.escape(repr(layout))}</code></div>{svg(layout)}{''.join(rows)}"


def array_html(x: CrossArray) -> str:
    """Return what an array is and the picture of its layout; nothing is gathered."""
    return f"<div><code>{html.escape(show.array(x))}</code></div>{layout_html(x.layout)}"
