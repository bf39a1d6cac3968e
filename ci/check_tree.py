"""Check the tree's shape: a unit test for each C source, a short README in each top-level folder, every test listed in CMake, and for each
rule that a test can have broken a case that has to notice (ctest/planted.txt)."""

import re
import sys
from pathlib import Path

FOLDERS = ("libparla", "mpi", "fortran", "python", "crosspy", "examples", "ctest", "ci", "bench", "docs", "cmake")
README_MAX = 15
RULES = ("libparla/src/base/break.h", "libparla/cuda/host.h", "crosspy/src/breaks.h", "mpi/src/breaks.h")
RULE = re.compile(r"^ +(\w+_BREAK_\w+) = (\d+)", re.MULTILINE)


def missing_tests():
    """Yield each source of libparla and crosspy that has no test file of its name; the CUDA module's are called test_cuda_<file>.c."""
    tests = {p.stem for p in Path("ctest").rglob("test_*.c")} | {p.stem for p in Path("crosspy/tests").glob("test_*.c")}
    for source in sorted([*Path("libparla/src").rglob("*.c"), *Path("crosspy/src").glob("*.c")]):
        if "Python.h" in source.read_text(encoding="utf-8") or source.stem in {"module"}:
            continue
        if f"test_{source.stem}" not in tests:
            yield f"{source}: no test_{source.stem}.c"
    for source in sorted(Path("libparla/cuda").glob("*.c")):
        if source.stem not in {"host", "module"} and f"test_cuda_{source.stem}" not in tests:
            yield f"{source}: no test_cuda_{source.stem}.c"


def unlisted():
    """Yield each C file that no CMakeLists.txt names."""
    lists = "\n".join(p.read_text(encoding="utf-8") for pattern in ("*", "*/*") for p in Path().glob(f"{pattern}/CMakeLists.txt"))
    for part in ("libparla", "crosspy", "mpi/src", "fortran", "python", "ctest", "examples", "bench"):
        for source in sorted(Path(part).rglob("*.c")):
            if source.name not in lists and source.stem.removeprefix("bench_") not in lists and "consumer" not in source.parts:
                yield f"{source}: not in any CMakeLists.txt"


def planted():
    """Yield each rule without a line in ctest/planted.txt, and each line without its rule, program or case.

    The name of a case may have that of a kind of devices before it.
    """
    path = Path("ctest/planted.txt")
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    rules = {number: name for header in RULES for name, number in RULE.findall(Path(header).read_text(encoding="utf-8"))}
    programs = {p.stem: p for p in Path("ctest").rglob("*.c")}
    for number in sorted(rules.keys() - {line[0] for line in lines}, key=int):
        yield f"{path}: nobody notices rule {number}, {rules[number]}"
    for number, program, case, *_ in lines:
        if number not in rules:
            yield f"{path}: no rule {number}"
        if program not in programs:
            yield f"{path}: no program {program}"
        elif not re.search(rf"\b({case}|{case.partition('_')[2]})\b", programs[program].read_text(encoding="utf-8")):
            yield f"{path}: no case {case} in {programs[program]}"


def readmes():
    """Yield each top-level folder whose README is missing or long."""
    for folder in FOLDERS:
        path = Path(folder) / "README.md"
        if not path.exists():
            yield f"{path}: missing"
        elif folder not in {"ci", "bench"} and len(path.read_text(encoding="utf-8").splitlines()) > README_MAX:
            yield f"{path}: more than {README_MAX} lines"


def main():
    """Print what is missing; return the exit status."""
    found = [*missing_tests(), *unlisted(), *planted(), *readmes()]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
