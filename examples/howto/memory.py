"""More data than a device has memory: what is not in use leaves it for what is needed, and the receipt says what that cost."""

import numpy as np

from parla import Parla, gpu, spawn
from parla.array import asarray

MIB = 2**20


def main(rt):
    blocks = [asarray(np.full(MIB // 8, float(i)), name=f"block {i}") for i in range(16)]  # 16 MiB in all
    for _ in range(2):
        for block in blocks:

            @spawn(placement=gpu(0), inout=[block])
            def twice():
                block.array[:] *= 2

    rt.wait()
    receipt = rt.receipt()
    print("first elements:", [int(np.asarray(block)[0]) for block in blocks[:4]])
    print("copies were freed to make room:", receipt["evictions"] > 0)
    print("bytes were moved for lack of memory alone:", receipt["bytes_for_room"] > 0)
    print("in use on the device now, at most 8 MiB:", gpu(0).query()["used_bytes"] <= 8 * MIB)


with Parla(devices="sim:1,mem=8MiB") as rt:
    main(rt)
