"""CrossArray: one array in blocks over devices."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator

import numpy as np
from parla.devices import Device

from . import _crosspy, drawing, flow, host, index, matmul, redistribute, show, sort, take, ufunc
from .block import Block
from .layout import Grid, Layout
from .redistribute import View
from .reductions import Reductions
from .store import Store, as_dtype
from .store import new as new_store

# NumPy's functions that work on a CrossArray; `functions` fills it.
_functions: dict[Callable, Callable] = {}

_gather_limit = 64 * 2**20


class GatherLimitError(ValueError):
    """NumPy asked for a whole array that is larger than the limit."""


def set_gather_limit(n_bytes: int) -> int:
    """Set how many bytes `numpy.asarray(x)` may gather, and return the limit before. The first limit is 64 MiB."""
    global _gather_limit
    if n_bytes < 0:
        raise ValueError(f"a limit is a number of bytes, not {n_bytes}")
    before, _gather_limit = _gather_limit, int(n_bytes)
    return before


def _can_take(out: object, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """True for a NumPy array of this form that has memory of its own for each element."""
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        return False
    return all(stride != 0 or extent <= 1 for stride, extent in zip(out.strides, out.shape))


def _view_of(item: object) -> object:
    return item._view if isinstance(item, CrossArray) else item


def _write(outs: list, ins: list) -> None:
    outs[0][...] = ins[0]


def _source_of(value: object) -> object:
    """Return the view of what is an array of this package, or all of a block; anything else as it is."""
    if isinstance(value, Block):
        return redistribute.whole(Store(Grid(value.extent, (1,) * value.ndim, [value.place]), value.dtype, [value.data]))
    return _view_of(value)


def _put(target: np.ndarray, value: object) -> bool:
    """Assign a number, or what is one NumPy array of the same form (see `host`), to a part of one; False where it is neither."""
    if isinstance(value, CrossArray):
        value = value._view.local
        if value is None or value.dtype != target.dtype:
            return False
    elif isinstance(value, Block):
        return False
    elif type(value) is not np.ndarray:
        value = np.asarray(value, target.dtype)
    if value.ndim and value.shape != target.shape:
        return False
    target[...] = value
    return True


class CrossArray(Reductions, np.lib.mixins.NDArrayOperatorsMixin):
    """An N-d array whose blocks lie on devices, as its layout says; or a view of some elements of one.

    Made by `array`, `fromfunction`, `empty`, `zeros` and `full`. Indexing with integers, slices, an ellipsis and new axes gives a view that
    shares the blocks; with arrays of integers or booleans, a copy. Assigning to either spawns tasks that are ordered with all others on the
    blocks; nothing waits. Content reaches NumPy through `gather` only (and `numpy.asarray` for small arrays).

    Operators, NumPy's universal functions and those that `crosspy.functions` lists work block by block, as tasks. The result lies as the
    first operand that has its shape; other operands are copied to where it lies. In-place operators and out= write where the array lies.
    Where there are several ranks all of them compute alike, and plain NumPy operands are the same at each.

    An array of at most 4 MiB that lies on the CPU of a single process is one NumPy array at first, and operations on it are done at once,
    without tasks; what fails raises there. Once one of its blocks is asked for, for use in tasks, the array consists of blocks.
    """

    __slots__ = ("_shape", "_view")

    def __init__(self, view: View) -> None:
        self._view = view
        self._shape = view.shape

    # --- Form ---

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""
        return self._shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._shape)

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self._view.store.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    @property
    def base(self) -> CrossArray | None:
        """The array that this is a view of, or None."""
        return None if self._view.is_whole else CrossArray(redistribute.whole(self._view.store))

    @property
    def layout(self) -> Layout:
        """Where the elements are. For a view: that of the same elements as an array of their own."""
        return self._view.layout

    @property
    def device(self) -> tuple[Device, ...]:
        """The distinct devices on which elements lie."""
        return tuple(dict.fromkeys(place.device for place in self.layout.places))

    # --- Blocks ---

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks in C order, for use in tasks. A view has none of its own: see `base`."""
        if self.base is not None:
            raise ValueError("x.blocks: a view shares the blocks of x.base; use x.base.blocks, or x.copy() for blocks of its own")
        return self._view.store.blocks

    @property
    def local(self) -> tuple[Block, ...]:
        """The blocks of this rank in C order."""
        return tuple(block for block in self.blocks if block.data is not None)

    def block(self, *coordinates: int) -> Block:
        """Return the block at these coordinates of the grid, as in ``A.block(i, j)``; one number counts the blocks in C order."""
        blocks = self.blocks
        if len(coordinates) == 1 and self._view.store.layout.ndim != 1:
            return blocks[coordinates[0]]
        return blocks[self._view.store.layout.block_at(*coordinates)]

    # --- Elements ---

    def __getitem__(self, key: object) -> CrossArray:
        if take.is_needed(key):
            return CrossArray(take.get(take.parse(self._view, key)))
        return CrossArray(redistribute.index_view(self._view, key))

    def __setitem__(self, key: object, value: object) -> None:
        if take.is_needed(key):
            take.put(take.parse(self._view, key), _source_of(value))
            return
        view = redistribute.index_view(self._view, key)
        target = view.local
        if target is not None and _put(target, value):
            return
        value = _source_of(value)
        if isinstance(value, View):
            redistribute.assign(view, value)
        else:
            redistribute.assign_host(view, value)

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a CrossArray without dimensions")
        return self._shape[0]

    # --- Arrangements ---

    def transpose(self, *axes: object) -> CrossArray:
        """Return a view with the dimensions in another order, by default the opposite one."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            axes = () if axes[0] is None else tuple(axes[0])
        order = [operator.index(k) for k in axes] if axes else list(range(self.ndim))[::-1]
        if any(not -self.ndim <= k < self.ndim for k in order) or sorted(k % self.ndim for k in order) != list(range(self.ndim)):
            raise ValueError(f"transpose: axes {tuple(axes)} do not name each of {self.ndim} dimensions once")
        store, box, own = self._view
        return CrossArray(View(store, box, tuple(own[k] for k in order)))

    T = property(lambda self: self.transpose(), doc="A view with the dimensions in the opposite order.")

    # --- Copies ---

    def copy(self) -> CrossArray:
        """Return a new array with the same layout and content. Nothing waits."""
        return self.to(self.layout)

    def to(self, layout: Layout) -> CrossArray:
        """Return a new array with this content and another layout of the same shape. Nothing waits."""
        if layout.shape != self._shape:
            raise ValueError(f"to(layout): the layout has the shape {layout.shape}, the array {self._shape}")
        made = CrossArray(redistribute.whole(new_store(layout, self.dtype)))
        redistribute.assign(made._view, self._view)
        return made

    def astype(self, dtype: object, casting: str = "unsafe", copy: bool = True) -> CrossArray:
        """Return a copy with elements of another type; the array itself if it has that type and copy is False."""
        kind = as_dtype(dtype)
        if not np.can_cast(self.dtype, kind, casting):
            raise TypeError(f"astype: elements of {self.dtype} cannot be cast to {kind} by the rule {casting!r}")
        if kind == self.dtype:
            return self.copy() if copy else self
        return CrossArray(ufunc.run(_write, [self._view], [kind], [None], "astype")[0])

    def sort(self, axis: int = -1) -> None:
        """Sort in place along an axis. Collective; waits if that axis is cut. See `crosspy.sort`."""
        self[...] = CrossArray(sort.sort(self._view, axis))

    def dot(self, other: object) -> CrossArray:
        """Return the product of matrices, or of vectors; with a number, of all elements with it."""
        return np.dot(self, other)

    def gather(
        self, out: np.ndarray | None = None, *, root: int | None = None, limit: int = redistribute.PART_BYTES
    ) -> np.ndarray | None:
        """Return all elements as one NumPy array, after waiting for the tasks that write them.

        Parameters
        ----------
        out : numpy.ndarray, optional
            Where to put them: the same shape and dtype. Default: a new array.
        root : int, optional
            Where there are several ranks: the one that gets them; the others get None. Default: all get them.
        limit : int, optional
            How many bytes may be on the way between ranks at once: a larger array goes in parts, and the ranks wait for each other
            between them. The same at each rank. Default: 64 MiB. The result itself does not count.

        Collective where there are several ranks. Called in a task's body it must not be for an array that the same task writes.
        """
        rank, n_ranks = flow.ranks()
        if root is not None and not 0 <= root < n_ranks:
            raise ValueError(f"gather(root=): there is no rank {root} among {n_ranks}")
        redistribute.check_limit(limit, "gather")
        if root is not None and root != rank:
            redistribute.gather(self._view, None, self._shape, root, limit)
            return None
        if out is None:
            out = np.empty(self._shape, self.dtype)
        elif not _can_take(out, self._shape, self.dtype):
            raise ValueError(f"gather(out): expected a writable NumPy array of shape {self._shape} and dtype {self.dtype}")
        if n_ranks == 1 and (local := self._view.local) is not None:
            out[...] = local
        else:
            redistribute.gather(self._view, out, self._shape, root, limit)
        return out

    def item(self) -> object:
        """Return the only element as a Python scalar."""
        if self.size != 1:
            raise ValueError(f"item() is for an array of one element, this one has {self.size}")
        local = self._view.local
        return (self.gather() if local is None else local).item()

    # --- Python and NumPy ---

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a CrossArray lies in blocks, so NumPy gets a copy of it: use copy=None or x.gather()")
        if self.nbytes > _gather_limit:
            raise GatherLimitError(
                f"numpy.asarray would gather {self.nbytes} bytes, the limit is {_gather_limit}: use x.gather(), or x.gather(root=) at "
                "several ranks, if that is meant; x.local or x.blocks to work in tasks; or crosspy.set_gather_limit(n_bytes)"
            )
        local = self.gather()
        return local if dtype is None else local.astype(dtype, copy=False)

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: object, **options: object) -> object:
        if method == "__call__" and function.nout == 1 and function.signature is None and (not options or list(options) == ["out"]):
            out = options.get("out", _NO_OUT)[0]
            if out is None or isinstance(out, CrossArray):
                plain = [item._view if type(item) is CrossArray else item for item in inputs]
                made = host.call(function, plain, None if out is None else out._view)
                if made is not None:
                    return CrossArray(made) if out is None else out
        if not all(isinstance(item, _OPERANDS) or np.isscalar(item) for item in inputs):
            return NotImplemented
        outs = options.pop("out", (None,) * function.nout)
        if not all(out is None or isinstance(out, CrossArray) for out in outs):
            raise TypeError("out=: a result of CrossArrays goes to a CrossArray; x.gather(out=) fills a NumPy array")
        plain = [_view_of(item) for item in inputs]
        if method == "reduce":
            return self._reduce(function, **{"axis": 0, **options}, out=outs[0]) if inputs[0] is self else NotImplemented
        if method != "__call__":
            raise TypeError(ufunc.advice(f"numpy.{function.__name__}.{method}"))
        if function is np.matmul:
            if outs[0] is not None or options:
                raise TypeError(ufunc.advice("numpy.matmul with out= or other options"))
            return self._matmul(*inputs)
        if function.signature is not None:  # not element by element
            raise TypeError(ufunc.advice(f"numpy.{function.__name__}"))
        options = {key: _view_of(value) for key, value in options.items()}
        made = ufunc.call(function, plain, [None if out is None else out._view for out in outs], options)
        results = tuple(CrossArray(view) if out is None else out for out, view in zip(outs, made))
        return results if function.nout > 1 else results[0]

    @staticmethod
    def _matmul(a: object, b: object) -> CrossArray:
        if not isinstance(a, CrossArray) or not isinstance(b, CrossArray):
            raise TypeError("matmul: both factors are CrossArrays; make one of a NumPy array with crosspy.array(a, layout)")
        return CrossArray(matmul.matmul(a._view, b._view))

    def __array_function__(self, function: object, types: object, args: tuple, kwargs: dict) -> object:
        work = _functions.get(function)
        if work is None:
            raise TypeError(ufunc.advice(f"numpy.{function.__name__}"))
        return work(*args, **kwargs)

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __contains__(self, value: object) -> bool:
        return bool((self == value).any())

    def __iter__(self) -> Iterator[CrossArray]:
        return (self[i] for i in range(len(self)))

    def __format__(self, spec: str) -> str:
        return format(self.item() if spec else str(self), spec)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return show.array(self)

    def _repr_html_(self) -> str:
        """For notebooks: where the blocks are. Nothing is gathered."""
        return drawing.array_html(self)


_NO_OUT = (None,)
_OPERANDS = (CrossArray, np.ndarray, list, tuple)
