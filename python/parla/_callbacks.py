"""The thread that runs the functions given to Task.add_done_callback."""

from __future__ import annotations

import sys
import threading

from . import _parla


class Listener:
    """Runs callbacks, one after the other, on a thread that is started when the first one is added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def listen(self) -> None:
        """Start the thread unless it runs."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._is_stopping = False
                self._thread = threading.Thread(target=self._run, name="parla-callbacks", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Run the callbacks that are due and end the thread. Blocks until that is done."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None or thread is threading.current_thread():
            return
        self._is_stopping = True
        _parla.poke()
        thread.join()

    def _run(self) -> None:
        while True:
            is_stopping = self._is_stopping
            due = _parla.next_callbacks(not is_stopping)
            for function, task in due:
                try:
                    function(task)
                except BaseException:
                    sys.excepthook(*sys.exc_info())
            if is_stopping and not due:
                return


listener = Listener()


def thread_begins() -> None:
    """Do on a new thread of the runtime what the module threading does on its own: debuggers and profilers see its bodies too."""
    trace, profile = threading.gettrace(), threading.getprofile()
    if trace is not None:
        sys.settrace(trace)
    if profile is not None:
        sys.setprofile(profile)
