"""Run ours and its peers in turn and print JSON lines, as bench.h does for C."""

import json
import os
import statistics
import sys
import time

RUNS = 9


class Bench:
    """A benchmark's name and options: --smoke, then the names of the cases to run (all without names)."""

    def __init__(self, name, arguments=None):
        arguments = list(sys.argv[1:] if arguments is None else arguments)
        self.name = name
        self.is_smoke = "--smoke" in arguments
        self.wanted = [a for a in arguments if not a.startswith("--")]

    def wants(self, case):
        """Return whether a case was asked for."""
        return not self.wanted or case in self.wanted

    def compare(self, case, n_threads, n_items, ours, peers):
        """Time ours() and each of peers (name -> function) in turn; print one line for each peer.

        A function runs the case once and returns the seconds that count. The first run of each warms up and does not count.
        """
        sides = {"": ours, **peers}
        runs = {name: [] for name in sides}
        n_runs = 1 if self.is_smoke else RUNS
        for run in sides.values():
            run()
        machine, own, begin = _machine_busy(), time.process_time(), time.monotonic()
        for _ in range(n_runs):
            for name, run in sides.items():
                runs[name].append(1e9 * run() / n_items)
        neighbours = (_machine_busy() - machine - (time.process_time() - own)) / (time.monotonic() - begin)
        value = statistics.median(runs[""])
        for name in peers or [None]:
            row = {"bench": self.name, "case": f"{case}@{n_threads}", "metric": "time", "unit": "ns"}
            row |= {"value": round(value, 1), "least": round(min(runs[""]), 1), "peer": name, "peer_value": None, "ratio": None}
            if name:
                peer_value = statistics.median(runs[name])
                row |= {"peer_value": round(peer_value, 1), "peer_least": round(min(runs[name]), 1)}
                row["ratio"] = round(peer_value / value, 3)
            self.keep(row)
            print(json.dumps(row | {"runs": n_runs, "neighbours": round(max(0.0, neighbours), 2)}), flush=True)

    def keep(self, row):
        """Do something more with a line; nothing, unless a benchmark says so."""


def pin(n_cores):
    """Pin this process to the first n_cores cores that it may use; return whether there are as many."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < n_cores:
        print(f"# skipped {n_cores} threads: {len(cores)} cores to be had")
        return False
    os.sched_setaffinity(0, cores[:n_cores])
    return True


def _machine_busy():
    """Return the seconds of CPU time that the whole machine has been busy."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
