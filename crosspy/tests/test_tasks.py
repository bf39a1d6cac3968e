"""Blocks in tasks: placement, order, movement; assignments ordered with tasks."""

import crosspy as xp
import numpy as np
import parla
import pytest
from crosspy_cases import RUNTIME
from parla import TaskSpace, spawn

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def runtime():
    with parla.Parla(n_workers=2, devices=RUNTIME) as active:
        yield active


def test_a_block_places_its_task():
    x = xp.zeros(xp.Split(6, [("gpu", 1), ("cpu", 0), ("gpu", 0)]))

    def body(block):
        block.array[...] = block.offset[0]
        return parla.get_current_devices()

    tasks = [spawn(placement=block, inout=[block], args=(block,))(body) for block in x.blocks]
    assert [task.result() for task in tasks] == [(parla.gpu(1),), (parla.cpu(0),), (parla.gpu(0),)]
    assert x.gather().tolist() == [0, 0, 2, 2, 4, 4]


def test_tasks_and_assignments_are_ordered():
    n = 20
    x = xp.zeros(xp.Split(n, [("gpu", 0), ("gpu", 1)]))
    y = xp.zeros(xp.Split(n, [("cpu", 0)], sizes=3))

    def add_one(block):
        block[...] += 1

    for _ in range(10):
        for block in x.blocks:
            spawn(placement=block, inout=[block], args=(block,))(add_one)
        y[...] = x
        for block in y.blocks:
            spawn(placement=block, inout=[block], args=(block,))(add_one)
        x[:] = y
    assert x.gather().tolist() == [20.0] * n


def test_blocked_cholesky():
    n, b = 24, 5
    rng = np.random.default_rng(3)
    m = rng.standard_normal((n, n))
    a = m @ m.T + n * np.eye(n)
    x = xp.array(a, xp.BlockCyclic((n, n), (b, b), (2, 2), [("gpu", 0), ("gpu", 1), ("cpu", 0)]))
    blocks = x.layout.grid[0]
    T = TaskSpace("cholesky")
    block = x.block
    for k in range(blocks):

        @spawn(T["potrf", k], placement=block(k, k), inout=[block(k, k)])
        def potrf():
            block(k, k)[...] = np.linalg.cholesky(block(k, k).array)

        for i in range(k + 1, blocks):

            @spawn(T["trsm", i, k], placement=block(i, k), input=[block(k, k)], inout=[block(i, k)])
            def trsm():
                block(i, k)[...] = np.linalg.solve(block(k, k).array, block(i, k).array.T).T

        for i in range(k + 1, blocks):
            for j in range(k + 1, i + 1):

                @spawn(T["gemm", i, j, k], placement=block(i, j), input=[block(i, k), block(j, k)], inout=[block(i, j)])
                def gemm():
                    block(i, j)[...] -= block(i, k).array @ block(j, k).array.T

    factor = np.tril(x.gather())
    assert np.allclose(factor @ factor.T, a, rtol=0, atol=1e-10)


def test_gather_inside_a_task():
    x = xp.array(np.arange(6.0), xp.Split(6, [("gpu", 0), ("gpu", 1)]))

    @spawn()
    def plain():
        return x.gather().tolist()

    @spawn()
    async def coroutine():
        await plain
        x[0] = 10
        y = x.to(xp.Split(6, [("gpu", 1)], sizes=2))
        return y[:2].gather().tolist()

    assert plain.result() == [0, 1, 2, 3, 4, 5]
    assert coroutine.result() == [10, 1]


def test_a_failed_task_reaches_gather():
    x = xp.zeros(xp.Split(4, [("gpu", 0), ("gpu", 1)]))

    def fail():
        raise ZeroDivisionError("in a task")

    block = x.block(1)
    failed = spawn(placement=block, inout=[block], name="breaks")(fail)
    with pytest.raises((parla.ParlaError, ZeroDivisionError)):
        x.gather()
    assert isinstance(failed.exception(), ZeroDivisionError)
    x[...] = 5  # overwriting mends it
    assert x.gather().tolist() == [5] * 4


def test_many_small_assignments():
    n = 200
    x = xp.zeros(xp.Split(n, [("gpu", 0), ("cpu", 0), ("gpu", 1)]))
    for i in range(n):
        x[i] = i
    assert x.gather().tolist() == list(range(n))
