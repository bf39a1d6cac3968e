"""Shares of devices, memory, priorities, retries.

`vcus` is the share of a device that a task takes, `memory` what it needs there beside its arrays. A task starts when all of it is free; a
demand that no device can ever meet is refused when it is spawned.
"""

import threading

from parla import Parla, ResourceError, TaskSpace, gpu, spawn


class Meter:
    """How many are inside at once."""

    def __init__(self):
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *failure):
        with self.lock:
            self.now -= 1


def main():
    meter, T = Meter(), TaskSpace("T")
    for i in range(8):

        @spawn(T[i], placement=gpu, vcus=0.5, memory=16 * 2**20, priority=i)
        def half():
            with meter:
                return sum(range(10_000))

    T.wait()
    print("more than two halves at once:", meter.most > 2)

    try:

        @spawn(placement=gpu, memory=2**30)
        def too_large():
            pass

    except ResourceError:
        print("a GiB on a device of 64 MiB: refused")

    tries = []

    @spawn(retries=2)
    def flaky():
        tries.append("failed")
        if len(tries) < 3:
            raise OSError("try again")
        return "done at the third try"

    print(flaky.result())


with Parla(devices="sim:1,mem=64MiB"):
    main()
