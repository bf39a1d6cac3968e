"""The inner product of two vectors, block by block over GPUs: one task per block, and one that adds the partial sums.

python inner_product.py                    on all real GPUs or, where there are none, on four simulated ones
python inner_product.py --devices sim:2    on two simulated ones
"""

import argparse
import math
import sys

import numpy as np
from choose_devices import choose_devices
from parla import ConfigError, NoDeviceError, Parla, TaskSpace, cpu, gpu, spawn
from parla.array import clone_here


def inner(a, b, n_gpu, blocks):
    """Spawn blocks[i], which multiplies block i of a and b on GPU i, for each i; return the task that adds the results up."""
    block = math.ceil(len(a) / n_gpu)
    partial_sums = np.empty(n_gpu)

    for i in range(n_gpu):
        part = slice(i * block, (i + 1) * block)

        @spawn(blocks[i], placement=gpu(i))
        def inner_product():
            ai = clone_here(a[part])
            bi = clone_here(b[part])
            partial_sums[i] = float(ai @ bi)  # on a CUDA device it waits there for the kernel

    @spawn(dependencies=[blocks], placement=cpu)
    def reduce():
        return np.sum(partial_sums)

    return reduce


async def check(a, b):
    """Compute the product and tell what ran where; return True if NumPy agrees."""
    blocks = TaskSpace("block")
    reduce = inner(a, b, len(gpu), blocks)
    result = await reduce
    for task in (*blocks, reduce):
        print(f"{task.name:8} ran on {', '.join(map(repr, task.devices))}")
    expected = a @ b
    print(f"inner product of 2 x {len(a)} numbers: {result:.6f} (NumPy: {expected:.6f})")
    return math.isclose(result, expected, rel_tol=1e-10)


def parse(arguments):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", help="such as sim:2; by default all real GPUs or, where there are none, sim:4")
    parser.add_argument("--size", type=int, default=1 << 20, help="length of the vectors (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the random vectors (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.size < 1:
        parser.error(f"--size must be at least 1, not {options.size}")
    return options


def main(arguments=None):
    """Run the program; return its exit status: 1 if NumPy disagrees, 2 if there are no such devices."""
    options = parse(arguments)
    devices, note = choose_devices(options.devices, simulated="sim:4")
    rng = np.random.default_rng(options.seed)
    a, b = rng.random(options.size), rng.random(options.size)
    try:
        with Parla(devices=devices):
            if len(gpu) == 0:
                raise NoDeviceError(f"no GPU among the devices {devices!r}; simulated ones are named like sim:4")
            print(note)
            return 0 if spawn(args=(a, b))(check).result() else 1
    except (ConfigError, NoDeviceError) as error:
        print(f"inner_product: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
