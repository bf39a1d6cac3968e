"""parla.mpi under a launcher: each program runs on one to four ranks."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "ctest" / "mpi" / "run.sh"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("parla._mpi") is None or importlib.util.find_spec("mpi4py") is None,
    reason="built without MPI, or mpi4py is not installed",
)

PROLOGUE = """
import os, sys
import numpy as np
import parla, parla.mpi
from mpi4py import MPI
from parla import Parla, TaskSpace, spawn
world = MPI.COMM_WORLD
rank, size = world.rank, world.size
left, right = (rank - 1) % size, (rank + 1) % size
"""


@pytest.fixture
def job(tmp_path):
    """A function that runs a program on some ranks and returns the finished process."""

    def run(n_ranks, source, **environment):
        path = tmp_path / "program.py"
        path.write_text(PROLOGUE + textwrap.dedent(source))
        return subprocess.run(
            [RUN, str(n_ranks), "50", sys.executable, "-u", path],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )

    return run


def passed(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_import_of_parla_leaves_mpi_alone():
    check = "import sys, parla; sys.exit('mpi4py' in sys.modules or 'parla._mpi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_requests(job, n_ranks):
    done = job(
        n_ranks,
        """
        for comm in (world, world.Split(rank % 2, -rank)):
            left, right = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size
            with Parla(n_workers=2, mpi=comm):

                async def upper():
                    buffer, status = np.empty(3), MPI.Status()
                    receive = comm.Irecv(buffer, source=MPI.ANY_SOURCE, tag=1)
                    send = comm.Isend(np.full(3, comm.rank + 0.5), dest=right, tag=1)
                    assert await parla.mpi.request(receive, status) is None
                    assert receive == MPI.REQUEST_NULL and status.Get_source() == left
                    assert await parla.mpi.request([send]) == [None]
                    return buffer.tolist()

                async def lower():
                    receive = comm.irecv(source=left, tag=2)
                    send = comm.isend({"rank": comm.rank}, dest=right, tag=2)
                    both = parla.mpi.request([send, receive])
                    assert await both == [None, {"rank": left}] == await both
                    return True

                async def collective():
                    # mpi4py keeps the buffers of messages, but not those of collectives.
                    own, total = np.array([comm.rank]), np.empty(1, dtype=int)
                    await parla.mpi.request(comm.Iallreduce(own, total))
                    await parla.mpi.request(comm.Ibarrier())
                    return int(total[0])

                async def persistent():
                    value, received = np.array([0.0]), np.empty(1)
                    requests = [comm.Recv_init(received, left, 3), comm.Send_init(value, right, 3)]
                    for i in range(5):
                        value[0] = i + comm.rank
                        MPI.Prequest.Startall(requests)
                        await parla.mpi.request(requests)
                        assert received[0] == i + left
                    for request in requests:
                        request.Free()
                    return True

                def blocking():
                    receive = comm.irecv(source=left, tag=4)
                    parla.mpi.wait(comm.isend("to the right", dest=right, tag=4))
                    return parla.mpi.wait(receive)

                tasks = [spawn()(body) for body in (upper, lower, collective, persistent, blocking)]
                results = [task.result() for task in tasks]
                assert results == [
                    [left + 0.5] * 3, True, sum(range(comm.size)), True, "to the right"
                ], (comm.size, results)

                # as dependencies, and from the main thread
                value = np.empty(1)
                receive = parla.mpi.request(comm.Irecv(value, source=left, tag=5))
                after = spawn(dependencies=[receive])(lambda: float(value[0]))
                parla.mpi.wait(comm.Isend(np.array([comm.rank * 2.0]), dest=right, tag=5))
                assert after.result() == left * 2.0
                assert receive.done and receive.wait() is None
                assert parla.mpi.request([]).wait() == []
                assert str(comm.size) in parla.mpi.card()
            comm.Barrier()
        print("fine", flush=True)
        """,
    )
    assert passed(done) == ["fine"]


def test_without_init_and_under_asyncio(job):
    done = job(
        2,
        """
        import asyncio
        for i in range(3):
            with Parla(n_workers=1):

                async def exchange():
                    receive = world.irecv(source=left, tag=i)
                    send = world.isend(rank, dest=right, tag=i)
                    return (await parla.mpi.request([receive, send]))[0]

                assert spawn()(exchange).result() == left
                assert asyncio.run(exchange()) == left
        try:
            parla.mpi.request([])
        except parla.StateError as error:
            print("refused:", "active runtime" in str(error))
        """,
    )
    assert passed(done) == ["refused: True"]


def test_many_messages(job):
    done = job(
        2,
        """
        N = 400
        with Parla(n_workers=2, mpi=True):
            async def receive(i):
                if i % 2:
                    return await parla.mpi.request(world.irecv(source=left, tag=i))
                value = np.empty(1, dtype=int)
                await parla.mpi.request(world.Irecv(value, source=left, tag=i))
                return int(value[0])

            receives = [spawn(args=(i,))(receive) for i in range(N)]
            sends = [world.isend(i + rank, right, i) if i % 2 else world.Isend(np.array([i + rank]), right, i)
                     for i in reversed(range(N))]
            parla.mpi.wait(sends)
            assert [task.result() for task in receives] == [i + left for i in range(N)]
        print("fine")
        """,
    )
    assert passed(done) == ["fine"]


def test_failed_request(job):
    done = job(
        2,
        """
        with Parla(n_workers=1, mpi=True):
            async def receive():
                request = parla.mpi.request(world.Irecv(np.empty(1), source=left, tag=1))
                await parla.mpi.request(world.Ibarrier())
                try:
                    await request
                except parla.TransportError as error:
                    return str(error)

            task = spawn()(receive)
            parla.mpi.wait(world.Ibarrier())
            send = world.Isend(np.zeros(100), dest=right, tag=1)
            assert "MPI_ERR_TRUNCATE" in task.result(), task.result()
        print("fine")
        """,
    )
    assert passed(done) == ["fine"]


def test_arguments(job):
    done = job(
        1,
        """
        with Parla(n_workers=1, mpi=True):
            for wrong, kind in ((3, TypeError), ([None], TypeError)):
                try:
                    parla.mpi.request(wrong)
                except kind:
                    print("refused")
            try:
                parla.mpi.request([MPI.REQUEST_NULL], [])
            except ValueError:
                print("refused")
            try:
                parla.mpi.init(MPI.COMM_SELF)
            except parla.StateError:
                print("refused")
            parla.mpi.init()
        try:
            parla.mpi.init(on_failure="ignore")
        except ValueError:
            print("refused")
        """,
    )
    assert passed(done) == ["refused"] * 5


# --- Cores ---


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_cores_are_shared_out(job, n_ranks):
    done = job(
        n_ranks,
        """
        before = os.sched_getaffinity(0)
        node = sorted(set().union(*world.allgather(before)))
        parla.mpi.init()
        for i in range(2):
            with Parla():
                n_workers = parla.runtime.current().stats()["tasks"]["n_workers"]
                total = world.allreduce(n_workers)
                assert total == max(len(node), size), (total, node)
            assert os.sched_getaffinity(0) == before
        with Parla(n_workers=3):
            assert parla.runtime.current().stats()["tasks"]["n_workers"] == 3
        os.environ["PARLA_WORKERS"] = "2"
        with Parla():
            assert parla.runtime.current().stats()["tasks"]["n_workers"] == 2
        print("fine")
        """,
    )
    assert passed(done) == ["fine"]
    assert done.stderr.count("share") <= 4  # oversubscription is told once for each runtime


# --- Failures ---

FAILURES = {
    "in the block": """
        with Parla(n_workers=1, mpi=True):
            if rank == size - 1:
                raise ValueError("the reason")
            world.recv(source=size - 1)
    """,
    "in a task": """
        with Parla(n_workers=1, mpi=True):
            async def body():
                if rank == size - 1:
                    raise ValueError("the reason")
                await parla.mpi.request(world.irecv(source=size - 1))
            spawn()(body)
    """,
    "in a task while another one waits": """
        with Parla(n_workers=1, mpi=True):
            async def waits():
                await parla.mpi.request(world.irecv(source=MPI.ANY_SOURCE))
            def fails():
                if rank == size - 1:
                    raise ValueError("the reason")
            spawn()(waits)
            spawn()(fails)
    """,
    "after init": """
        parla.mpi.init()
        if rank == size - 1:
            raise ValueError("the reason")
        world.recv(source=size - 1)
    """,
    "before a runtime": """
        if rank == size - 1:
            raise ValueError("the reason")
        world.recv(source=size - 1)
    """,
    "before the end": """
        with Parla(n_workers=1, mpi=True):
            pass
        if rank == size - 1:
            raise ValueError("the reason")
        world.recv(source=size - 1)
    """,
}


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.parametrize("n_ranks", [2, 4])
def test_one_rank_fails(job, case, n_ranks):
    done = job(n_ranks, FAILURES[case])
    assert done.returncode not in (0, 110), done.stderr  # 110: out of time
    assert "ValueError: the reason" in done.stderr and "program.py" in done.stderr, done.stderr
    assert f"rank {n_ranks - 1} of {n_ranks}" in done.stderr


def test_failure_left_to_the_program(job):
    done = job(
        2,
        """
        parla.mpi.init(on_failure="raise")
        try:
            with Parla(n_workers=1):
                if rank == 1:
                    raise ValueError("the reason")
        except ValueError:
            world.send("I am fine", dest=0)
        if rank == 0:
            print(world.recv(source=1))
        """,
    )
    assert passed(done) == ["I am fine"]


def test_requests_pending_at_the_end(job):
    done = job(
        2,
        """
        parla.mpi.init(on_failure="raise")
        async def receive():
            await parla.mpi.request(world.Irecv(np.empty(10), source=left, tag=1))
        try:
            with Parla(n_workers=1):
                task = spawn()(receive)
                while task.state != "suspended":
                    pass
                world.Barrier()  # nobody sends before that
                raise ValueError("enough")
        except ValueError:
            print(task.state in ("cancelled", "failed"))
        world.Send(np.ones(10), dest=right, tag=1)
        world.Barrier()
        """,
    )
    assert passed(done) == ["True"]
    assert "pending" in done.stderr


def test_finalize_inside_the_block(job):
    done = job(
        2,
        """
        with Parla(n_workers=1, mpi=True):
            parla.mpi.wait(world.Ibarrier())
            MPI.Finalize()
        print("fine")
        """,
    )
    assert passed(done) == ["fine"]


def test_interrupt(tmp_path):
    """SIGINT to the launcher ends all ranks."""
    path = tmp_path / "program.py"
    path.write_text(
        PROLOGUE
        + textwrap.dedent(
            """
            with Parla(n_workers=1, mpi=True):
                async def waits():
                    await parla.mpi.request(world.irecv(source=MPI.ANY_SOURCE))
                spawn()(waits)
                world.Barrier()
                print("ready", flush=True)
            """
        )
    )
    with subprocess.Popen([RUN, "2", "50", sys.executable, "-u", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(2)
        process.communicate(timeout=40)
    assert process.returncode not in (0, 110)


def test_transport_belongs_to_the_runtime(job):
    done = job(
        2,
        """
        for kind in ("mpi", None):
            parla.mpi.init(transport=kind)
            with Parla(n_workers=1):
                assert "parla_transport" in repr(parla.mpi.transport())
        try:
            parla.mpi.transport()
        except parla.StateError as error:
            print("refused:", "Parla(mpi=True)" in str(error))
        """,
        PARLA_LOG="info",
    )
    assert passed(done) == ["refused: True"]
    assert "transport mpi: asked for by the program" in done.stderr
    assert done.stderr.count("transport ") == 2


def test_malformed_transport(job):
    done = job(2, "parla.mpi.init(on_failure='abort')\nwith Parla(): pass", PARLA_TRANSPORT="pigeon")
    assert done.returncode != 0
    assert "transport 'pigeon' (asked for by PARLA_TRANSPORT): expected ucx or mpi" in done.stderr


def test_merged_trace(job, tmp_path):
    paths = [tmp_path / f"trace.{rank}.json" for rank in range(2)]
    done = job(
        2,
        f"""
        with Parla(n_workers=1, mpi=True, trace={str(tmp_path)!r} + f"/trace.{{rank}}.json"):

            @spawn()
            def early():
                parla.mpi.wait(world.Isend(np.array([rank]), dest=right, tag=1))

            @spawn(dependencies=[early])
            def late():
                received = np.empty(1, dtype=int)
                parla.mpi.wait(world.Irecv(received, source=left, tag=1))

        print("fine", flush=True)
        """,
    )
    assert passed(done) == ["fine"]
    output = tmp_path / "merged.json"
    command = [sys.executable, "-m", "parla", "trace", "merge", *map(str, paths), "-o", str(output)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "of 2 ranks" in shown
    events = json.loads(output.read_text())["traceEvents"]
    assert {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"} == {0: "rank 0", 1: "rank 1"}
    spans = {(e["pid"], e["name"]): e for e in events if e["ph"] == "X"}
    arrows = [e["id"] for e in events if e["ph"] == "s"]
    assert len(arrows) == len(set(arrows)) and {i.partition(".")[0] for i in arrows} == {"0", "1"}
    for rank in range(2):  # nothing is received before it is sent, also by the clock of the other rank
        late = spans[rank, "late"]
        assert spans[1 - rank, "early"]["ts"] < late["ts"] + late["dur"]
    wrong = subprocess.run([*command[:5], str(tmp_path / "program.py"), *command[-2:]], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1 and "is no trace" in wrong.stderr


# --- Memory ---


@pytest.mark.parametrize("transport", ["ucx", "mpi"])
def test_arrays_outlive_the_ranks(job, transport):
    """Arrays on the host lie where other ranks reach them; they stay after the runtime's end, after that of MPI, and in a forked child."""
    done = job(
        2,
        """
        import crosspy as xp
        kept = []
        for i in range(3):
            with Parla(n_workers=1, mpi=True):
                a = xp.zeros(xp.Split((4000 * size,), devices=[(k, parla.cpu) for k in range(size)]))
                a[...] = np.full((), i + 1.0)
                a[0:4] = a[4000:4004]
                xp.sync()
                data = a.local[0].data
                with data.host("r") as local:
                    kept += [(data, local)]
            del a, data, local
        with open("/proc/self/maps") as maps:
            spans = [[int(end, 16) for end in line.split()[0].split("-")] for line in maps if " rw-s " in line]
        shared = [any(low <= local.ctypes.data < high for low, high in spans) for _, local in kept]
        child = os.fork()
        if child == 0:
            kept.clear()  # the parent's memory, which it does not free
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        del kept[0]
        MPI.Finalize()
        for i, (data, local) in enumerate(kept):
            assert (local == i + 2.0).all()
            with data.host("rw") as again:
                again += 1
            assert (local == i + 3.0).all()
        print(shared)
        """,
        PARLA_TRANSPORT=transport,
    )
    assert passed(done) == [str([transport == "ucx"] * 3)]
