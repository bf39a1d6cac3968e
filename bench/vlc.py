"""Contexts: bench_vlc (vlc.c), then pure Python in interpreters of contexts. ci/bench runs this.

python.two         pure-Python bodies as tasks, @spawn(vlc=PythonPool(2)); beside a pool of one interpreter, tasks that share this
                   interpreter's lock, and a ProcessPoolExecutor of two
python.call        a call of an empty function in an interpreter; beside the executor's

The figure of python.two is the time of one body: twice as many interpreters should halve it.
"""

import functools
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

PROGRAM = "build/release/bench/bench_vlc"
TUNABLES = "glibc.rtld.nns=16:glibc.rtld.optional_static_tls=65536"


def count(n):
    """Count in pure Python."""
    total = 0
    for i in range(n):
        total += i & 3
    return total


@functools.cache
def wanted(n):
    """Return what count(n) must return."""
    return count(n)


def nothing():
    """Do nothing."""


def run_tasks(n_bodies, n, **where):
    """Return the seconds that n_bodies tasks take."""
    right = wanted(n)
    begin = time.perf_counter()
    tasks = [spawn(args=(n,), **where)(count) for _ in range(n_bodies)]
    for task in tasks:
        if task.result() != right:
            raise RuntimeError("a body's result is wrong")
    return time.perf_counter() - begin


def run_executor(executor, n_bodies, n):
    """Return the seconds that n_bodies calls take in the executor's processes."""
    right = wanted(n)
    begin = time.perf_counter()
    futures = [executor.submit(count, n) for _ in range(n_bodies)]
    for future in futures:
        if future.result() != right:
            raise RuntimeError("a body's result is wrong")
    return time.perf_counter() - begin


def run_calls(call, n):
    """Return the seconds that n calls of an empty function take."""
    begin = time.perf_counter()
    for _ in range(n):
        call(nothing)
    return time.perf_counter() - begin


def measure_python(bench):
    """Measure interpreters in contexts."""
    if len(os.sched_getaffinity(0)) < 2:
        print("# python: skipped, needs 2 cores")
        return
    n_bodies, n = (4, 1000) if bench.is_smoke else (16, 300_000)
    executor = ProcessPoolExecutor(2)
    list(executor.map(count, [1, 1]))  # its processes begin before there are contexts
    with vlc.PythonPool(2, n_cpus=1) as two, vlc.PythonPool(1, n_cpus=1, share=True) as one, Parla(devices="cpu", n_workers=2):
        if bench.wants("python.two"):
            peers = {
                "one interpreter": lambda: run_tasks(n_bodies, n, vlc=one),
                "one lock": lambda: run_tasks(n_bodies, n),
                "processes": lambda: run_executor(executor, n_bodies, n),
            }
            bench.compare("python.two", 2, n_bodies, lambda: run_tasks(n_bodies, n, vlc=two), peers)
        if bench.wants("python.call"):
            n_calls = 10 if bench.is_smoke else 1000
            peers = {"processes": lambda: run_calls(lambda f: executor.submit(f).result(), n_calls)}
            bench.compare("python.call", 1, n_calls, lambda: run_calls(one.call, n_calls), peers)
    executor.shutdown()


def main():
    """Run the program, then the cases in Python, in a process with room for interpreters."""
    arguments = sys.argv[1:]
    if os.environ.get("GLIBC_TUNABLES") == TUNABLES:
        measure_python(Bench("vlc", arguments))
        return 0
    status = subprocess.run([PROGRAM, *arguments], check=False).returncode
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=False, env={**os.environ, "GLIBC_TUNABLES": TUNABLES}).returncode or status


if __name__ == "__main__":
    from measure import Bench

    from parla import Parla, spawn, vlc

    sys.exit(main())
