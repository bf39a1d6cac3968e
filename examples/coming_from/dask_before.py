"""Blocks of a vector with Dask: a graph of delayed calls, computed at the end by threads."""

import dask
import numpy as np


@dask.delayed
def fill(i):
    return np.arange(i * 250.0, (i + 1) * 250.0)


@dask.delayed
def double(block):
    return 2 * block


@dask.delayed
def total(blocks):
    return sum(block.sum() for block in blocks)


if __name__ == "__main__":
    print("sum", total([double(fill(i)) for i in range(4)]).compute(scheduler="threads"))
