"""parla.multiload: modules that exist once in each context."""

import os

import numpy as np
import pytest

from parla import cpu, multiload
from parla._parla import ResourceError, StateError, UnsupportedError
from parla.environments import TaskEnvironment
from parla.multiload import CPUAffinity, MultiloadComponent, MultiloadContext, mark_module_as_global, multiload_contexts

pytestmark = pytest.mark.skipif("san.so" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers cannot follow dlmopen")


@pytest.fixture(scope="module")
def contexts():
    """The first two contexts, started."""
    first, second = multiload_contexts[0], multiload_contexts[1]
    first.set_allowed_cpus([min(os.sched_getaffinity(0))])
    first.setenv("WHERE", "first")
    try:
        for context in (first, second):
            with context:
                pass
    except ResourceError as error:
        if "GLIBC_TUNABLES" in os.environ:
            raise
        pytest.skip(str(error))
    return first, second


def test_each_context_has_its_own_module(contexts):
    with multiload.multiload():
        import random as stand_in
        from random import getrandbits
    import random

    first, second = contexts
    random.seed(1)
    drawn = []
    for context in (first, second):
        with context:
            stand_in.seed(7)
    for context in (first, second):
        with context:
            drawn.append((stand_in.random(), getrandbits(30)))
    with first:
        assert stand_in.random() != drawn[0][0]
    assert drawn[0] == drawn[1]
    assert random.random() == random.Random(1).random()
    assert stand_in.Random is random.Random
    with pytest.raises(AttributeError, match="stands for copies"):
        stand_in.seed = None


def test_numpy_in_contexts(contexts):
    with multiload.multiload():
        import numpy as xp
        import numpy.linalg as solver

    a = np.eye(3) * 2
    for context in contexts:
        with context:
            assert (xp.dot(a, a) == 4 * np.eye(3)).all()
            assert xp.add.reduce([1, 2, 3]) == 6
            assert np.allclose(solver.inv(a), np.eye(3) / 2)
            assert np.allclose(xp.linalg.inv(a), np.eye(3) / 2)
    assert xp.dot(a, a)[0, 0] == 4
    assert xp.pi == np.pi
    assert xp.float64 is np.float64


def test_a_context_has_cpus_and_an_environment(contexts):
    with multiload.multiload():
        import posix as system
    mark_module_as_global("math")
    with multiload.multiload():
        import math as same
    import math

    assert same is math
    first, second = contexts
    with first:
        assert len(os.sched_getaffinity(0)) == 1
        assert system.cpu_count() == 1
    assert first.call(os.getenv, "WHERE") == "first"
    assert second.call(os.getenv, "WHERE") is None
    second.setenv("WHERE", 2)
    assert second.call(os.getenv, "WHERE") == "2"
    second.unsetenv("WHERE")
    assert second.call(os.getenv, "WHERE") is None
    assert second.dlopen("libm.so.6").address("cos") != first.dlopen("libm.so.6").address("cos")


def test_what_cannot_be_is_told(contexts):
    with pytest.raises(StateError, match="entered already"):
        contexts[0].set_allowed_cpus([0])
    with pytest.raises(UnsupportedError, match="fake_pid"):
        contexts[0].enable_fake_pid()
    with pytest.raises(TypeError, match="expected CPUAffinity"):
        MultiloadComponent([int])
    unused = MultiloadContext()
    unused.load_stub_library("libno_such_library.so")
    with pytest.raises(OSError, match="libno_such_library.so"):
        unused.__enter__()


def test_environments_have_a_context_each(contexts, monkeypatch):
    monkeypatch.setattr(multiload, "multiload_contexts", [MultiloadContext(i) for i in range(12)])
    environments = [TaskEnvironment(placement=cpu, components=[MultiloadComponent([CPUAffinity])]) for _ in range(2)]
    instances = [environment.get_component(MultiloadComponent) for environment in environments]
    assert [instance.multiload_context.index for instance in instances] == [0, 1]
    with multiload.multiload():
        import posix as system
    with environments[0]:
        assert system.cpu_count() == 1
