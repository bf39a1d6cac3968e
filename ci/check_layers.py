"""Check that includes only look down.

Inside libparla/src a file may include headers of its own folder and of the folders that ALLOWED lists for it, plus public headers.
The other parts see public headers only. Vendor headers appear in the places that VENDOR lists and nowhere else.
"""

import re
import sys
from pathlib import Path

# A folder of libparla/src -> the folders whose headers it may include. "." is libparla/src itself, the public functions.
ALLOWED = {
    "base": set(),
    "trace": {"base"},
    "transport": {"base", "trace"},
    "device": {"base", "trace"},
    "data": {"base", "trace", "device"},
    "task": {"base", "trace"},
    "vlc": {"base"},
    "sched": {"base", "trace", "device", "data", "task", "transport"},
    ".": {"base", "trace", "device", "data", "task", "sched", "transport"},
}

# A part of the project -> prefixes of <...> includes that belong to us and that it may use, and prefixes of its own "..." includes.
PARTS = {
    "libparla/src": ("parla/",),
    "libparla/cuda": ("parla/",),
    "libparla/include": ("parla/",),
    "crosspy": ("parla/", "crosspy"),
    "mpi/src": ("parla/",),
    "mpi/include": ("parla/",),
    "fortran": ("parla/",),
    "python": ("parla/",),
    "examples": ("parla/", "crosspy"),
    "bench": ("parla/", "crosspy"),
}

VENDOR = {
    r"hwloc": r"^libparla/src/sched/topology\.c$|^mpi/src/node\.c$",
    r"Python\.h|structmember\.h|numpy/": r"^(python|crosspy)/",
    r"mpi\.h": r"^mpi/src/|^mpi/include/parla/mpi\w*\.h$|^fortran/src/glue_mpi|^bench/raw_\w+\.[ch]$|^examples/(porting|coming_from)/",
    r"nvtx3/": r"^libparla/cuda/nvtx\.c$",
    r"cublas|cusolver": r"^bench/gpu_blas_abi\.c$",
    r"cuda(_runtime\w*)?\.h$": r"^examples/cuda/",
    r"ucp/|ucs/": r"^mpi/src/|^bench/raw_\w+\.[ch]$",
}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def includes_of(path):
    """Yield (line, is_quoted, name) for each include of a file."""
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1] == '"', match[2]


def check_core(path, name):
    """Return what is wrong with a quoted include of a file in libparla/src."""
    source = Path("libparla/src")
    folder = path.parent.relative_to(source).parts
    folder = folder[0] if folder else "."
    if not (source / name).exists():
        return f'"{name}" is not relative to libparla/src'
    target = Path(name).parts[0] if len(Path(name).parts) > 1 else "."
    if target == folder or target in ALLOWED.get(folder, set()):
        return None
    return f"{folder} may not include {target}"


def problems_of(path):
    """Yield each forbidden include of a file."""
    part = next((p for p in PARTS if path.as_posix().startswith(p + "/")), None)
    for line, is_quoted, name in includes_of(path):
        where = f"{path}:{line}"
        for pattern, places in VENDOR.items():
            if re.match(pattern, name) and not re.search(places, path.as_posix()):
                yield f"{where}: <{name}> is not for this folder"
        if part == "libparla/src" and is_quoted:
            wrong = check_core(path, name)
            if wrong:
                yield f"{where}: {wrong}"
        elif part == "libparla/cuda" and is_quoted and "/" in name and name != "base/strided.h":
            yield f"{where}: of libparla's own headers only base/strided.h is for the module"
        elif part and not is_quoted and re.match(r"(parla|crosspy|mpi)/", name) and not name.startswith(PARTS[part]):
            yield f"{where}: <{name}> is above this part"
        elif part and is_quoted and "libparla" in name:
            yield f"{where}: only public headers of libparla are for this part"


def main():
    """Check every C file of the parts; return the exit status."""
    found = [p for part in PARTS for f in sorted(Path(part).rglob("*.[ch]")) for p in problems_of(f)]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
