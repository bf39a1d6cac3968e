"""Parla: start, stop, options, and what it leaves behind."""

import ctypes
import json
import os
import subprocess
import sys
import threading

import numpy as np
import parla
import pytest
import threadpoolctl
from parla import Parla, spawn


def blas_threads():
    return {info["filepath"]: info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"}


def test_many_times():
    for turn in range(200):
        with Parla(n_workers=2):
            assert spawn(args=(turn,))(lambda n: n).result() == turn


def test_threads_are_gone():
    before = len(os.listdir("/proc/self/task"))
    for _ in range(20):
        with Parla(n_workers=3):
            spawn()(lambda: None)
    assert len(os.listdir("/proc/self/task")) <= before + 1


def test_the_lock_is_found_by_who_started_the_runtime():
    """Extensions ask PyGILState_Ensure for the lock that their thread has; one that is not found any more is waited for without end."""
    for devices in ("cpu", "sim:1"):
        with parla.Parla(devices=devices, n_workers=2):
            parla.spawn(placement=[parla.gpu, parla.cpu])(lambda: None).result()
        assert ctypes.pythonapi.PyGILState_Check() == 1


def test_reusable_object():
    runtime = Parla(n_workers=1)
    for turn in range(3):
        with runtime as same:
            assert same is runtime
            assert parla.runtime.current() is runtime
            assert spawn(args=(turn,))(lambda n: n).result() == turn
    assert repr(runtime) == "<Parla, not active>"


def test_one_at_a_time(rt):
    with pytest.raises(parla.StateError, match="active"), Parla():
        pass
    with pytest.raises(parla.StateError, match="active"), rt:
        pass
    assert spawn()(lambda: 1).result() == 1


def test_not_active():
    with pytest.raises(parla.StateError, match="not active"):
        Parla().stats()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n_workers": 0}, ValueError, "n_workers"),
        ({"n_workers": "two"}, ValueError, "n_workers"),
        ({"environments": []}, TypeError, "placement="),
        ({"nonsense": 1}, TypeError, "nonsense"),
        ({"devices": "warp:3"}, ValueError, "warp"),
        ({"policy": "best"}, ValueError, "best"),
        ({"bind": "cores"}, ValueError, "bind='cores': expected auto, core or none"),
        ({"bind": 1}, TypeError, "str"),
        ({"window": -1}, ValueError, r"window=\): expected a number of tasks, 0 for no bound"),
        ({"window": 2**63}, ValueError, "window="),
        ({"window": 1.5}, ValueError, "window="),
        ({"window": True}, ValueError, "window="),
        ({"stall": -1}, ValueError, r"stall=\): expected seconds"),
        ({"stall": float("nan")}, ValueError, "stall="),
        ({"stall": "soon"}, ValueError, "stall="),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error, match=words), Parla(**options):
        pass


def test_switch_interval_is_restored():
    before = sys.getswitchinterval()
    with Parla(n_workers=1):
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_blas_runs_on_one_thread_and_is_restored():
    np.ones((4, 4)) @ np.ones((4, 4))
    before = blas_threads()
    with Parla(n_workers=1):
        assert set(spawn()(blas_threads).result().values()) <= {1}
    assert blas_threads() == before
    with Parla(n_workers=1, blas_threads=None):
        assert blas_threads() == before


LATE_IMPORT = """
import parla, threadpoolctl
def count():
    return [i["num_threads"] for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"]
with parla.Parla(n_workers=1):
    n = len(count())
    import scipy.linalg
    found = parla.spawn()(count).result()
    assert len(found) >= n and set(found) == {1}, found
"""


def test_libraries_that_are_loaded_later_are_held_too():
    pytest.importorskip("scipy")
    subprocess.run([sys.executable, "-c", LATE_IMPORT], check=True, timeout=60)


def test_wait_and_cancel_all(rt, gate):
    first = spawn()(gate.wait)
    while first.state != "running":
        pass
    rest = [spawn(dependencies=[first])(lambda: None) for _ in range(5)]
    with pytest.raises(parla.TaskTimeout):
        rt.wait(0.01)
    assert rt.cancel_all() == 5
    gate.set()
    rt.wait()
    assert {task.state for task in rest} == {"cancelled"}


def test_stats(rt):
    for _ in range(10):
        spawn()(lambda: None)
    rt.wait()
    stats = rt.stats()
    assert stats["tasks"]["n_spawned"] == stats["tasks"]["n_ended"] == 10
    assert stats["tasks"]["n_workers"] == 2
    assert "cpu[0]" in stats["devices"]


def test_trace(tmp_path):
    path = tmp_path / "trace.json"
    with Parla(n_workers=2, trace=path) as runtime:
        with runtime.phase("first phase"):
            first = spawn(name="the first")(lambda: None)
            spawn(name="the second", dependencies=[first])(lambda: None).result()
    text = path.read_text()
    json.loads(text)
    assert "the first" in text
    assert "the second" in text
    assert "first phase" in text


def test_spawn_from_other_threads(rt):
    results = []

    def spawn_some(k):
        results.extend(spawn(args=(k, i))(lambda k, i: 100 * k + i).result() for i in range(20))

    threads = [threading.Thread(target=spawn_some, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(100 * k + i for k in range(4) for i in range(20))


def test_a_task_outlives_its_runtime():
    with Parla(n_workers=1):
        done = spawn()(lambda: [1, 2])
        named = parla.TaskSpace("T")[0]
    assert done.result() == [1, 2]
    assert done.devices[0].number == 0
    assert "done" in repr(done)
    with pytest.raises(parla.StateError):
        named.result()


def test_a_thread_that_waits_for_a_name_is_told_at_the_end():
    for _ in range(10):
        told, begins = [], threading.Event()
        name = parla.TaskSpace("T")[0]

        def wait(name=name, told=told, begins=begins):
            begins.set()
            try:
                name.result()
            except parla.ParlaError as error:
                told.append(error)

        with Parla(n_workers=1):
            thread = threading.Thread(target=wait)
            thread.start()
            assert begins.wait(20)
        thread.join()
        assert len(told) == 1


@pytest.mark.parametrize("is_awaited", [False, True])
def test_bodies_that_wait_for_each_other_are_told_at_the_end(is_awaited):
    for _ in range(10):
        space = parla.TaskSpace("T")
        with pytest.raises(parla.StuckError, match="T_"), Parla(n_workers=2):
            spawn(space[0])(lambda space=space: space[1].result())
            spawn(space[1])(lambda space=space: space[0].result())
            if is_awaited:
                space[0].result()


def test_a_block_that_is_never_left():
    source = "import parla; p = parla.Parla(n_workers=2); p.__enter__(); parla.spawn()(lambda: None); print('end')"
    done = subprocess.run([sys.executable, "-c", source], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "end\n"


def test_use_in_a_forked_child_is_an_error(rt):
    spawn()(lambda: None).result()
    child = os.fork()
    if child == 0:
        try:
            spawn()(lambda: None)
        except parla.ForkedError:
            os._exit(0)
        except BaseException:
            os._exit(1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_importing_starts_nothing():
    source = "import os, parla; print(len(os.listdir('/proc/self/task')), 'asyncio' in __import__('sys').modules)"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", source], check=True, timeout=60, capture_output=True, text=True, env=environment)
    assert done.stdout == "1 False\n"


def test_an_exit_without_leaving_the_block_tells_failures():
    program = (
        "import parla\n"
        "runtime = parla.Parla(n_workers=1)\n"
        "runtime.__enter__()\n"
        "parla.spawn(name='divider')(lambda: 1 / 0).wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "divider" in done.stderr
