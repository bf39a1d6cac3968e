"""The ranks that run the program together: one in a single process, several under mpirun."""

from __future__ import annotations

import os
import sys
import time

from parla.runtime import is_launched

PATIENCE_SECONDS = 2.5


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
        """Tell an error and return `status`, with which the program exits: that ends all ranks. One that all ranks have is told once."""
        is_other = self._comm is not None and not self.is_first
        if is_other:
            time.sleep(PATIENCE_SECONDS)  # the first rank may have the same error: then it ends the job before this is over
        print(f"gp_co2: {f'rank {self.rank}: ' if is_other else ''}{error}", file=sys.stderr, flush=True)
        if is_other:
            self._comm.Abort(status)
        return status
