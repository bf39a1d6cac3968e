"""Pictures for notebooks: spaces and collections of tasks, as SVG in HTML that fits light and dark pages."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable

_MAX_TASKS = 2000
_SIDE, _STEP, _PER_ROW = 14, 17, 48

COLOURS = {
    "created": "#cbd5e1",
    "waiting": "#94a3b8",
    "ready": "#fbbf24",
    "reserved": "#fbbf24",
    "running": "#f97316",
    "launched": "#fb923c",
    "suspended": "#a78bfa",
    "done": "#4ade80",
    "failed": "#ef4444",
    "cancelled": "#78716c",
}


def _cell(x: int, y: int, task: object) -> str:
    name, state = html.escape(task.name), task.state
    place = ", ".join(map(repr, task.devices)) if state in ("running", "done", "failed") else ""
    title = html.escape(f"{state} on {place}" if place else state)
    fill = COLOURS.get(state, "#000")
    return (
        f'<rect x="{x * _STEP}" y="{y * _STEP}" width="{_SIDE}" height="{_SIDE}" rx="3" fill="{fill}">'
        f"<title>{name}: {title}</title></rect>"
    )


def _places(items: list[tuple[object, object]]) -> list[tuple[int, int]]:
    """Return column and row of each task: by its indices where all have one or two integers that fit, else in their order."""
    keys = [key if isinstance(key, tuple) else (key,) for key, _ in items]
    if all(len(key) == 2 and all(isinstance(index, int) and 0 <= index < 64 for index in key) for key in keys):
        return [(key[1], key[0]) for key in keys]
    return [(i % _PER_ROW, i // _PER_ROW) for i in range(len(items))]


def tasks_html(title: str, items: Iterable[tuple[object, object]]) -> str:
    """Return a picture of (key, task) pairs: a square for each task, coloured by its state, with its name on hovering."""
    listed = list(items)
    counts = Counter(task.state for _, task in listed)
    words = "".join(
        f'<span style="margin-right:1em"><span style="color:{COLOURS.get(state, "#000")}">&#9632;</span> {n} {state}</span>'
        for state, n in sorted(counts.items(), key=lambda item: list(COLOURS).index(item[0]) if item[0] in COLOURS else 99)
    )
    head = f"<div><b>{html.escape(title)}</b>: {len(listed)} task{'s' * (len(listed) != 1)} &nbsp; {words}</div>"
    shown = listed[:_MAX_TASKS]
    if not shown:
        return head
    places = _places(shown)
    width = (max(x for x, _ in places) + 1) * _STEP
    height = (max(y for _, y in places) + 1) * _STEP
    cells = "".join(_cell(x, y, task) for (x, y), (_, task) in zip(places, shown))
    more = f"<div>the first {_MAX_TASKS} are shown</div>" if len(listed) > _MAX_TASKS else ""
    return f'{head}<svg width="{width}" height="{height}" role="img" aria-label="{html.escape(title)}">{cells}</svg>{more}'


def array_html(overview: str, content: str | None) -> str:
    """Return an array's head line and its content as NumPy prints it; None where showing it would move it."""
    if content is None:
        return f"<div>{html.escape(overview)}</div>"
    return f"<div>{html.escape(overview)}</div><pre>{html.escape(content)}</pre>"
