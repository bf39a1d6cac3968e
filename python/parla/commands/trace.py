"""``parla trace``: record the traces of a command, merge, explain, compare and draw them."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .. import trace
from ..trace import differing, reporting
from ._common import add_command, add_json


def _show(found: dict, text: str, is_json: bool) -> int:
    print(json.dumps(found, indent=1) if is_json else text)
    return 0


def _merge(options: argparse.Namespace) -> int:
    done = trace.merge(options.paths, options.output)
    text = f"{options.output}: {done['n_events']} events of {done['n_ranks']} ranks, {done['dropped']} records are missing"
    return _show(done, text, options.json)


def _report(options: argparse.Namespace) -> int:
    found = trace.report(trace.read(options.path))
    return _show(found, reporting.as_text(found, options.path), options.json)


def _diff(options: argparse.Namespace) -> int:
    found = trace.diff(trace.read(options.before), trace.read(options.after))
    return _show(found, differing.as_text(found, (options.before, options.after)), options.json)


def _timeline(options: argparse.Namespace) -> int:
    output = options.output or str(Path(options.path).with_suffix(".html"))
    trace.write_timeline(trace.read(options.path), output, options.title or Path(options.path).name)
    n_bytes = os.path.getsize(output)
    return _show({"path": output, "n_bytes": n_bytes}, f"{output}: {n_bytes / 1e6:.3g} MB, for a browser", options.json)


def _record(options: argparse.Namespace) -> int:
    """Run a command with PARLA_TRACE set, merge what its ranks have written, and return its exit status."""
    if not options.words:
        raise ValueError("a command is needed: parla trace record -- mpirun -n 4 python program.py")
    with tempfile.TemporaryDirectory(prefix="parla-trace-", dir=Path(options.output).resolve().parent) as folder:
        environment = {**os.environ, "PARLA_TRACE": f"{folder}/{{rank}}.json"}
        status = subprocess.run(options.words, env=environment, check=False).returncode
        paths = sorted(Path(folder).glob("*.json"), key=lambda path: int(path.stem))
        if not paths:
            print(
                "parla trace record: the command wrote no trace: it started no runtime of Parla, asked for traces elsewhere (trace=), or its "
                "ranks run where this folder or PARLA_TRACE is not seen (mpirun -x PARLA_TRACE hands it on)",
                file=sys.stderr,
            )
            return status or 1
        done = trace.merge(paths, options.output)
    what = f"{options.output}: {done['n_events']} events of {done['n_ranks']} ranks"
    if options.json:
        print(json.dumps({"path": options.output, "status": status, **done}))
    else:
        print(f"{what}; parla trace report {options.output}, or parla trace timeline {options.output}", file=sys.stderr)
    return status if status >= 0 else 128 - status


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser of `parla`."""
    actions = add_command(commands, "trace", "work with traces", None).add_subparsers(required=True, metavar="action")

    record = add_command(actions, "record", "run a command and write the trace of its ranks", _record, "-o run.json -- mpirun -n 2 ./heat")
    record.add_argument("-o", "--output", default="trace.json", help="file to write (trace.json)")
    add_json(record)
    record.add_argument("words", nargs="*", metavar="-- command …", help="the command, after --")

    merge = add_command(actions, "merge", "merge the traces of the ranks of a node into one", _merge, "trace.*.json -o run.json")
    merge.add_argument("paths", nargs="+", metavar="trace.json", help="one file for each rank")
    merge.add_argument("-o", "--output", required=True, help="file to write")
    add_json(merge)

    report = add_command(actions, "report", "say where the time went, and what would gain most", _report, "run.json")
    report.add_argument("path", metavar="trace.json")
    add_json(report)

    diff = add_command(actions, "diff", "compare two runs", _diff, "before.json after.json")
    diff.add_argument("before", metavar="before.json")
    diff.add_argument("after", metavar="after.json")
    add_json(diff)

    timeline = add_command(actions, "timeline", "draw a page for a browser", _timeline, "run.json -o run.html")
    timeline.add_argument("path", metavar="trace.json")
    timeline.add_argument("-o", "--output", help="file to write (that of the trace, with suffix .html)")
    timeline.add_argument("--title", help="title of the page (name of the trace)")
    add_json(timeline)
