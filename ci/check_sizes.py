"""Check that files and functions stay short: errors above the hard limits, a list of what comes near them."""

import re
import sys
from pathlib import Path

PARTS = ("libparla", "crosspy", "python", "mpi", "fortran", "ctest", "examples", "bench", "ci")
FILE_WARN, FILE_MAX = 500, 700
FUNCTION_WARN, FUNCTION_MAX = 60, 100
EXAMPLE_MAX = 120


def c_functions(lines):
    """Yield (line, name, length) for each function of a C file: a brace alone at the line's start, or at the end of its head."""
    begin, name = None, "?"
    for i, line in enumerate(lines, 1):
        if begin is None and re.match(r"\{|[A-Za-z_].*\)\s*\{$", line):
            head = line if line[0] != "{" else lines[i - 2]
            found = re.search(r"(\w+)\s*\(", head)
            begin, name = i, found[1] if found else "?"
        elif begin is not None and line.startswith("}"):
            if line.strip() == "}":
                yield begin, name, i - begin + 1
            begin = None


def python_functions(lines):
    """Yield (line, name, length) for each def of a Python file, docstring included."""
    open_defs = []
    for i, line in enumerate([*lines, "end"], 1):
        indent = len(line) - len(line.lstrip())
        while line.strip() and not line.lstrip().startswith(")") and open_defs and indent <= open_defs[-1][2]:
            begin, name, _ = open_defs.pop()
            yield begin, name, i - begin
        found = re.match(r"\s*(?:async )?def (\w+)", line)
        if found:
            open_defs.append((i, found[1], indent))


def main():
    """Measure every file; return the exit status."""
    errors, warnings = [], []
    for part in PARTS:
        for path in sorted(Path(part).rglob("*")):
            if path.suffix not in {".c", ".h", ".py"} or not path.is_file():
                continue
            lines = path.read_text(encoding="utf-8").splitlines()
            limit = EXAMPLE_MAX if path.match("examples/c/*.c") else FILE_MAX
            if len(lines) > limit:
                errors.append(f"{path}: {len(lines)} lines, at most {limit}")
            elif len(lines) > FILE_WARN:
                warnings.append(f"{path}: {len(lines)} lines")
            functions = python_functions(lines) if path.suffix == ".py" else c_functions(lines)
            for line, name, length in functions:
                if length > FUNCTION_MAX:
                    errors.append(f"{path}:{line}: {name} has {length} lines, at most {FUNCTION_MAX}")
                elif length > FUNCTION_WARN:
                    warnings.append(f"{path}:{line}: {name} has {length} lines")
    for line in warnings:
        print("long:", line)
    for line in errors:
        print("too long:", line)
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
