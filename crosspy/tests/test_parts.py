"""Into which parts gather and scatter cut an array, so that no more than the limit is on the way at once."""

import itertools
import math

import numpy as np
import pytest
from crosspy.redistribute import _ranges
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(0, 9), max_size=4).map(tuple), st.sampled_from([1, 8, 16]), st.integers(1, 3000))
def test_each_element_is_in_one_part_and_no_part_is_too_large(shape, itemsize, limit):
    count = np.zeros(shape, int)
    for ranges in _ranges(shape, itemsize, limit):
        sizes = [stop - start for start, stop in ranges]
        assert math.prod(sizes) * itemsize <= limit or math.prod(sizes) == 1
        count[tuple(slice(start, stop) for start, stop in ranges)] += 1
    assert (count == 1).all()


@pytest.mark.parametrize(("limit", "n_parts"), [(1, 24), (8, 24), (16, 12), (48, 4), (100, 2), (192, 1)])
def test_parts_are_as_large_as_they_may_be(limit, n_parts):
    parts = list(_ranges((4, 6), 8, limit))
    assert len(parts) == n_parts
    starts = [tuple(start for start, _ in ranges) for ranges in parts]
    assert starts == sorted(starts) and all(a < b for a, b in itertools.pairwise(starts))
