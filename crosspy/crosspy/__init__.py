"""CrossPy: one array over the CPUs and GPUs of a job, in blocks that Parla tasks use.

A layout says how an array is cut and where each block lies; a CrossArray is a layout with content. Assignment between any two
layouts copies exactly the elements that move, as tasks. Nothing is gathered unless asked for.

>>> import crosspy as xp
>>> layout = xp.BlockCyclic((6, 6), block=(2, 2), grid=(2, 2), devices=[("gpu", 0), ("gpu", 1)])
>>> layout.n_blocks, layout.place(1)
(9, gpu[1])
"""

from . import linalg
from ._crosspy import plan_cache_info
from .array import CrossArray, GatherLimitError, set_gather_limit
from .block import Block
from .create import array, empty, fromfunction, full, zeros
from .flow import places, sync, traffic
from .functions import concatenate, empty_like, full_like, ones_like, sort, stack, where, zeros_like
from .index import UnsupportedIndexError
from .layout import BlockCyclic, Grid, Layout, Split, parse_layout
from .place import Place
from .redistribute import Link, links

__all__ = [
    "Block",
    "BlockCyclic",
    "CrossArray",
    "GatherLimitError",
    "Grid",
    "Layout",
    "Link",
    "Place",
    "Split",
    "UnsupportedIndexError",
    "array",
    "concatenate",
    "empty",
    "empty_like",
    "fromfunction",
    "full",
    "full_like",
    "linalg",
    "links",
    "ones_like",
    "parse_layout",
    "places",
    "plan_cache_info",
    "set_gather_limit",
    "sort",
    "stack",
    "sync",
    "traffic",
    "where",
    "zeros",
    "zeros_like",
]
