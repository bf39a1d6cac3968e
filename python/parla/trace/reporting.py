"""What a trace says about a run: where the time went, what bounds it, and which changes would gain most."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import critical
from .losses import CAUSES, Pool, pools
from .recorded import COPY, Recorded

_N_ROWS = 12


def _functions(trace: Recorded, times: np.ndarray) -> list[dict[str, Any]]:
    """Return own time of tasks by the group of their names, longest first."""
    names = critical.task_names(trace)
    known = names >= 0
    groups = np.array(trace.groups(), dtype=object)[names[known]]
    order = np.argsort(groups.astype(str), kind="stable")
    found = []
    labels, starts = np.unique(groups[order].astype(str), return_index=True)
    for label, own in zip(labels, np.split(times[known][order], starts[1:]), strict=True):
        found.append(
            {
                "name": str(label),
                "n": len(own),
                "total_s": float(own.sum()) / 1e6,
                "median_us": float(np.median(own)),
                "max_us": float(own.max()),
            }
        )
    return sorted(found, key=lambda function: -function["total_s"])


class _Bound:
    """The shortest time that the tasks of a trace could take on its pools, with the time of some functions changed."""

    def __init__(self, trace: Recorded, times: np.ndarray, found: list[Pool]) -> None:
        self.trace, self.times, self.pools = trace, times, found
        names = critical.task_names(trace)
        self.group = np.array([*trace.groups(), ""], dtype=object)[names]
        self.busy_s = sum(pool.busy_s for pool in found)
        self.total_us = max(float(times.sum()), 1e-9)

    def parts(self, faster: str | None = None, more: int = 1) -> tuple[float, float, list[int]]:
        """Return length of the critical path and the largest work of a pool over its capacity, in seconds, and the path."""
        times = np.where(self.group == faster, self.times / 2, self.times) if faster else self.times
        path = critical.path(self.trace, times)
        share = float(times.sum()) / self.total_us
        work_s = max((pool.busy_s * share / (pool.capacity * more) for pool in self.pools), default=0.0)
        return float(times[path].sum()) / 1e6, work_s, path


def _gains(bound: _Bound, duration_s: float, on_path: list[str]) -> list[dict[str, Any]]:
    """Return changes and the seconds that each could gain at most, best first."""
    path_s, work_s, _ = bound.parts()
    now_s = max(path_s, work_s)
    gains = []
    for name in on_path[:8]:
        then_s = max(bound.parts(faster=name)[:2])
        gains.append({"change": f"{name} in half the time", "gain_s": (now_s - then_s) * duration_s / max(now_s, 1e-9)})
    capacity = sum(pool.capacity for pool in bound.pools) or 1
    advice = {
        "scheduler": "start ready tasks at once: larger tasks, fewer priorities and placements, or another policy",
        "memory": "use arrays for as long as they are on a device: another order of tasks, smaller blocks, more devices",
        "transfer": "hide copies: spawn readers earlier, or place them where their arrays are",
        "mpi": "more tasks that can run while messages travel: larger look-ahead, or blocks whose readers are on the same rank",
        "waits": "more tasks that can run while others wait for MPI, events or each other",
        "gil": "bodies that give up the interpreter lock: NumPy on larger blocks, compiled code, or more ranks with fewer workers",
        "dependency": "more tasks that can run at once: smaller tasks, or fewer dependencies",
        "start_end": "spawn the first tasks earlier, and end with them",
    }
    for cause, change in advice.items():
        lost_s = sum(pool.lost_s[cause] for pool in bound.pools) / capacity
        gains.append({"change": change, "gain_s": min(lost_s, duration_s - now_s)})
    then_s = max(bound.parts(more=2)[:2])
    gains.append({"change": "twice the workers and devices", "gain_s": (now_s - then_s) * duration_s / max(now_s, 1e-9)})
    gains = [gain for gain in gains if gain["gain_s"] > 0.01 * duration_s]
    return sorted(gains, key=lambda gain: -gain["gain_s"])[:3]


def report(trace: Recorded) -> dict[str, Any]:
    """Explain a run.

    Returns
    -------
    dict
        "duration_s", "n_ranks", "n_tasks", "n_copies", "copied_bytes", "dropped"; "pools": time of workers and devices by cause (see
        `parla.trace.losses`); "functions": own time of tasks by name; "critical_path_s", "critical_path" (time by name), "work_s" (the
        largest work of a pool over its capacity), "lower_bound_s" (the larger of the two) and "times_lower_bound"; "gains": the three
        changes that would gain most, with the seconds that they gain at most. Values can all be written as JSON.
    """
    times = critical.task_times(trace)
    found = pools(trace)
    bound = _Bound(trace, times, found)
    path_s, work_s, path = bound.parts()
    duration_s = float(trace.t1_us.max() - trace.t0_us.min()) / 1e6
    on_path: dict[str, list[float]] = {}
    for task in path:
        on_path.setdefault(str(bound.group[task]), []).append(float(times[task]) / 1e6)
    steps = [{"name": name, "n": len(own), "total_s": sum(own)} for name, own in on_path.items()]
    steps.sort(key=lambda step: -step["total_s"])
    copies = trace.kind == COPY
    lower_s = max(path_s, work_s)
    return {
        "duration_s": duration_s,
        "n_ranks": len(trace.ranks),
        "n_tasks": trace.n_nodes,
        "n_copies": int(copies.sum()),
        "copied_bytes": int(trace.n_bytes[copies].sum()),
        "dropped": trace.dropped,
        "pools": [
            {
                "rank": pool.rank,
                "name": pool.name,
                "capacity": pool.capacity,
                "n_tasks": pool.n_tasks,
                "busy_s": pool.busy_s,
                "lost_s": pool.lost_s,
            }
            for pool in found
        ],
        "functions": _functions(trace, times),
        "critical_path_s": path_s,
        "critical_path": steps,
        "n_critical": len(path),
        "work_s": work_s,
        "lower_bound_s": lower_s,
        "times_lower_bound": duration_s / lower_s if lower_s > 0 else None,
        "gains": _gains(bound, duration_s, [step["name"] for step in steps]),
    }


def _bytes(n: int) -> str:
    size = float(n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"


def _pool_lines(report: dict[str, Any]) -> list[str]:
    head = f"{'':28}{'tasks':>8}{'busy':>8}" + "".join(f"{cause.replace('_', '/'):>12}" for cause in CAUSES)
    lines = [head]
    for pool in report["pools"]:
        whole = pool["capacity"] * report["duration_s"] or 1
        name = f"rank {pool['rank']}, " + (f"{pool['capacity']} {pool['name']}" if pool["name"] == "workers" else pool["name"])
        shares = "".join(f"{100 * pool['lost_s'][cause] / whole:>11.1f}%" for cause in CAUSES)
        lines.append(f"{name:<28}{pool['n_tasks']:>8}{100 * pool['busy_s'] / whole:>7.1f}%{shares}")
    return lines + [f"  {cause.replace('_', '/')}: {text}" for cause, text in CAUSES.items()]


def as_text(report: dict[str, Any], title: str) -> str:
    """Return what `report` found as text for people."""
    lines = [
        f"{title}: {report['duration_s']:.4g} s, ranks {report['n_ranks']}, tasks {report['n_tasks']}, "
        f"copies {report['n_copies']} ({_bytes(report['copied_bytes'])})"
    ]
    if report["dropped"]:
        lines.append(f"  {report['dropped']} records are missing: figures are too low")
    lines += ["", "Where the time went", *_pool_lines(report)]
    lines += ["", f"{'Tasks by name':<40}{'n':>8}{'total s':>10}{'median us':>12}{'longest us':>12}"]
    for function in report["functions"][:_N_ROWS]:
        numbers = f"{function['n']:>8}{function['total_s']:>10.4g}{function['median_us']:>12.4g}{function['max_us']:>12.4g}"
        lines.append(f"{function['name'][:39]:<40}{numbers}")
    if len(report["functions"]) > _N_ROWS:
        lines.append(f"  and {len(report['functions']) - _N_ROWS} more")
    lines += ["", f"Critical path: {report['critical_path_s']:.4g} s in {report['n_critical']} tasks"]
    lines += [f"{step['name'][:39]:<40}{step['n']:>8}{step['total_s']:>10.4g}" for step in report["critical_path"][:_N_ROWS]]
    if report["times_lower_bound"] is not None:
        lines += ["", f"Lower bound: {report['lower_bound_s']:.4g} s, the larger of the critical path and of {report['work_s']:.4g} s of work "]
        lines[-1] += f"on the busiest pool; the run took {report['times_lower_bound']:.3g} times that"
    lines += ["", "What would gain most, at most" if report["gains"] else "No single change would gain more than 1 %"]
    lines += [f"  {gain['gain_s']:.3g} s  {gain['change']}" for gain in report["gains"]]
    return "\n".join(lines)
