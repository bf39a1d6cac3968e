"""Messages around a ring of ranks, in tasks that await MPI: each lap is a task of its own, and all laps are under way at once.

mpirun -n 4 python mpi_ring.py                 100 laps of a small array
mpirun -n 2 python mpi_ring.py --laps 10       fewer of them
"""

import argparse
import sys

import numpy as np
import parla.mpi
from mpi4py import MPI
from parla import Parla, TaskSpace, spawn


async def lap(comm, number, size):
    """Send an array once around the ring; each rank adds one. Return its first element as this rank has received it."""
    left, right = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size
    array = np.full(size, number, dtype=np.float64)
    if comm.rank == 0:
        sent, array = array, np.empty(size)
        both = [comm.Isend(sent, dest=right, tag=number), comm.Irecv(array, source=left, tag=number)]
        await parla.mpi.request(both)
    else:
        await parla.mpi.request(comm.Irecv(array, source=left, tag=number))
        array += 1
        await parla.mpi.request(comm.Isend(array, dest=right, tag=number))
    return array[0]


async def greet(comm):
    """Exchange a Python object with both neighbours at once; return the two received."""
    left, right = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size
    sent = [comm.isend({"from": comm.rank}, dest=rank, tag=MAX_LAPS + i) for i, rank in enumerate((left, right))]
    received = [comm.irecv(source=rank, tag=MAX_LAPS + 1 - i) for i, rank in enumerate((left, right))]
    messages = await parla.mpi.request(received)
    await parla.mpi.request(sent)
    return [message["from"] for message in messages]


MAX_LAPS = 10000


def main(arguments=None):
    """Run the program; return its exit status: 1 if a message is not what it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--laps", type=int, default=100, help="arrays that go around (default: %(default)s)")
    parser.add_argument("--size", type=int, default=1000, help="elements of each (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not 0 < options.laps <= MAX_LAPS or options.size < 1:
        parser.error(f"--laps must be 1 to {MAX_LAPS}, and --size at least 1")
    comm = MPI.COMM_WORLD
    laps = TaskSpace("lap")
    with Parla(mpi=comm):
        for i in range(options.laps):
            spawn(laps[i], args=(comm, i, options.size))(lap)
        neighbours = spawn(name="greet", args=(comm,))(greet).result()
        received = [task.result() for task in laps[: options.laps]]
        if comm.rank == 0:
            print(parla.mpi.card())
    # Rank 0 gets each array back from the last rank, after comm.size - 1 additions; the others see it on its way.
    added = comm.size - 1 if comm.rank == 0 else comm.rank
    right = received == [i + added for i in range(options.laps)] and neighbours == [(comm.rank + d) % comm.size for d in (-1, 1)]
    n_right = comm.reduce(int(right))
    if comm.rank == 0:
        print(f"{options.laps} laps of {options.size} numbers around {comm.size} ranks: {n_right} of {comm.size} ranks agree")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
