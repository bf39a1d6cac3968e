"""Where a task may run, where it should, and how to ask why it ran where it did."""

import numpy as np

from parla import Parla, cpu, gpu, spawn
from parla.array import asarray


def main():
    x = asarray(np.arange(1000.0), name="x")

    @spawn(placement=gpu(1), inout=[x])  # exactly this one
    def fixed():
        x.array[:] += 1

    @spawn(placement=gpu, input=[x])  # any GPU: the one where it would be done first, which counts copies, too
    def anywhere():
        return float(x.array.sum())

    @spawn(placement=[cpu, gpu[{"memory": 4096}]], prefer=gpu(0))  # a choice, and a wish that only weighs
    def wish():
        pass

    @spawn(placement=[(gpu(0), gpu(1))])  # both at once
    def pair():
        pass

    print("the sum is", anywhere.result(), "and wish ended with", wish.result())
    for task in (fixed, pair):
        task.wait()
        print(task.why()["state"], "on", [device.split()[0] for device in task.why()["devices"]])


with Parla(devices="sim:2"):
    main()
