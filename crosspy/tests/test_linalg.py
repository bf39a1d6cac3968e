"""Products of matrices, Cholesky factors and linear systems between all kinds of layouts, against NumPy."""

import crosspy as xp
import numpy as np
import parla
import pytest
from crosspy_cases import fuzz, layouts
from hypothesis import given
from hypothesis import strategies as st

pytestmark = [pytest.mark.usefixtures("runtime"), pytest.mark.timeout(300)]

KINDS = tuple(map(np.dtype, ("i8", "f4", "f8", "c16")))


def matrix(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.integers(-4, 5, shape)
    return (a + 1j * rng.integers(-4, 5, shape) if np.dtype(dtype).kind == "c" else a).astype(dtype)


@fuzz(300)
@given(st.data())
def test_products(data):
    """Of matrices and vectors, of views and transposed ones too, with any extents; exact, since the numbers are small integers."""
    sizes = [data.draw(st.integers(0, 9)) for _ in range(3)]
    n_a, n_b = data.draw(st.sampled_from([(2, 2), (2, 2), (1, 2), (2, 1), (1, 1)]))
    a = matrix(sizes[:2][2 - n_a :], data.draw(st.sampled_from(KINDS)))
    b = matrix(sizes[1:][:n_b], data.draw(st.sampled_from(KINDS)), 1)
    x, y = xp.array(a, data.draw(layouts(a.shape))), xp.array(b, data.draw(layouts(b.shape)))
    if data.draw(st.booleans()):
        b = np.ascontiguousarray(b.T)
        y = xp.array(b, data.draw(layouts(b.shape))).T
        b = b.T
    found, wanted = (x @ y).gather(), a @ b
    assert found.dtype == wanted.dtype and np.array_equal(found, wanted)


@pytest.mark.parametrize("places", [[parla.cpu], [("gpu", 0), ("gpu", 1)], [("gpu", 0), ("cpu", 0), ("gpu", 1)]])
def test_larger_products(places):
    a, b = matrix((300, 200), float), matrix((200, 170), float, 1)
    x = xp.array(a, xp.BlockCyclic(a.shape, (64, 50), (1, len(places)), places))
    y = xp.array(b, xp.BlockCyclic(b.shape, (70, 64), (len(places), 1), places))
    assert np.array_equal((x @ y).gather(), a @ b)
    assert np.array_equal((x.T @ x).gather(), a.T @ a)


def test_a_product_lies_where_its_factors_do():
    n, gpus = 8, [("gpu", 0), ("gpu", 1)]
    rows, columns = xp.full(xp.Split((n, n), gpus), 1.0), xp.full(xp.Split((n, n), gpus, axis=1), 1.0)
    assert (rows @ rows).layout == rows.layout
    assert (rows @ columns).layout.grid == (2, 2)
    assert (columns @ columns).layout == columns.layout
    inner = columns @ rows  # only the inner dimension is cut
    assert inner.layout.places == (xp.Place(0, parla.gpu.code, 0),)
    assert np.array_equal(inner.gather(), np.full((n, n), 8.0))


def test_products_that_do_not_fit():
    x = xp.zeros(xp.Split((4, 3), parla.cpu))
    with pytest.raises(ValueError, match="3 columns and 4 rows"):
        x @ x
    with pytest.raises(TypeError, match="both factors"):
        x @ np.zeros((3, 2))


def positive(n, dtype, seed=0):
    a = matrix((n, n), dtype, seed)
    return a @ a.conj().T + n * np.eye(n, dtype=dtype)


@fuzz(120)
@given(st.data())
def test_factors_and_solutions(data):
    n, dtype = data.draw(st.integers(0, 12)), data.draw(st.sampled_from(KINDS))
    a = positive(n, dtype)
    x = xp.array(a, data.draw(layouts(a.shape)))
    found = xp.linalg.cholesky(x)
    wanted = np.linalg.cholesky(a)
    assert found.layout == x.layout and found.dtype == wanted.dtype
    assert np.allclose(found.gather(), wanted, rtol=1e-4)
    b = matrix((n, data.draw(st.integers(0, 3))) if data.draw(st.booleans()) else (n,), dtype, 2)
    y = xp.array(b, data.draw(layouts(b.shape)))
    found = np.linalg.solve(x, y)
    wanted = np.linalg.solve(a, b) if n else np.zeros(b.shape, found.dtype)
    assert found.layout == y.layout and found.dtype == wanted.dtype
    assert np.allclose(found.gather(), wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_larger_systems(dtype):
    """Several tiles and panels, rows that change places, right-hand sides on several devices."""
    n, places = 300, [("gpu", 0), ("cpu", 0), ("gpu", 1)]
    a, b = matrix((n, n), dtype, 3), matrix((n, 5), dtype, 4)
    x, y = xp.array(a, xp.Split(a.shape, places)), xp.array(b, xp.Split(b.shape, places, axis=1))
    found = xp.linalg.solve(x, y).gather()
    assert np.abs(a @ found - b).max() < 1e-9 * np.abs(found).max()
    assert np.array_equal(x.gather(), a) and np.array_equal(y.gather(), b)
    a = positive(n, dtype)
    found = np.linalg.cholesky(xp.array(a, xp.Split(a.shape, places)))
    assert np.allclose(found.gather(), np.linalg.cholesky(a))
    square = xp.array(a, xp.BlockCyclic(a.shape, (64, 64), (1, 3), places))
    assert xp.linalg.cholesky(square).layout == square.layout


def test_matrices_without_a_factor():
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        xp.linalg.cholesky(xp.zeros(xp.Split((4, 3), parla.cpu)))
    with pytest.raises(ValueError, match=r"shape \(4,\) or \(4, m\)"):
        xp.linalg.solve(xp.zeros(xp.Split((4, 4), parla.cpu)), xp.zeros(xp.Split((3,), parla.cpu)))
    with pytest.raises(TypeError, match="expected a CrossArray"):
        xp.linalg.cholesky(np.eye(3))


def test_a_factor_that_does_not_exist_is_told_when_it_is_read():
    a = xp.array(np.eye(40), xp.Split((40, 40), [("gpu", 0), ("gpu", 1)]))
    for made, words in ((xp.linalg.cholesky(-a), "not positive definite"), (xp.linalg.solve(a * 0, a), "Singular matrix")):
        with pytest.raises(parla.ParlaError, match=words):
            made.gather()
