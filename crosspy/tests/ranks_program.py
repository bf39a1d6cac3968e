"""What test_ranks.py runs under a launcher: many cases on the world and on a split communicator. Every rank runs the same ones."""

import contextlib
import os
import sys

import crosspy as xp
import numpy as np
import parla.mpi
from mpi4py import MPI
from parla import Parla, StateError, TaskSpace, cpu, gpu, spawn

SEED = int(os.environ.get("PARLA_TEST_SEED", "20260101"))
N_ASSIGNMENTS = 16
N_COMPUTATIONS = 12
N_STREAMS = 5
N_STEPS = 40


@contextlib.contextmanager
def raises(kind, words):
    """Like pytest's."""
    try:
        yield
    except kind as error:
        assert words in str(error), f"{words!r} is not in {error}"
    else:
        raise AssertionError(f"nothing was raised; expected {kind.__name__}: {words}")


def content(shape, dtype=float):
    return np.arange(1, np.prod(shape, dtype=int) + 1).reshape(shape).astype(dtype)


# --- Layouts and assignment ---


def random_layout(rng, shape, places):
    """A layout of any kind over devices of all ranks."""
    ndim = len(shape)
    chosen = [places[i] for i in rng.permutation(len(places))[: rng.integers(1, len(places) + 1)]]
    kind = rng.integers(3)
    if kind == 0:
        axis = int(rng.integers(ndim))
        cuts = np.sort(rng.integers(0, shape[axis] + 1, len(chosen) - 1))
        return xp.Split(shape, devices=chosen, axis=axis, sizes=np.diff([0, *cuts, shape[axis]]).tolist())
    if kind == 1:
        blocks = tuple(int(n) for n in rng.integers(1, 4, ndim))
        return xp.Grid(shape, blocks=blocks, devices=[chosen[i % len(chosen)] for i in range(int(np.prod(blocks)))])
    block = tuple(int(n) for n in rng.integers(1, 4, ndim))
    grid = tuple(int(n) for n in rng.integers(1, 3, ndim))
    return xp.BlockCyclic(shape, block=block, grid=grid, devices=[chosen[i % len(chosen)] for i in range(int(np.prod(grid)))])


def random_key(rng, shape):
    """A slice for each dimension, and sometimes a number."""
    key = []
    for extent in shape:
        if extent and rng.integers(5) == 0:
            key.append(int(rng.integers(extent)))
        else:
            start, stop = np.sort(rng.integers(0, extent + 1, 2))
            key.append(slice(int(start), int(stop), int(rng.integers(1, 4))))
    return tuple(key)


def assignments(rng, places):
    """Random pairs of layouts and slices beside NumPy."""
    for case in range(N_ASSIGNMENTS):
        shape = tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 4)))
        dtype = rng.choice(["f8", "i4", "c16", "u1"])
        source, target = content(shape, dtype), np.zeros(shape, dtype)
        a = xp.fromfunction(lambda *i: source[i], random_layout(rng, shape, places), dtype)  # noqa: B023
        b = xp.zeros(random_layout(rng, shape, places), dtype)
        key = random_key(rng, shape)
        target[key] = source[key]
        b[key] = a[key]
        assert np.array_equal(b.gather(), target), (case, key)
        assert np.array_equal(a.to(b.layout)[...].gather(), source), case
        key = random_key(rng, shape)
        target[key] = source[key] + source[key]
        b[key] = source[key] + source[key]
        root = int(rng.integers(xp.flow.ranks()[1]))
        found = b.gather(root=root, limit=int(rng.integers(1, 200)))
        assert (found is None) == (xp.flow.ranks()[0] != root)
        assert found is None or np.array_equal(found, target), (case, key)
        b[...] = b[tuple(slice(None, None, 1) for _ in shape)]


def whole_arrays(rng, places):
    """Making, scattering and gathering, and what is refused."""
    rank, n_ranks = xp.flow.ranks()
    layout = random_layout(rng, (6, 5), places)
    for root in range(n_ranks):
        a = content((6, 5), "i2") * (root + 1)
        for limit in (1, 7, 20, 1000):
            x = xp.array(a if rank == root else None, layout, root=root, limit=limit)
            assert x.dtype == np.int16 and np.array_equal(x.gather(limit=limit), a)
            assert np.array_equal(x[1:5:2, 3].gather(limit=limit), a[1:5:2, 3])
    y = xp.array(a, layout, dtype=float)
    assert np.array_equal(np.asarray(y), a)
    assert {block.rank for block in y.local} <= {rank}
    assert xp.full(layout, 7).gather().tolist() == [[7] * 5] * 6
    before = xp.set_gather_limit(8)
    with raises(xp.GatherLimitError, "x.gather(root=)"):
        np.asarray(y)
    xp.set_gather_limit(before)
    with raises(ValueError, "gather(limit=): expected a number of bytes"):
        y.gather(limit=0)
    with raises(ValueError, f"there is no rank {n_ranks}"):
        y.gather(root=n_ranks)
    with raises(ValueError, "cannot be used" if rank else "a has the shape (2,)"):
        xp.array(np.zeros(2) if rank == 0 else None, layout, root=0)
    with raises(StateError, f"only {n_ranks} ranks" if n_ranks > 1 else "a single process"):
        xp.empty(xp.Split(4, devices=[(n_ranks, cpu)]))
    xp.sync()


# --- Computing ---


def computing(rng, places):
    """Element-wise operations, reductions, products, factors, systems and sorting beside NumPy."""

    def spread(a):
        return xp.array(a, random_layout(rng, a.shape, places))

    for case in range(N_COMPUTATIONS):
        shape = tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 4)))
        a, b = rng.integers(-9, 9, shape), rng.integers(1, 9, shape).astype(rng.choice(["f8", "i2"]))
        x, y = spread(a), spread(b)
        assert np.array_equal((x * y - b).gather(), a * b - b), case
        assert np.array_equal((x + y.T[0].T[..., None]).gather() if len(shape) == 1 else (x + y[0]).gather(),
                              a + b.T[0].T[..., None] if len(shape) == 1 else a + b[0]), case  # fmt: skip
        key = random_key(rng, shape)
        a[key] += b[key].astype(a.dtype)
        part = x[key]
        part += y[key].astype(x.dtype)
        assert np.array_equal(x.gather(), a), (case, key)
        axis = int(rng.integers(len(shape)))
        assert np.array_equal(x.sum(axis).gather(), a.sum(axis)) and x.T.max().item() == a.max(), case
        assert np.array_equal(np.argmin(x, axis).gather(), a.argmin(axis)) and int(np.argmax(x)) == a.argmax(), case
        assert np.array_equal(np.sort(x, axis).gather(), np.sort(a, axis)), case
    for case in range(N_COMPUTATIONS // 4):
        m, n, k = (int(n) for n in rng.integers(1, 12, 3))
        a, b = rng.integers(-9, 9, (m, k)), rng.integers(-9, 9, (k, n))
        assert np.array_equal((spread(a) @ spread(b)).gather(), a @ b), case
        assert np.array_equal((spread(a).T @ spread(a)[:, 0]).gather(), a.T @ a[:, 0]), case
        a = rng.standard_normal((m, m))
        assert np.allclose(xp.linalg.solve(spread(a), spread(a[:, ::-1].copy())).gather(), np.linalg.solve(a, a[:, ::-1])), case
        a = a @ a.T + np.eye(m)
        assert np.allclose(np.linalg.cholesky(spread(a)).gather(), np.linalg.cholesky(a)), case
    a = rng.integers(0, 1000, 5000)
    assert np.array_equal(np.sort(spread(a)).gather(), np.sort(a))


def picking(rng, places):
    """Index arrays and masks beside NumPy: reading and assigning, also in views."""

    def spread(a):
        return xp.array(a, random_layout(rng, a.shape, places))

    for case in range(N_COMPUTATIONS):
        shape = tuple(int(n) for n in rng.integers(2, 9, rng.integers(1, 4)))
        a = content(shape, int)
        x = spread(a)
        at = rng.permutation(shape[0])[: rng.integers(1, shape[0])]
        key = (a % 3 == 0, at, (at, Ellipsis), (Ellipsis, rng.integers(0, shape[-1], (2, 2))))[case % 4]
        assert np.array_equal(x[key].gather(), a[key]), (case, key)
        if case % 4 < 3:
            value = -content(a[key].shape, int)
            a[key] = value
            x[key] = spread(value) if case % 2 else value
            assert np.array_equal(x.gather(), a), (case, key)
        part, mine = a[1:, ...].T, x[1:, ...].T
        at = rng.permutation(part.shape[0])[:2]
        part[at], mine[at] = 7, 7
        assert np.array_equal(x.gather(), a), (case, at)
        assert np.array_equal(x[x > 5].gather(), a[a > 5]), case


# --- Tasks ---


def spawn_step(name, placement, read, write):
    """One task of a stream: `write` becomes a mixture of itself and of what is read."""

    @spawn(name, placement=placement, input=read, inout=write)
    def step():
        for i, block in enumerate(write):
            for other in read:
                block.array[:] = (3 * block.array + other.array + i) % 65521

    return step


def streams(rng, places):
    """Random streams of tasks on random blocks beside serial execution."""
    rank, n_ranks = xp.flow.ranks()
    n_blocks = 5
    for case in range(N_STREAMS):
        owners = [places[i] for i in rng.integers(0, len(places), n_blocks)]
        a = xp.array(content((3 * n_blocks,), "i8"), xp.Grid((3 * n_blocks,), blocks=((3,) * n_blocks,), devices=owners))
        want = content((3 * n_blocks,), "i8").reshape(n_blocks, 3)
        tasks, foreign = TaskSpace(f"stream {case}"), 0
        for step in range(N_STEPS):
            chosen = [int(i) for i in rng.permutation(n_blocks)[: rng.integers(2, 4)]]
            n_write = int(rng.integers(1, len(chosen)))
            write, read = chosen[:n_write], chosen[n_write:]
            one_owner = len({owners[i].rank for i in write}) == 1
            placement = None if one_owner and rng.integers(2) else places[rng.integers(len(places))]
            at = owners[write[0]].rank if placement is None else placement.rank
            if placement is None and rng.integers(2):
                placement = a.block(write[0])
            task = spawn_step(tasks[step], placement, [a.block(i) for i in read], [a.block(i) for i in write])
            assert (task.state == "foreign") == (at != rank)
            foreign += at != rank
            for i, w in enumerate(write):
                for r in read:
                    want[w] = (3 * want[w] + want[r] + i) % 65521
        tasks.wait()
        assert np.array_equal(a.gather(), want.ravel()), case
        assert xp.traffic()["n_foreign"] >= foreign


def names(places):
    """Tasks of other ranks: names, waiting, dependencies, what is refused."""
    rank, n_ranks = xp.flow.ranks()
    if n_ranks == 1:
        return
    a = xp.zeros(xp.Grid((n_ranks,), blocks=((1,) * n_ranks,), devices=[(i, cpu) for i in range(n_ranks)]))
    tasks = TaskSpace("names")
    for i in range(n_ranks):
        spawn(tasks[i], inout=[a.block(i)])(lambda: "done")
    tasks.wait()
    assert [task.state for task in tasks] == ["done" if i == rank else "foreign" for i in range(n_ranks)]
    other = (rank + 1) % n_ranks
    assert tasks[rank].result() == "done" and tasks[other].done() and tasks[other].exception() is None
    assert f"of rank {other}>" in repr(tasks[other])
    with raises(StateError, f"runs at rank {other}"):
        tasks[other].result()
    with raises(StateError, f"runs at rank {other}; tasks of different ranks are ordered by the blocks"):
        spawn(dependencies=[tasks[other]])(lambda: None)
    with raises(parla.InvalidError, "say where it runs"):
        spawn(inout=[a.block(0), a.block(1)])(lambda: None)
    with raises(ValueError, "a task runs at one rank"):
        spawn(placement=[a.block(0), a.block(1)])(lambda: None)
    with raises(ValueError, "name it in input="):
        a.block(other).array  # noqa: B018
    with raises(StateError, "never from the body of another task"):
        spawn()(lambda: spawn(inout=[a.block(rank)])(lambda: None)).result()
    # where it runs is a matter of the placement alone; the last rank has nothing else to do
    for i in range(n_ranks):
        spawn(placement=xp.Place(0, cpu.code, 0), inout=[a.block(j) for j in range(n_ranks)])(
            lambda: [a.block(j).array.__iadd__(j + 1) for j in range(n_ranks)] and None
        )
    assert a.gather().tolist() == [n_ranks * (j + 1.0) for j in range(n_ranks)]


def failures():
    """A failing task fails what waits for it at other ranks, with its words; the rest goes on."""
    rank, n_ranks = xp.flow.ranks()
    a = xp.zeros(xp.Grid((n_ranks,), blocks=((1,) * n_ranks,), devices=[(i, cpu) for i in range(n_ranks)]))

    def fail():
        raise ArithmeticError("no such number")

    def follow(i):
        return spawn(input=[a.block(0)], inout=[a.block(i)], name=f"follow {i}")(lambda: None)

    first = spawn(inout=[a.block(0)], name="first")(fail)
    tasks = [follow(i) for i in range(1, n_ranks)]
    if rank == 0:
        with raises(ArithmeticError, "no such number"):
            first.result()
    else:
        error = tasks[rank - 1].exception()
        assert "task 'first' of rank 0 failed: ArithmeticError: no such number" in str(error), error
    b = xp.full(xp.Grid((n_ranks,), blocks=((1,) * n_ranks,), devices=[(i, cpu) for i in range(n_ranks)]), 2.0)
    assert b.gather().sum() == 2.0 * n_ranks


def counts(runtime):
    """What has moved is what was planned, and what the ranks told each other when they met."""
    runtime.wait()
    xp.sync()
    rank = xp.flow.ranks()[0]
    moved = [row for (sender, _), row in runtime.stats()["ranks"].items() if sender == rank]
    planned = xp.traffic()
    assert sum(row["n_messages"] for row in moved) >= planned["n_sent"]
    assert sum(row["n_bytes"] for row in moved) >= planned["n_sent_bytes"]


def main():
    world = MPI.COMM_WORLD
    for comm in (world, world.Split(world.rank % 2, -world.rank)):
        rng = np.random.default_rng([SEED, comm.size])
        with Parla(n_workers=1, devices="sim:2", mpi=comm) as runtime:
            places = xp.places(gpu) + xp.places(cpu)
            assert len(places) == 3 * comm.size
            assignments(rng, places)
            whole_arrays(rng, places)
            computing(rng, places)
            picking(rng, places)
            streams(rng, places)
            names(places)
            counts(runtime)
        parla.mpi.init(comm, on_failure="raise")
        with contextlib.suppress(parla.TransportError, ArithmeticError), Parla(n_workers=1, devices="sim:2"):
            failures()
    print("all cases passed")


if __name__ == "__main__":
    sys.exit(main())
