"""Check the tree's shape: a unit test for each C source, a short README in each top-level folder, every test listed in CMake."""

import sys
from pathlib import Path

FOLDERS = ("libparla", "mpi", "python", "crosspy", "examples", "ctest", "ci", "bench", "docs", "cmake")
README_MAX = 15


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
    for part in ("libparla", "crosspy", "mpi/src", "python", "ctest", "examples", "bench"):
        for source in sorted(Path(part).rglob("*.c")):
            if source.name not in lists and source.stem.removeprefix("bench_") not in lists and "consumer" not in source.parts:
                yield f"{source}: not in any CMakeLists.txt"


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
    found = [*missing_tests(), *unlisted(), *readmes()]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
