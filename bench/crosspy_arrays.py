"""What operations on CrossArrays of one process cost beside NumPy's on one array. ci/bench runs this.

small.*      10 elements, ns for one operation; the goal is NumPy's time and 3 us
middle.*     100,000 float64 elements, in one block and in four, ns for one operation; the goal is 1.2 times NumPy's
matmul       two matrices of 2048 in 4 x 4 blocks, ns for all; beside one product by NumPy's BLAS on the same cores
cholesky     one matrix of 2048 in tiles of 256; beside numpy.linalg.cholesky

All blocks lie on the CPU. matmul and cholesky have an active runtime, with a worker for each core.
"""

import time

import numpy as np
from measure import Bench, pin
from threadpoolctl import threadpool_limits

import crosspy as xp
from parla import Parla, cpu

SMALL, MIDDLE, N = 10, 100_000, 2048

OPERATIONS = {
    "add": lambda x: x + x,
    "scale": lambda x: x * 2.0,
    "in_place": lambda x: x.__iadd__(1.0),
    "sqrt": np.sqrt,
    "sum": lambda x: x.sum(),
    "view": lambda x: x[1:5],
    "assign": lambda x: x.__setitem__(slice(1, 5), 0.0),
    "difference": lambda x: x[1:] - x[:-1],
    "mean": lambda x: x.mean(),
}


def repeated(operation, x, n):
    """Return what times n times an operation."""

    def run():
        begin = time.perf_counter()
        for _ in range(n):
            operation(x)
        return time.perf_counter() - begin

    return run


def operations(bench, kind, size, n_blocks, n):
    """Compare each operation with NumPy's."""
    a = np.arange(float(size))
    x = xp.array(a, xp.Split(size, [cpu], sizes=n_blocks))
    for name, operation in OPERATIONS.items():
        case = f"{kind}.{name}"
        if bench.wants(case):
            bench.compare(f"{case}.{n_blocks}", 1, n, repeated(operation, x, n), {"numpy": repeated(operation, a.copy(), n)})


def matrices(bench, n, n_cores):
    """Compare products and factors of matrices with those of NumPy's BLAS."""
    rng = np.random.default_rng(1)
    a = rng.standard_normal((n, n))
    spd = a @ a.T + n * np.eye(n)
    with Parla(n_workers=n_cores):
        x = xp.array(a, xp.Grid(a.shape, (4, 4), [cpu]))
        y = xp.array(spd, xp.BlockCyclic(spd.shape, (n // 8, n // 8), (1, 1), [cpu]))
        for name, ours, theirs in (
            ("matmul", lambda: ended(x @ x), lambda: a @ a),
            ("cholesky", lambda: ended(np.linalg.cholesky(y)), lambda: np.linalg.cholesky(spd)),
        ):
            if bench.wants(name):
                bench.compare(name, n_cores, 1, lambda: timed(ours), {"numpy": lambda: with_threads(n_cores, theirs)})  # noqa: B023


def ended(x):
    """Wait until an array is there: one element of each block is read."""
    for block in x.blocks:
        with block.data.host("r"):
            pass


def with_threads(n_threads, call):
    """Return the seconds of one call whose BLAS has so many threads; in tasks it has one."""
    with threadpool_limits(n_threads):
        return timed(call)


def timed(call):
    """Return the seconds of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def main():
    """Run what was asked for."""
    bench = Bench("crosspy_arrays")
    n_cores = 2 if pin(2) else 1
    matrices(bench, N // 8 if bench.is_smoke else N, n_cores)
    pin(1)
    operations(bench, "small", SMALL, 1, 20 if bench.is_smoke else 20_000)
    operations(bench, "small", SMALL, 4, 20 if bench.is_smoke else 20_000)
    operations(bench, "middle", MIDDLE, 1, 5 if bench.is_smoke else 500)
    operations(bench, "middle", MIDDLE, 4, 5 if bench.is_smoke else 500)


if __name__ == "__main__":
    main()
