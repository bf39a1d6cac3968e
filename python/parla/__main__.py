"""Commands: ``python -m parla trace merge rank0.json rank1.json -o merged.json``."""

from __future__ import annotations

import argparse
import sys

from . import trace


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m parla")
    commands = parser.add_subparsers(required=True, metavar="command")
    of_trace = commands.add_parser("trace", help="work with traces").add_subparsers(required=True, metavar="action")
    merge = of_trace.add_parser("merge", help="merge the traces of the ranks of a node into one")
    merge.add_argument("paths", nargs="+", metavar="trace.json", help="one file for each rank, in the order of ranks")
    merge.add_argument("-o", "--output", required=True, help="file to write")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        done = trace.merge(options.paths, options.output)
    except (OSError, ValueError) as error:
        print(f"python -m parla trace merge: {error}", file=sys.stderr)
        return 1
    print(f"{options.output}: {done['n_events']} events of {done['n_ranks']} ranks, {done['dropped']} records are missing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
