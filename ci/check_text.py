"""Check the text of every file: no unfinished work, no machine's own paths, no stray white space, no overlong line.

Code is held to 132 columns by ci/format, which leaves comments alone; those end soon after.
"""

import re
import sys
from pathlib import Path

SKIP = {"build", ".git", "__pycache__", ".pytest_cache", ".hypothesis", "dist"}
SUFFIXES = {".c", ".h", ".py", ".f90", ".F90", ".inc", ".pyi", ".md", ".txt", ".cmake", ".in", ".toml", ".json", ".sh", ""}
COLUMNS = 144

# The folders under / that a portable file may name.
SYSTEM = "no/such|usr|proc|sys|dev|etc|tmp|bin|opt|lib|run"
RULES = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\s*\(#\d+\))"), "unfinished work without an issue number, as in (#12)"),
    (re.compile(r"not (yet )?implemented", re.IGNORECASE), "unfinished work"),
    (re.compile(rf"(?<![\w.~$}}>*)\]</-])/(?!{SYSTEM})[a-z]+/[\w.]"), "an absolute path of one machine"),
    (re.compile(r"[ \t]+$"), "white space at the end"),
]
HERE = Path("ci/check_text.py")


def files():
    """Yield the text files of the project."""
    for path in sorted(Path().rglob("*")):
        if path.is_file() and not SKIP & set(path.parts) and path.suffix in SUFFIXES and path != HERE:
            yield path


def problems_of(path):
    """Yield each line of a file that breaks a rule."""
    for i, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        for rule, why in RULES:
            if rule.search(line):
                yield f"{path}:{i}: {why}: {line.strip()[:80]}"
        if len(line) > COLUMNS and path.suffix in {".c", ".h", ".py"}:
            yield f"{path}:{i}: {len(line)} columns"
        if "\t" in line and path.suffix in {".c", ".h", ".py", ".f90", ".F90", ".inc", ".cmake"}:
            yield f"{path}:{i}: tab"


def main():
    """Check every file; return the exit status."""
    found = [p for path in files() for p in problems_of(path)]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
