"""`parla.utils`."""

__all__ = ["parse_index"]


def parse_index(prefix: object, index: object, step: object, stop: object = None) -> None:
    """Walk an index of several dimensions: `step(prefix, i)` goes down by one value, `stop(prefix)` gets each place that is reached.

    Values are integers, strings, slices with a stop, and iterables of them, in a tuple with one entry for each dimension.
    """
    parts = index if isinstance(index, tuple) else (index,)
    if not parts:
        if stop is not None:
            stop(prefix)
        return
    first, rest = parts[0], parts[1:]
    if isinstance(first, slice):
        if first.stop is None:
            raise ValueError(f"parse_index: a slice needs a stop here, not {first!r}")
        first = range(first.start or 0, first.stop, first.step or 1)
    for value in [first] if isinstance(first, str) or not hasattr(first, "__iter__") else first:
        parse_index(step(prefix, value), rest, step, stop)
