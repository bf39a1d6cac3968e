"""Arrays that order tasks.

`asarray` makes a PArray of a NumPy array. A task says which of its elements it reads (input), overwrites (output) or updates (inout).
Tasks that use the same elements are ordered as if they ran one after the other, in the order of their spawns; others run side by side.
"""

import numpy as np

from parla import Parla, spawn
from parla.array import asarray


def main(n=1000, block=250):
    x = asarray(np.zeros(n), name="x")
    parts = [slice(i, i + block) for i in range(0, n, block)]

    for part in parts:  # four tasks that may run at once: they use different elements

        @spawn(output=[x[part]])
        def fill():
            x[part] = np.arange(part.start, part.stop)

    for part in parts:

        @spawn(inout=[x[part]])  # behind the fill of the same part
        def double():
            x[part] *= 2

    @spawn(input=[x])  # behind all of them
    def total():
        return float(np.sum(x.array))

    print("0 + 2 + … + 1998 =", total.result())
    print("the last three:", np.asarray(x[-3:]))  # outside of tasks: waits for those that write it


with Parla():
    main()
