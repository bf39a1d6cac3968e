"""The same here: calls run from when they are spawned on; a task that needs the value of another awaits it."""

import numpy as np

import parla
from parla import spawn


def fill(i):
    return np.arange(i * 250.0, (i + 1) * 250.0)


async def double(i):
    return 2 * await spawn(args=(i,))(fill)


async def total(blocks):
    return sum([(await block).sum() for block in blocks])


if __name__ == "__main__":
    with parla.Parla():
        blocks = [spawn(args=(i,))(double) for i in range(4)]
        print("sum", spawn(args=(blocks,))(total).result())
