"""Several ranks: tasks that wait for messages without a thread.

    mpirun -n 2 python t8_ranks.py

`Parla(mpi=True)` joins the ranks of MPI.COMM_WORLD and shares out the cores of each node among them. `await parla.mpi.request(…)` takes
requests of mpi4py. The program works with one rank, too.
"""

import numpy as np
from mpi4py import MPI

import parla.mpi
from parla import Parla, TaskSpace, spawn

comm = MPI.COMM_WORLD
left, right = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size


def main(n_laps=50):
    laps = TaskSpace("laps")
    for i in range(n_laps):

        @spawn(laps[i])
        async def lap():  # all laps are under way at once, on a few workers
            mine, theirs = np.full(100, float(comm.rank)), np.empty(100)
            await parla.mpi.request([comm.Irecv(theirs, left, tag=i), comm.Isend(mine, right, tag=i)])
            return float(theirs[0])

    @spawn(dependencies=[laps])
    def check():
        return all(task.result() == left for task in laps)

    is_fine = comm.reduce(check.result(), MPI.LAND)
    if comm.rank == 0:
        print(f"{n_laps} messages from each left neighbour:", is_fine)


with Parla(mpi=True):
    main()
