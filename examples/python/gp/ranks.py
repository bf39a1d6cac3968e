"""The ranks that run the program together: one in a single process, several under mpirun."""

from __future__ import annotations

import os
import sys
import time

from parla.runtime import is_launched

PATIENCE_SECONDS = 3.0


class Ranks:
    """All ranks of the job. Only the first one prints; the others compute. Without a launcher MPI is not touched."""

    def __init__(self):
        """Join the ranks that the launcher has started."""
        self._comm = None
        self.rank, self.size = 0, 1
        if is_launched():
            from mpi4py import MPI

            self._comm = MPI.COMM_WORLD
            self.rank, self.size = self._comm.rank, self._comm.size
        if self.rank > 0:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115

    @property
    def is_first(self):
        """True at the rank that prints and draws."""
        return self.rank == 0

    def gather(self, value):
        """Return the values of all ranks at the first one, None elsewhere. Collective."""
        return [value] if self._comm is None else self._comm.gather(value)

    def leave(self):
        """Go on alone: from now on an error of this rank concerns no other one."""
        self._comm = None

    def fail(self, error, status):
        """Tell an error and return `status`. One that all ranks have is told once; one of this rank alone ends the others too."""
        together = self._comm is None or self._all_come()
        if self.is_first or not together:
            where = "" if together else f"rank {self.rank}: "
            print(f"gp_co2: {where}{error}", file=sys.stderr, flush=True)
        if not together:
            self._comm.Abort(status)
        return status

    def _all_come(self):
        request = self._comm.Ibarrier()
        end = time.monotonic() + PATIENCE_SECONDS
        while not request.Test():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True
