"""Count what an empty task costs: instructions, allocations and system calls. ci/bench runs this; ci/test holds the figures to limits.

usage: counts.py [--gate] [--smoke] [SHAPE...]      --smoke: the first shape only

Each shape of counts.c runs twice, the second time with twice as many tasks, so that starting and stopping cancel out. valgrind counts
instructions and calls of the allocator, strace counts system calls; both serialise the threads, and the worker stands still while a
window is spawned, so the figures repeat to a part in a thousand. With --gate the exit status is 1 if a figure is above its limit in
counts.json; one that falls well below its limit should lower it.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = Path("build/release/bench/bench_counts")
LIMITS = Path(__file__).with_suffix(".json")
N = 20000
N_PLACED = 5000  # of the shapes whose tasks cost ten times as much
ALLOCATORS = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign"}
GOALS = {"independent.window": 150, "chain.window": 130, "stencil.window": 230}


def callgrind(shape, n, folder):
    """Return (instructions, calls of the allocator) of a run."""
    out = Path(folder) / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", PROGRAM, shape, str(n)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    names, callee, n_allocations, n_instructions = {}, None, 0, 0
    for line in out.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"c?fn=\((\d+)\)(?: (.*))?", line):
            if found[2]:
                names[found[1]] = found[2]
            callee = names.get(found[1]) if line[0] == "c" else callee
        elif line.startswith("calls=") and callee in ALLOCATORS:
            n_allocations += int(line[6:].split()[0])
        elif line.startswith("totals:"):
            n_instructions = int(line.split()[1])
    return n_instructions, n_allocations


def system_calls(shape, n, folder):
    """Return how many system calls a run makes."""
    out = Path(folder) / "strace.out"
    subprocess.run(["strace", "-f", "-qq", "-o", out, PROGRAM, shape, str(n)], check=True, capture_output=True, timeout=300)
    return sum(" resumed>" not in line and "+++" not in line for line in out.read_text(encoding="utf-8").splitlines())


def per_task(measure, shape, folder):
    """Return what one task adds to each figure of `measure`."""
    n = N_PLACED if shape.startswith(("placed", "argument")) else N
    once, twice = (measure(shape, k * n, folder) for k in (1, 2))
    if isinstance(once, int):
        return (twice - once) / n
    return [(b - a) / n for a, b in zip(once, twice, strict=True)]


def measured(shape):
    """Return the figures of one shape."""
    with tempfile.TemporaryDirectory() as folder:
        instructions, allocations = per_task(callgrind, shape, folder)
        return {"instructions": instructions, "allocations": allocations, "system_calls": per_task(system_calls, shape, folder)}


def main():
    """Print a JSON line for each figure; return the exit status."""
    limits = json.loads(LIMITS.read_text(encoding="utf-8"))
    is_gated = "--gate" in sys.argv
    wanted = [name for name in sys.argv[1:] if not name.startswith("--")] or list(limits)
    if "--smoke" in sys.argv:
        wanted = wanted[:1]
    too_high = []
    for shape in wanted:
        for metric, value in measured(shape).items():
            row = {"bench": "counts", "case": f"{shape}@1", "metric": metric, "unit": "1", "value": round(value, 4), "least": None}
            goal = GOALS.get(shape) if metric == "instructions" else None
            row |= {"peer": "goal" if goal else None, "peer_value": goal, "ratio": round(goal / value, 3) if goal else None}
            print(json.dumps(row), flush=True)
            if value > limits[shape][metric]:
                too_high.append(f"{shape}: {value:.4g} {metric} per task, at most {limits[shape][metric]:g}")
    print("\n".join(too_high), file=sys.stderr, end="\n" if too_high else "")
    return int(is_gated and bool(too_high))


if __name__ == "__main__":
    sys.exit(main())
