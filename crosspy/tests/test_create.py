"""Making arrays, with the runtime and without one."""

import crosspy as xp
import numpy as np
import parla
import pytest
from crosspy_cases import DTYPES, RUNTIME, content, fuzz, layouts, same_bytes, shapes
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.timeout(300)


def value_at(*index):
    """Return values that tell all indices apart."""
    return sum((i + 1) * 10.0**k for k, i in enumerate(index)) + np.zeros(())


def expected(shape):
    return np.fromfunction(value_at, shape) if shape else np.zeros(())


@fuzz(100)
@given(st.data())
def test_fromfunction(data):
    shape = data.draw(shapes())
    layout = data.draw(layouts(shape))
    with parla.Parla(n_workers=2, devices=RUNTIME):
        x = xp.fromfunction(value_at, layout)
        assert np.array_equal(x.gather(), expected(shape))
        assert x.layout == layout
    assert np.array_equal(x.gather(), expected(shape))  # the content outlives the runtime


def test_fromfunction_runs_on_the_device_of_the_block():
    seen = {}

    def note(i, j):
        seen[int(i[0, 0]), int(j[0, 0])] = parla.get_current_devices()
        return i + j

    with parla.Parla(n_workers=2, devices=RUNTIME):
        x = xp.fromfunction(note, xp.BlockCyclic((4, 4), (2, 2), (1, 2), [("gpu", 1), ("cpu", 0)]), dtype="i2")
        assert x.gather().tolist() == np.add.outer(range(4), range(4)).tolist()
    assert seen == {(i, j): (parla.gpu(1),) if j == 0 else (parla.cpu(0),) for i in (0, 2) for j in (0, 2)}


def test_a_function_that_fails():
    def fail(i):
        raise ZeroDivisionError("no value here")

    with pytest.raises(ZeroDivisionError, match="no value here"):
        with parla.Parla(n_workers=2, devices=RUNTIME):
            xp.fromfunction(fail, xp.Split(4, [("gpu", 0)]))


def test_reading_what_a_failed_function_should_have_made():
    def fail(i):
        raise ZeroDivisionError("no value here")

    with pytest.raises((parla.ParlaError, ZeroDivisionError)) as caught:
        with parla.Parla(n_workers=2, devices=RUNTIME):
            xp.fromfunction(fail, xp.Split(4, [("gpu", 0)])).gather()
    assert "no value here" in "".join(map(str, chain_of(caught.value)))


def chain_of(error):
    """Return an exception, its notes and its causes."""
    while error is not None:
        yield error
        yield from getattr(error, "__notes__", ())
        error = error.__cause__ or error.__context__


def test_full_and_zeros():
    layout = xp.Grid((4, 3), (2, 3), [("gpu", 0), ("cpu", 0)])
    with parla.Parla(n_workers=2, devices=RUNTIME):
        assert xp.full(layout, 7).dtype == np.asarray(7).dtype
        assert xp.full(layout, 7, "f4").gather().tolist() == np.full((4, 3), 7.0).tolist()
        assert xp.full(layout, [1, 2, 3]).gather().tolist() == [[1, 2, 3]] * 4
        assert xp.zeros(layout).gather().tolist() == np.zeros((4, 3)).tolist()
        assert xp.zeros(layout, [("a", "i4"), ("b", "S2")]).gather().tolist() == [[(0, b"")] * 3] * 4
        assert xp.empty(layout, "i8").dtype == np.dtype("i8")


def test_bad_arguments():
    layout = xp.Split(4, parla.cpu)
    with pytest.raises(TypeError, match="Python objects"):
        xp.empty(layout, object)
    with pytest.raises(TypeError, match="layout: expected"):
        xp.zeros((4,))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        xp.array([1, 2, 3], layout)


# --- Without a runtime ---


@fuzz(100)
@given(st.data())
def test_host_arrays_work_without_a_runtime(data):
    shape, dtype = data.draw(shapes()), data.draw(st.sampled_from(DTYPES))
    a = content(shape, dtype)
    x = xp.array(a, data.draw(layouts(shape, hosts_only=True)))
    y = x.to(data.draw(layouts(shape, hosts_only=True)))
    assert same_bytes(y.gather(), a)
    z = xp.fromfunction(value_at, data.draw(layouts(shape, hosts_only=True)))
    assert np.array_equal(z.gather(), expected(shape))


def test_device_arrays_need_a_runtime():
    layout = xp.Split(4, [("gpu", 0)])
    for make in (
        lambda: xp.zeros(layout),
        lambda: xp.array(np.zeros(4), layout),
        lambda: xp.fromfunction(value_at, layout),
    ):
        with pytest.raises(parla.StateError, match=r"needs an active parla\.Parla\(\)"):
            make()


def test_arrays_go_from_runtime_to_runtime():
    a = np.arange(10.0)
    layout = xp.Split(10, [("gpu", 0), ("gpu", 1)])
    with parla.Parla(devices="sim:2"):
        x = xp.array(a, layout)
        x[2:4] = -1
    a[2:4] = -1
    assert np.array_equal(x.gather(), a)
    with parla.Parla(devices="sim:3"):
        y = x.to(xp.Split(10, [("gpu", 2)]))
        y[::2] = 0
    a[::2] = 0
    assert np.array_equal(y.gather(), a)
