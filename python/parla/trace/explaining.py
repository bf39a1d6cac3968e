"""Why a task of a trace ran when it ran: what it waited for, back to the beginning, and what it let go on."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import critical
from .losses import task_spans
from .recorded import COPY, TASK, Recorded

_N_STEPS = 50


def find(trace: Recorded, wanted: str) -> int:
    """Return the task with this name; of several the one that ended last. Raises ValueError that names similar ones."""
    names = critical.task_names(trace)
    nodes = [node for node in range(trace.n_nodes) if names[node] >= 0 and trace.names[names[node]] == wanted]
    if not nodes:
        there = sorted({trace.names[i] for i in names if i >= 0})
        similar = [name for name in there if wanted.lower() in name.lower()] or there
        raise ValueError(f"no task is called {wanted!r}; there are {', '.join(map(repr, similar[:8]))}{', …' if len(similar) > 8 else ''}")
    _, last = task_spans(trace)
    return max(nodes, key=lambda node: last[node])


def _copies_between(trace: Recorded, node: int, begin_us: float, end_us: float) -> tuple[int, float]:
    """Return how many copies to the task's device were under way in a time, and for how long."""
    here = np.flatnonzero(trace.node == node)[0]
    mine = (trace.kind == COPY) & (trace.rank == trace.rank[here]) & (trace.device == trace.device[here])
    mine &= (trace.t0_us < end_us) & (trace.t1_us > begin_us)
    marks = sorted(zip(trace.t0_us[mine].clip(begin_us), trace.t1_us[mine].clip(max=end_us), strict=True))
    busy_us, until_us = 0.0, begin_us
    for t0, t1 in marks:
        busy_us += max(0.0, t1 - max(t0, until_us))
        until_us = max(until_us, t1)
    return int(mine.sum()), busy_us


def why(trace: Recorded, wanted: str) -> dict[str, Any]:
    """Explain the start of a task.

    Returns
    -------
    dict
        "task"; "rank" and "line" where it ran; "begin_us", "end_us" since the start of the trace; "own_us" of work; "suspended_us";
        "ready_us": when the last of its predecessors ended (None without any); "waited_us" between that and its start, of which
        "copies_us" while `n_copies` copies to its device were under way; "chain": the tasks that it waited for, each the one that
        ended last before the next could begin, with "task", "begin_us", "end_us"; "let_go": names of tasks that waited for it.
    """
    node = find(trace, wanted)
    first, last = task_spans(trace)
    names, own = critical.task_names(trace), critical.task_times(trace)

    def title(one: int) -> str:
        return trace.names[names[one]] if names[one] >= 0 else "?"

    def before(one: int) -> int | None:
        sources = [int(source) for source, target in trace.edges if target == one and not np.isnan(last[source])]
        return max(sources, key=lambda source: last[source], default=None)

    chain: list[dict[str, Any]] = []
    seen = {node}
    at = before(node)
    while at is not None and at not in seen and len(chain) < _N_STEPS:
        seen.add(at)
        chain.append({"task": title(at), "begin_us": float(first[at]), "end_us": float(last[at])})
        at = before(at)
    steps = np.flatnonzero((trace.node == node) & (trace.kind == TASK))
    begin_us, end_us = float(first[node]), float(last[node])
    ready_us = min(chain[0]["end_us"], begin_us) if chain else None
    n_copies, copies_us = _copies_between(trace, node, ready_us or 0.0, begin_us)
    return {
        "task": title(node),
        "rank": int(trace.rank[steps[0]]),
        "line": trace.lines[int(trace.rank[steps[0]]), int(trace.line[steps[0]])],
        "begin_us": begin_us,
        "end_us": end_us,
        "own_us": float(own[node]),
        "suspended_us": end_us - begin_us - float((trace.t1_us[steps] - trace.t0_us[steps]).sum()),
        "ready_us": ready_us,
        "waited_us": begin_us - ready_us if ready_us is not None else None,
        "n_copies": n_copies,
        "copies_us": copies_us,
        "chain": chain,
        "let_go": [title(int(target)) for source, target in trace.edges if source == node],
    }


def as_text(found: dict[str, Any]) -> str:
    """Return what `why` found as text for people."""
    lines = [f"{found['task']} ran on rank {found['rank']}, {found['line']}, from {found['begin_us']:.6g} to {found['end_us']:.6g} us"]
    if found["suspended_us"] > 0:
        lines.append(f"  {found['own_us']:.6g} us of work; suspended for {found['suspended_us']:.6g} us")
    if found["ready_us"] is None:
        lines.append("  it waited for no task: it could begin when it was spawned, which a trace does not tell")
    else:
        lines.append(f"  the last task that it waited for ended at {found['ready_us']:.6g} us; it began {found['waited_us']:.6g} us later")
    if found["n_copies"]:
        lines.append(f"  before that, copies to its device were under way for {found['copies_us']:.6g} us ({found['n_copies']} of them)")
    if found["chain"]:
        lines.append("it waited for")
        lines += [f"  {step['task'][:60]:<60} {step['begin_us']:>12.6g} to {step['end_us']:.6g} us" for step in found["chain"]]
    if found["let_go"]:
        more = len(found["let_go"]) - 10
        lines.append("waited for it: " + ", ".join(found["let_go"][:10]) + (f", and {more} more" if more > 0 else ""))
    return "\n".join(lines)
