"""What an array says about itself, how it meets NumPy, and what it refuses."""

import crosspy as xp
import numpy as np
import parla
import pytest

pytestmark = [pytest.mark.usefixtures("runtime"), pytest.mark.timeout(120)]


@pytest.fixture
def x():
    return xp.array(np.arange(24, dtype="i4").reshape(6, 4), xp.Split((6, 4), [("gpu", 0), ("cpu", 0), ("gpu", 1)]))


def test_attributes(x):
    assert (x.shape, x.ndim, x.size, x.nbytes, x.dtype, len(x)) == ((6, 4), 2, 24, 96, np.dtype("i4"), 6)
    assert x.device == (parla.gpu(0), parla.cpu(0), parla.gpu(1))
    assert x.base is None
    assert repr(x) == "<CrossArray shape=(6, 4) dtype=int32 3 blocks on gpu[0], cpu[0], gpu[1]>"


def test_blocks(x):
    assert [block.offset for block in x.blocks] == [(0, 0), (2, 0), (4, 0)]
    block = x.block(2, 0)
    assert block is x.block(2) is x.blocks[2]
    assert (block.shape, block.rank, block.device, block.coordinates) == ((2, 4), 0, parla.gpu(1), (2, 0))
    assert block.box == (slice(4, 6), slice(0, 4))
    assert np.array_equal(np.asarray(block), x.gather()[block.box])
    rows, columns = block.indices
    assert rows.tolist() == [[4], [5]]
    assert columns.tolist() == [[0, 1, 2, 3]]
    assert "gpu[1]" in repr(block)
    with pytest.raises(IndexError):
        x.block(3, 0)


def test_views_share_their_blocks(x):
    view = x[1:6:2, 1]
    assert view.shape == (3,)
    assert view.base.blocks == x.blocks
    assert [view.layout.box(i) for i in range(view.layout.n_blocks)] == [((0,), (1,)), ((1,), (1,)), ((2,), (1,))]
    x[3, 1] = -5
    assert view.gather().tolist() == [5, -5, 21]
    view[...] = 0
    assert x.gather()[1:6:2, 1].tolist() == [0, 0, 0]
    assert "a view of 3 blocks" in repr(view)
    with pytest.raises(ValueError, match="x.copy()"):
        view.blocks  # noqa: B018
    copy = view.copy()
    copy[0] = 9
    assert view.gather()[0] == 0
    assert len(copy.blocks) == 3


def test_one_element(x):
    element = x[2, 3]
    assert element.shape == ()
    assert element.item() == 11
    assert (int(element), float(element), complex(element), bool(element)) == (11, 11.0, 11 + 0j, True)
    with pytest.raises(ValueError, match="one element"):
        x.item()
    with pytest.raises(ValueError, match="one element"):
        bool(x)
    with pytest.raises(TypeError):
        len(element)


def test_iteration_gives_rows(x):
    assert [row.gather().tolist() for row in x[:2]] == x.gather()[:2].tolist()


def test_numpy_gathers_small_arrays_only(x):
    assert np.array_equal(np.asarray(x), x.gather())
    assert np.asarray(x, dtype=float).dtype == float
    before = xp.set_gather_limit(95)
    try:
        with pytest.raises(xp.GatherLimitError, match=r"96 bytes, the limit is 95.*x\.gather\(\).*x\.blocks"):
            np.asarray(x)
        assert np.asarray(x[0]).tolist() == [0, 1, 2, 3]
    finally:
        assert xp.set_gather_limit(before) == 95
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, copy=False)
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((6, 4), 2, 24)


def test_gather_into_given_memory(x):
    out = np.zeros((4, 6), "i4").T
    assert x.gather(out=out) is out
    assert np.array_equal(out, np.arange(24).reshape(6, 4))
    read_only = np.zeros((6, 4), "i4")
    read_only.flags.writeable = False
    repeated = np.lib.stride_tricks.as_strided(np.zeros(4, "i4"), (6, 4), (0, 4))
    for bad in (np.zeros((6, 4)), np.zeros((4, 6), "i4"), read_only, repeated, [1]):
        with pytest.raises(ValueError, match="writable NumPy array of shape"):
            x.gather(out=bad)


def test_unsupported_indices_change_nothing(x):
    before = x.gather()
    for key in (slice(None, None, -1), True, "a"):
        with pytest.raises(xp.UnsupportedIndexError):
            x[key]
        with pytest.raises(xp.UnsupportedIndexError):
            x[key] = 1
    assert np.array_equal(x.gather(), before)


def test_layouts_of_another_shape(x):
    with pytest.raises(ValueError, match=r"shape \(4, 6\)"):
        x.to(xp.Split((4, 6), parla.cpu))


def test_devices_that_do_not_exist():
    layout = xp.Split(4, [("gpu", 0), ("gpu", 5)])
    with pytest.raises(parla.NoDeviceError, match=r"gpu\[0\]"):
        xp.zeros(layout)


def test_other_ranks():
    with pytest.raises(parla.StateError, match="1:gpu"):
        xp.empty(xp.Split(4, [(0, ("gpu", 0)), (1, ("gpu", 0))]))
