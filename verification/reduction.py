"""From the fate of half hours to tonnes: member-days of integer Wh, kg by fiscal year, t floored once.

A member-day is the JST day in which an interval starts; it has one fiscal year and one factor step. A battery's loss is the member's over the claim and
is shared over its days by what was charged in them, to the last Wh, so that member-days sum to the claim. Where a factor is missing no kg is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from verification.claim import Activity, Claim, Register
from verification.disposition import Disposition, Fate
from verification.methodology import methodology
from verification.methodology.en_r_002 import Step, battery_loss_wh, em_auxiliary_kg, em_deducted_kg, months_elapsed, mwh, step
from verification.methodology.factors import FactorTable, MissingFactorError
from verification.period import DAY_S, SLOTS_A_DAY, fiscal_year

ENERGIES = (Register.GENERATION, Register.EXPORT, Register.CHARGE, Register.DISCHARGE, Register.AUXILIARY)
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """An activity's days of the claim: energy of credited intervals (Wh) and half hours by fate, arrays of one element a day."""

    activity: Activity
    energy_wh: Mapping[Register, Ints]
    loss_wh: Ints
    el_pj_wh: Ints
    counts: Mapping[Fate, Ints]
    year_step: tuple[tuple[int, Step], ...]  # a day

    def total(self, register: Register) -> int:
        return int(self.energy_wh[register].sum())

    def energy_wh_of(self, register: str) -> Ints:
        return self.energy_wh[Register(register)]

    @property
    def total_wh(self) -> int:
        return int(self.el_pj_wh.sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class Year:
    """One fiscal year: `kg` values are None while a factor that it needs is missing."""

    fiscal_year: int
    generation_wh: int
    export_wh: int
    loss_wh: int
    auxiliary_wh: int
    el_pj_wh: int
    wh_by_step: Mapping[Step, int]
    em_bl_kg: Decimal | None
    em_pj_main_kg: Decimal
    em_pj_incidental_kg: Decimal | None
    er_kg: Decimal | None
    tonnes: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reduction:
    members: tuple[Member, ...]
    years: tuple[Year, ...]
    missing_factors: tuple[str, ...]

    @property
    def tonnes(self) -> int | None:
        """The sum of the floored years; None while one of them can not be said."""
        floored = [y.tonnes for y in self.years]
        return None if any(t is None for t in floored) else sum(t for t in floored if t is not None)

    @property
    def el_pj_wh(self) -> int:
        return sum(y.el_pj_wh for y in self.years)

    def mwh_by_year(self) -> Mapping[int, Decimal]:
        return mwh({y.fiscal_year: y.el_pj_wh for y in self.years})

    def kg_per_wh(self) -> Decimal | None:
        """The claim's own mean kg a Wh, to say what energy at stake is in t."""
        kg = [y.er_kg for y in self.years]
        if any(k is None for k in kg) or self.el_pj_wh <= 0:
            return None
        return sum((k for k in kg if k is not None), Decimal(0)) / self.el_pj_wh


def reduce(claim: Claim, dispositions: tuple[Disposition, ...], table: FactorTable) -> Reduction:
    """The claim's reduction by the project's methodology and the factors in force."""
    members = tuple(_member(claim, d) for d in dispositions)
    years, missing = [], []
    for year in claim.period.fiscal_years():
        made, gaps = _year(claim, year, members, table)
        years.append(made)
        missing += gaps
    return Reduction(members=members, years=tuple(years), missing_factors=tuple(missing))


def share(total: int, weights: Ints) -> Ints:
    """A whole number shared by weights, by rounding the running sum down: the parts sum to it exactly. Zero weights share nothing."""
    running = np.cumsum(np.maximum(weights, 0))
    if total == 0 or not len(running) or running[-1] == 0:
        return np.zeros(len(weights), np.int64)
    upto = np.array([total * int(w) // int(running[-1]) for w in running], np.int64)
    return np.diff(upto, prepend=0)


def _member(claim: Claim, disposition: Disposition) -> Member:
    days, pieces = claim.period.days, disposition.pieces
    on = pieces.credited
    day = (pieces.start_s[on] - claim.period.start_s) // DAY_S
    energy = {register: _by_day(day, pieces.wh(register)[on], days) for register in ENERGIES}
    loss = battery_loss_wh(int(energy[Register.CHARGE].sum()), int(energy[Register.DISCHARGE].sum()))
    loss_wh = share(loss, energy[Register.CHARGE])
    slots = disposition.fate.reshape(days, SLOTS_A_DAY)
    return Member(
        activity=disposition.activity,
        energy_wh=energy,
        loss_wh=loss_wh,
        el_pj_wh=energy[Register.GENERATION] - energy[Register.EXPORT] - loss_wh,
        counts={fate: np.count_nonzero(slots == fate, axis=1).astype(np.int64) for fate in Fate},
        year_step=_year_steps(claim, disposition.activity),
    )


def _by_day(day: Ints, wh: Ints, days: int) -> Ints:
    out = np.zeros(days, np.int64)
    np.add.at(out, day, wh)
    return out


def _year_steps(claim: Claim, activity: Activity) -> tuple[tuple[int, Step], ...]:
    """Fiscal year and factor step of each day; before the first operation nothing earns, so its step does not matter."""
    start = activity.site.operation_start
    days = (claim.period.start + timedelta(days=n) for n in range(claim.period.days))
    return tuple((fiscal_year(day), step(max(0, months_elapsed(start, day)), claim.plan.factor)) for day in days)


def _year(claim: Claim, year: int, members: tuple[Member, ...], table: FactorTable) -> tuple[Year, list[str]]:
    formulas = methodology(claim.project.methodology)
    el_pj, auxiliary = _by_step(year, members, "el_pj_wh"), _by_step(year, members, Register.AUXILIARY)
    cef, missing = _factors(year, el_pj, auxiliary, table)
    em_bl = incidental = er = tonnes = None
    if not missing:
        em_bl = sum((formulas.em_bl_kg(formulas.el_bl_wh(wh), cef[s]) for s, wh in el_pj.items()), Decimal(0))
        monitored = sum((em_auxiliary_kg(wh, cef[s]) for s, wh in auxiliary.items()), Decimal(0))
        incidental = monitored + em_deducted_kg(claim.plan.incidental, em_bl)
        er = formulas.er_kg(em_bl, formulas.em_pj_main_kg() + incidental)
        tonnes = formulas.issued_t({year: er})[year]
    total = {name: sum(_by_step(year, members, name).values()) for name in (Register.GENERATION, Register.EXPORT, "loss_wh")}
    return Year(
        fiscal_year=year,
        generation_wh=total[Register.GENERATION],
        export_wh=total[Register.EXPORT],
        loss_wh=total["loss_wh"],
        auxiliary_wh=sum(auxiliary.values()),
        el_pj_wh=sum(el_pj.values()),
        wh_by_step=el_pj,
        em_bl_kg=em_bl,
        em_pj_main_kg=formulas.em_pj_main_kg(),
        em_pj_incidental_kg=incidental,
        er_kg=er,
        tonnes=tonnes,
    ), missing


def _by_step(year: int, members: tuple[Member, ...], name: str) -> dict[Step, int]:
    out: dict[Step, int] = {}
    for member in members:
        column = member.energy_wh[Register(name)] if name in tuple(Register) else getattr(member, name)
        for (of_year, of_step), wh in zip(member.year_step, column.tolist(), strict=True):
            if of_year == year:
                out[of_step] = out.get(of_step, 0) + wh
    return out


def _factors(year: int, el_pj: Mapping[Step, int], auxiliary: Mapping[Step, int], table: FactorTable) -> tuple[dict[Step, Decimal], list[str]]:
    """CEF of each step that has energy, and what the table does not have."""
    cef, missing = {}, []
    for of_step in el_pj:
        if not (el_pj[of_step] or auxiliary.get(of_step)):
            cef[of_step] = Decimal(0)
            continue
        try:
            cef[of_step] = table.cef(year, of_step)
        except MissingFactorError as error:
            missing.append(str(error))
    return cef, missing
