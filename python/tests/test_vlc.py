"""Contexts and interpreters in contexts, from Python."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from parla import Parla, spawn, vlc
from parla._parla import ParlaError, ResourceError, TaskTimeout, UnsupportedError

pytestmark = pytest.mark.skipif("san.so" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers cannot follow dlmopen")
ROOM = {"GLIBC_TUNABLES": "glibc.rtld.nns=16:glibc.rtld.optional_static_tls=65536"}
N_CPUS = len(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def interpreters():
    """Two interpreters, which take a while to import NumPy; they are kept for the whole process anyway."""
    try:
        pool = vlc.PythonPool(2, n_cpus=1, share=True)
    except ResourceError as error:
        if "GLIBC_TUNABLES" in os.environ:
            raise
        pytest.skip(str(error))  # other tests of this process have loaded too much; the message names what helps
    yield pool
    pool.close()


def cube(value):
    return value**3


def test_functions_of_a_library_are_those_of_its_copy():
    import ctypes

    first, second = vlc.VLC(n_cpus=1, share=True), vlc.VLC(n_cpus=1, share=True)
    one, two = first.load("libc.so.6"), second.load("libc.so.6")
    assert one.address("abs") != two.address("abs")
    with first:
        assert vlc.current() is not None
        assert one.abs(-3) == 3
        assert len(os.sched_getaffinity(0)) == 1
    assert vlc.current() is None
    assert len(os.sched_getaffinity(0)) == N_CPUS
    one.getenv.restype = ctypes.c_char_p
    assert one.getenv(b"NO_SUCH_VARIABLE") is None
    with pytest.raises(AttributeError, match="no_such_function"):
        _ = one.no_such_function
    assert first.info()["n_cpus"] == 1
    assert vlc.limits()["n_contexts"] >= 2
    for context in (first, second):
        context.close()
    with pytest.raises(ParlaError, match="closed"):
        first.load("libm.so.6")


def test_wishes_are_checked():
    with pytest.raises(ValueError, match="inherit, local"):
        vlc.VLC(memory="far")
    with pytest.raises(ParlaError, match="CPUs"):
        vlc.VLC([1023])
    context = vlc.VLC(environment={"GUEST": "1", "HOME": None})
    with pytest.raises(UnsupportedError, match="once in a process"):
        context.load("libmpi.so.40")
    context.close()


def test_a_pool_lends_each_context_once():
    pool = vlc.Pool(1, n_cpus=1, share=True)
    with pool.lend() as context:
        assert context is pool.contexts[0]
        with pytest.raises(TaskTimeout):
            with pool.lend(timeout=0.01):
                pass
    pool.close()


def test_bodies_of_tasks_run_in_contexts():
    pool = vlc.Pool(1, n_cpus=1, share=True)
    with Parla(devices="cpu", n_workers=2):
        tasks = [spawn(vlc=pool, cores=1)(lambda: (vlc.current() is not None, len(os.sched_getaffinity(0)))) for _ in range(8)]
        assert all(task.result() == (True, 1) for task in tasks)
        with pytest.raises(ValueError, match="have 1 CPUs"):
            spawn(vlc=pool, cores=2)(cube)
        with pytest.raises(TypeError, match="give the pool"):
            spawn(cores=1)(cube)
    pool.close()


def test_calls_and_closures(interpreters):
    offset = 40

    def add(value, *, more=0):
        def inner():
            return value + offset + more

        return inner()

    assert interpreters.call(add, 1, more=1) == 42
    assert interpreters.call(cube, 3) == 27
    assert interpreters.call(lambda: os.cpu_count()) == 1
    assert interpreters.call(lambda: sys.modules["sys"].getrefcount is not None)


def test_arrays_are_shared_and_not_copied(interpreters):
    grid = np.zeros((6, 8))
    view = grid[::2, ::-3]

    def fill(array, value):
        array += value
        return float(array.sum()), array.__array_interface__["data"][0]

    total, address = interpreters.call(fill, view, 2.0)
    assert total == view.size * 2
    assert address == view.__array_interface__["data"][0]
    assert (view == 2).all()
    assert grid.sum() == total
    frozen = np.arange(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        interpreters.call(fill, frozen, 1)
    assert interpreters.call(lambda a: a.shape, np.empty((0, 3))) == (0, 3)
    assert (interpreters.call(lambda n: np.arange(n) ** 2, 5) == np.arange(5) ** 2).all()


def test_exceptions_come_back_with_their_traceback(interpreters):
    def fail():
        raise KeyError("on purpose")

    with pytest.raises(KeyError, match="on purpose") as caught:
        interpreters.call(fail)
    assert any("in fail" in note for note in caught.value.__notes__)
    with pytest.raises(ImportError, match="once in a process"):
        interpreters.call(lambda: __import__("mpi4py"))


def test_interpreters_run_at_the_same_time(interpreters):
    """Each waits, in pure Python and with its lock held, for a flag that only the other one sets."""
    flags = np.zeros(2, dtype=np.int64)

    def meet(flags, mine):
        flags[mine] = 1
        for _ in range(10**9):
            if flags[1 - mine]:
                return True
        return False

    sys_interval = sys.getswitchinterval()
    results = [None, None]

    def run(i):
        results[i] = interpreters.call(meet, flags, i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True, True]
    assert sys.getswitchinterval() == sys_interval


def test_tasks_in_interpreters(interpreters):
    squares = np.zeros(16)
    with Parla(devices="cpu", n_workers=2):
        for i in range(16):

            @spawn(vlc=interpreters)
            def square():
                squares[i] = sum(i for _ in range(i))

    assert (squares == np.arange(16) ** 2).all()


def test_interpreters_are_kept(interpreters):
    before = vlc.limits()
    pool = vlc.PythonPool(1, n_cpus=1, share=True)
    assert pool.call(cube, 2) == 8
    pool.close()
    again = vlc.PythonPool(1, n_cpus=1, share=True)
    assert again.call(cube, 2) == 8
    again.close()
    after = vlc.limits()
    assert after["n_contexts"] + after["n_parked"] <= before["n_contexts"] + before["n_parked"] + 1


class Elsewhere:
    """An array of another library: known by DLPack alone."""

    def __init__(self, array, device=1):
        self.array, self.device = array, device

    def __dlpack__(self, **wishes):
        return self.array.__dlpack__(**wishes)

    def __dlpack_device__(self):
        return (self.device, 0)


def test_buffers_and_dlpack_are_shared(interpreters):
    import array

    def fill(view, value):
        for i in range(len(view)):
            view[i] = value + i
        return type(view).__name__, view.format

    numbers = array.array("d", [0, 0, 0, 0])
    assert interpreters.call(fill, memoryview(numbers)[::2], 5) == ("memoryview", "d")
    assert numbers.tolist() == [5, 0, 6, 0]
    raw = bytearray(3)
    assert interpreters.call(fill, memoryview(raw), 1) == ("memoryview", "B")
    assert raw == b"\1\2\3"
    with pytest.raises((TypeError, ValueError), match="read-only"):
        interpreters.call(fill, memoryview(b"abc"), 1)
    values = np.arange(5.0)
    address, total = interpreters.call(lambda a: (a.__array_interface__["data"][0], float(a.sum())), Elsewhere(values))
    assert address == values.__array_interface__["data"][0]
    assert total == 10
    with pytest.raises(TypeError, match="on a device"):
        interpreters.call(len, Elsewhere(values, device=2))


def test_openblas_in_a_context_is_held_to_its_cpus():
    """Threads that OpenBLAS makes in a body of a task are as many as the pool's cores, whatever the process has."""
    import ctypes

    with vlc.Pool(2, n_cpus=1, share=True) as pool:
        try:
            libraries = {context._address(): context.load("libopenblas.so.0") for context in pool.contexts}
        except ParlaError as error:
            if "No such file" in str(error):
                pytest.skip("OpenBLAS is not installed")
            raise

        def product(n):
            blas = libraries[vlc.current()]
            a, out = np.full((n, n), 2.0), np.zeros((n, n))
            pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, a, out)]
            one = ctypes.c_double(1)
            blas.cblas_dgemm(101, 111, 111, n, n, n, one, pointers[0], n, pointers[1], n, ctypes.c_double(0), pointers[2], n)
            return blas.openblas_get_num_threads(), float(out[0, 0])

        with Parla(devices="cpu", n_workers=2):
            tasks = [spawn(vlc=pool, cores=1, args=(n,))(product) for n in (16, 64, 128, 256)]
            assert [task.result() for task in tasks] == [(1, 4.0 * n) for n in (16, 64, 128, 256)]


MPI_PROGRAM = """
import os
import numpy as np
import parla.mpi
from mpi4py import MPI
from parla import Parla, spawn, vlc

world = MPI.COMM_WORLD
rank, other = world.rank, (world.rank + 1) % world.size

def compute(pool):
    own = os.sched_getaffinity(0)
    assert all(set(int(c) for c in context.info()["cpus"].split(",")) <= own for context in pool.contexts)
    sums, theirs, tasks = np.zeros(4), np.zeros(4), []
    for i in range(4):

        @spawn(vlc=pool)
        def body():
            sums[i] = sum(range(1000 * (i + 1))) + rank

        tasks.append(body)

    @spawn(dependencies=tasks)
    async def exchange():
        await parla.mpi.request([world.Irecv(theirs, source=other), world.Isend(sums, dest=other)])

    exchange.result()
    wanted = np.array([sum(range(1000 * (i + 1))) for i in range(4)], dtype=float)
    assert (sums == wanted + rank).all() and (theirs == wanted + other).all()
    try:
        pool.call(lambda: __import__("mpi4py"))
    except ImportError as error:
        assert "once in a process" in str(error)
    else:
        raise AssertionError("mpi4py was imported inside")
    return len(pool)

with Parla(n_workers=1, mpi=world), vlc.PythonPool(2, n_cpus=1, share=True) as pool:
    n = world.allreduce(compute(pool))
if rank == 0:
    print(n, flush=True)
"""


def test_two_ranks_with_two_interpreters_each(tmp_path):
    if importlib.util.find_spec("parla._mpi") is None or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("built without MPI, or mpi4py is not installed")
    program = tmp_path / "program.py"
    program.write_text(MPI_PROGRAM)
    run = pathlib.Path(__file__).resolve().parents[2] / "ctest" / "mpi" / "run.sh"
    done = subprocess.run([run, "2", "60", sys.executable, program], capture_output=True, text=True, check=False, env=os.environ | ROOM)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["4"]
