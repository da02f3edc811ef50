"""EN-R-002, introduction of photovoltaic power: a numbered formula a function, in the document's own symbols.

Energy is integer Wh, mass is `Decimal` kg, nothing is rounded before the end, and the end is one floor to whole t per claim and fiscal year
(rule `floor-claim-fiscal-year`, domain page: two published plans' forecasts reproduce it). A negative interval stays negative in every sum.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

ROUNDING_RULE = "floor-claim-fiscal-year"
WH_PER_KWH = 1000
KG_PER_T = 1000
OMIT_BELOW = Decimal("0.01")  # influence below which an item may be omitted
SUM_BELOW = Decimal("0.05")  # influences of all items not monitored, deducted or omitted
STEP_MONTHS = (12, 30)  # t < 1 year: marginal; 1 <= t < 2.5 years: mean; then all-source


class FactorChoice(StrEnum):
    """What the operator's plan chose."""

    STEPPED = "stepped"
    ALL_SOURCE = "all_source"  # all-source throughout


class Step(StrEnum):
    MARGINAL = "marginal"
    MEAN = "mean"
    ALL_SOURCE = "all_source"


ALL_SOURCE_SHARE = {Step.MARGINAL: Decimal(0), Step.MEAN: Decimal("0.5"), Step.ALL_SOURCE: Decimal(1)}
KINDS_NEEDED = {Step.MARGINAL: ("marginal",), Step.MEAN: ("marginal", "all_source"), Step.ALL_SOURCE: ("all_source",)}


class Treatment(StrEnum):
    MONITORED = "monitored"
    DEDUCTED = "deducted"
    OMITTED = "omitted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Incidental:
    """One item of incidental emissions; `influence` is item / ER and is None where the item is monitored."""

    item: str
    treatment: Treatment
    influence: Decimal | None
    basis: str

    def __post_init__(self) -> None:
        if self.treatment is Treatment.MONITORED:
            return
        if self.influence is None or not 0 <= self.influence < 1:
            raise ValueError(f"{self.item}: an item that is not monitored needs an influence of 0 to below 1, not {self.influence}")
        if not self.basis.strip():
            raise ValueError(f"{self.item}: an item that is not monitored states its basis")


def battery_loss_wh(charged_wh: int, discharged_wh: int) -> int:
    """What the battery lost, per member and claim: charged - discharged, never below 0."""
    return max(0, charged_wh - discharged_wh)


def el_pj_wh(*, generated_wh: int, exported_wh: int, battery_loss_wh: int = 0) -> int:
    """EL_PJ = generated - exported - battery loss: the energy that was used on the site."""
    return generated_wh - exported_wh - battery_loss_wh


def el_bl_wh(el_pj_wh: int) -> int:
    """EL_BL = EL_PJ: the grid energy that it replaced."""
    return el_pj_wh


def step(months: int, choice: FactorChoice = FactorChoice.STEPPED) -> Step:
    """The factor's step after so many whole months since the first operation of the equipment."""
    if months < 0:
        raise ValueError(f"{months} months: an interval before the first operation earns nothing")
    if choice is FactorChoice.ALL_SOURCE:
        return Step.ALL_SOURCE
    first, second = STEP_MONTHS
    return Step.MARGINAL if months < first else Step.MEAN if months < second else Step.ALL_SOURCE


def months_elapsed(start: date, day: date) -> int:
    """Whole months from the first operation to the day."""
    return (day.year - start.year) * 12 + day.month - start.month - (day.day < start.day)


def cef_kg_per_kwh(step: Step, *, marginal: Decimal | None, all_source: Decimal | None) -> Decimal:
    """CEF = Cmo * (1 - f) + Ca * f with f = 0, 0.5, 1; ValueError where a factor that the step needs is missing."""
    values = {"marginal": marginal, "all_source": all_source}
    if any(values[kind] is None for kind in KINDS_NEEDED[step]):
        raise ValueError(f"step {step}: the {' and '.join(KINDS_NEEDED[step])} factor is needed")
    share = ALL_SOURCE_SHARE[step]
    return (marginal or Decimal(0)) * (1 - share) + (all_source or Decimal(0)) * share


def em_bl_kg(el_bl_wh: int, cef_kg_per_kwh: Decimal) -> Decimal:
    """EM_BL = EL_BL * CEF."""
    return Decimal(el_bl_wh) * cef_kg_per_kwh / WH_PER_KWH


def em_pj_main_kg() -> Decimal:
    """EM_PJ,M = 0 for photovoltaic power."""
    return Decimal(0)


def em_auxiliary_kg(el_aux_wh: int, cef_kg_per_kwh: Decimal) -> Decimal:
    """A monitored item of EM_PJ,S: EL_aux * CEF."""
    return em_bl_kg(el_aux_wh, cef_kg_per_kwh)


def influence(item_kg: Decimal, er_kg: Decimal) -> Decimal:
    """Influence = item / ER."""
    return item_kg / er_kg


def em_deducted_kg(items: Iterable[Incidental], er_gross_kg: Decimal) -> Decimal:
    """Items of EM_PJ,S that are deducted and not monitored: influence * ER, of an ER before the deduction (the larger one)."""
    shares = (i.influence for i in items if i.treatment is Treatment.DEDUCTED and i.influence is not None)
    return max(Decimal(0), er_gross_kg) * sum(shares, Decimal(0))


def incidental_faults(items: Iterable[Incidental]) -> tuple[str, ...]:
    """Which limits do not hold: an omitted item is below 1 %, and all that is not monitored sums to below 5 %."""
    unmonitored = [i for i in items if i.treatment is not Treatment.MONITORED]
    faults = [
        f"{i.item}: omitted with an influence of {i.influence}, the limit is below {OMIT_BELOW}"
        for i in unmonitored
        if i.treatment is Treatment.OMITTED and (i.influence or 0) >= OMIT_BELOW
    ]
    total = sum((i.influence or Decimal(0) for i in unmonitored), Decimal(0))
    if total >= SUM_BELOW:
        faults.append(f"influences not monitored sum to {total}, the limit is below {SUM_BELOW}")
    return tuple(faults)


def er_kg(em_bl_kg: Decimal, em_pj_kg: Decimal) -> Decimal:
    """ER = EM_BL - EM_PJ."""
    return em_bl_kg - em_pj_kg


def issued_t(kg_by_fiscal_year: Mapping[int, Decimal]) -> Mapping[int, int]:
    """Whole t a fiscal year: the programme's ER, floored once; the fraction is lost. Exact whatever the number of digits."""
    return {year: _floor_t(kg) for year, kg in kg_by_fiscal_year.items()}


def mwh(wh_by_fiscal_year: Mapping[int, int]) -> Mapping[int, Decimal]:
    """MWh of EL_PJ a vintage, as RE100 reporting needs them beside t; exact, not rounded."""
    return {year: Decimal(wh).scaleb(-6) for year, wh in wh_by_fiscal_year.items()}


def _floor_t(kg: Decimal) -> int:
    if isinstance(kg, float):
        raise TypeError(f"{kg!r} kg: mass is Decimal, never float")
    if not Decimal(kg).is_finite():
        raise ValueError(f"{kg} kg is no mass")
    return math.floor(Fraction(kg) / KG_PER_T)
