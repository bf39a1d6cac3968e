"""Layouts and arrays as text for people."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .array import CrossArray
    from .layout import Layout

# Rows and columns of blocks that a picture shows; more are cut off with dots.
_MAX_BLOCKS = 24


def describe(layout: Layout) -> str:
    """Return one line about a layout of any kind."""
    devices = [str(layout.place(i)) for i in range(min(layout.n_blocks, _MAX_BLOCKS))]
    more = ["..."] if layout.n_blocks > _MAX_BLOCKS else []
    blocks = as_tuple([sizes(layout.sizes(k)) for k in range(layout.ndim)])
    return f"Grid({layout.shape}, blocks={blocks}, devices=[{', '.join(devices + more)}])"


def sizes(extents: tuple[int, ...]) -> str:
    """Return extents of blocks as a tuple, cut off if it is long."""
    return as_tuple(_cut([str(extent) for extent in extents]))


def as_tuple(items: list[str]) -> str:
    """Return the text of a tuple; with one item it needs its comma."""
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _cut(items: list[str]) -> list[str]:
    return items if len(items) <= _MAX_BLOCKS else [*items[: _MAX_BLOCKS - 1], "..."]


def picture(layout: Layout) -> str:
    """Return the first two dimensions of the grid of blocks, one letter for each place, and what lies at each place."""
    names = {place: string.ascii_letters[i % 52] + str(i // 52 or "") for i, place in enumerate(layout.places)}
    grid = layout.grid
    rows = grid[0] if layout.ndim > 1 else 1
    columns = grid[1] if layout.ndim > 1 else grid[0] if layout.ndim else 1
    across = layout.sizes(1 if layout.ndim > 1 else 0) if layout.ndim else ("",)
    down = layout.sizes(0) if layout.ndim > 1 else ("",)
    table = [["", *_cut([str(size) for size in across])]]
    for i in range(min(rows, _MAX_BLOCKS)):
        if rows > _MAX_BLOCKS and i == _MAX_BLOCKS - 1:
            table.append(["..."])
            break
        numbers = (_number(layout, i, j) for j in range(min(columns, _MAX_BLOCKS)))
        cells = [names[layout.place(number)] for number in numbers]
        table.append([str(down[i]), *(cells if columns <= _MAX_BLOCKS else [*cells[:-1], "..."])])
    width = max(len(cell) for row in table for cell in row)
    lines = ["  ".join(cell.rjust(width) for cell in row).rstrip() for row in table]
    if layout.ndim > 2:
        lines.append(f"(the first of {' x '.join(map(str, grid[2:]))} blocks along the other dimensions)")
    shares = layout.bytes_by_place(1)
    lines += [f"{names[place]} = {place}: {shares[place]} of {layout.size} elements" for place in layout.places]
    return "\n".join(lines)


def _number(layout: Layout, row: int, column: int) -> int:
    if layout.ndim == 0:
        return 0
    coordinates = (column,) if layout.ndim == 1 else (row, column, *(0,) * (layout.ndim - 2))
    return layout.block_at(*coordinates)


def array(x: CrossArray) -> str:
    """Return the repr of an array. Nothing is gathered."""
    places = ", ".join(map(str, x.layout.places))
    blocks = f"a view of {x.base.layout.n_blocks} blocks" if x.base is not None else f"{x.layout.n_blocks} blocks"
    return f"<CrossArray shape={x.shape} dtype={x.dtype} {blocks} on {places}>"
