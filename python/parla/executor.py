"""Parla behind the interface of `concurrent.futures`, for libraries that take an executor: Dask, joblib, asyncio's run_in_executor."""

from __future__ import annotations

import atexit
import collections
import logging
import math
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.thread import BrokenThreadPool

from . import _parla, runtime

__all__ = ["ParlaExecutor", "register_joblib"]

_alive: weakref.WeakSet[ParlaExecutor] = weakref.WeakSet()

_Call = tuple[Future, Callable, tuple, dict]


class ParlaExecutor(Executor):
    """Runs calls as Parla tasks and gives futures of `concurrent.futures`.

    Inside ``with Parla():`` the calls become tasks of that runtime, and when it ends, calls that have not started are cancelled. Elsewhere
    the executor starts a runtime of its own, which lives until `shutdown`; while it does, it is the active one. Calls that block keep a
    worker, as in any pool of threads.

    Parameters
    ----------
    max_workers : int, optional
        How many calls run at once, at most: worker threads of a runtime of its own. By default one for each core, or all workers of the
        active runtime.
    initializer, initargs
        Called on each worker thread before its first call.
    **options
        Further arguments of `Parla` for a runtime of its own.

    Examples
    --------
    >>> with ParlaExecutor(max_workers=2) as pool:
    ...     list(pool.map(pow, [2, 3], [5, 2]))
    [32, 9]
    """

    def __init__(
        self, max_workers: int | None = None, *, initializer: Callable | None = None, initargs: tuple = (), **options: object
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._lock = threading.Lock()
        self._tasks: dict[_parla.Task, Future] = {}
        self._waiting: collections.deque[_Call] = collections.deque()  # while there are max_workers tasks, if the runtime has more workers
        self._is_shut = False
        self._broken = False
        self._initializer, self._initargs = initializer, initargs
        self._of_thread = threading.local()
        self._own: runtime.Parla | None = None
        if runtime.current() is None:
            self._own = runtime.Parla(n_workers=max_workers, **options)
            self._own.__enter__()
        self._runtime = _parla.active()
        n_workers = self._runtime.info()["n_workers"]
        self._max_workers = max_workers or n_workers
        self._most_tasks = math.inf if self._max_workers >= n_workers else self._max_workers
        if runtime.current().attached(_Ending) is None:
            runtime.current().attach(_Ending())
        _alive.add(self)

    def submit(self, function: Callable, /, *args: object, **kwargs: object) -> Future:
        """Run ``function(*args, **kwargs)`` as a task. Does not block."""
        future: Future = Future()
        with self._lock:
            if self._broken:
                raise BrokenThreadPool("a thread's initializer failed, so the executor is not usable any more")
            if self._is_shut or not self._runtime.is_usable:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if len(self._tasks) < self._most_tasks:
                self._start_locked((future, function, args, kwargs))
            else:
                self._waiting.append((future, function, args, kwargs))
        return future

    def _start_locked(self, call: _Call) -> None:
        name = getattr(call[1], "__name__", type(call[1]).__name__)
        task = _parla.spawn(args=call, name=name)(self._run)
        self._tasks[task] = call[0]

    def _start_waiting_locked(self) -> None:
        while self._waiting and len(self._tasks) < self._most_tasks:
            call = self._waiting.popleft()
            try:
                self._start_locked(call)
            except _parla.ParlaError as error:  # the runtime ends
                if call[0].set_running_or_notify_cancel():
                    call[0].set_exception(error)

    def _prepare_thread(self) -> None:
        """Call the initializer unless this thread has. Raises BrokenThreadPool if it fails, or has failed on any thread."""
        if self._broken:
            raise BrokenThreadPool("a thread's initializer failed")
        if self._initializer is None or getattr(self._of_thread, "is_ready", False):
            return
        try:
            self._initializer(*self._initargs)
        except BaseException as error:
            self._broken = True
            logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
            raise BrokenThreadPool("a thread's initializer failed") from error
        self._of_thread.is_ready = True

    def _run(self, future: Future, function: Callable, args: tuple, kwargs: dict) -> None:
        try:
            if future.set_running_or_notify_cancel():
                try:
                    self._prepare_thread()
                    result = function(*args, **kwargs)
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
        finally:
            with self._lock:
                self._tasks.pop(_parla.current_task(), None)
                self._start_waiting_locked()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further calls; cancel those that have not started, if asked to; wait for the rest unless `wait` is false."""
        with self._lock:
            self._is_shut = True
            own, self._own = self._own, None
        if cancel_futures:
            self._cancel_rest()
        if wait:
            self._finish(own)
        elif own is not None:
            threading.Thread(target=self._finish, args=(own,), name="parla-executor").start()

    def _cancel_rest(self) -> None:
        """Cancel the calls that have not started."""
        with self._lock:
            futures = [*self._tasks.values(), *(call[0] for call in self._waiting)]
        for future in futures:
            future.cancel()

    def _finish(self, own: runtime.Parla | None) -> None:
        """Wait for the tasks, then stop the runtime that the executor has started."""
        while _parla.active() is self._runtime:
            with self._lock:
                tasks = tuple(self._tasks)
            if not tasks:
                break
            _parla.wait_tasks(tasks)
            with self._lock:  # tasks that were cancelled have not taken themselves off
                for task in tasks:
                    self._tasks.pop(task, None)
                self._start_waiting_locked()
        if own is not None:
            own.__exit__(None, None, None)

    def __del__(self) -> None:
        if not getattr(self, "_is_shut", True):
            self.shutdown(wait=False)


class _Ending:
    """Kept with a runtime: when that stops, nobody is left waiting for a call that will not run."""

    def finishing(self) -> None:
        """The runtime waits for all tasks, those of executors too."""

    def stopping(self) -> None:
        """Cancel what has not started."""
        for executor in list(_alive):
            if executor._runtime is _parla.active():
                executor._cancel_rest()


def _shut_all() -> None:
    for executor in list(_alive):
        executor.shutdown()


atexit.register(_shut_all)  # later than the one of parla itself, so it runs before


def register_joblib(name: str = "parla") -> None:
    """Make ``joblib.parallel_config(name)`` run its batches as Parla tasks."""
    from joblib import register_parallel_backend
    from joblib._parallel_backends import AutoBatchingMixin, ParallelBackendBase, ThreadingBackend

    class ParlaBackend(AutoBatchingMixin, ParallelBackendBase):
        supports_retrieve_callback = True
        uses_threads = True
        supports_sharedmem = True
        default_n_jobs = -1

        def configure(self, n_jobs: int = 1, parallel: object = None, **unused: object) -> int:
            self.parallel = parallel
            self._executor = ParlaExecutor(None if n_jobs == -1 else self.effective_n_jobs(n_jobs))
            return self.effective_n_jobs(n_jobs)

        def effective_n_jobs(self, n_jobs: int) -> int:
            if n_jobs == 0:
                raise ValueError("n_jobs == 0 in Parallel has no meaning")
            active = _parla.active()
            return active.info()["n_workers"] if active is not None else ThreadingBackend().effective_n_jobs(n_jobs)

        def submit(self, function: Callable, callback: Callable | None = None) -> Future:
            future = self._executor.submit(function)
            if callback is not None:
                future.add_done_callback(callback)
            return future

        apply_async = submit

        def retrieve_result_callback(self, future: Future) -> object:
            return future.result()

        def terminate(self) -> None:
            self._executor.shutdown()

        def abort_everything(self, ensure_ready: bool = True) -> None:
            self._executor.shutdown(cancel_futures=True)
            if ensure_ready:
                self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel)

    register_parallel_backend(name, ParlaBackend)
