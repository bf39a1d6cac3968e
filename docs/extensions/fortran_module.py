"""Turn the source of a Fortran module into a page: its head, its public types, interfaces, and procedures with their arguments."""

from __future__ import annotations

import re
from pathlib import Path

_ARGUMENT = re.compile(r"\s+(type|class|integer|real|character|logical|procedure)\b.*(intent\(|, optional|pointer)|\s+(class|procedure)\(")


def _public(text: str) -> list[str]:
    names = []
    for lists in re.findall(r"^\s+public :: (.*)$", text, re.MULTILINE):
        names += [name.strip() for name in lists.split(",")]
    return names


def _comment_before(lines: list[str], i: int) -> list[str]:
    found: list[str] = []
    while i > 0 and re.match(r"\s*!", lines[i - 1]) and "---" not in lines[i - 1]:
        i -= 1
        found.insert(0, re.sub(r"^\s*! ?", "", lines[i]))
    return found


def _text(comment: list[str]) -> str:
    """Return a comment as Markdown: what is indented is shown as it stands."""
    out: list[str] = []
    is_code = False
    for line in comment:
        if line.startswith("  ") != is_code and line:
            out.append("```" if is_code else "\n```text")
            is_code = not is_code
        out.append(line if is_code else re.sub(r"(\w*_\w+)", r"`\1`", line).replace("*", "\\*").replace("|", "\\|"))
    return "\n".join([*out, "```"] if is_code else out)


def _header_of(lines: list[str], i: int) -> str:
    """Return a procedure's first statement and the declarations of its arguments."""
    end = i
    while lines[end].rstrip().endswith("&"):
        end += 1
    kept = [line.strip() for line in lines[i : end + 1]]
    for line in lines[end + 1 :]:
        if not _ARGUMENT.match(line):
            break
        kept.append("   " + line.strip())
    return "\n".join(kept)


def markdown(path: Path) -> str:
    """Return a module as a section of a page."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    module = path.stem
    n_head = next(i for i, line in enumerate(lines) if not line.startswith("!"))
    head = [re.sub(r"^! ?", "", line) for line in lines[:n_head]]
    head[0] = re.sub(r"^\w+ - (.)", lambda found: found[1].upper(), head[0])
    out = [f"## Module `{module}`", "", _text(head), ""]
    public = _public(text)
    types, procedures = [], []
    for i, line in enumerate(lines):
        found = re.match(r"   type\b.*\bpublic\b.*:: (\w+)", line)
        if found:
            end = next(j for j in range(i, len(lines)) if lines[j].strip() == "end type")
            types += [f"### `{found[1]}`", "", _text(_comment_before(lines, i)), "", "```fortran", *lines[i : end + 1], "```", ""]
        found = re.match(r"   interface (\w+)$", line)
        if found and found[1] in public:
            procedures.append((found[1], _comment_before(lines, i), ""))
        found = re.match(r"   (?:[\w() ,*]+ )?(?:subroutine|function) (\w+)\(", line)
        if found and found[1] in public and "bind(C" not in line:
            procedures.append((found[1], _comment_before(lines, i), _header_of(lines, i)))
    out += types
    order = {name: i for i, name in enumerate(public)}
    for name, comment, header in sorted(procedures, key=lambda procedure: order[procedure[0]]):
        out += [f"### `{name}`", "", _text(comment), ""]
        if header:
            out += ["```fortran", header, "```", ""]
    return "\n".join(out)
