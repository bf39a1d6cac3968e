"""Names and forms of the published front ends, and programs in their style with both spellings."""

import importlib
import sys

import numpy as np
import parla
import pytest
from parla import Parla, TaskSpace, Tasks, cpu, gpu, spawn

NAMES = {
    "parla": "Parla spawn TaskSpace Tasks AtomicTaskSpace specialize sleep_gil sleep_nogil parray sleep_nogil_data gpu_sleep_gil "
    "get_all_devices gpu_sleep_nogil create_env Stream GPUEnvironment parla_num_threads array devices tasks cpu gpu",
    "parla.tasks": "spawn Tasks TaskSpace AtomicTaskSpace BackendTaskSpace CompletedTaskSpace TaskID specialize get_current_context "
    "get_current_task get_current_stream get_current_devices finish wait tasks",
    "parla.devices": "cpu gpu Device Architecture DeviceManager Stream",
    "parla.array": "asarray array asarray_batch PArray clone_here copy storage_size is_array get_memory get_array_module can_assign_from "
    "asnumpy register",
    "parla.parray": "asarray array asarray_batch PArray",
    "parla.parray.core": "PArray",
    "parla.parray.from_data": "asarray array asarray_batch",
    "parla.cpu": "cpu",
    "parla.cuda": "gpu summarize_memory log_memory clean_memory get_memory_log get_gpus",
    "parla.device": "Device Architecture get_all_devices get_architecture kib Mib Gib",
    "parla.detail": "Detail",
    "parla.function_decorators": "specialize specialized",
    "parla.ldevice": "LDeviceSequenceBlocked LDeviceGridBlocked LDeviceGridRaveled PartitionedTensor",
    "parla.partitioning": "GraphPartitioner PartitioningAlgorithm GraphProperties VertexID PartitionID",
    "parla.environments": "TaskEnvironment EnvironmentComponentDescriptor EnvironmentComponentInstance",
    "parla.utils": "parse_index",
    "parla.warning": "PerformanceWarning",
    "parla.task_runtime": "get_current_devices TaskID",
    "parla.utility.graphs": "IndependentConfig SerialConfig ReductionConfig ReductionScatterConfig TaskConfig TaskConfigs read_pgraph "
    "generate_independent_graph generate_serial_graph generate_reduction_graph generate_reduction_scatter_graph parse_blog",
    "parla.utility.execute": "GraphContext run verify_order verify_dependencies verify_complete verify_time verify_ntasks verify_states "
    "timeout",
    "parla.utility.threads": "Propagate",
    "parla.utility.tracer": "NVTXTracer",
    "parla.common.array": "clone_here copy is_array get_array_module storage_size",
    "parla.common.parray": "PArray asarray array asarray_batch",
    "parla.common.parray.core": "PArray",
    "parla.common.parray.from_data": "asarray array asarray_batch",
    "parla.common.spawn": "spawn specialize",
    "parla.common.globals": "get_active_device get_default_taskspace get_scheduler get_device_manager get_stream_pool has_environment "
    "print_config DeviceType AccessMode SynchronizationType cupy CUPY_ENABLED CROSSPY_ENABLED get_current_context",
    "parla.cython.tasks": "Task TaskSpace AtomicTaskSpace AtomicTaskList TaskCollection TaskEnvironment create_env TaskCompleted TaskException",
    "parla.cython.device_manager": "cpu gpu cuda Stream PyDeviceManager",
    "parla.cython.variants": "specialize",
    "parla.cython.core": "sleep_gil sleep_nogil gpu_sleep_nogil",
}


@pytest.mark.parametrize("module", NAMES)
def test_names(module):
    found = importlib.import_module(module)
    for name in NAMES[module].split():
        assert hasattr(found, name), f"{module}.{name}"


def test_importing_a_published_module_changes_no_name_of_parla():
    from parla.cpu import cpu as from_module

    import parla.array
    import parla.cpu

    assert from_module is parla.cpu is cpu
    assert repr(parla.cpu(0)).startswith("cpu")
    with pytest.raises(AttributeError):
        parla.cpu.gpu
    with pytest.raises(AttributeError, match="nonsense"):
        parla.nonsense
    with pytest.raises(ImportError):
        importlib.import_module("parla.nonsense")


def test_import_is_cheap():
    """Importing parla loads nothing that is only needed in some programs."""
    import subprocess

    heavy = ("asyncio", "concurrent.futures", "threadpoolctl", "dis", "yaml", "mpi4py", "parla.utility", "parla.executor", "parla.common")
    heavy += ("json", "socket", "importlib.util")
    program = f"import numpy, sys; before = set(sys.modules); import parla; print([m for m in {heavy} if m in set(sys.modules) - before])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- States ---


def test_published_names_of_states(rt, gate):
    from parla.cython.tasks import TaskCompleted, TaskCreated, TaskException

    space = TaskSpace("T")
    assert space[0].state == TaskCreated
    task = spawn(space[0])(gate.wait)
    gate.set()
    task.result()
    assert isinstance(task.state, TaskCompleted)
    assert not isinstance(task.state, TaskException)
    assert task.is_completed()
    assert task.get_assigned_devices() == [cpu(0)]


# --- Programs (both spellings of the first argument) ---


@pytest.mark.parametrize("first", ["task", "taskid"])
def test_fan_out(first):
    totals = []
    with Parla(n_workers=4):

        @spawn(placement=cpu, vcus=0)
        async def main():
            T = TaskSpace("sq")
            for i in range(8):

                @spawn(**{first: T[i]}, placement=cpu, vcus=1 / 4)
                def sq():
                    return i * i

            totals.append(sum([await T[i] for i in range(8)]))

    assert totals == [140]


def test_chain_on_either_kind_of_device(sims):
    order = []

    @spawn(placement=cpu)
    async def main():
        S = TaskSpace("S")
        for k in range(6):

            @spawn(S[k], [S[k - 1]], placement=[gpu, cpu])
            def step():
                order.append(k)

        await S

    main.result()
    assert order == list(range(6))


def test_arrays_are_moved(sims):
    from parla.array import asarray

    n = 10
    A, B = asarray(np.ones(n)), asarray(np.arange(2.0 * n))
    U = TaskSpace("U")

    @spawn(U[0], inout=[(A, 0)], input=[B[0:n]], placement=gpu, memory=B.nbytes)
    def axpy():
        A.array[:] += B[0:n].array

    axpy.result()
    assert np.array_equal(A, 1 + np.arange(n))


def test_two_gpus_or_one_cpu(sims):
    V = TaskSpace("V")
    seen = []

    @spawn(V[0], placement=[(gpu, gpu), (cpu,)])
    def wide():
        for ctx in parla.get_current_context().loop():
            seen.append((ctx.device.architecture, len(parla.get_current_devices())))
            if ctx.has(gpu):
                assert ctx.gpu_id == ctx.device.id
                with ctx.cupy_stream:
                    pass

    wide.result()
    assert seen in ([(gpu, 1), (gpu, 1)], [(cpu, 1)])


def test_variants(sims):
    @parla.specialize
    def solve(m):
        return "default", m

    @solve.variant(gpu)
    def _(m):
        return "one gpu", m

    @solve.variant((gpu, gpu))
    def _(m):
        return "two gpus", m

    def where(placement):
        return spawn(placement=placement)(lambda: solve(3)).result()

    assert where(cpu) == ("default", 3)
    assert where(gpu) == ("one gpu", 3)
    assert where([(gpu, gpu)]) == ("two gpus", 3)
    assert solve(4) == ("default", 4)


def test_hand_made_movement(sims):
    from parla.array import clone_here, copy

    block, C = np.arange(6.0).reshape(2, 3), np.zeros((4, 4))

    @spawn(placement=cpu)
    def body():
        L = clone_here(block)
        assert L is not block
        copy(C[1:3, 1:3], L @ L.T)

    body.result()
    assert np.array_equal(C[1:3, 1:3], block @ block.T)


def test_blocking_barrier(rt):
    done = []
    W = parla.AtomicTaskSpace("w")
    for i in range(5):
        spawn(W[i])(lambda: done.append(i))
    W.wait()
    parla.wait(W)
    assert sorted(done) == list(range(5))


def test_crosspy_refuses_what_it_does_not_take(sims):
    """The published `distribution=` is not taken; nothing is laid out in another way in silence."""
    xp = pytest.importorskip("crosspy")

    @spawn(placement=[(gpu, gpu)])
    def body():
        return xp.array(np.arange(6.0), distribution=list(parla.get_current_context().devices), axis=0)

    with pytest.raises(TypeError, match="distribution"):
        body.result()


def test_tasks_keeps_both(rt):
    T = TaskSpace("T")
    both = Tasks(spawn(T[0])(lambda: 1), spawn(T[1])(lambda: 2))
    assert both.result() == [1, 2]
    assert both == Tasks(T[0], T[1]) != Tasks(T[0])


# --- Arguments of Parla ---


def test_arguments_without_effect_warn():
    class Scheduler:
        pass

    class Other:
        pass

    with Parla(n_workers=1, scheduler_class=Scheduler):
        pass
    with pytest.warns(parla.ParlaWarning, match="policy="), Parla(n_workers=1, scheduler_class=Other):
        pass
    with pytest.warns(parla.ParlaWarning, match="trace="), Parla(n_workers=1, logfile="parla.blog"):
        pass
    with pytest.raises(ValueError, match="SIGINT"):
        Parla(sig_type=15)


def test_arguments_of_earlier_front_ends_are_answered(rt):
    from parla.environments import TaskEnvironment

    with pytest.raises(TypeError, match="each task its placement="):
        Parla([TaskEnvironment(cpu(0))])
    with pytest.raises(TypeError, match="vcus="):
        spawn(resources=[{cpu: 1}])
    with pytest.raises(TypeError, match="placement="):
        spawn(constraints=lambda device: True)


def test_vcus_above_one(rt):
    with pytest.raises(ValueError, match="raw_vcus=True"):
        spawn(vcus=2)(lambda: None)


def test_raw_vcus():
    with Parla(n_workers=1, raw_vcus=True):
        assert spawn(vcus=2, placement=cpu)(lambda: 1).result() == 1
        assert spawn(placement=cpu[{"vcus": 500}])(lambda: 1).result() == 1
        with pytest.raises(ValueError, match="vcus"):
            spawn(vcus=1001)(lambda: None)
    with pytest.raises(ValueError, match="vcus"), Parla(n_workers=1):
        spawn(vcus=2)(lambda: None)


# --- Device files ---


def write(tmp_path, text):
    path = tmp_path / "devices.YAML"
    path.write_text(text)
    return path


def test_device_file(tmp_path):
    pytest.importorskip("yaml")
    path = write(tmp_path, "CPU:\n  num_cores: 2\n  mem_sz: 1000000\nGPU:\n  num_devices: 2\n  mem_sz: [5000000, 4000000]\n  simulated: true\n")
    with Parla(dev_config_file=path) as runtime:
        assert [device.memory_bytes for device in runtime.devices] == [1000000, 5000000, 4000000]
        assert runtime.stats()["tasks"]["n_workers"] == 2


def test_a_device_file_simulates_gpus_only_when_told(tmp_path):
    pytest.importorskip("yaml")
    path = write(tmp_path, "CPU: {num_cores: 1}\nGPU: {num_devices: 2, mem_sz: [0x100000, 0x100000]}\n")
    with Parla(dev_config_file=path, devices="sim") as runtime:
        assert len(runtime.devices) == 3
    if parla._config._count_of_real() == 0:
        with pytest.raises(parla.NoDeviceError, match="simulated: true"):
            Parla(dev_config_file=path)
    with Parla(dev_config_file=write(tmp_path, "CPU: {num_cores: 1}\n")) as runtime:
        assert len(runtime.devices) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CPU: [1]", "CPU"),
        ("CPU: {cores: 2}", "num_cores"),
        ("CPU: {num_cores: two}", "num_cores"),
        ("GPU: {num_devices: 3, mem_sz: [1]}", "3 sizes"),
        ("{", "YAML"),
        ("3", "sections"),
    ],
)
def test_bad_device_files(tmp_path, text, words):
    pytest.importorskip("yaml")
    with pytest.raises(parla.ConfigError, match=words):
        Parla(dev_config_file=write(tmp_path, text))
    with pytest.raises(parla.ConfigError, match="absent"):
        Parla(dev_config_file=tmp_path / "absent")


# --- Smaller modules ---


def test_globals(sims, capsys):
    from parla.common import globals as published

    assert published.get_scheduler() is sims
    assert not published.has_environment()
    assert spawn()(published.has_environment).result()
    assert spawn(placement=gpu(1))(published.get_active_device).result() == gpu(1)
    assert published.get_default_taskspace() is parla.tasks.default_space
    assert published.get_device_manager().get_num_devices(gpu) == 2
    assert spawn(placement=gpu)(lambda: published.get_stream_pool().get_stream(parla.get_current_devices()[0]).device).result() in gpu
    published.print_config()
    assert "PARLA_WORKERS" in capsys.readouterr().out
    published.get_device_manager().print_registered_devices()
    assert "sim" in capsys.readouterr().out


def test_cuda_module(sims):
    from parla import cuda

    assert cuda.get_gpus() == [gpu(0), gpu(1)]
    cuda.clean_memory()
    cuda.log_memory()
    assert cuda.get_memory_log() == [cuda.summarize_memory()]


def test_environments(sims):
    from parla.environments import EnvironmentComponentDescriptor, EnvironmentComponentInstance, TaskEnvironment

    entered = []

    class Instance(EnvironmentComponentInstance):
        def __enter__(self):
            entered.append(self.descriptor)
            return self

    class Descriptor(EnvironmentComponentDescriptor):
        def __call__(self, environment):
            return Instance(self)

    environment = TaskEnvironment(gpu(1), [Descriptor()], tags=["fast"])

    @spawn(placement=environment)
    def body():
        with environment:
            return parla.get_current_devices()

    assert body.result() == (gpu(1),)
    assert [type(each) for each in entered] == [Descriptor]
    assert isinstance(environment.get_component(Descriptor), Instance)


def test_sleeping_keeps_a_core_busy():
    import time

    for sleep in (parla.sleep_gil, parla.sleep_nogil, lambda us: parla.sleep_nogil_data(us, None)):
        begin = time.perf_counter()
        sleep(2000)
        assert time.perf_counter() - begin >= 2e-3
        with pytest.raises(ValueError, match="microseconds"):
            sleep(-1)
    with pytest.raises(TypeError):
        parla.sleep_gil("long")


def test_gpu_sleep_on_simulated_devices(sims):
    @spawn(placement=gpu)
    def body():
        stream = parla.get_current_stream()
        parla.gpu_sleep_nogil(stream.device, 1000, stream)
        parla.gpu_sleep_gil(stream.device, 1000, stream)

    body.result()


def test_devices_are_called_as_the_published_contexts(sims):
    @spawn(placement=[(gpu(0), gpu(1))])
    def body():
        return [device().get_global_id() for device in parla.get_current_devices()], parla.get_current_context()[1]().get_global_id()

    assert body.result() == ([1, 2], 2)
    assert parla.get_all_devices() == (cpu(0), gpu(0), gpu(1))


def test_ranges_lie_in_the_trace(tmp_path):
    from parla.utility.tracer import NVTXTracer

    NVTXTracer.initialize()
    NVTXTracer.push_range(message="outside")
    NVTXTracer.pop_range()
    with Parla(n_workers=1, trace=tmp_path / "run.json"):

        @spawn()
        def body():
            NVTXTracer.push_range(message="solving", color="green", domain="application")
            NVTXTracer.pop_range(domain="application")

    assert "solving" in (tmp_path / "run.json").read_text()


def test_parse_index():
    from parla.utils import parse_index

    found = []
    parse_index((), (1, slice(0, 4, 2), ["a", "b"]), lambda prefix, i: (*prefix, i), found.append)
    assert found == [(1, 0, "a"), (1, 0, "b"), (1, 2, "a"), (1, 2, "b")]
    with pytest.raises(ValueError, match="stop"):
        parse_index((), slice(None), lambda prefix, i: prefix)
