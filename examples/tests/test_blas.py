"""The tile routines against NumPy, on tiles whose rows are longer than what is used of them."""

import threading

import numpy as np
import pytest
from gp import blas

SHAPES = [(1, 1, 1), (1, 7, 2), (5, 3, 4), (6, 1, 3), (33, 20, 8)]


def tile(rng, rows, columns):
    return rng.standard_normal((rows, columns + 3))[:, :columns]


def positive_definite(rng, n):
    a = tile(rng, n, n)
    return np.ascontiguousarray(a @ a.T + n * np.eye(n))


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def on_gpu(routine, *tiles, **how):
    """Do the same with copies of the tiles on a GPU, whose rows are longer too."""
    cupy = pytest.importorskip("cupy")
    if not cupy.is_available():
        pytest.skip("no GPU is here")
    wider = [cupy.zeros((tile.shape[0], tile.shape[1] + 5)) for tile in tiles]
    there = [array[:, : tile.shape[1]] for tile, array in zip(tiles, wider, strict=True)]
    for tile, copy in zip(tiles, there, strict=True):
        copy[...] = cupy.asarray(tile)
    try:
        routine(*there, **how)
    finally:
        for tile, copy in zip(tiles, there, strict=True):
            tile[...] = copy.get()


@pytest.fixture(params=["host", "gpu"])
def do(request):
    """A function that calls a routine with tiles where the parameter says."""
    return on_gpu if request.param == "gpu" else lambda routine, *tiles, **how: routine(*tiles, **how)


@pytest.mark.parametrize("n", [1, 2, 17, 64])
def test_potrf(do, rng, n):
    a = positive_definite(rng, n)
    factor = a.copy()
    do(blas.potrf, factor)
    np.testing.assert_allclose(np.tril(factor) @ np.tril(factor).T, a, rtol=1e-12)
    np.testing.assert_array_equal(np.triu(factor, 1), np.triu(a, 1))


def test_potrf_tells_which_minor(do):
    with pytest.raises(blas.NotPositiveDefinite, match="order 3 of 4"):
        do(blas.potrf, np.diag([1.0, 1.0, -1.0, 1.0]))


@pytest.mark.parametrize(("m", "n", "_"), SHAPES)
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_trsm(do, rng, m, n, _, right, transposed):
    triangle = positive_definite(rng, n)
    lower = np.tril(triangle).T if transposed else np.tril(triangle)
    b = tile(rng, m, n) if right else tile(rng, n, m)
    x = b.copy()
    do(blas.trsm, triangle, x, right=right, transposed=transposed)
    np.testing.assert_allclose(x @ lower if right else lower @ x, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("n", "_", "k"), SHAPES)
def test_syrk(do, rng, n, _, k):
    a, before = tile(rng, n, k), tile(rng, n, n)
    c = before.copy()
    do(blas.syrk, a, c)
    np.testing.assert_allclose(np.tril(c), np.tril(before - a @ a.T), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(np.triu(c, 1), np.triu(before, 1))


@pytest.mark.parametrize(("m", "n", "k"), SHAPES)
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("add", [False, True])
def test_gemm(do, rng, m, n, k, transpose_a, transpose_b, add):
    a = tile(rng, k, m) if transpose_a else tile(rng, m, k)
    b = tile(rng, n, k) if transpose_b else tile(rng, k, n)
    before = tile(rng, m, n)
    c = before.copy()
    do(blas.gemm, a, b, c, transpose_a=transpose_a, transpose_b=transpose_b, add=add)
    product = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    np.testing.assert_allclose(c, before + product if add else before - product, rtol=1e-12, atol=1e-13)


def test_tiles_are_checked():
    good = np.zeros((4, 4))
    with pytest.raises(TypeError, match="float64"):
        blas.potrf(good.astype(np.float32))
    with pytest.raises(ValueError, match="contiguous"):
        blas.syrk(np.zeros((4, 8))[:, ::2], good)
    with pytest.raises(ValueError, match="overlap"):
        blas.syrk(np.broadcast_to(np.zeros(4), (4, 4)), good)
    with pytest.raises(ValueError, match="extents"):
        blas.gemm(good, np.zeros((3, 4)), good)
    with pytest.raises(ValueError, match="extents"):
        blas.potrf(np.zeros((3, 4)))


def test_the_gil_is_released():
    """While one thread is inside a routine another one runs Python code."""
    a, c = np.ones((2000, 2000)), np.zeros((2000, 2000))
    worker = threading.Thread(target=blas.gemm, args=(a, a, c))
    worker.start()
    seen = 0
    while worker.is_alive():
        seen += 1
    worker.join()
    assert seen > 100
