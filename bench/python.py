"""What an empty Python task costs: ours beside ThreadPoolExecutor, asyncio, Dask and joblib with threads. ci/bench runs this.

spawn.pending      @spawn(T[i]) of a closure, all spawned while the workers are held, then run
spawn.window       the same with 1,000 tasks, wait, again
chain.pending      @spawn(T[i], dependencies=[T[i - 1]])
spawn_many         one spawn_many(f, n); the executor's map, in chunks of 1,000
await              an `async def` body that awaits one task after the other, each spawned before

The peers' chains are a callback that submits the next function (executor), a task that awaits the one before (asyncio), and a graph in
which each key names the one before (Dask). Dask gets a graph as a dict, joblib one Parallel(prefer="threads") for each window; both are so
slow that they run a tenth of the tasks, and their time counts ten times. Ours @n has n workers, and the main thread besides.
"""

import asyncio
import importlib.util
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from measure import Bench, pin

from parla import Parla, TaskSpace, spawn, spawn_many

WINDOW = 1000
SLOW = 10


class Ours:
    """The cases on the active runtime."""

    def __init__(self, n_workers, n_tasks):
        self.n_workers, self.n_tasks = n_workers, n_tasks

    def hold_workers(self):
        """Give every worker a body that waits; return what lets them go."""
        gate, arrived = threading.Event(), threading.Semaphore(0)
        for _ in range(self.n_workers):

            @spawn()
            def hold():
                arrived.release()
                gate.wait()

        for _ in range(self.n_workers):
            arrived.acquire()
        return gate.set

    def pending(self):
        """Time spawning and running behind a closed gate."""
        release = self.hold_workers()
        names = TaskSpace("pending")
        begin = time.perf_counter()
        for i in range(self.n_tasks):

            @spawn(names[i])
            def body():
                return i

        release()
        names.wait()
        return time.perf_counter() - begin

    def window(self):
        """Time windows of tasks."""
        begin = time.perf_counter()
        for _ in range(self.n_tasks // WINDOW):
            names = TaskSpace("window")
            for i in range(WINDOW):

                @spawn(names[i])
                def body():
                    return i

            names.wait()
        return time.perf_counter() - begin

    def chain(self):
        """Time a chain of named tasks behind a closed gate."""
        release = self.hold_workers()
        names = TaskSpace("chain")
        begin = time.perf_counter()
        for i in range(self.n_tasks):

            @spawn(names[i], dependencies=[names[i - 1]] if i else [])
            def body():
                return i

        release()
        names.wait()
        return time.perf_counter() - begin

    def many(self):
        """Time one call for all."""
        begin = time.perf_counter()
        spawn_many(lambda i: i, self.n_tasks).wait()
        return time.perf_counter() - begin

    def awaits(self):
        """Time a body that awaits tasks, inside of it."""

        async def outer():
            tasks = [spawn(args=(i,))(abs) for i in range(self.n_tasks)]
            begin = time.perf_counter()
            for task in tasks:
                await task
            return time.perf_counter() - begin

        return spawn()(outer).result()


class Executor:
    """The cases on concurrent.futures.ThreadPoolExecutor."""

    def __init__(self, n_workers, n_tasks):
        self.pool, self.n_workers, self.n_tasks = ThreadPoolExecutor(n_workers), n_workers, n_tasks

    def pending(self):
        """Time submitting and running behind a closed gate."""
        gate = threading.Event()
        for _ in range(self.n_workers):
            self.pool.submit(gate.wait)
        begin = time.perf_counter()
        futures = [self.pool.submit(lambda i=i: i) for i in range(self.n_tasks)]
        gate.set()
        for future in futures:
            future.result()
        return time.perf_counter() - begin

    def window(self):
        """Time windows of tasks."""
        begin = time.perf_counter()
        for _ in range(self.n_tasks // WINDOW):
            for future in [self.pool.submit(lambda i=i: i) for i in range(WINDOW)]:
                future.result()
        return time.perf_counter() - begin

    def chain(self):
        """Time functions that each submit the next one."""
        done = threading.Event()

        def body(i):
            if i + 1 < self.n_tasks:
                self.pool.submit(body, i + 1)
            else:
                done.set()

        begin = time.perf_counter()
        self.pool.submit(body, 0)
        done.wait()
        return time.perf_counter() - begin

    def many(self):
        """Time a map in chunks, the whole of it."""
        begin = time.perf_counter()
        for future in [self.pool.submit(_call_many, first) for first in range(0, self.n_tasks, WINDOW)]:
            future.result()
        return time.perf_counter() - begin


def _call_many(first):
    return [(lambda i: i)(i) for i in range(first, first + WINDOW)]


class Dask:
    """The cases on Dask's scheduler with threads."""

    def __init__(self, n_workers, n_tasks):
        from dask.threaded import get

        self.get, self.n_workers, self.n_tasks = get, n_workers, n_tasks // SLOW

    def _run(self, n_tasks, link):
        graph = {("x", i): (link, ("x", i - 1)) if link and i else (lambda i=i: i,) for i in range(n_tasks)}
        self.get(graph, [("x", i) for i in range(n_tasks)], num_workers=self.n_workers)

    def pending(self):
        """Time one graph of independent tasks."""
        begin = time.perf_counter()
        self._run(self.n_tasks, None)
        return SLOW * (time.perf_counter() - begin)

    def window(self):
        """Time windows of tasks."""
        begin = time.perf_counter()
        for _ in range(max(1, self.n_tasks // WINDOW)):
            self._run(min(WINDOW, self.n_tasks), None)
        return SLOW * (time.perf_counter() - begin)

    def chain(self):
        """Time a graph that is one chain."""
        begin = time.perf_counter()
        self._run(self.n_tasks, abs)
        return SLOW * (time.perf_counter() - begin)


class Joblib:
    """The cases on joblib's threads; it has no dependencies."""

    def __init__(self, n_workers, n_tasks):
        import joblib

        self.delayed, self.n_tasks = joblib.delayed, n_tasks // SLOW
        self.parallel = joblib.Parallel(n_jobs=n_workers, prefer="threads")

    def _run(self, n_tasks):
        self.parallel(self.delayed(lambda i=i: i)() for i in range(n_tasks))

    def pending(self):
        """Time one call for all."""
        begin = time.perf_counter()
        self._run(self.n_tasks)
        return SLOW * (time.perf_counter() - begin)

    def window(self):
        """Time windows of tasks."""
        begin = time.perf_counter()
        for _ in range(max(1, self.n_tasks // WINDOW)):
            self._run(min(WINDOW, self.n_tasks))
        return SLOW * (time.perf_counter() - begin)


class Loop:
    """The cases on asyncio."""

    def __init__(self, n_tasks):
        self.n_tasks = n_tasks

    def pending(self):
        """Time creating all tasks, then running them."""
        return asyncio.run(self._many(self.n_tasks))

    def window(self):
        """Time windows of tasks."""
        return asyncio.run(self._many(WINDOW))

    async def _many(self, window):
        async def body(i):
            return i

        begin = time.perf_counter()
        for _ in range(self.n_tasks // window):
            await asyncio.gather(*[asyncio.create_task(body(i)) for i in range(window)])
        return time.perf_counter() - begin

    def awaits(self):
        """Time a coroutine that awaits tasks."""

        async def body(i):
            return abs(i)

        async def main():
            tasks = [asyncio.create_task(body(i)) for i in range(self.n_tasks)]
            begin = time.perf_counter()
            for task in tasks:
                await task
            return time.perf_counter() - begin

        return asyncio.run(main())

    def chain(self):
        """Time tasks that each await the one before."""

        async def body(before):
            if before is not None:
                await before

        async def main():
            last = None
            begin = time.perf_counter()
            for _ in range(self.n_tasks):
                last = asyncio.create_task(body(last))
            await last
            return time.perf_counter() - begin

        return asyncio.run(main())


CASES = {
    "spawn.pending": "pending",
    "spawn.window": "window",
    "chain.pending": "chain",
    "spawn_many": "many",
    "await": "awaits",
}


def measure(bench, n_threads):
    """Run every case with this many workers on as many cores."""
    n_tasks = 2 * WINDOW if bench.is_smoke else 100 * WINDOW
    if not pin(n_threads):
        return
    with Parla(devices="cpu", n_workers=n_threads):
        ours = Ours(n_threads, n_tasks)
        sides = {"executor": Executor(n_threads, n_tasks)}
        if n_threads == 1:
            sides["asyncio"] = Loop(n_tasks)
        if importlib.util.find_spec("dask"):
            sides["dask"] = Dask(n_threads, n_tasks)
        if n_threads > 1 and importlib.util.find_spec("joblib"):  # with one thread it merely calls the functions
            sides["joblib"] = Joblib(n_threads, n_tasks)
        for case, name in CASES.items():
            if bench.wants(case):
                peers = {peer: getattr(side, name) for peer, side in sides.items() if hasattr(side, name)}
                bench.compare(case, n_threads, n_tasks, getattr(ours, name), peers)
        sides["executor"].pool.shutdown()


def main():
    """Measure one thread, or with --threads N that many; without it start a process for each."""
    arguments = sys.argv[1:]
    if "--threads" in arguments:
        at = arguments.index("--threads")
        n_threads = int(arguments[at + 1])
        del arguments[at : at + 2]
        measure(Bench("python", arguments), n_threads)
        return 0
    commands = ([sys.executable, __file__, "--threads", n, *arguments] for n in ("1", "2"))
    return max(subprocess.run(command, check=False).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(main())
