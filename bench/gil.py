"""How tasks that hold the interpreter lock a part of their time scale: ours beside ThreadPoolExecutor. ci/bench runs this.

The study of the published front end: a task is 1 or 5 kernels of 10 us to 10 ms each, and each kernel holds the lock for a share of its
time (0, 20, 50 %) and computes without it for the rest; 1, 2 and 4 workers. Cases are named gil.KERNELSxMICROSECONDS.SHARE@WORKERS.
metg@2 is the least work in a task (5 kernels without the lock) at which two workers are still half as fast as they could be.
--plot FILE draws the ratios of all cases that were run.
"""

import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from measure import Bench, pin

from parla import Parla, sleep_gil, sleep_nogil, spawn

KERNELS, MICROSECONDS, SHARES, WORKERS = (1, 5), (10, 100, 1000, 10000), (0.0, 0.2, 0.5), (1, 2, 4)
METG_MICROSECONDS = (50, 20, 10, 5, 3, 2, 1)
SECONDS_OF_A_RUN = 0.03


def task_of(n_kernels, microseconds, share):
    """Return the body of a task."""
    held, free = microseconds * share, microseconds * (1 - share)

    def body():
        for _ in range(n_kernels):
            if held:
                sleep_gil(held)
            sleep_nogil(free)

    return body


def run_ours(body, n_tasks):
    """Time spawning all and waiting for the last one."""
    begin = time.perf_counter()
    tasks = [spawn()(body) for _ in range(n_tasks)]
    for task in tasks:
        task.result()
    return time.perf_counter() - begin


def run_executor(pool, body, n_tasks):
    """Time the same on an executor."""
    begin = time.perf_counter()
    futures = [pool.submit(body) for _ in range(n_tasks)]
    for future in futures:
        future.result()
    return time.perf_counter() - begin


def measure(bench, n_workers):
    """Run every kind of task on so many workers."""
    with ThreadPoolExecutor(n_workers) as pool, Parla(devices="cpu", n_workers=n_workers):
        for n_kernels in KERNELS:
            for microseconds in MICROSECONDS[: 1 if bench.is_smoke else None]:
                for share in SHARES:
                    case = f"gil.{n_kernels}x{microseconds}us.{share:.0%}"
                    if not bench.wants(case):
                        continue
                    body = task_of(n_kernels, microseconds, share)
                    n_tasks = max(2 * n_workers, int(SECONDS_OF_A_RUN * 1e6 / (n_kernels * microseconds)))
                    bench.compare(
                        case,
                        n_workers,
                        n_tasks,
                        lambda body=body, n=n_tasks: run_ours(body, n),
                        {"executor": lambda body=body, n=n_tasks: run_executor(pool, body, n)},
                    )


def metg(run):
    """Return the least microseconds of work in a task of 5 kernels at which two workers are half as fast as they could be."""
    least = None
    for microseconds in METG_MICROSECONDS:
        body, n_tasks, work = task_of(5, microseconds, 0.0), 2000, 5e-6 * microseconds
        if n_tasks * work / 2 < 0.5 * statistics.median(run(body, n_tasks) for _ in range(5)):
            break
        least = 5 * microseconds
    return least


def measure_metg():
    """Print the line of the case metg."""
    with ThreadPoolExecutor(2) as pool, Parla(devices="cpu", n_workers=2):
        ours, executor = metg(run_ours), metg(lambda body, n: run_executor(pool, body, n))
    row = {"bench": "gil", "case": "metg@2", "metric": "time", "unit": "us", "value": ours, "peer": "executor", "peer_value": executor}
    print(json.dumps(row | {"ratio": executor / ours if ours and executor else None}), flush=True)


class Kept(Bench):
    """A benchmark that also keeps the ratio of each case."""

    def __init__(self, name, arguments):
        super().__init__(name, arguments)
        self.ratios = {}

    def keep(self, row):
        """Note a line that is about to be printed."""
        self.ratios[row["case"]] = row["ratio"]


def plot(ratios, path):
    """Draw the ratios: one panel for each number of workers, kernels' length along, one line for each share and number of kernels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(WORKERS), sharey=True, figsize=(11, 3.6), layout="constrained")
    for panel, n_workers in zip(panels, WORKERS):
        for n_kernels in KERNELS:
            for share in SHARES:
                points = [(us, ratios.get(f"gil.{n_kernels}x{us}us.{share:.0%}@{n_workers}")) for us in MICROSECONDS]
                points = [point for point in points if point[1]]
                label, style = f"{n_kernels} kernels, {share:.0%} held", "-o" if n_kernels == 1 else "--s"
                panel.plot([x for x, _ in points], [y for _, y in points], style, label=label, markersize=4)
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set(xscale="log", xlabel="microseconds of a kernel", title=f"{n_workers} workers")
    panels[0].set_ylabel("times as fast as an executor")
    panels[-1].legend(fontsize=7)
    figure.savefig(path)


def main():
    """Measure all, and draw it if asked to."""
    arguments, path = sys.argv[1:], None
    if "--plot" in arguments:
        at = arguments.index("--plot")
        path = arguments[at + 1]
        del arguments[at : at + 2]
    bench = Kept("gil", arguments)
    pin(2)
    for n_workers in WORKERS:
        measure(bench, n_workers)
    if bench.wants("metg") and not bench.is_smoke:
        measure_metg()
    if path:
        plot(bench.ratios, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
