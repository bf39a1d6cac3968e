"""ParlaExecutor: CPython's own tests of executors, and the libraries that take one."""

import asyncio
import concurrent.futures
import importlib
import pkgutil
import subprocess
import sys
import threading
import time
import types
import unittest

import parla
import pytest
from parla import Parla, ParlaExecutor

tests_of_cpython = pytest.importorskip(
    "test.test_concurrent_futures", reason="CPython's test package is not installed (libpython3-testsuite)"
)


def find_tests():
    """Return CPython's tests in one namespace: a module up to 3.12, a package with a module for each subject later."""
    found = types.SimpleNamespace(**vars(tests_of_cpython))
    for _, name, _ in pkgutil.iter_modules(getattr(tests_of_cpython, "__path__", ())):
        if name in ("util", "executor", "test_wait", "test_as_completed", "test_shutdown", "test_init", "test_thread_pool"):
            vars(found).update(vars(importlib.import_module(f"test.test_concurrent_futures.{name}")))
    return found


cpython = find_tests()


class ParlaMixin(cpython.ExecutorMixin):
    """What CPython's mixin for ThreadPoolExecutor is, with ours."""

    executor_type = ParlaExecutor


@pytest.mark.stress
class TestExecutor(ParlaMixin, cpython.ThreadPoolExecutorTest):
    """submit, map, shutdown with references, max_workers."""

    def test_default_workers(self):
        raise unittest.SkipTest("CPython's pool has up to 32 threads, a runtime one for each core")

    def test_saturation(self):
        raise unittest.SkipTest("it looks into the threads of CPython's pool")

    test_idle_thread_reuse = test_saturation

    def test_hang_global_shutdown_lock(self):
        raise unittest.SkipTest("it is about CPython's own pools")


@pytest.mark.stress
class TestWait(ParlaMixin, cpython.ThreadPoolWaitTests):
    """concurrent.futures.wait."""


@pytest.mark.stress
class TestAsCompleted(ParlaMixin, cpython.AsCompletedTests, cpython.BaseTestCase):
    """concurrent.futures.as_completed."""


@pytest.mark.stress
class TestShutdown(ParlaMixin, cpython.ExecutorShutdownTest, cpython.BaseTestCase):
    """shutdown, and the end of the interpreter."""

    def test_interpreter_shutdown(self):
        self.run_at_exit("t.submit(sleep_and_print, 0.2, 'apple')", "apple")

    def test_submit_after_interpreter_shutdown(self):
        raise unittest.SkipTest("CPython's thread pool refuses calls from atexit functions, ours serves them until its own runs")

    def test_cancel_futures(self):
        raise unittest.SkipTest("it expects a call to start while the next ones are submitted; test_cancel_futures below holds one running")

    def test_hang_gh83386(self):
        self.run_at_exit("t.submit(sleep_and_print, 1.0, 'apple'); t.shutdown(wait=False)", "apple")

    def run_at_exit(self, line, expected):
        """Run a program that ends without waiting for its calls."""
        program = f"""if 1:
            from parla import ParlaExecutor
            from time import sleep
            def sleep_and_print(t, msg):
                sleep(t)
                print(msg)
            t = ParlaExecutor(2)
            {line}
            """
        done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", program], capture_output=True, text=True, timeout=50)
        self.assertEqual((done.returncode, done.stdout.strip(), done.stderr), (0, expected, ""))


class TestInitializer(cpython.InitializerMixin, cpython.BaseTestCase):
    """Initializers run on each thread before its first call."""

    executor_type = ParlaExecutor

    def test_initializer(self):
        futures = [self.executor.submit(cpython.get_init_status) for _ in range(self.worker_count)]
        for future in futures:
            self.assertEqual(future.result(), "initialized")


class TestFailingInitializer(cpython.FailingInitializerMixin, cpython.BaseTestCase):
    """One that fails is logged and breaks the pool."""

    executor_type = ParlaExecutor


def test_inside_a_runtime():
    with Parla(n_workers=2):
        with ParlaExecutor() as pool:
            assert pool.submit(parla.get_current_task).result().state in ("running", "done")
            assert pool._max_workers == 2
        assert parla.spawn()(lambda: 1).result() == 1  # the runtime goes on


def test_no_more_calls_at_once_than_asked_for():
    lock, n_now, most = threading.Lock(), 0, 0

    def call():
        nonlocal n_now, most
        with lock:
            n_now += 1
            most = max(most, n_now)
        time.sleep(0.001)
        with lock:
            n_now -= 1

    with Parla(n_workers=4):
        with ParlaExecutor(max_workers=2) as pool:
            futures = [pool.submit(call) for _ in range(40)]
        assert all(future.done() for future in futures)
        assert 1 <= most <= 2


def test_the_end_of_the_runtime_leaves_no_call_waited_for():
    gate = threading.Event()
    with pytest.raises(KeyError), Parla(n_workers=2):
        limited, pool = ParlaExecutor(max_workers=1), ParlaExecutor()
        started = threading.Barrier(3)
        futures = [each.submit(lambda: (started.wait(), gate.wait())) for each in (limited, pool)]
        started.wait()
        late = [each.submit(int) for each in (limited, pool) for _ in range(3)]
        late[-1].add_done_callback(lambda future: gate.set())  # the last one to be cancelled lets the others go
        raise KeyError
    assert all(future.done() for future in futures)
    assert all(future.cancelled() for future in late)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)


def test_a_failing_initializer_breaks_the_pool():
    n_calls, gate = [], threading.Event()

    def refuse():
        n_calls.append(1)
        gate.wait()
        raise ValueError("no")

    with ParlaExecutor(max_workers=1, initializer=refuse) as pool:
        futures = [pool.submit(int) for _ in range(3)]
        gate.set()
        for future in futures:
            with pytest.raises(concurrent.futures.thread.BrokenThreadPool):
                future.result()
        assert len(n_calls) == 1
        with pytest.raises(concurrent.futures.thread.BrokenThreadPool):
            pool.submit(int)


def test_shutdown_without_waiting_stops_the_runtime_later():
    gate = threading.Event()
    pool = ParlaExecutor(max_workers=1)
    future = pool.submit(gate.wait)
    pool.shutdown(wait=False)
    gate.set()
    assert future.result()
    deadline = time.monotonic() + 30
    while parla.runtime.current() is not None:
        assert time.monotonic() < deadline, "waited for the executor's runtime to stop"
        time.sleep(0.001)


def test_cancel_futures():
    gate, started = threading.Event(), threading.Event()
    pool = ParlaExecutor(max_workers=1)
    first = pool.submit(lambda: (started.set(), gate.wait()))
    started.wait()
    others = [pool.submit(int) for _ in range(5)]
    others[-1].add_done_callback(lambda future: gate.set())  # the last one to be cancelled lets the first one go
    pool.shutdown(cancel_futures=True)
    assert first.result()[1]
    assert all(future.cancelled() for future in others)


def test_asyncio_run_in_executor():
    async def main(pool):
        return await asyncio.get_running_loop().run_in_executor(pool, pow, 2, 10)

    with ParlaExecutor(max_workers=2) as pool:
        assert asyncio.run(main(pool)) == 1024


def test_dask():
    dask = pytest.importorskip("dask")

    @dask.delayed
    def add(a, b):
        return a + b

    total = 0
    for i in range(10):
        total = add(total, add(i, i))
    with ParlaExecutor(max_workers=2) as pool, dask.config.set(pool=pool, scheduler="threads"):
        assert total.compute() == 90


def test_joblib():
    joblib = pytest.importorskip("joblib")
    parla.executor.register_joblib()
    with joblib.parallel_config("parla", n_jobs=2):
        assert joblib.Parallel()(joblib.delayed(pow)(i, 2) for i in range(50)) == [i * i for i in range(50)]
        with pytest.raises(ZeroDivisionError):
            joblib.Parallel()(joblib.delayed(divmod)(1, i) for i in range(3))
