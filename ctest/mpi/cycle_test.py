"""Whole jobs that start and end, again and again: none hangs, none fails, none leaves a process behind.

usage: cycle_test.py RUN PROGRAM [--cycles N] [--ranks N]

Each cycle starts PROGRAM (cycle_program.c) under the launcher, in turn with each of its ways to end.
"""

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HOWS = ["ucx", "finalize", "pending", "mpi", "exit"]
LIMIT_S = 30  # of one job, which takes a quarter of a second
AT_ONCE = 2  # much of a job's start is waiting


def cycle(arguments, i):
    """Start one job and wait for its end; return its seconds, and what was wrong or None."""
    hows = HOWS[1:] if arguments.without_ucx else HOWS
    how = hows[i % len(hows)]
    begin = time.monotonic()
    command = [arguments.run, str(arguments.ranks), str(LIMIT_S), arguments.program, how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode == 0 and not done.stdout and not done.stderr:
        return seconds, None
    return seconds, f"cycle {i} ({how}): status {done.returncode} after {seconds:.1f} s\n{done.stdout}{done.stderr}"


def main():
    """Run the cycles and say how long they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("program")
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--without-ucx", action="store_true")
    arguments = parser.parse_args()
    begin = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda i: cycle(arguments, i), range(arguments.cycles)))
    wrong = [words for _, words in results if words]
    print("\n".join(wrong[:5]))
    print(f"{len(wrong)} of {len(results)} jobs of {arguments.ranks} ranks failed; {time.monotonic() - begin:.1f} s in all, ", end="")
    print(f"the longest {max(seconds for seconds, _ in results):.2f} s\n# count: {len(results)} jobs started and ended")
    return len(wrong) > 0


sys.exit(main())
