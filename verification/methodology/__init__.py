"""A methodology is the seam between energy and reduction: another one is a file here and its golden cases, nothing else.

It says which energy counts, what factor it takes, what is deducted, and how the result is rounded. `METHODOLOGIES` finds it by the name the project is
registered with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from verification.methodology import en_r_002
from verification.methodology.en_r_002 import FactorChoice, Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Methodology:
    """The numbers of one methodology; every function is pure and takes integer Wh or `Decimal` kg."""

    name: str
    version: str
    el_pj_wh: Callable[..., int]
    el_bl_wh: Callable[[int], int]
    em_bl_kg: Callable[[int, Decimal], Decimal]
    em_pj_main_kg: Callable[[], Decimal]
    er_kg: Callable[[Decimal, Decimal], Decimal]
    issued_t: Callable[[Mapping[int, Decimal]], Mapping[int, int]]


METHODOLOGIES: Mapping[str, Methodology] = {
    "EN-R-002": Methodology(
        name="EN-R-002",
        version="3.7",
        el_pj_wh=en_r_002.el_pj_wh,
        el_bl_wh=en_r_002.el_bl_wh,
        em_bl_kg=en_r_002.em_bl_kg,
        em_pj_main_kg=en_r_002.em_pj_main_kg,
        er_kg=en_r_002.er_kg,
        issued_t=en_r_002.issued_t,
    )
}


def methodology(name: str) -> Methodology:
    """The methodology of a name such as `EN-R-002` or `EN-R-002 Ver.3.7`; ValueError where there is none."""
    found = METHODOLOGIES.get(name.split()[0] if name.split() else name)
    if found is None:
        raise ValueError(f"no methodology {name!r} here; known: {', '.join(METHODOLOGIES)}")
    return found


__all__ = ["METHODOLOGIES", "FactorChoice", "Methodology", "Step", "methodology"]
