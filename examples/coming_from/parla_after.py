"""The same where tasks name arrays: no lists of tasks, and the blocks may lie on any device."""

import numpy as np

from parla import Parla, cpu, gpu, spawn
from parla.array import asarray


def main():
    x = asarray(np.zeros(1000))
    for i in range(4):
        block = slice(i * 250, (i + 1) * 250)

        @spawn(placement=[gpu, cpu], output=[x[block]])
        def fill_block():
            x[block] = np.arange(block.start, block.stop)

        @spawn(placement=[gpu, cpu], inout=[x[block]])
        def double_block():
            x[block] *= 2

    print("sum", np.sum(np.asarray(x)))


if __name__ == "__main__":
    with Parla(devices="sim:2"):
        main()
