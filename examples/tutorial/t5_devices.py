"""Devices: tasks go to them, arrays follow.

`placement` says where a task may run. On a machine without GPUs, "sim:2" makes two simulated ones: their memory is host memory, but they have
queues, limits and copies like real ones. With "auto" the same program takes real GPUs, and the arrays in its bodies are CuPy's.
"""

import numpy as np

from parla import Parla, TaskSpace, cpu, get_current_devices, gpu, spawn, specialized
from parla.array import asarray, clone_here, get_array_module


@specialized
def norm(x):
    return float(np.linalg.norm(x))


@norm.variant(gpu)  # called instead where the task is on a GPU
def norm_on_gpu(x):
    return float(get_array_module(x).linalg.norm(x))


def main(rt):
    T = TaskSpace("T")
    a = np.ones(400)
    x = asarray(a, name="x")

    for i in range(2):
        half = slice(i * 200, (i + 1) * 200)

        @spawn(T[i], placement=gpu(i), inout=[x[half]])
        def scale():
            x[half] *= i + 1  # on the device, where only this half was moved
            return [device.number for device in get_current_devices()]

    print("ran on GPUs", [task.result() for task in T])

    @spawn(placement=[gpu, cpu], input=[x])  # any GPU, or the CPU: where it would be done first
    def measure():
        return norm(x.array)

    print("the norm is %.3f" % measure.result())

    @spawn(placement=gpu)
    def by_hand():
        b = clone_here(a[:3])  # a copy on the task's device, without a PArray
        return float(b.sum())

    print("by hand:", by_hand.result())
    receipt = rt.receipt()
    print("moved more than the placements ask for:", receipt["bytes"] > receipt["least_bytes"])


with Parla(devices="sim:2") as rt:
    main(rt)
