"""PArrays where NumPy arrays are: operators, ufuncs, functions, protocols; arrays of other libraries; published helpers."""

import array as standard_array
import operator

import numpy as np
import parla
import pytest
from parla import array, cpu, gpu, spawn

BINARY = "add sub mul truediv floordiv mod pow lt le eq ne gt ge".split()
ON_INTEGERS = "and_ or_ xor lshift rshift".split()


@pytest.fixture
def a():
    return array.asarray(np.arange(1.0, 7.0).reshape(2, 3))


@pytest.mark.parametrize("name", BINARY)
def test_operators(a, name):
    function, plain = getattr(operator, name), np.arange(1.0, 7.0).reshape(2, 3)
    for other in (2.0, plain[0]):
        assert np.array_equal(function(a, other), function(plain, other))
        assert np.array_equal(function(other, a), function(other, plain))
    assert np.array_equal(function(a, a), function(plain, plain))


@pytest.mark.parametrize("name", ON_INTEGERS)
def test_operators_on_integers(name):
    plain = np.arange(1, 5)
    function, a = getattr(operator, name), array.asarray(plain.copy())
    assert np.array_equal(function(a, 2), function(plain, 2))
    assert np.array_equal(function(2, a), function(2, plain))


def test_other_operators(a):
    plain = np.asarray(a)
    assert np.array_equal(-a, -plain)
    assert np.array_equal(+a, plain)
    assert np.array_equal(abs(-1 * a), plain)
    assert np.array_equal(a @ a.T, plain @ plain.T)
    assert np.array_equal(plain.T @ a, plain.T @ plain)
    assert np.array_equal(divmod(a, 2), divmod(plain, 2))
    assert np.array_equal(divmod(7, a), divmod(7, plain))
    assert np.array_equal(~array.asarray(np.array([1, 2])), ~np.array([1, 2]))
    assert bool(array.asarray(np.array([1])))
    assert len({a, a}) == 1


@pytest.mark.parametrize("name", "iadd isub imul itruediv ifloordiv ipow imod".split())
def test_in_place(sims, name):
    plain = np.arange(1.0, 7.0)
    a, function = array.asarray(plain.copy()), getattr(operator, name)
    same = function(a, 2.0)
    assert same is a
    assert np.array_equal(a, function(plain.copy(), 2.0))
    spawn(placement=gpu(0), inout=[a])(lambda: function(a, 3.0))
    assert np.array_equal(a, function(function(plain.copy(), 2.0), 3.0))


def test_ufuncs(a):
    plain = np.asarray(a)
    out = array.asarray(np.zeros((2, 3)))
    assert np.sqrt(a, out=out) is out
    assert np.array_equal(out, np.sqrt(plain))
    assert np.add.reduce(a) == pytest.approx(np.add.reduce(plain))
    assert np.array_equal(np.add(a, 1, where=a > 2, out=np.zeros((2, 3))), np.add(plain, 1, where=plain > 2, out=np.zeros((2, 3))))
    assert np.array_equal(np.frexp(a)[1], np.frexp(plain)[1])


@pytest.mark.parametrize(
    "function",
    [
        np.sum,
        np.mean,
        np.sort,
        lambda x: np.concatenate([x, x]),
        lambda x: np.where(x > 2, x, 0),
        lambda x: np.stack((x, x), axis=1),
        lambda x: np.linalg.norm(x),
        lambda x: np.dot(x, x.T),
        lambda x: np.allclose(x, x),
        lambda x: np.einsum("ij,kj->ik", x, x),
        lambda x: np.einsum("ij->j", x),
        lambda x: np.clip(x, 2, 4),
        lambda x: np.sum(x, axis=0, out=np.zeros(3)),
        lambda x: np.zeros_like(x),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: x.reshape(3, 2).sum(axis=1),
        lambda x: x.T.copy(),
        lambda x: x.astype("f4"),
    ],
)
def test_functions(sims, a, function):
    plain = np.asarray(a)
    expected = function(plain)
    assert np.array_equal(function(a), expected)
    assert np.array_equal(spawn(placement=gpu(0), input=[a])(lambda: function(a)).result(), expected)


def test_functions_that_write(sims):
    a = array.asarray(np.zeros(4))
    np.copyto(a, [1, 2, 3, 4])
    np.put(a, [0], 9)
    np.putmask(a, a < 3, -1)
    assert a.array.tolist() == [9, -1, 3, 4]
    spawn(placement=gpu(0), inout=[a])(lambda: np.copyto(a, 7))
    assert a.array.tolist() == [7] * 4
    out = array.asarray(np.zeros(()))
    assert np.sum(a, out=out) is out
    assert float(out.array) == 28


def test_dlpack(sims, a):
    assert np.from_dlpack(a).tolist() == np.asarray(a).tolist()
    assert a.__dlpack_device__()[0] == 1
    spawn(placement=gpu(0), inout=[a])(lambda: np.multiply(np.from_dlpack(a), 2, out=np.from_dlpack(a)) is None).result()
    assert a.array[0, 0] == 2
    assert not hasattr(a, "__cuda_array_interface__")


def test_parts_in_tasks(rt, a):
    @spawn(input=[a])
    def body():
        part = a[0, 0:2]
        assert isinstance(part, np.ndarray)
        assert type(part.array) is type(part + 1) is np.ndarray
        assert np.shares_memory(part.array, a.array)
        assert isinstance(part.sum(), float)

    body.result()


# --- Published methods ---


def test_copies_on_devices(sims, a):
    spawn(placement=gpu(1), input=[a])(lambda: None).result()
    assert a.exists_on_device(gpu(1))
    assert a.exists_on_device(2)
    assert not a.exists_on_device(gpu(0))
    assert (a.nbytes_at(2), a.nbytes_at(1)) == (48, 0)
    a.evict(2)
    assert not a.exists_on_device(2)
    assert np.array_equal(a.get(gpu(0)), np.asarray(a))
    assert a.get() is not None
    a.evict_all()
    assert a.devices == (cpu(0),)
    a.evict(device=gpu(0), keep_one_copy=True)
    a.set_name("renamed")
    assert "renamed" in repr(a)


def test_update_may_change_the_shape(sims):
    a = array.array([1, 2, 3])
    a.update([[1.5, 2], [3, 4]])
    assert (a.shape, a.dtype) == ((2, 2), np.float64)
    a.update(7)
    assert np.array_equal(a, np.full((2, 2), 7))
    with pytest.raises(ValueError, match="broadcast"):
        a[0].update([1, 2, 3])
    spawn(inout=[a], placement=gpu(0))(lambda: a.update(8))
    assert np.array_equal(a, np.full((2, 2), 8))


def test_published_arguments_of_array():
    plain = np.arange(3.0)
    assert array.array(plain, copy=False, name="n").name == "n"
    assert np.shares_memory(array.array(plain, copy=False).array, plain)
    assert not np.shares_memory(array.array(plain).array, plain)
    assert array.array(3, ndmin=2, dtype="i4", on_gpu=True).shape == (1, 1)
    assert array.asarray([1, 2], dtype="f8", like=None, on_gpu=False).dtype == np.float64
    batch = array.asarray_batch({"x": np.zeros(2), "y": [np.zeros(1), 3]}, base="b")
    assert (batch["x"].name, batch["y"][0].name, batch["y"][1]) == ("b_0", "b_1", 3)


def test_small_helpers(rt, a):
    assert array.storage_size(a, np.zeros(2)) == 48 + 16
    assert array.get_memory(np.zeros(2)) == cpu(0) == array.get_memory(a)
    assert array.can_assign_from(a, np.zeros(3))
    assert not array.can_assign_from(a, np.zeros(4))
    assert not array.can_assign_from(a, 3)


# --- Arrays of other libraries ---


class Tensor:
    """An array type of another library: it is no ndarray and knows one protocol only."""

    def __init__(self, values):
        self.values = values

    @property
    def shape(self):
        return self.values.shape


@pytest.fixture
def registered():
    array.register(Tensor, lambda tensor: tensor.values, Tensor)
    array.register("array.array", np.frombuffer)
    yield
    parla._adapters._by_type.clear()


def test_a_registered_type(sims, registered):
    tensor = Tensor(np.arange(4.0))
    a = array.asarray(tensor)
    assert isinstance(a.array, Tensor)

    @spawn(placement=gpu(0), inout=[a])
    def double():
        assert isinstance(a.array, Tensor)
        a.array.values[:] *= 2

    assert a.array.values.tolist() == [0, 2, 4, 6]
    assert tensor.values.tolist() == [0, 2, 4, 6]
    assert array.is_array(tensor)
    other = Tensor(np.zeros(4))
    parla.copy(other, tensor)
    assert other.values.tolist() == [0, 2, 4, 6]
    assert parla.clone_here(tensor).tolist() == [0, 2, 4, 6]


def test_what_a_property_raises_is_told_as_it_is(rt):
    class Bad(Tensor):
        pass

    def wrap(values):
        return values.no_such_thing

    array.register(Bad, lambda bad: bad.values, wrap)
    try:
        wrapped = array.asarray(Bad(np.arange(3.0)))
        with pytest.raises(AttributeError, match="no_such_thing"):
            wrapped.array  # noqa: B018
        with pytest.raises(AttributeError, match="not in memory of a CUDA device"):
            wrapped.__cuda_array_interface__  # noqa: B018
        with pytest.raises(AttributeError, match="PArray has no attribute 'nonsense'"):
            wrapped.nonsense  # noqa: B018
    finally:
        parla._adapters._by_type.clear()


def test_a_registered_type_as_an_argument_of_spawn(rt, registered):
    numbers = standard_array.array("d", [1, 2, 3])

    @spawn(inout=[numbers])
    def body():
        for i in range(3):
            numbers[i] *= 2

    body.result()
    assert numbers.tolist() == [2, 4, 6]
    assert array.can_assign_from(Tensor(np.zeros(3)), Tensor(np.zeros(3)))


def test_a_type_that_is_not_registered(rt):
    with pytest.raises(TypeError, match="input"):
        spawn(input=[standard_array.array("d", [1])])(lambda: None)


@pytest.mark.stress
def test_numba(sims):
    numba = pytest.importorskip("numba")

    @numba.njit(nogil=True)
    def axpy(y, x, k):
        for i in range(y.size):
            y[i] += k * x[i]

    x, y = array.asarray(np.arange(1000.0)), array.asarray(np.ones(1000))
    for i in range(4):
        spawn(placement=[gpu, cpu], inout=[y], input=[x])(lambda: axpy(y.array, np.array(x.array), i))
    assert np.array_equal(y, 1 + 6 * np.arange(1000.0))


@pytest.mark.stress
def test_pytorch(sims):
    torch = pytest.importorskip("torch")
    array.register("torch.Tensor", lambda tensor: tensor.numpy(), torch.from_numpy)
    try:
        tensor = torch.arange(4.0)
        a = array.asarray(tensor)
        spawn(placement=gpu(0), inout=[a])(lambda: a.array.mul_(2))
        assert a.array.tolist() == tensor.tolist() == [0, 2, 4, 6]
    finally:
        parla._adapters._by_type.clear()
