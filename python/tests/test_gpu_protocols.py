"""Arrays of other libraries on CUDA devices: handed out and taken in, each way with the order between streams that the protocol promises.

The other library is `other`: a stream of its own on card 0. On the driver in host memory a missing order is found whether or not it shows.
"""

import cuda_driver
import numpy as np
import parla
import pytest
from gpu_fixtures import cards, cupy, fake, needs_cuda, no_cupy, other  # noqa: F401
from parla import _device_array, _parla, get_current_stream, gpu, spawn
from parla.array import asarray, asnumpy, clone_here, copy, get_memory, is_array, register

pytestmark = needs_cuda

N = 4096


def on(device, body, **options):
    return spawn(placement=device, **options)(body).result()


def filled(value, n=N):
    return asarray(np.full(n, value, np.uint8))


# --- Out ---


def wait_for_nothing(card, stream):
    pass


def wait_for_it(card, stream):
    card.wait_for(stream)


def read_by_interface(card, a, wait):
    """What a consumer of __cuda_array_interface__ does: its stream waits for the one that is named, then it reads."""
    interface = a.__cuda_array_interface__
    assert interface["version"] == 3 and interface["shape"] == (N,) and interface["typestr"] == "|u1"
    wait(card, interface["stream"])
    scratch = card.alloc(N)
    card.copy(scratch, interface["data"][0], N)
    card.wait_for(card.stream, waiting=get_current_stream().pointer)  # before the array may be moved
    return card.read(scratch, N)


def fill_and_show(a, show, value):
    """Fill the local array from somewhere on the device, and show it to a consumer at once."""
    source = clone_here(np.full(N, value, np.uint8))
    a.array[...] = source
    return show(a)


def test_a_consumers_stream_waits_for_the_one_in_the_interface(cards, no_cupy, fake, other):
    a = filled(0)
    fake and fake.delay(2000)
    seen = on(gpu(0), lambda: fill_and_show(a, lambda a: read_by_interface(other, a, wait_for_it), 7), inout=[a])
    fake and fake.delay(0)
    assert seen == b"\7" * N


def test_a_consumer_that_does_not_wait_is_noticed(cards, no_cupy, fake, other):
    """The test above can fail."""
    if fake is None:
        pytest.skip("only the driver in host memory notices")
    a = filled(0)
    on(gpu(0), lambda: fill_and_show(a, lambda a: read_by_interface(other, a, wait_for_nothing), 7), inout=[a])
    assert fake.n_wrong() > 0 and "order" in fake.last_wrong()
    fake.forget()


def read_by_dlpack(card, a, **options):
    capsule = a.__dlpack__(**options)
    holder, address, shape, strides, kind, device, is_readonly = _parla.dlpack_import(capsule)
    assert (shape, strides, kind, device) == ((N,), (1,), (1, 8, 1), (2, 0))
    scratch = card.alloc(N)
    card.copy(scratch, address, N)
    card.wait_for(card.stream, waiting=get_current_stream().pointer)
    del holder
    return card.read(scratch, N), is_readonly


@pytest.mark.parametrize("version", [{}, {"max_version": (1, 0)}])
def test_a_dlpack_consumers_stream_is_made_to_wait(cards, no_cupy, fake, other, version):
    a = filled(0)
    fake and fake.delay(2000)
    seen = on(gpu(0), lambda: fill_and_show(a, lambda a: read_by_dlpack(other, a, stream=other.stream, **version), 9), inout=[a])
    fake and fake.delay(0)
    assert seen == (b"\x09" * N, False)


def test_a_dlpack_consumer_may_order_by_itself(cards, no_cupy, fake, other):
    if fake is None:
        pytest.skip("only the driver in host memory notices")
    a = filled(0)
    on(gpu(0), lambda: fill_and_show(a, lambda a: read_by_dlpack(other, a, stream=-1), 9), inout=[a])
    assert fake.n_wrong() > 0 and "order" in fake.last_wrong()
    fake.forget()


def test_dlpack_by_default_is_for_the_default_stream(cards, no_cupy, fake, other):
    a = filled(0)

    def body():
        local = a.array
        local[...] = clone_here(np.full(N, 3, np.uint8))
        holder = _parla.dlpack_import(local.__dlpack__())
        with other:
            scratch = other.alloc(N)
            other.wait_for(other.stream, waiting=1)
            cuda_driver.call(
                "cuMemcpyDtoDAsync",
                *(cuda_driver.ctypes.c_uint64(scratch), cuda_driver.ctypes.c_uint64(holder[1])),
                *(cuda_driver.ctypes.c_size_t(N), cuda_driver.ctypes.c_void_p(1)),
            )
        other.wait_for(1)
        other.wait_for(1, waiting=get_current_stream().pointer)
        return other.read(scratch, N)

    assert on(gpu(0), body, output=[a]) == b"\3" * N


def test_what_dlpack_cannot_say_is_refused(cards, no_cupy):
    a = filled(1)

    def body():
        local = a.array
        assert local.__dlpack_device__() == (2, 0)
        with pytest.raises(BufferError, match="read-only"):
            local.__dlpack__()
        assert read_only(local.__dlpack__(max_version=(1, 0)))
        with pytest.raises(BufferError, match="dl_device"):
            local.__dlpack__(max_version=(1, 0), dl_device=(1, 0))
        with pytest.raises(ValueError, match="ambiguous"):
            local.__dlpack__(max_version=(1, 0), stream=0)
        assert not read_only(local.__dlpack__(copy=True))

    on(gpu(0), body, input=[a])
    with pytest.raises(AttributeError, match="'array' is not in memory of a CUDA device here"):
        a.__cuda_array_interface__


def read_only(capsule):
    return _parla.dlpack_import(capsule)[6]


def test_a_capsule_is_consumed_once(cards, no_cupy):
    def body():
        capsule = clone_here(np.arange(6.0).reshape(2, 3)[:, ::-1]).__dlpack__()
        assert _parla.dlpack_import(capsule)[2:4] == ((2, 3), (3, 1))
        with pytest.raises(TypeError, match="nobody has consumed"):
            _parla.dlpack_import(capsule)

    on(gpu(0), body)


def test_a_part_of_an_array_is_handed_out(cards, no_cupy):
    a = asarray(np.arange(24.0).reshape(4, 6))

    def body():
        part = a[1:3, ::2]
        interface = part.__cuda_array_interface__
        shape, strides, kind = _parla.dlpack_import(part.__dlpack__(max_version=(1, 0)))[2:5]
        return interface["shape"], interface["strides"], shape, strides, kind

    assert on(gpu(0), body, inout=[a]) == ((2, 3), (48, 16), (2, 3), (6, 2), (2, 64, 1))


# --- In ---


class Base:
    """An array of the other library, filled by its stream a moment ago."""

    def __init__(self, card, value, n=N):
        self.card, self.n = card, n
        self.shape = (n,)
        self.address = card.alloc(n)
        card.fill(self.address, value, n)


class ByInterface(Base):
    version = 3

    @property
    def __cuda_array_interface__(self):
        found = {"shape": self.shape, "typestr": "|u1", "data": (self.address, False), "version": self.version}
        return {**found, "strides": None, "stream": self.card.stream} if self.version >= 3 else found


class OldInterface(ByInterface):
    """Without a stream: ready in the default stream, says the protocol."""

    version = 2

    def __init__(self, card, value, n=N):
        super().__init__(card, value, n)
        card.wait_for(card.stream, waiting=1)


class ByDlpack(Base):
    options = frozenset(("stream", "max_version"))

    def __dlpack_device__(self):
        return 2, self.card.ordinal

    def __dlpack__(self, **options):
        if not self.options.issuperset(options):
            raise TypeError(f"__dlpack__() got an unexpected argument among {options}")
        if options["stream"] != -1:
            self.card.wait_for(self.card.stream, waiting=options["stream"])
        return _parla.dlpack_export(self, self.address, self.shape, (1,), (1, 8), (2, self.card.ordinal), False, "max_version" in options)


class OldDlpack(ByDlpack):
    options = frozenset(("stream",))


kinds = pytest.mark.parametrize("kind", [ByInterface, OldInterface, ByDlpack, OldDlpack])


@kinds
def test_an_array_is_taken_in_on_its_device(cards, no_cupy, fake, other, kind):
    fake and fake.delay(2000)
    given = kind(other, 5)
    assert is_array(given) and get_memory(given) == gpu(0)
    a = asarray(given, name="given")
    assert a.dtype == np.uint8 and a.shape == (N,) and a.devices == (gpu(0),)
    fake and fake.delay(0)
    assert (np.asarray(a) == 5).all()


@kinds
def test_it_is_read_in_a_body(cards, no_cupy, other, kind):
    given = kind(other, 6)
    a = filled(0)

    def body():
        a.update(given)
        return asnumpy(clone_here(given)), asnumpy(given)

    cloned, read = on(gpu(0), body, output=[a])
    assert (np.asarray(a) == 6).all() and (cloned == 6).all() and (read == 6).all()


@kinds
def test_it_is_written(cards, no_cupy, other, kind):
    given = kind(other, 6)
    copy(given, np.full(N, 8, np.uint8))
    assert other.read(given.address, N) == b"\x08" * N
    a = filled(9)
    on(gpu(0), lambda: copy(given, a), input=[a])
    assert other.read(given.address, N) == b"\x09" * N
    copy(given, a)
    assert other.read(given.address, N) == b"\x09" * N


def test_it_is_an_input_of_a_task_but_no_output(cards, no_cupy, other):
    given = ByInterface(other, 4)
    assert on(gpu(0), lambda: "ran", input=[given]) == "ran"
    with pytest.raises(TypeError, match="cannot write into a ByInterface in place"):
        spawn(placement=gpu(0), output=[given])(lambda: None)


def test_another_type_is_asked_for(cards, no_cupy, other):
    a = asarray(ByDlpack(other, 1), dtype=np.float64)
    assert a.dtype == np.float64 and (np.asarray(a) == 1).all()


def test_a_masked_array_is_refused(cards, no_cupy, other):
    given = ByInterface(other, 1)
    interface = {**given.__cuda_array_interface__, "mask": given}
    masked = type("Masked", (), {"__cuda_array_interface__": interface})()
    with pytest.raises(TypeError, match="mask"):
        asarray(masked)


def test_types_that_numpy_lacks_are_refused(cards, no_cupy, other):
    class BFloat16(ByDlpack):
        def __dlpack__(self, **options):
            return _parla.dlpack_export(self, self.address, self.shape, (1,), (4, 16), (2, 0), False, True)

    with pytest.raises(TypeError, match="code 4, 16 bits"):
        asarray(BFloat16(other, 1))


def test_without_a_runtime_the_librarys_own_way_is_taken(fake, no_cupy, other):
    class Gets(ByInterface):
        def copy_to_host(self):
            return np.frombuffer(self.card.read(self.address, self.n), np.uint8)

    assert (np.asarray(asarray(Gets(other, 3))) == 3).all()
    with pytest.raises(TypeError, match="start a runtime"):
        asarray(ByInterface(other, 3))


def test_a_registered_type_is_given_on_devices_too(cards, no_cupy, other, monkeypatch):
    """As PyTorch's tensors are: on the CPU over a NumPy array, on a device through DLPack."""
    monkeypatch.setattr(parla._adapters, "_by_type", {})

    class Tensor(ByDlpack):
        pass

    class OnHost:
        def __init__(self, local):
            self.local = local

    register(Tensor, lambda tensor: tensor.local, OnHost, lambda local: ("tensor", local.__dlpack_device__()))
    a = asarray(Tensor(other, 2))
    assert on(gpu(0), lambda: a.array, input=[a]) == ("tensor", (2, 0))
    assert (a.array.local == 2).all()


# --- Two cards ---


@pytest.fixture
def two_cards(fake):
    """A runtime with a device on each of two cards, and somebody else's work on the second."""
    if not cuda_driver.has_card(1):
        pytest.skip("only one card")
    with parla.Parla(n_workers=1, devices="cuda:0,cuda:1"):
        second = cuda_driver.Card(1)
        yield second
        second.close()


@kinds
def test_an_array_is_found_on_its_card(two_cards, no_cupy, kind):
    assert [device.ordinal for device in gpu] == [0, 1]
    given = kind(two_cards, 7)
    assert get_memory(given) == gpu(1)
    a = asarray(given)
    assert a.devices == (gpu(1),) and (np.asarray(a) == 7).all()
    b = filled(0)
    on(gpu(0), lambda: b.update(given), output=[b])
    assert (np.asarray(b) == 7).all()


def test_the_card_is_the_current_one(two_cards, cupy):
    found = [on(device, lambda: cupy.cuda.Device().id) for device in gpu]
    assert found == [0, 1]
    assert [on(device, lambda: clone_here(np.ones(3))).device.id for device in gpu] == [0, 1]


# --- Between ---


def test_from_one_device_to_another_by_dlpack(cards, no_cupy):
    """A task's result is taken in by another library's means: it is an array of its own by then."""
    kept = on(gpu(0), lambda: clone_here(np.arange(5.0)))
    a = asarray(kept)
    assert a.devices == (gpu(0),)
    assert (np.asarray(a) == np.arange(5.0)).all()
    b = asarray(np.zeros(5))
    on(gpu(1), lambda: b.update(kept), output=[b])
    assert (np.asarray(b) == np.arange(5.0)).all()


def test_cupys_arrays_are_taken_in(cards, cupy):
    kept = on(gpu(0), lambda: clone_here(np.arange(5.0)))
    assert isinstance(kept, cupy.ndarray)
    assert (np.asarray(asarray(kept)) == np.arange(5.0)).all()


def test_strides_that_have_lost_their_sign(monkeypatch):
    """CuPy's capsules hold (2**64 - 8) // 8 for a stride of -8 bytes."""

    class Array:
        def __dlpack__(self, **how):
            return None

    found = "holder", 1000, (2, 3), (3, 2**61 - 1), (2, 64, 1), (2, 0), False
    monkeypatch.setattr(_parla, "dlpack_import", lambda capsule: found)
    assert _device_array._by_dlpack(Array(), -1)[1].strides == (24, -8)
