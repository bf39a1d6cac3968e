"""Docstrings of the extension modules, which are written in columns ("name   what it is"), as lists of parameters."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

_STARS = re.compile(r"(?<![`*\w])(\*{1,2})(?=(?:kw)?args\b(?![*`]))")
_COLUMN = re.compile(r"^(\w[\w, ]*?)(?:   *)(\S.*)$")


def as_lists(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn lines of two columns into fields; ``*args`` is no emphasis."""
    lines[:] = [_STARS.sub(r"\\\1", line) for line in lines]
    out: list[str] = []
    is_list = False
    for line in lines:
        found = _COLUMN.match(line) if "  " in line.strip() else None
        if found:
            if not is_list and out and out[-1]:
                out.append("")
            out.append(f":{found[1]}: {found[2]}")
            is_list = True
        elif is_list and line.startswith("  "):
            out.append(line)
        else:
            if is_list and line:
                out.append("")
            is_list = False
            out.append(line)
    if any(line.startswith(":") for line in out) and not any("----" in line for line in lines):
        lines[:] = out


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", as_lists)
    return {"version": "1", "parallel_read_safe": True}
