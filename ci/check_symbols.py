"""Check that each library exports exactly what its public headers declare with their API mark, under its own prefix.

usage: check_symbols.py [BUILD]      BUILD is build/dev by default and must have been built.
"""

import re
import subprocess
import sys
from pathlib import Path

# library, its headers, the prefix of its functions
LIBRARIES = (
    ("libparla/libparla.so", "libparla/include", "parla_"),
    ("crosspy/libcrosspy.so", "crosspy/include", "cx_"),
    ("mpi/libparla_mpi.so", "mpi/include", "parla_"),
)


def exported(library):
    """Return the names that the library offers to the linker."""
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1] for line in lines if line}


def declared(folder, prefix):
    """Return the functions that the headers of a folder mark as public."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in Path(folder).rglob("*.h"))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", "", text, flags=re.MULTILINE)
    marked = re.findall(rf"\b[A-Z]+_API\b[^;{{(]*?(?:\b[A-Z_]+\([^)]*\)\s*)*\b({prefix}\w+)\s*\(", text)
    return set(marked)


def main():
    """Compare both sides for each library; return the exit status."""
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build/dev")
    n_wrong = 0
    for library, headers, prefix in LIBRARIES:
        path = build / library
        if library.startswith("mpi/") and not (build / "mpi").exists():
            continue  # built without MPI
        if not path.exists():
            print(f"no {path}; run ci/build first")
            return 2
        offered, promised = exported(path), declared(headers, prefix)
        for name in sorted(offered - promised):
            print(f"{path} exports {name}, which no public header declares")
        for name in sorted(promised - offered):
            print(f"{path} lacks {name}, which a public header declares")
        n_wrong += len(offered ^ promised)
    return bool(n_wrong)


if __name__ == "__main__":
    sys.exit(main())
