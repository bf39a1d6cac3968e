"""The command `parla`, also ``python -m parla``: ``parla info``, ``parla trace report trace.json``, …."""

from __future__ import annotations

import argparse
import sys

from .commands import bench, doctor, info, shell, trace, why


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; shell completion and the manual page are made from it."""
    parser = argparse.ArgumentParser(prog="parla", description="Look at Parla, at a launch, and at what runs did.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (info, doctor, why, trace, bench):
        command.add(commands)
    shell.add(commands, make_parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit status: 1 for an error, 2 for wrong arguments."""
    options = make_parser().parse_args(arguments)
    try:
        return options.run(options)
    except (OSError, ValueError) as error:
        print(f"{options.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
