"""PArray: arrays that move to the tasks that use them, on simulated devices."""

import copy as copying
import gc
import operator
import pickle
import weakref

import numpy as np
import parla
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parla import Parla, PArray, array, clone_here, copy, cpu, get_array_module, gpu, spawn

# --- Handles ---


def test_attributes():
    a = array.asarray(np.arange(12, dtype=np.int16).reshape(3, 4), name="A")
    assert isinstance(a, PArray)
    assert (a.shape, a.ndim, a.size, a.nbytes, a.dtype, a.name, len(a)) == ((3, 4), 2, 12, 24, np.int16, "A", 3)
    assert "A" in repr(a)
    assert array.is_array(a)
    assert array.is_array(np.zeros(1))
    assert not array.is_array([1])
    assert get_array_module(a) is np


def test_asarray_shares_memory_and_identity():
    local = np.arange(6.0)
    a = array.asarray(local)
    assert array.asarray(local) is a
    assert array.asarray(a) is a
    a.array[0] = 7
    assert local[0] == 7
    assert array.array(local)._data is not a._data
    disjoint = array.asarray(np.arange(6.0).reshape(2, 3))
    assert disjoint is not a


def test_overlapping_views_of_one_array_are_refused():
    local = np.arange(10.0)
    first = array.asarray(local[:5])
    assert array.asarray(local[:5]) is first
    array.asarray(local[5:])
    with pytest.raises(ValueError, match="overlaps"):
        array.asarray(local[4:6])
    del first


def test_conversions():
    assert array.asarray([1, 2, 3]).array.tolist() == [1, 2, 3]
    assert array.asarray(np.arange(3), dtype=float).dtype == float
    frozen = np.arange(3)
    frozen.flags.writeable = False
    array.asarray(frozen).array[0] = 5
    assert frozen[0] == 0
    assert array.asarray(np.broadcast_to(np.arange(3), (2, 3))).array.tolist() == [[0, 1, 2]] * 2
    with pytest.raises(TypeError, match="Python objects"):
        array.asarray(np.array([object()]))
    nested = array.asarray_batch({"a": [np.zeros(2), (np.ones(1),)], "b": 3})
    assert isinstance(nested["a"][1][0], PArray)
    assert nested["b"] == 3


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), 5, (2, 3, 4), (1,) * 8])
def test_shapes(shape):
    a = array.empty(shape)
    a.update(1.0)
    assert a.array.shape == (shape if isinstance(shape, tuple) else (shape,))
    assert np.all(a.array == 1)


def test_empty_has_no_content(sims):
    a = array.empty((2, 2), np.int32, name="E")
    with pytest.raises(parla.StateError):
        a.array
    spawn(placement=gpu(0), output=[a])(lambda: a.update(3)).result()
    assert a.array.tolist() == [[3, 3], [3, 3]]


@pytest.mark.parametrize("shape", [(-1,), (1,) * 9])
def test_bad_shapes(shape):
    with pytest.raises(ValueError):
        array.empty(shape)


@pytest.mark.parametrize("dtype", ["f4", "c16", "M8[s]", "S5", "U3", [("x", "i4"), ("y", "f8")]])
def test_dtypes_travel(sims, dtype):
    local = np.zeros(4, dtype)
    a = array.asarray(local)

    def body():
        assert a.array.dtype == local.dtype
        a.array[1] = a.array[0]

    spawn(placement=gpu(0), inout=[a])(body).result()
    assert np.array_equal(a.array, np.zeros(4, dtype))


@pytest.mark.parametrize("make", [lambda a: a[::-1], lambda a: a[:, ::2], lambda a: a.T, lambda a: np.asfortranarray(a)])
def test_any_strides(sims, make):
    local = make(np.arange(24.0).reshape(4, 6))
    expected = local + 1
    a = array.asarray(local)
    spawn(placement=gpu(1), inout=[a])(lambda: a.array.__iadd__(1)).result()
    assert np.array_equal(a.array, expected)
    assert np.array_equal(local, expected)


# --- Movement and order ---


def test_in_out_inout(sims):
    a, b = array.asarray(np.arange(5.0)), array.empty(5)
    spawn(placement=gpu(0), inout=[a])(lambda: a.array.__imul__(2))
    spawn(placement=gpu(1), input=[a], output=[b])(lambda: b.update(a.array + 1))
    spawn(input=[b], inout=[a])(lambda: a.update(a.array + b.array))
    assert a.array.tolist() == [1, 5, 9, 13, 17]
    assert b.array.tolist() == [1, 3, 5, 7, 9]
    assert sum(link["n_bytes"] for link in sims.stats()["links"].values()) >= 3 * 40


def test_inputs_are_read_only(sims):
    a = array.asarray(np.arange(3.0))

    def body():
        a.array[0] = 5

    with pytest.raises(ValueError, match="read-only"):
        spawn(placement=gpu(0), input=[a])(body).result()


def test_an_array_that_the_task_did_not_name(sims):
    a = array.asarray(np.arange(3.0), name="forgotten")
    with pytest.raises(parla.StateError, match="forgotten.*input="):
        spawn(name="t")(lambda: a.array).result()


def test_plain_numpy_arrays_are_taken(sims):
    local = np.arange(4.0)
    a = array.asarray(local)
    spawn(placement=gpu(0), inout=[a])(lambda: a.array.__iadd__(1))
    spawn(inout=local)(lambda: local.__imul__(2))
    assert a.array.tolist() == [2, 4, 6, 8]
    assert local.tolist() == [2, 4, 6, 8]


def test_arrays_over_numpy_memory_are_written_back_at_the_end():
    local = np.zeros(4)
    with Parla(n_workers=1, devices="sim:1"):
        a = array.asarray(local)
        spawn(placement=gpu(0), inout=[a])(lambda: a.update(7))
    assert local.tolist() == [7] * 4


def test_a_read_only_array_cannot_be_written(sims):
    frozen = np.arange(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        spawn(inout=[frozen])(lambda: None)


def test_arrays_outlive_runtimes():
    a = array.asarray(np.zeros(3))
    for _ in range(3):
        with Parla(n_workers=1, devices="sim:2"):
            spawn(placement=gpu(1), inout=[a])(lambda: a.array.__iadd__(1))
        assert a.array.tolist() == a.array.tolist()
    assert a.array.tolist() == [3, 3, 3]


def test_members_of_a_gang(sims):
    a, b = array.asarray(np.ones(3)), array.asarray(np.ones(3))

    def body():
        a.array[...] = 2
        b.array[...] = 3

    spawn(placement=[(gpu(0), gpu(1))], inout=[(a, 0), (b, 1)])(body).result()
    assert a.devices == (gpu(0),)
    assert b.devices == (gpu(1),)
    assert (a.array[0], b.array[0]) == (2, 3)


def test_the_same_array_twice(sims):
    a = array.asarray(np.arange(6.0))

    def body():
        a[0:3] = a[3:6]

    spawn(placement=gpu(0), input=[a[3:6]], output=[a[0:3]])(body).result()
    assert a.array.tolist() == [3, 4, 5, 3, 4, 5]


def test_a_local_array_of_a_device_must_not_leave_the_task(sims):
    a = array.asarray(np.ones(3))
    kept = []
    returned = spawn(placement=gpu(0), input=[a])(lambda: {"a": (a.array, [a.array[1:]])}).result()
    assert returned["a"][1][0].tolist() == [1, 1]
    assert returned["a"][0].base is None
    with pytest.raises(parla.StateError, match="copy"):
        spawn(placement=gpu(0), input=[a])(lambda: kept.append(a.array[1:])).result()
    assert spawn(placement=gpu(0), input=[a])(lambda: a.array.copy()).result().tolist() == [1, 1, 1]
    assert spawn(placement=cpu, input=[a])(lambda: a.array).result().tolist() == [1, 1, 1]

    @spawn(placement=gpu(0), input=[a])
    def cycle():
        local = a.array
        holder = [local]
        holder.append(holder)

    cycle.result()

    @spawn(placement=gpu(0), inout=[a])
    async def across_an_await():
        local = a.array
        with pytest.raises(parla.StateError, match="await"):
            await spawn()(lambda: None)
        del local
        await spawn()(lambda: None)
        a.array[0] = 7
        return a.array.copy()

    assert across_an_await.result().tolist() == [7, 1, 1]


# --- Views ---


def test_views_outside(sims):
    local = np.arange(24.0).reshape(4, 6)
    a = array.asarray(local)
    for key in (1, (1, 2), slice(1, 3), (slice(None), 2), (..., 0), (slice(None, None, 2), slice(5, 1, -2)), slice(3, 0, -1)):
        assert a[key].shape == local[key].shape
        assert np.array_equal(np.asarray(a[key]), local[key])
    view = a[1:][::2][0][2:5]
    assert np.array_equal(np.asarray(view), local[1:][::2][0][2:5])
    assert isinstance(view, PArray)


@pytest.mark.parametrize(
    "key",
    [[0, 1], np.array([True, False] * 2), None, ([0, 1], [2, 3]), (slice(None), [1, 1]), np.array(2), (0, None), np.ones((4, 6), bool), ()],
)
def test_every_index_of_numpy(rt, key):
    plain = np.arange(24.0).reshape(4, 6)
    a = array.asarray(plain.copy())
    assert np.array_equal(a[key], plain[key])
    assert np.array_equal(spawn(input=[a])(lambda: np.array(a[key])).result(), plain[key])
    a[key] = 7
    plain[key] = 7
    assert np.array_equal(a, plain)


@pytest.mark.parametrize("key", ["x", 1.5, (0, 0, 0), (..., ...), 9])
def test_bad_views(key):
    a = array.asarray(np.zeros((4, 6)))
    with pytest.raises((TypeError, IndexError)):
        a[key]


def test_views_in_tasks(sims):
    a = array.asarray(np.arange(10.0))
    halves = [a[:5], a[5:]]
    for i, half in enumerate(halves):

        @spawn(placement=gpu(i), inout=[half])
        def body():
            half.array[...] *= i + 2
            assert half.array.shape == (5,)
            assert isinstance(half[1:3], np.ndarray)
            assert type(half[1:3] + 1) is np.ndarray

    assert a.array.tolist() == [0, 2, 4, 6, 8, 15, 18, 21, 24, 27]


def test_assignment_outside(sims):
    a = array.asarray(np.zeros(6))
    spawn(placement=gpu(0), inout=[a])(lambda: a.update(1))
    a[1:3] = 5
    a[4:].update([8, 9])
    assert a.array.tolist() == [1, 5, 5, 1, 8, 9]


# --- The host's side ---


def test_host_modes(sims):
    a = array.asarray(np.arange(3.0))
    with a.host() as local:
        assert local.tolist() == [0, 1, 2]
        with pytest.raises(ValueError, match="read-only"):
            local[0] = 1
    with a.host("w") as local:
        local[...] = 4
    with a.host("rw") as local:
        local += 1
    assert a.array.tolist() == [5, 5, 5]
    with pytest.raises(ValueError, match="mode"), a.host("x"):
        pass


def test_tasks_wait_for_the_host(sims):
    a = array.asarray(np.zeros(3))
    with a.host("rw") as local:
        task = spawn(placement=gpu(0), inout=[a])(lambda: a.array.__iadd__(1))
        local[...] = 10
        assert not task.done()
    task.result()
    assert a.array.tolist() == [11, 11, 11]


def test_host_in_a_task_is_an_error(sims):
    a = array.asarray(np.zeros(3))

    def body():
        with a.host():
            pass

    with pytest.raises(parla.StateError):
        spawn(input=[a])(body).result()


def test_where_it_is(sims):
    a = array.asarray(np.zeros(3))
    spawn(placement=gpu(1), inout=[a])(lambda: None).result()
    assert a.devices == (gpu(1),)
    a.evict()
    assert a.devices == (cpu(0),)


def test_print_overview(sims, capsys):
    array.asarray(np.zeros(3), name="shown").print_overview()
    assert "shown" in capsys.readouterr().out


# --- NumPy ---


def test_operators(sims):
    a = array.asarray(np.arange(4.0))

    def body():
        assert type(a + 1) is np.ndarray
        results = [a + 1, 1 - a, a**2, 2 * a, a @ a, -a, abs(a), np.sqrt(a), a > 1, divmod(a, 2)[0], np.add.reduce(a), a.sum(), a.T]
        a_before = a
        inside = a
        inside += 10
        assert inside is a_before
        return results

    local = np.arange(4.0)
    results = spawn(placement=gpu(0), inout=[a])(body).result()
    expected = [local + 1, 1 - local, local**2, 2 * local, local @ local, -local, abs(local), np.sqrt(local), local > 1, local // 2]
    expected += [local.sum(), local.sum(), local.T]
    for result, wanted in zip(results[:-1], expected):
        assert np.array_equal(result, wanted)
    assert (a - 10).tolist() == local.tolist()
    assert np.array_equal(np.asarray(a, dtype=int), [10, 11, 12, 13])
    with pytest.raises(AttributeError):
        a.nonsense


def test_an_element_is_a_number(sims):
    a, n = array.asarray(np.array([1.5, 2.5])), array.asarray(np.array([3, 4]))
    assert (float(a[1]), int(a[1]), complex(a[0])) == (2.5, 2, 1.5 + 0j)
    assert list(range(9))[n[0]] == 3
    assert f"{a[1]:.3f}" == "2.500"
    assert 2.5 in a
    assert 7 not in a
    with pytest.raises(TypeError, match=r"shape \(2,\)"):
        float(a)
    with pytest.raises(TypeError, match="integer"):
        operator.index(a[0])
    assert spawn(placement=gpu, input=[a])(lambda: (float(a[1]), 1.5 in a)).result() == (2.5, True)


@pytest.mark.parametrize("duplicate", [copying.copy, copying.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_duplicates(sims, duplicate):
    a = array.array(np.arange(4.0), name="mine")
    spawn(placement=gpu, inout=[a])(lambda: a.array.__iadd__(1))
    b = duplicate(a)
    assert b.name == "mine"
    b[0] = 9
    assert np.array_equal(b, [9, 2, 3, 4])
    assert np.array_equal(a, [1, 2, 3, 4])
    inside = spawn(placement=gpu, inout=[a])(lambda: (duplicate(a), a.array.__imul__(2))[0]).result()
    assert np.array_equal(inside, [1, 2, 3, 4])


def test_clone_here(sims):
    local = np.arange(4.0)
    a = array.asarray(np.arange(4.0) + 1)

    def body():
        one, two = clone_here(local[1:3]), clone_here(a)
        one += 5
        two += 5
        return one, two, a.array.copy()

    one, two, unchanged = spawn(placement=gpu(1), input=[a])(body).result()
    assert local.tolist() == [0, 1, 2, 3]
    assert one.tolist() == [6, 7]
    assert two.tolist() == [6, 7, 8, 9]
    assert unchanged.tolist() == [1, 2, 3, 4]


def test_copy(sims):
    a, b = array.asarray(np.arange(6.0)), array.asarray(np.zeros(6))
    spawn(placement=gpu(0), inout=[a])(lambda: a.array.__iadd__(1))
    copy(b, a)
    copy(b[0:2], a[4:6])
    assert b.array.tolist() == [5, 6, 3, 4, 5, 6]
    copy(a, 3)
    plain = np.zeros(6)
    copy(plain, a)
    assert plain.tolist() == [3] * 6
    spawn(placement=gpu(1), output=[b], input=[a])(lambda: copy(b, a)).result()
    assert b.array.tolist() == [3] * 6


# --- Life ---


def test_memory_is_let_go():
    local = np.zeros(1000)
    reference = weakref.ref(local)
    with Parla(n_workers=1, devices="sim:1"):
        a = array.asarray(local)
        spawn(placement=gpu(0), inout=[a])(lambda: a.update(1)).result()
    del local, a
    gc.collect()
    assert reference() is None
    assert not parla._memories._by_memory


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_random_programs_against_serial(data):
    """Tasks read and change random slices of a few arrays on random devices; the result is that of a serial run."""
    n_arrays, length = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 12))
    expected = [np.arange(length, dtype=np.int64) + 100 * k for k in range(n_arrays)]
    arrays = [array.array(local) for local in expected]

    def draw_slice():
        start = data.draw(st.integers(0, length))
        return slice(start, data.draw(st.integers(start, length)), data.draw(st.integers(1, 3)))

    steps = []
    for _ in range(data.draw(st.integers(1, 15))):
        source, target = data.draw(st.integers(0, n_arrays - 1)), data.draw(st.integers(0, n_arrays - 1))
        steps.append((data.draw(st.integers(-1, 1)), source, draw_slice(), target, draw_slice()))

    with Parla(n_workers=2, devices="sim:2"):
        for device, source, read, target, write in steps:

            @spawn(placement=cpu if device < 0 else gpu(device), input=[arrays[source][read]], inout=[arrays[target][write]])
            def body():
                total = int(arrays[source][read].sum())
                arrays[target][write] += total % 1000 + 1

            total = int(expected[source][read].sum())
            expected[target][write] += total % 1000 + 1
    for got, wanted in zip(arrays, expected):
        assert np.array_equal(got.array, wanted)


@pytest.mark.parametrize("argument", ["input", "output", "inout"])
@pytest.mark.parametrize("placement", [gpu(1), [cpu, gpu], (gpu, gpu)])
def test_plain_arrays_stay_on_the_host(sims, argument, placement):
    """A body would use the host's array while a device copy of it is moved about."""
    plain = np.zeros(3)
    with pytest.raises(TypeError, match=rf"{argument}: a plain NumPy array stays in host memory.*parla\.array\.asarray"):
        spawn(placement=placement, **{argument: [plain]})(lambda: None)
    spawn(placement=cpu, inout=[plain])(lambda: plain.fill(5)).result()
    assert plain.tolist() == [5, 5, 5]
