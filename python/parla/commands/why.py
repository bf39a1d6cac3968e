"""``parla why``: why a task of a recorded run began when it did."""

from __future__ import annotations

import argparse
import json

from .. import trace
from ..trace import explaining
from ._common import add_command, add_json


def _run(options: argparse.Namespace) -> int:
    found = trace.why(trace.read(options.path), options.task)
    print(json.dumps(found, indent=1) if options.json else explaining.as_text(found))
    return 0


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser of `parla`."""
    parser = add_command(commands, "why", "say why a task of a recorded run began when it did", _run, "run.json 'T_3_1'")
    parser.add_argument("path", metavar="trace.json")
    parser.add_argument("task", help="its name; of several the one that ended last")
    add_json(parser)
