"""A trace as arrays: what report, diff and timeline work on."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass

import numpy as np

KINDS = ("task", "copy", "idle", "phase", "message")
TASK, COPY, IDLE, PHASE, MESSAGE = range(len(KINDS))

_NUMBERS = re.compile(r"\d+")
_MESSAGES_LINE = 1_000_000  # where lines of messages begin, behind those of threads
_MESSAGE = re.compile(r"(send|receive) (\d+) (?:to|from) (\d+)$")


def load(path: str | os.PathLike) -> dict:
    """Return the JSON document of a trace. Raises OSError, or ValueError that says why the file is no trace."""
    name = os.fspath(path)
    with open(path, encoding="utf-8") as file:
        try:
            document = json.load(file)
        except ValueError as error:
            raise ValueError(f"{name} is no trace: {error}") from None
    if not isinstance(document, dict) or "start_ns" not in document.get("otherData", {}):
        raise ValueError(f"{name} is no trace of Parla: it does not tell when it starts (otherData.start_ns)")
    return document


@dataclass(frozen=True)
class Recorded:
    """Spans of one or several ranks, in the order of rank, line and start.

    Attributes
    ----------
    names : list of str
        Names that spans bear, each once.
    name, kind, rank, line, t0_us, t1_us, node, device, n_bytes : array, (n,)
        Of each span: index into `names`; index into `KINDS`; rank; its line within the rank; when it begins and ends, in microseconds
        since the start of the trace; index of its task (of messages, too), or -1; device or -1; bytes of a copy, else 0.
    lines : dict
        Name of the line (rank, line): "worker 0", "gpu[0] (sim) queue 0", "main", ….
    n_nodes : int
        Number of tasks. A task that was suspended has several spans.
    edges : array, (n_edges, 2)
        Pairs of tasks: the second waited for the first.
    dropped : int
        Records that the file lacks: each thread keeps a bounded number.
    """

    names: list[str]
    name: np.ndarray
    kind: np.ndarray
    rank: np.ndarray
    line: np.ndarray
    t0_us: np.ndarray
    t1_us: np.ndarray
    node: np.ndarray
    device: np.ndarray
    n_bytes: np.ndarray
    lines: dict[tuple[int, int], str]
    n_nodes: int
    edges: np.ndarray
    dropped: int

    @property
    def ranks(self) -> list[int]:
        """Ranks that the trace has lines of."""
        return sorted({rank for rank, _ in self.lines})

    def groups(self) -> list[str]:
        """Return, for each of `names`, the name with its numbers left out: "block (2, 1)" and "block (3, 0)" are of one group."""
        return [_NUMBERS.sub("·", name) for name in self.names]


    def _repr_html_(self) -> str:
        from .overview import as_html

        return as_html(self)


class _Nodes:
    """Numbers of the tasks, in the order in which they are first seen."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, int], int] = {}

    def of(self, event: dict) -> int:
        task = event.get("args", {}).get("task")
        return self.numbers.setdefault((event["pid"], task), len(self.numbers)) if task else -1


def _edges(arrows: dict[object, list[int]]) -> np.ndarray:
    pairs = [pair for pair in arrows.values() if -1 not in pair]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def message_key(event: dict) -> tuple[tuple[int, int, int], bool] | None:
    """Return (source rank, destination rank, tag) of a message's span, and whether it is the receiver's; None for other events."""
    found = _MESSAGE.match(event["name"]) if event.get("cat") == "message" and event["ph"] == "X" else None
    if found is None:
        return None
    is_receive, tag, peer, rank = found[1] == "receive", int(found[2]), int(found[3]), event["pid"]
    return ((peer, rank, tag) if is_receive else (rank, peer, tag)), is_receive


def _with_messages(edges: np.ndarray, messages: dict[tuple[int, int, int], list[int]]) -> np.ndarray:
    """Add an edge for each message whose ends are known: to the receiving task, and to those that waited for it.

    A receive is posted before its message comes, so its task begins too early for a chain: what waited for it waited for the sender.
    """
    ends = [pair for pair in messages.values() if -1 not in pair]
    behind: dict[int, list[int]] = {receiver: [] for _, receiver in ends}
    for source, target in edges.tolist():
        if source in behind:
            behind[source].append(target)
    added = [(sender, target) for sender, receiver in ends for target in (receiver, *behind[receiver])]
    return np.concatenate([edges, np.array(added, dtype=np.int64).reshape(-1, 2)])


def _laid_out(messages: list[dict]) -> list[dict]:
    """Return the spans of messages on lines of their own, as many for each rank as are needed for none to overlap."""
    ends: dict[int, list[float]] = {}
    out = []
    for event in sorted(messages, key=lambda event: event["ts"]):
        lanes = ends.setdefault(event["pid"], [])
        lane = next((i for i, end in enumerate(lanes) if end <= event["ts"]), len(lanes))
        lanes[lane : lane + 1] = [event["ts"] + event["dur"]]
        out.append({**event, "tid": _MESSAGES_LINE + lane})
    return out


def _spans(events: list[dict]) -> list[dict]:
    spans = [event for event in events if event["ph"] == "X" and event.get("cat") in KINDS and event["cat"] != "message"]
    spans += _laid_out([event for event in events if event["ph"] == "X" and event.get("cat") == "message"])
    spans.sort(key=lambda event: (event["pid"], event["tid"], event["ts"], -event["dur"]))
    return spans


def read(path: str | os.PathLike) -> Recorded:
    """Read a trace of one rank, or a merged one. Raises OSError, or ValueError that says why the file is no trace."""
    document = load(path)
    events = document["traceEvents"]
    spans = _spans(events)
    if not spans:
        raise ValueError(f"{os.fspath(path)} has no spans: nothing was recorded")
    names: dict[str, int] = {}
    nodes = _Nodes()
    lines: dict[tuple[int, int], str] = {}
    arrows: dict[object, list[int]] = {}
    messages: dict[tuple[int, int, int], list[int]] = {}
    for event in events:
        if event["ph"] == "M" and event["name"] == "thread_name":
            lines[event["pid"], event["tid"]] = event["args"]["name"]
        elif event["ph"] in "sf" and event.get("cat") != "message":
            arrows.setdefault(event["id"], [-1, -1])[event["ph"] == "f"] = nodes.of(event)
        elif (found := message_key(event)) is not None:
            messages.setdefault(found[0], [-1, -1])[found[1]] = nodes.of(event)
    columns = [
        (
            names.setdefault(event["name"], len(names)),
            KINDS.index(event["cat"]),
            event["pid"],
            event["tid"],
            nodes.of(event) if event["cat"] in ("task", "message") else -1,
            event.get("args", {}).get("device", -1),
            event.get("args", {}).get("bytes", 0),
        )
        for event in spans
    ]
    name, kind, rank, line, node, device, n_bytes = np.array(columns, dtype=np.int64).T
    t0_us = np.array([event["ts"] for event in spans], dtype=np.float64)
    t1_us = t0_us + np.array([event["dur"] for event in spans], dtype=np.float64)
    there = set(zip(rank.tolist(), line.tolist(), strict=True))
    for place in there:
        number = place[1] - _MESSAGES_LINE + 1
        lines.setdefault(place, f"line {place[1]}" if number < 1 else "messages" if number == 1 else f"messages ({number})")
    lines = {place: name for place, name in lines.items() if place in there or not name.endswith(")")}  # what messages alone had needed
    return Recorded(
        *(list(names), name, kind, rank, line, t0_us, t1_us, node, device, n_bytes),
        *(lines, len(nodes.numbers), _with_messages(_edges(arrows), messages), document["otherData"].get("dropped", 0)),
    )
