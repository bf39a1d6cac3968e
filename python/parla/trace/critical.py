"""The critical path of a trace: the chain of tasks, each waiting for the one before, whose own time is longest.

No schedule is shorter, on any number of workers. A task's own time leaves out what it ran inside of itself while it helped others, and the
time for which it was suspended.
"""

from __future__ import annotations

import numpy as np

from .losses import task_spans
from .recorded import TASK, Recorded


def own_times(trace: Recorded) -> np.ndarray:
    """Return the own time of each span that is a step of a task, in microseconds; 0 for other spans."""
    own = np.where(trace.kind == TASK, trace.t1_us - trace.t0_us, 0.0)
    stack: list[int] = []
    place = (-1, -1)
    for i in np.flatnonzero(trace.kind == TASK):
        here = (trace.rank[i], trace.line[i])
        if here != place:
            stack, place = [], here
        while stack and trace.t1_us[stack[-1]] <= trace.t0_us[i]:
            stack.pop()
        if stack:
            own[stack[-1]] -= trace.t1_us[i] - trace.t0_us[i]
        stack.append(i)
    return own


def task_times(trace: Recorded) -> np.ndarray:
    """Return the own time of each task, in microseconds."""
    steps = trace.node >= 0
    return np.bincount(trace.node[steps], weights=own_times(trace)[steps], minlength=trace.n_nodes)


def task_names(trace: Recorded) -> np.ndarray:
    """Return for each task the index of its name in `trace.names`, that of its first step; -1 without a span."""
    names = np.full(trace.n_nodes, -1, dtype=np.int64)
    steps = np.flatnonzero((trace.node >= 0) & (trace.kind == TASK))[::-1]
    names[trace.node[steps]] = trace.name[steps]
    return names


def path(trace: Recorded, times: np.ndarray) -> list[int]:
    """Return the tasks of the critical path in order, for given own times of all tasks."""
    if trace.n_nodes == 0:
        return []
    first, _ = task_spans(trace)
    edges = trace.edges[first[trace.edges[:, 0]] < first[trace.edges[:, 1]]] if len(trace.edges) else trace.edges
    edges = edges[np.argsort(first[edges[:, 1]], kind="stable")]  # targets in the order of their starts: sources are final
    length = times.copy()
    before = np.full(trace.n_nodes, -1, dtype=np.int64)
    for source, target in edges.tolist():
        longer = length[source] + times[target]
        if longer > length[target]:
            length[target], before[target] = longer, source
    chain = [int(length.argmax())]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return chain[::-1]
