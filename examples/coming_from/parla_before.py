"""Blocks of a vector, in the style of the published Parla front end: nested functions, await, cpu and gpu architectures."""

import numpy as np

from parla import Parla
from parla.cpu import cpu
from parla.tasks import TaskSpace, spawn


def main():
    @spawn(placement=cpu)
    async def main_task():
        x = np.zeros(1000)
        fill, double = TaskSpace("fill"), TaskSpace("double")
        for i in range(4):

            @spawn(fill[i], placement=cpu)
            def fill_block():
                x[i * 250 : (i + 1) * 250] = np.arange(i * 250, (i + 1) * 250)

            @spawn(double[i], [fill[i]], placement=cpu)
            def double_block():
                x[i * 250 : (i + 1) * 250] *= 2

        await double
        print("sum", x.sum())


if __name__ == "__main__":
    with Parla():
        main()
