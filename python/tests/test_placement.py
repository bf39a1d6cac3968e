"""Devices, placement, and what a body learns about where it runs."""

import pickle

import numpy as np
import parla
import pytest
from parla import Parla, array, cpu, gpu, spawn


def where(**arguments):
    return spawn(**arguments)(lambda: parla.get_current_devices()).result()


# --- Devices ---


def test_devices_before_a_runtime():
    assert repr(gpu) == "gpu"
    assert repr(gpu(3)) == "gpu[3]"
    assert gpu(3) == gpu[3] != cpu(3)
    assert len({gpu(1), gpu[1], cpu(1)}) == 2
    assert gpu(3) in gpu
    assert gpu(3) not in cpu
    assert pickle.loads(pickle.dumps((gpu, gpu(1)))) == (gpu, gpu(1))
    with pytest.raises(parla.StateError):
        len(gpu)
    with pytest.raises(parla.StateError):
        gpu(0).index
    with pytest.raises(ValueError, match="start at 0"):
        gpu(-1)


def test_devices_of_a_runtime(sims):
    assert (len(cpu), len(gpu)) == (1, 2)
    assert list(gpu) == [gpu(0), gpu(1)] == gpu[:] == gpu[[0, 1]]
    assert [device.index for device in sims.devices] == [0, 1, 2]
    assert gpu(1).index == 2
    assert gpu(1).kind == "sim"
    assert "sim" in repr(gpu(0))
    assert gpu(0).memory_bytes > 0
    assert gpu(0).query()["used_bytes"] == 0
    assert parla.devices.get_all_devices() == sims.devices


def test_a_device_that_does_not_exist(sims):
    with pytest.raises(parla.NoDeviceError, match=r"gpu\[7\].*gpu\[0\].*gpu\[1\]"):
        gpu(7)
    later = pickle.loads(pickle.dumps(gpu(1)))._architecture
    with pytest.raises(parla.NoDeviceError, match="gpu"):
        spawn(placement=parla.Device(later, 9))(lambda: None)


def test_no_gpu(rt):
    with pytest.raises(parla.NoDeviceError, match="gpu"):
        spawn(placement=gpu)(lambda: None)
    with pytest.raises(ValueError, match=r"cpu\[0\]"):
        spawn(placement=[gpu, gpu])(lambda: None)
    assert where(placement=[gpu, cpu]) == (cpu(0),)


# --- Placement ---


def test_forms(sims):
    assert where() == (cpu(0),)
    assert where(placement=cpu) == where(placement=cpu[0]) == where(placement=cpu(0)) == (cpu(0),)
    assert where(placement=gpu(1)) == where(placement=gpu[1]) == where(placement=[gpu(1)]) == (gpu(1),)
    assert where(placement=gpu)[0] in gpu
    assert where(placement=[gpu(0), gpu(1)])[0] in gpu
    assert where(placement=(gpu(1), gpu(0))) == (gpu(1), gpu(0))
    assert where(placement=(cpu, gpu(1))) == (cpu(0), gpu(1))
    assert set(where(placement=gpu * 2)) == set(where(placement=[(gpu, gpu)])) == {gpu(0), gpu(1)}
    assert set(where(placement=[gpu * 2])) == {gpu(0), gpu(1)}
    assert where(placement=gpu(1)[{"vcus": 0.5, "memory": 1000}]) == (gpu(1),)
    assert where(placement=cpu[{"memory": 1000}]) == (cpu(0),)
    assert where(placement=[(gpu(0)[{"vcus": 1}], gpu(1)[{"memory": 10}])]) == (gpu(0), gpu(1))
    assert where(placement=gpu, vcus=0.5, memory=1000.0)[0] in gpu
    assert where(vcus=0, memory=np.int64(100)) == (cpu(0),)


def test_where_an_array_or_a_task_is(sims):
    a = array.asarray(np.zeros(4))
    assert where(placement=a) == (cpu(0),)
    first = spawn(placement=gpu(1), inout=[a])(lambda: None)
    first.result()
    assert where(placement=a) == where(placement=[a]) == (gpu(1),)
    assert where(placement=first) == (gpu(1),)
    assert first.devices == (gpu(1),)


def test_a_task_that_has_not_started_is_no_placement(sims, gate):
    waiting = spawn(dependencies=[spawn()(gate.wait)])(lambda: None)
    with pytest.raises(ValueError, match="has not started"):
        spawn(placement=waiting)(lambda: None)
    gate.set()


@pytest.mark.parametrize(
    ("placement", "error", "words"),
    [
        ("cpu", TypeError, "placement"),
        ([], ValueError, "empty"),
        ((), ValueError, "at least one"),
        ((gpu(0), gpu(0)), ValueError, "twice"),
        ([3], TypeError, "placement"),
        (gpu * 3, ValueError, ""),
    ],
)
def test_bad_placements(sims, placement, error, words):
    with pytest.raises(error, match=words or None):
        spawn(placement=placement)(lambda: None)


def test_bad_needs():
    with pytest.raises(ValueError, match="share of one device"):
        gpu[{"vcus": 2}]
    with pytest.raises(ValueError, match="bytes"):
        gpu(0)[{"memory": -5}]
    with pytest.raises(ValueError, match="keys"):
        gpu[{"cores": 2}]


def test_more_memory_than_any_device_has():
    with Parla(n_workers=1, devices="sim:2,mem=1MiB"):
        with pytest.raises(parla.ResourceError, match="gpu"):
            spawn(placement=gpu, memory=2**21)(lambda: None)
        assert where(placement=gpu, memory=2**19)[0] in gpu


def test_vcus_limit_what_runs_at_once(sims, gate):
    running, most = [], []

    def body():
        running.append(1)
        most.append(len(running))
        running.pop()

    tasks = [spawn(placement=gpu(0), vcus=1)(body) for _ in range(20)]
    for task in tasks:
        task.result()
    assert max(most) == 1


def test_context_and_stream(sims):
    def body():
        context = parla.get_current_context()
        return context.devices, context.device, len(context), context.stream, repr(context), parla.get_current_stream()

    devices, device, n, stream, text, _ = spawn(placement=gpu(1))(body).result()
    assert devices == (gpu(1),)
    assert device == gpu(1)
    assert n == 1
    assert stream.device == gpu(1)
    assert "sim" in text
    assert spawn()(body).result()[3] is None
    with pytest.raises(parla.StateError, match="no task"):
        parla.get_current_devices()


def test_a_context_is_a_placement(sims):
    """A task where the one that spawns it is."""
    one = spawn(placement=gpu(1))(lambda: spawn(placement=parla.get_current_context())(parla.get_current_devices)).result()
    assert one.result() == (gpu(1),)
    both = spawn(placement=gpu * 2)(lambda: spawn(placement=[parla.get_current_context()])(parla.get_current_devices)).result()
    assert set(both.result()) == {gpu(0), gpu(1)}


def test_an_async_body_stays_on_its_device(sims):
    @spawn(placement=gpu(1))
    async def body():
        before = parla.get_current_devices()
        await spawn(placement=gpu(0))(lambda: None)
        return before, parla.get_current_devices()

    assert body.result() == ((gpu(1),), (gpu(1),))


def test_repr_says_where(sims):
    task = spawn(placement=gpu(0), name="t")(lambda: None)
    task.result()
    assert repr(task).startswith("<Task 't' done on gpu[0]")


def test_stats_count_tasks_of_each_device(sims):
    for i in range(4):
        spawn(placement=gpu(i % 2))(lambda: None)
    sims.wait()
    devices = sims.stats()["devices"]
    assert [counters["n_tasks"] for name, counters in devices.items() if name.startswith("gpu")] == [2, 2]
