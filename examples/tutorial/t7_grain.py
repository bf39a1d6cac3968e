"""How large a task should be, and many at once.

A task costs less than a microsecond in C and a few in Python; its body should take ten times that at least. So give a task a piece of an
array, not an element. `spawn_many` is one task with a call of the body for each index, which costs still less.
"""

import numpy as np

from parla import Parla, spawn, spawn_many


def main(rt, n=100_000, grain=5_000):
    x = np.linspace(0.0, 1.0, n)

    def root_of(piece):
        return float(np.sqrt(piece).sum())

    pieces = [spawn(args=(x[i : i + grain],))(root_of) for i in range(0, n, grain)]
    print("%d tasks: %.3f" % (len(pieces), sum(piece.result() for piece in pieces)))

    whole = spawn_many(lambda i: root_of(x[i * grain : (i + 1) * grain]), n // grain, name="roots")
    print("one task: %.3f" % sum(whole.result()))
    print("spawned:", rt.stats()["tasks"]["n_spawned"])


with Parla() as rt:
    main(rt)
