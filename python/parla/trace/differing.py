"""Two runs side by side: what became faster, what slower, and by how much."""

from __future__ import annotations

from typing import Any

from .losses import CAUSES
from .recorded import Recorded
from .reporting import report

_N_ROWS = 15


def _sums(one: dict[str, Any]) -> dict[str, float]:
    sums = {"busy": sum(pool["busy_s"] for pool in one["pools"])}
    for cause in CAUSES:
        sums[cause] = sum(pool["lost_s"][cause] for pool in one["pools"])
    return sums


def _row(name: str, before: float, after: float, **more: object) -> dict[str, Any]:
    return {"name": name, "before": before, "after": after, "change": after - before, **more}


def diff(before: Recorded, after: Recorded) -> dict[str, Any]:
    """Compare two traces.

    Returns
    -------
    dict
        "run": rows of the whole run (duration, critical path, lower bound in seconds; tasks; copied bytes); "time": rows of pool time in
        seconds by cause; "functions": rows of own time of tasks in seconds by name, largest change first, with "n_before" and "n_after".
        A row has "name", "before", "after" and "change".
    """
    one, two = report(before), report(after)
    old = {function["name"]: function for function in one["functions"]}
    new = {function["name"]: function for function in two["functions"]}
    none = {"total_s": 0.0, "n": 0}
    functions = [
        _row(
            name,
            old.get(name, none)["total_s"],
            new.get(name, none)["total_s"],
            n_before=old.get(name, none)["n"],
            n_after=new.get(name, none)["n"],
        )
        for name in {**old, **new}
    ]
    keys = ("duration_s", "critical_path_s", "lower_bound_s", "n_tasks", "n_copies", "copied_bytes")
    sums = _sums(one), _sums(two)
    return {
        "run": [_row(key, one[key], two[key]) for key in keys],
        "time": [_row(cause, sums[0][cause], sums[1][cause]) for cause in sums[0]],
        "functions": sorted(functions, key=lambda row: -abs(row["change"])),
    }


def _line(row: dict[str, Any]) -> str:
    ratio = f"{row['after'] / row['before']:>9.3f}x" if row["before"] else f"{'new' if row['after'] else '':>10}"
    return f"{row['name'][:39]:<40}{row['before']:>12.5g}{row['after']:>12.5g}{row['change']:>+12.4g}{ratio}"


def as_text(found: dict[str, Any], titles: tuple[str, str]) -> str:
    """Return what `diff` found as text for people."""
    head = f"{'':<40}{'before':>12}{'after':>12}{'change':>12}{'ratio':>10}"
    lines = [f"before: {titles[0]}", f"after:  {titles[1]}", "", head]
    lines += [_line(row) for row in found["run"]]
    lines += ["", "Time of workers and devices, s", *map(_line, found["time"])]
    lines += ["", "Own time of tasks, s", *map(_line, found["functions"][:_N_ROWS])]
    if len(found["functions"]) > _N_ROWS:
        lines.append(f"  and {len(found['functions']) - _N_ROWS} more")
    return "\n".join(lines)
