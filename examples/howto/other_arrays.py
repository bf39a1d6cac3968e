"""Functions compiled by Numba in the bodies of tasks, and arrays that are not NumPy's."""

import array

import numba
import numpy as np

from parla import Parla, TaskSpace, cpu, spawn
from parla.array import asarray, register

# nogil=True: other bodies run meanwhile.
@numba.njit(nogil=True)
def smooth(out, x):
    for i in range(1, x.size - 1):
        out[i] = (x[i - 1] + x[i] + x[i + 1]) / 3


def compiled():
    x, out = asarray(np.arange(8.0) ** 2, name="x"), asarray(np.zeros(8), name="out")
    smooth(np.zeros(8), np.frombuffer(bytes(64)))  # compiled here, once: what is named in input= is read-only, as the second one
    T = TaskSpace("smooth")
    for i, part in enumerate((slice(0, 5), slice(3, 8))):

        @spawn(T[i], input=[x[part]], inout=[out[part]], placement=cpu)
        def body():
            smooth(out[part].array, x[part].array)

    T.wait()
    assert len(smooth.signatures) == 1  # no body has compiled it again
    print("smoothed:", [round(float(v), 2) for v in np.asarray(out)])


def others():
    # How its memory becomes a NumPy array: enough for input=, inout=, copy().
    register(array.array, np.frombuffer)
    numbers = array.array("d", [1, 2, 3])

    @spawn(inout=[numbers], placement=cpu)
    def double():
        for i in range(len(numbers)):
            numbers[i] *= 2

    double.result()
    print("doubled:", numbers.tolist())


with Parla(n_workers=2):
    compiled()
    others()
