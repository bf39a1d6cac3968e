"""The reductions that arrays have as methods."""

from __future__ import annotations

import math

import numpy as np

from . import reduction, ufunc
from .redistribute import View


class Reductions:
    """Methods of `CrossArray` that combine elements along axes. All are collective; nothing waits.

    axis: None (all), one dimension or several; keepdims: leave the reduced dimensions in, with one element. The result is a CrossArray, of no
    dimensions where all were reduced: `float(x.sum())` waits for it. It lies where the first block along the reduced dimensions does.
    The order of additions depends on the layout alone.
    """

    __slots__ = ()

    _view: View

    def _reduce(self, function: np.ufunc, *args: object, **options: object) -> object:
        out = options.get("out")
        if out is not None and not isinstance(out, Reductions):
            raise TypeError(f"out=: expected a CrossArray, not {type(out).__name__}")
        options["out"] = None if out is None else out._view
        made = reduction.reduce(function, self._view, *args, **options)
        return type(self)(made) if out is None else out

    def sum(
        self,
        axis: object = None,
        dtype: object = None,
        out: object = None,
        keepdims: bool = False,
        initial: object = None,
        where: object = True,
    ) -> object:
        """Return the sum of elements."""
        return self._reduce(np.add, axis, dtype, out=out, keepdims=keepdims, initial=initial, where=_plain(where))

    def prod(
        self,
        axis: object = None,
        dtype: object = None,
        out: object = None,
        keepdims: bool = False,
        initial: object = None,
        where: object = True,
    ) -> object:
        """Return the product of elements."""
        return self._reduce(np.multiply, axis, dtype, out=out, keepdims=keepdims, initial=initial, where=_plain(where))

    def max(self, axis: object = None, out: object = None, keepdims: bool = False, initial: object = None, where: object = True) -> object:
        """Return the largest element; NaN if there is one."""
        return self._reduce(np.maximum, axis, out=out, keepdims=keepdims, initial=initial, where=_plain(where))

    def min(self, axis: object = None, out: object = None, keepdims: bool = False, initial: object = None, where: object = True) -> object:
        """Return the smallest element; NaN if there is one."""
        return self._reduce(np.minimum, axis, out=out, keepdims=keepdims, initial=initial, where=_plain(where))

    def any(self, axis: object = None, out: object = None, keepdims: bool = False, *, where: object = True) -> object:
        """Return whether some element is not zero."""
        return self._reduce(np.logical_or, axis, bool, out=out, keepdims=keepdims, where=_plain(where))

    def all(self, axis: object = None, out: object = None, keepdims: bool = False, *, where: object = True) -> object:
        """Return whether no element is zero."""
        return self._reduce(np.logical_and, axis, bool, out=out, keepdims=keepdims, where=_plain(where))

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> object:
        """Return the index of the first largest element: along an axis, or in C order of all."""
        return type(self)(reduction.arg_extreme(self._view, axis, keepdims, True))

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> object:
        """Return the index of the first smallest element: along an axis, or in C order of all."""
        return type(self)(reduction.arg_extreme(self._view, axis, keepdims, False))

    def mean(self, axis: object = None, dtype: object = None, out: object = None, keepdims: bool = False) -> object:
        """Return the mean of elements, of integers as float64."""
        own, n = self._view.store.dtype, self._count(axis)
        kind = np.dtype(dtype) if dtype is not None else np.dtype(float) if own.kind in "iub" else own
        wide = np.dtype(np.float32) if kind == np.float16 else kind
        total = self.sum(axis, wide, keepdims=keepdims)
        if out is None and wide == kind and wide.kind in "fc":
            return total / n
        (made,) = ufunc.call(np.true_divide, [total._view, n], [None if out is None else out._view], {"dtype": wide, "casting": "unsafe"})
        if out is not None:
            return out
        return _cast(type(self)(made), kind)

    def var(self, axis: object = None, dtype: object = None, out: object = None, ddof: float = 0, keepdims: bool = False) -> object:
        """Return the mean of squared distances from the mean; ddof is taken off the number of elements."""
        n = self._count(axis)
        mean = self.mean(axis, dtype, keepdims=True)
        distance = abs(self - mean) if self._view.store.dtype.kind == "c" else self - mean
        total = (distance * distance).sum(axis, dtype, keepdims=keepdims)
        result = np.true_divide(total, max(n - ddof, 0), **({} if out is None else {"out": out}))
        return result if out is not None else _cast(result, total._view.store.dtype)

    def std(self, axis: object = None, dtype: object = None, out: object = None, ddof: float = 0, keepdims: bool = False) -> object:
        """Return the square root of the variance."""
        return np.sqrt(self.var(axis, dtype, None, ddof, keepdims), **({} if out is None else {"out": out}))

    def _count(self, axis: object) -> int:
        shape = self._view.shape
        return math.prod(shape[k] for k in reduction.axes_of(axis, len(shape)))


def _cast(x: object, dtype: np.dtype) -> object:
    return x if x._view.store.dtype == dtype else x.astype(dtype)


def _plain(where: object) -> object:
    return where._view if isinstance(where, Reductions) else where
