"""A bar that shows how many tasks of a runtime have ended: of rank 0, on a terminal, once a run takes longer than a moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

_LOOK_S = 0.2
_DELAY_S = 1.0


class Progress:
    """A thread that looks at the counters of a runtime and draws them with tqdm."""

    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        from tqdm import tqdm

        self._tqdm = tqdm
        self._counts = counts
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="parla progress", daemon=True)
        self._thread.start()

    def _show(self, bar: Any) -> None:
        counts = self._counts()
        bar.total, bar.n = counts["n_spawned"], counts["n_ended"]
        bar.set_postfix_str(f"{counts['n_failed']} failed" if counts["n_failed"] else "", refresh=False)
        bar.refresh()

    def _run(self) -> None:
        if self._over.wait(_DELAY_S):
            return
        with self._tqdm(desc="parla", unit=" tasks", total=0, file=sys.stderr, leave=False, dynamic_ncols=True) as bar:
            while not self._over.wait(_LOOK_S):
                self._show(bar)

    def stop(self) -> None:
        """Take the bar away. The runtime must still be there."""
        self._over.set()
        self._thread.join()


def start(counts: Callable[[], dict[str, int]], rank: int) -> Progress | None:
    """Return a bar, or None where nobody would see it: on other ranks than 0, and where stderr is no terminal.

    Raises ImportError, which says what to install, without tqdm.
    """
    if rank != 0 or not sys.stderr.isatty():
        return None
    try:
        return Progress(counts)
    except ImportError:
        raise ImportError("Parla(progress=True) draws with tqdm: pip install tqdm") from None
