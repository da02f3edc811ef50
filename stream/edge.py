"""The readings of a message that lie on half-hour edges. Those between are kept as evidence and looked up there."""

from collections.abc import Sequence
from math import gcd

from stream.interval import HALF_HOUR_S


def edges(start: int, step_s: int, values: Sequence[int | None]) -> tuple[range, Sequence[int | None]]:
    """Instants (Unix s) and readings at the half-hour edges of a series that starts at `start`; a reading may be None."""
    first = first_edge(start, step_s)
    if first is None or first >= len(values):
        return range(0), ()
    stride = HALF_HOUR_S // gcd(step_s, HALF_HOUR_S)
    picked = values[first::stride]
    begin, step = start + first * step_s, stride * step_s
    return range(begin, begin + step * len(picked), step), picked


def first_edge(start: int, step_s: int) -> int | None:
    """The place of the first reading on an edge; None if no reading of the series can be."""
    missing = -start % HALF_HOUR_S
    if missing % step_s == 0:
        return missing // step_s
    common = gcd(step_s, HALF_HOUR_S)
    if missing % common:
        return None
    size = HALF_HOUR_S // common
    return missing // common * pow(step_s // common, -1, size) % size if size > 1 else 0
