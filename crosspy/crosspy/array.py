"""CrossArray: one array in blocks over devices."""

from __future__ import annotations

import math

import numpy as np
from parla.devices import Device

from . import drawing, flow, index, redistribute, show
from .block import Block
from .layout import Grid, Layout
from .redistribute import View
from .store import Store

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


def _refuse_operator(name: str) -> object:
    def refuse(self: CrossArray, other: object) -> bool:
        raise TypeError(f"CrossArray {name} ...: element-wise operations are not supported; use x.gather(), or tasks on x.blocks")

    return refuse


class CrossArray:
    """An N-d array whose blocks lie on devices, as its layout says; or a view of some elements of one.

    Made by `array`, `fromfunction`, `empty`, `zeros` and `full`. Indexing with integers, slices and an ellipsis gives a view that
    shares the blocks. Assigning to a view spawns copies that are ordered with all tasks on the blocks; nothing waits. Content
    reaches NumPy through `gather` only (and `numpy.asarray` for small arrays).
    """

    __slots__ = ("_shape", "_view")

    # NumPy's functions and operators must not take the array for a sequence and gather it bit by bit.
    __array_ufunc__ = None

    def __init__(self, view: View) -> None:
        self._view = view
        self._shape = tuple(index.count(part) for k, part in enumerate(view.box) if not view.dropped >> k & 1)

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
        whole = redistribute.whole(self._view.store)
        return None if self._view == whole else CrossArray(whole)

    @property
    def layout(self) -> Layout:
        """Where the elements are. For a view: that of the same elements as an array of their own."""
        store, box, dropped = self._view
        return store.layout if self.base is None else store.layout.view(box, dropped)

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
        store, box, dropped = self._view
        kept = [k for k in range(len(box)) if not dropped >> k & 1]
        parts = list(box)
        for k, (part, is_number) in zip(kept, index.parse(key, self._shape)):
            parts[k] = index.compose(box[k], part)
            dropped |= is_number << k
        return CrossArray(View(store, tuple(parts), dropped))

    def __setitem__(self, key: object, value: object) -> None:
        view = self[key]._view
        if isinstance(value, CrossArray):
            redistribute.assign(view, value._view)
        elif isinstance(value, Block):
            layout = Grid(value.extent, (1,) * value.ndim, [value.place])
            store = Store(layout, value.dtype, [value.data])
            redistribute.assign(view, redistribute.whole(store))
        else:
            redistribute.assign_host(view, value)

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a CrossArray without dimensions")
        return self._shape[0]

    # --- Copies ---

    def copy(self) -> CrossArray:
        """Return a new array with the same layout and content. Nothing waits."""
        return self.to(self.layout)

    def to(self, layout: Layout) -> CrossArray:
        """Return a new array with this content and another layout of the same shape. Nothing waits."""
        if layout.shape != self._shape:
            raise ValueError(f"to(layout): the layout has the shape {layout.shape}, the array {self._shape}")
        made = CrossArray(redistribute.whole(Store(layout, self.dtype)))
        redistribute.assign(made._view, self._view)
        return made

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
        redistribute.gather(self._view, out, self._shape, root, limit)
        return out

    def item(self) -> object:
        """Return the only element as a Python scalar."""
        if self.size != 1:
            raise ValueError(f"item() is for an array of one element, this one has {self.size}")
        return self.gather().item()

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

    def __array_function__(self, function: object, types: object, args: tuple, kwargs: dict) -> object:
        if function in (np.shape, np.ndim, np.size):
            return getattr(args[0] if args else kwargs["a"], function.__name__)
        raise TypeError(f"numpy.{function.__name__} does not work on a CrossArray; use x.gather(), or tasks on x.blocks")

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    __eq__ = _refuse_operator("==")
    __ne__ = _refuse_operator("!=")
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return show.array(self)

    def _repr_html_(self) -> str:
        """For notebooks: where the blocks are. Nothing is gathered."""
        return drawing.array_html(self)
