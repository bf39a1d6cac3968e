"""The number of threads that BLAS libraries use while a runtime is active.

The runtime keeps all cores busy with tasks: a BLAS call that starts threads of its own would only make them compete.
"""

from __future__ import annotations


def _set_threads(library: object, n_threads: int) -> None:
    library.set_num_threads(n_threads)
    # threadpoolctl lets only one thread change OpenBLAS until that thread gives way: libraries may be loaded in any body.
    give_way = getattr(library, "clear_controlling_thread", None)
    if give_way is not None:
        give_way()


class BlasThreads:
    """Holds the BLAS libraries of the process at `limit` threads until `restore`.

    Parameters
    ----------
    limit : int or None
        Threads for each BLAS call; None leaves the libraries alone.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._held: dict[str, tuple[object, int]] = {}

    def apply(self) -> None:
        """Set the limit in every BLAS library that is loaded and not held yet."""
        if self._limit is None:
            return
        from threadpoolctl import ThreadpoolController  # slow to import

        for library in ThreadpoolController().lib_controllers:
            if library.user_api == "blas" and library.filepath not in self._held:
                self._held[library.filepath] = (library, library.num_threads)
                _set_threads(library, self._limit)

    def restore(self) -> None:
        """Give each library the number of threads that it had."""
        for library, n_threads in self._held.values():
            _set_threads(library, n_threads)
        self._held.clear()
