"""A trace as one HTML page that needs nothing else: ranks, workers and devices over time, to zoom, search and follow.

The page holds the spans as compressed arrays, by line and depth of nesting, so that it finds what is in view by bisection and draws at most
one box for each pixel: a million spans stay fluid. `timeline.html` and `timeline.js` are its skeleton and its program.
"""

from __future__ import annotations

import base64
import html
import json
import os
import zlib
from importlib import resources
from typing import Any

import numpy as np

from .recorded import KINDS, Recorded


def _packed(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values, dtype=kind).tobytes(), 6)).decode("ascii")


def _depths(row: np.ndarray, t0: np.ndarray, t1: np.ndarray) -> np.ndarray:
    """Return how deep each span is nested in others of its row; spans come in the order of row and start, longer ones first."""
    depths = np.zeros(len(row), dtype=np.int64)
    stack: list[float] = []
    last = -1
    for i, (here, begin, end) in enumerate(zip(row.tolist(), t0.tolist(), t1.tolist(), strict=True)):
        if here != last:
            stack, last = [], here
        while stack and stack[-1] <= begin:
            stack.pop()
        depths[i] = len(stack)
        stack.append(end)
    return depths


def _document(trace: Recorded, title: str) -> dict[str, Any]:
    places = sorted(trace.lines)
    rows = {place: i for i, place in enumerate(places)}
    row = np.array([rows[place] for place in zip(trace.rank.tolist(), trace.line.tolist(), strict=True)], dtype=np.int64)
    depth = _depths(row, trace.t0_us, trace.t1_us)
    order = np.lexsort((trace.t0_us, depth, row))
    begin = float(trace.t0_us.min())
    return {
        "title": title,
        "kinds": KINDS,
        "names": trace.names,
        "rows": [{"rank": rank, "name": trace.lines[rank, line]} for rank, line in places],
        "n": len(row),
        "dropped": trace.dropped,
        "duration_us": float(trace.t1_us.max()) - begin,
        "columns": {
            "t0": ["Float64Array", _packed(trace.t0_us[order] - begin, "<f8")],
            "duration": ["Float32Array", _packed((trace.t1_us - trace.t0_us)[order], "<f4")],
            "name": ["Uint32Array", _packed(trace.name[order], "<u4")],
            "row": ["Uint32Array", _packed(row[order], "<u4")],
            "depth": ["Uint16Array", _packed(np.minimum(depth[order], 65535), "<u2")],
            "kind": ["Uint8Array", _packed(trace.kind[order], "<u1")],
            "node": ["Int32Array", _packed(trace.node[order], "<i4")],
            "device": ["Int32Array", _packed(trace.device[order], "<i4")],
            "bytes": ["Float64Array", _packed(trace.n_bytes[order], "<f8")],
            "edge_from": ["Int32Array", _packed(trace.edges[:, 0], "<i4")],
            "edge_to": ["Int32Array", _packed(trace.edges[:, 1], "<i4")],
        },
    }


def write_timeline(trace: Recorded, output: str | os.PathLike, title: str) -> None:
    """Write the page to a file, replaced in one step. It opens in any current browser, also from a disk without a network."""
    folder = resources.files(__package__)
    page = (folder / "timeline.html").read_text(encoding="utf-8")
    program = (folder / "timeline.js").read_text(encoding="utf-8")
    data = json.dumps(_document(trace, title)).replace("<", "\\u003c")  # no name can end the script
    page = page.replace("{{title}}", html.escape(title)).replace("{{program}}", program).replace("{{data}}", data)
    temporary = f"{os.fspath(output)}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(page)
    os.replace(temporary, output)
