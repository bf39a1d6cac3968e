"""What the commands share: how they are described."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_command(
    commands: argparse._SubParsersAction,
    name: str,
    what: str,
    run: Callable[[argparse.Namespace], int] | None,
    example: str | None = None,
) -> argparse.ArgumentParser:
    """Add a command and return its parser. `example`: its arguments, shown at the end of its help."""
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    if example is not None:
        parser.epilog = f"example:\n  {parser.prog} {example}"
    if run is not None:
        parser.set_defaults(run=run, prog=parser.prog)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for other programs")
