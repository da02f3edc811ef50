"""How many members the operator's survey of activity data asks (not a body's own sample, which it sizes by risk).

`n >= N / ((CI / 2k)^2 * (N - 1) / s^2 + 1)` with k 1.65, CI 0.2 and s^2 0.25, reproducing the published sizes; rounded up.
"""

import math
from fractions import Fraction

K = Fraction(165, 100)
CI = Fraction(2, 10)
S2 = Fraction(25, 100)


def size(population: int) -> int:
    """The published sample size for a population of so many members; 0 of 0."""
    if isinstance(population, bool) or not isinstance(population, int) or population < 0:
        raise ValueError(f"a population is a whole number of members, 0 or more, not {population!r}")
    if population == 0:
        return 0
    return math.ceil(population / ((CI / (2 * K)) ** 2 * (population - 1) / S2 + 1))
