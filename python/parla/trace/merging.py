"""Traces of several ranks as one.

Each rank writes its own file. Files of ranks on one node share a clock, which each of them tells its start by, so `merge` puts them on
one line of time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from .recorded import load


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


def merge(paths: Sequence[str | os.PathLike], output: str | os.PathLike) -> dict:
    """Merge the traces of several ranks into one file.

    Parameters
    ----------
    paths : sequence of str or path
        Traces of ranks that ran at the same time, on one node: their times are of one clock. In any order where the files tell their
        ranks apart (runs under a launcher), else in the order of ranks.
    output : str or path
        File to write; replaced in one step.

    Returns
    -------
    dict
        "n_ranks", "n_events", and "dropped": how many records the files lack.
    """
    if not paths:
        raise ValueError("merge: at least one trace is needed")
    traces = [load(path) for path in paths]
    first_ns = min(trace["otherData"]["start_ns"] for trace in traces)
    events: list[dict] = []
    for rank, trace in sorted(zip(_ranks(traces), traces, strict=True), key=lambda pair: pair[0]):
        shift_us = (trace["otherData"]["start_ns"] - first_ns) / 1000
        events += [_moved(event, rank, shift_us) for event in trace["traceEvents"]]
        events.append({"name": "process_sort_index", "ph": "M", "pid": rank, "args": {"sort_index": rank}})
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
    return {"n_ranks": len(traces), "n_events": len(events), "dropped": dropped}
