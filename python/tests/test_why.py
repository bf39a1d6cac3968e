"""Why a task runs where it runs, retries, what is told when nothing goes on, and what waiting costs."""

import os
import resource
import subprocess
import sys
import threading
import time

import parla
import pytest
from parla import Parla, StateError, gpu, spawn


def verdicts(why):
    return {one["device"]: one["verdict"] for one in why["candidates"]}


def test_the_decision_is_told_in_the_body(sims):
    @spawn(placement=gpu, prefer=gpu(1))
    def task():
        return parla.get_current_task().why()

    why = task.result()
    assert why["policy"] == "locality"
    assert why["choice"] == 0
    assert why["passed"] == 0
    chosen = [one for one in why["candidates"] if one["device"].startswith("gpu[1]")]
    other = [one for one in why["candidates"] if one["device"].startswith("gpu[0]")]
    assert len(chosen) == len(other) == 1
    assert chosen[0]["cost"] < other[0]["cost"]
    assert chosen[0]["verdict"] != other[0]["verdict"]
    assert chosen[0]["member"] == 0


def test_why_it_does_not_run_yet(sims, gate):
    inside = threading.Event()

    @spawn(placement=gpu(0)[{"vcus": 1}])
    def busy():
        inside.set()
        gate.wait()

    assert inside.wait(20)

    @spawn(placement=gpu(0)[{"vcus": 1}])
    def second():
        pass

    why = second.why()
    assert why["choice"] == -1
    [text] = verdicts(why).values()
    assert "share" in text
    gate.set()
    assert why["state"] in ("waiting", "ready")
    assert why["devices"] == []
    second.result()


def test_a_task_that_has_ended_tells_where_it_ran(sims):
    @spawn(placement=gpu(1))
    def task():
        pass

    @spawn
    def plain():
        pass

    task.result()
    plain.result()
    why = task.why()
    assert why["state"] == "done"
    assert why["error"] is None
    assert why["candidates"] == []
    [name] = why["devices"]
    assert name.startswith("gpu[1]")
    assert [one.startswith("cpu[0]") for one in plain.why()["devices"]] == [True]


def test_a_task_that_has_failed_tells_its_error(sims):
    @spawn(placement=gpu(0))
    def bad():
        raise ValueError("a number is wrong")

    @spawn(dependencies=[bad])
    def follows():
        pass

    follows.wait()
    why = bad.why()
    assert why["state"] == "failed"
    assert why["error"] == "ValueError: a number is wrong"
    assert [one.startswith("gpu[0]") for one in why["devices"]] == [True]
    after = follows.why()
    assert after["state"] == "cancelled"
    assert after["devices"] == []
    assert after["error"].startswith("TaskCancelled: ")
    assert "bad" in after["error"]


def test_a_task_tells_its_end_after_the_runtime_is_gone():
    with Parla(1):

        @spawn
        def task():
            return 1

    assert task.why()["state"] == "done"
    assert len(task.why()["devices"]) == 1


def test_a_plain_task_has_no_candidates(rt, gate):
    @spawn
    def waits():
        gate.wait()

    assert waits.why()["candidates"] == []
    gate.set()
    waits.result()


def test_a_name_has_nothing_to_tell(rt):
    with pytest.raises(StateError):
        parla.TaskSpace("T")[0].why()


def test_retries_until_it_succeeds(rt):
    tries = []

    @spawn(retries=3)
    def task():
        tries.append(len(tries))
        if len(tries) < 3:
            raise ValueError(len(tries))
        return "done"

    assert task.result() == "done"
    assert tries == [0, 1, 2]


def test_the_last_of_the_retries_is_raised(rt):
    tries = []

    @spawn(retries=2)
    def task():
        tries.append(len(tries))
        raise ValueError(f"try {len(tries)}")

    with pytest.raises(ValueError, match="try 3"):
        task.result()
    assert len(tries) == 3


# --- What is told -------------------------------------------------------------------------------------------------------------------


def test_a_cycle_is_refused_where_it_is_closed(rt):
    space = parla.TaskSpace("T")
    spawn(space[0], dependencies=[space[1]])(lambda: 0)
    with pytest.raises(parla.StuckError, match="T_1 waits for T_0 waits for T_1: a cycle"):
        spawn(space[1], dependencies=[space[0]])(lambda: 1)
    with pytest.raises(parla.StuckError, match="T_2 waits for T_2: a cycle"):
        spawn(space[2], dependencies=[space[2]])(lambda: 2)
    spawn(space[1])(lambda: 1)  # the name is free
    assert space[0].result() == 0


def test_what_was_never_spawned_is_told_with_its_chain():
    space = parla.TaskSpace("U")
    with pytest.raises(parla.StuckError, match=r"U_1 waits for U_0, which was never spawned"), Parla(n_workers=1):
        spawn(space[1], dependencies=[space[0]])(lambda: None)
        spawn(space[2], dependencies=[space[1]])(lambda: None)


def test_a_pending_name_cannot_be_spawned_again(rt, gate):
    space = parla.TaskSpace("V")
    spawn(space[0])(gate.wait)
    with pytest.raises(StateError, match="V_0"):
        spawn(space[0])(lambda: None)
    gate.set()


@pytest.mark.parametrize("options", [{}, {"stall": 0.05}])
def test_the_watchdog_tells_who_waits_for_whom(options, monkeypatch, capfd, gate):
    monkeypatch.setenv("PARLA_STALL_S", "1" if not options else "0")
    told = ""
    space = parla.TaskSpace("W")
    with Parla(n_workers=1, **options):
        spawn(space[0])(gate.wait)
        spawn(space[1], dependencies=[space[0]])(lambda: None)
        while "W_1 waits for W_0" not in told:  # the time limit of the test ends it
            time.sleep(0.05)
            told += capfd.readouterr().err
        gate.set()
    assert "W_0" in told


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=50, check=False
    )


def test_a_misspelt_variable_is_told():
    done = run_python("import parla\nwith parla.Parla(n_workers=1): pass", PARLA_WORKRES="4")
    assert done.returncode == 0
    assert "PARLA_WORKRES is not a variable of this library; the nearest is PARLA_WORKERS" in done.stderr


@pytest.mark.parametrize(("name", "value"), [("PARLA_WORKERS", "many"), ("PARLA_POLICY", "fastest"), ("PARLA_DEVICES", "sim:x")])
def test_a_malformed_variable_is_an_error(name, value):
    done = run_python("import parla\nwith parla.Parla(): pass", **{name: value})
    assert done.returncode != 0
    assert "ConfigError" in done.stderr
    assert value in done.stderr


# --- Idle ---------------------------------------------------------------------------------------------------------------------------


def idle_window(seconds=2.0):
    """CPU seconds and voluntary switches of this process while nothing happens: the window is that of the claim."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    time.sleep(seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, after.ru_nvcsw - before.ru_nvcsw


def test_an_idle_runtime_uses_no_core():
    with Parla(n_workers=4, devices="sim:2"):
        for _ in range(100):
            spawn(lambda: None)
            spawn(placement=gpu)(lambda: None)
        parla.runtime.current().wait()
        waiter_is_in = threading.Event()
        let_go = parla.TaskSpace("T")

        def wait():
            waiter_is_in.set()
            let_go[1].result()

        spawn(let_go[1], dependencies=[let_go[0]])(lambda: None)
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiter_is_in.wait(20)
        time.sleep(0.1)  # what was begun comes to rest; only makes the counts below smaller
        cpu, n_switches = idle_window()
        spawn(let_go[0])(lambda: None)
        thread.join()
    assert cpu < 0.02
    assert n_switches < 50
