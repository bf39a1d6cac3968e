"""Traces of several ranks as one.

Each rank writes its own file, and tells its start by the clock of its node. How far that is ahead of rank 0's was measured when the ranks
joined, so `merge` puts them on one line of time. Each message becomes an arrow between the spans of both ranks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from .recorded import load, message_key


def _moved(event: dict, rank: int, shift_us: float) -> dict:
    """Return an event of one rank as it is in the merged trace."""
    event = {**event, "pid": rank}
    if event["ph"] == "M":
        if event["name"] == "process_name":
            event["args"] = {"name": f"rank {rank}"}
        return event
    event["ts"] = round(event["ts"] + shift_us, 3)
    if "id" in event:
        event["id"] = f"{rank}.{event['id']}"  # arrows are numbered in each file from 1
    return event


def _ranks(traces: list[dict]) -> list[int]:
    """Return the rank of each trace: as the files say it, or, if they do not tell several ranks apart, their order."""
    ranks = [trace["otherData"].get("rank", 0) for trace in traces]
    return ranks if len(set(ranks)) == len(ranks) else list(range(len(traces)))


def _start_ns(trace: dict) -> int:
    """Return when a trace starts, by the clock of rank 0."""
    return trace["otherData"]["start_ns"] - trace["otherData"].get("clock_ahead_ns", 0)


def _arrows(events: list[dict]) -> list[dict]:
    """Return flow events for the messages whose both ends are there."""
    ends: dict[tuple[int, int, int], dict[bool, dict]] = {}
    for event in events:
        found = message_key(event)
        if found is not None:
            ends.setdefault(found[0], {})[found[1]] = event
    arrows = []
    for (source, destination, tag), pair in ends.items():
        if len(pair) < 2:
            continue
        for is_receive, phase in ((False, "s"), (True, "f")):
            span = pair[is_receive]
            at_us = span["ts"] + span["dur"] if is_receive else span["ts"]
            where = {"ph": phase, "pid": span["pid"], "tid": span["tid"], "ts": round(at_us, 3), "name": "message", "cat": "message"}
            arrows.append({**where, "id": f"m{source}.{destination}.{tag}", "args": {}, **({"bp": "e"} if is_receive else {})})
    return arrows


def merge(paths: Sequence[str | os.PathLike], output: str | os.PathLike) -> dict:
    """Merge the traces of several ranks into one file.

    Parameters
    ----------
    paths : sequence of str or path
        Traces of ranks that ran at the same time. In any order where the files tell their ranks apart (runs under a launcher), else in
        the order of ranks.
    output : str or path
        File to write; replaced in one step.

    Returns
    -------
    dict
        "n_ranks", "n_events", "n_messages" between ranks, "dropped": how many records the files lack, and "clock_error_us": how far
        times of different nodes may be wrong.
    """
    if not paths:
        raise ValueError("merge: at least one trace is needed")
    traces = [load(path) for path in paths]
    first_ns = min(map(_start_ns, traces))
    events: list[dict] = []
    for rank, trace in sorted(zip(_ranks(traces), traces, strict=True), key=lambda pair: pair[0]):
        shift_us = (_start_ns(trace) - first_ns) / 1000
        events += [_moved(event, rank, shift_us) for event in trace["traceEvents"]]
        events.append({"name": "process_sort_index", "ph": "M", "pid": rank, "args": {"sort_index": rank}})
    arrows = _arrows(events)
    events += arrows
    error_us = max(trace["otherData"].get("clock_error_ns", 0) for trace in traces) / 1000
    dropped = sum(trace["otherData"].get("dropped", 0) for trace in traces)
    merged = {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {"n_ranks": len(traces), "start_ns": first_ns, "dropped": dropped},
    }
    temporary = f"{os.fspath(output)}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(merged, file)
    os.replace(temporary, output)
    return {"n_ranks": len(traces), "n_events": len(events), "n_messages": len(arrows) // 2, "dropped": dropped, "clock_error_us": error_us}
