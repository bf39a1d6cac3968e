"""Parts of pages that are made from what they describe, each time the site is built.

A line of a page that begins with ``% from `` is replaced:

    % from header parla/task.h         the header's declarations and comments (c_headers.py)
    % from environment                 the table of PARLA_* variables, from the library itself
    % from help parla trace record     what the command prints with --help
    % from fortran parla               the public procedures of a Fortran module, from its source
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import c_headers
import fortran_module
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

TOP = Path(__file__).resolve().parents[2]
FOLDERS = {"parla": TOP / "libparla/include/parla", "crosspy": TOP / "crosspy/include/crosspy"}
UMBRELLAS = {FOLDERS["parla"] / "parla.h", FOLDERS["crosspy"] / "crosspy.h"}  # which only include the others
logger = logging.getLogger(__name__)


def _path_of(header: str) -> Path:
    folder, name = header.split("/")
    path = FOLDERS[folder] / name
    return path if path.exists() else TOP / "mpi/include/parla" / name


def _headers() -> set[Path]:
    return {path for folder in (*FOLDERS.values(), TOP / "mpi/include/parla") for path in folder.glob("*.h")}


@functools.cache
def _all_names() -> dict[str, str]:
    return {name: role for path in sorted(_headers()) for name, role in c_headers.names_of(path.read_text(encoding="utf-8")).items()}


def _environment() -> str:
    import parla

    rows = [line.split("\t") for line in parla._parla.environment().splitlines()]
    cells = [[cell.replace("|", "\\|").replace("<", "\\<") for cell in row] for row in rows]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *(f"| `{n}` | {d} | {m} |" for n, d, m in cells)])


def _help(command: list[str]) -> str:
    assert command[0] == "parla", command
    done = subprocess.run([sys.executable, "-m", *command, "--help"], capture_output=True, text=True, timeout=60, check=True,
                          env={**os.environ, "COLUMNS": "110"})
    return f"```text\n{done.stdout.rstrip()}\n```"


_shown: set[Path] = set()


def _header(name: str) -> str:
    path = _path_of(name)
    _shown.add(path)
    text = c_headers.markdown(path, f"`{name}`", _all_names())
    n_declared = len(re.findall(r"^(?:PARLA_API|static inline) ", path.read_text(encoding="utf-8"), re.MULTILINE))
    n_shown = text.count("{c:function}")
    if n_shown != n_declared:
        raise ValueError(f"{name} declares {n_declared} functions, but the page has {n_shown}")
    return text


def all_are_shown(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public headers that no page shows."""
    for path in sorted(_headers() - _shown - UMBRELLAS):
        logger.warning("no page has a line '%% from header' for %s", path)


def replace(app: Sphinx, docname: str, source: list[str]) -> None:
    """Fill in the generated lines of a page."""

    def part(found: re.Match[str]) -> str:
        kind, *rest = found[1].split()
        if kind == "header":
            return _header(rest[0])
        if kind == "environment":
            return _environment()
        if kind == "help":
            return _help(rest)
        if kind == "fortran":
            return fortran_module.markdown(TOP / "fortran/src" / f"{rest[0]}.F90")
        raise ValueError(f"{docname}: {found[0]}: unknown")

    source[0] = re.sub(r"^% from (.*)$", part, source[0], flags=re.MULTILINE)


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.connect("source-read", replace)
    app.connect("env-check-consistency", all_are_shown)
    return {"version": "1", "parallel_read_safe": False}
