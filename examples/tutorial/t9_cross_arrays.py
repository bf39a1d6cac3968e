"""One array over all ranks and devices.

    mpirun -n 2 python t9_cross_arrays.py

A layout says which block lies where. All ranks make the same calls; assignment between two layouts moves exactly what has to move; a task
that names blocks runs at the rank that owns what it writes.
"""

import crosspy as xp
import numpy as np
from mpi4py import MPI

from parla import Parla, TaskSpace, gpu, spawn

comm = MPI.COMM_WORLD


def main(n=8, b=2):
    places = xp.places(gpu)  # the GPUs of all ranks
    by_rows = xp.Split((n, n), devices=places)
    dealt = xp.BlockCyclic((n, n), block=(b, b), grid=(len(places), 1), devices=places)

    rows = xp.fromfunction(lambda i, j: 10.0 * i + j, by_rows)
    tiles = xp.empty(dealt)
    tiles[...] = rows  # redistribution: one plan, run as copies and messages

    T = TaskSpace("T")
    for i in range(n // b):
        tile = tiles.block(i, i)

        @spawn(T[i], placement=tile, inout=[tile])
        def on_the_diagonal():
            tile.array[...] = 0

    whole = tiles.gather(root=0)  # the one call that brings everything together
    if comm.rank == 0:
        expected = np.fromfunction(lambda i, j: np.where(i // b == j // b, 0, 10.0 * i + j), (n, n))
        print("the blocks on the diagonal are zero, the rest is as it was:", np.array_equal(whole, expected))


with Parla(devices="sim:2", mpi=True):
    main()
