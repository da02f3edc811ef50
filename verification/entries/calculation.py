"""E39 to E50: the numbers, each from the one before it."""

import numpy as np

from verification.case import Case
from verification.checks.calculation import used_factors
from verification.claim import Event, Meter, Register, Series, State
from verification.entries.stated import judged, stated, unseen
from verification.item import Result, failed
from verification.methodology.en_r_002 import Treatment, incidental_faults
from verification.reduction import Year


def e39_generation(case: Case) -> Result:
    return _energy(case, Register.GENERATION)


def e40_export(case: Case) -> Result:
    return _energy(case, Register.EXPORT)


def _energy(case: Case, register: Register) -> Result:
    """Credited energy a member and year; per meter, rows sum to closing - opening of the register, so credited = difference - listed exclusions."""
    value, faults, meters = {}, [], 0
    for d, member in zip(case.dispositions, case.reduction.members, strict=True):
        difference = listed = 0
        for meter in (m for m in d.activity.formula_meters if m.register is register):
            meters += 1
            rows, span, why = reconciled(meter, case.claim.series_of(meter).true_edges(), [e for e in case.claim.events if e.meter == meter.number])
            faults += [f"meter {meter.meter}: {why}"] if why else []
            difference, listed = difference + span, listed + rows
        credited = member.total(register)
        value[d.activity.activity] = {"claimed_wh": credited, "closing - opening_wh": difference, "listed exclusions_wh": listed - credited}
    years = {str(y.fiscal_year): y.generation_wh if register is Register.GENERATION else y.export_wh for y in case.reduction.years}
    return judged(
        {"by fiscal year": years, "members": value},
        f"interval, {register}",
        faults,
        population=meters,
        ja="積算値と合わない計量器",
        en="meters whose rows do not sum",
    )


def reconciled(meter: Meter, series: Series, events: list[Event]) -> tuple[int, int, str]:
    """(sum of the rows, what the register says of the same spans, why they differ). Where the register starts anew the sum starts anew."""
    rows = total = span = 0
    why = ""
    opening = np.flatnonzero(series.state == State.OPENING)
    for first, last in zip([0, *opening.tolist()], [*opening.tolist(), len(series)], strict=True):
        if last - first < 2:
            continue
        inside = series.energy_wh[first + 1 : last]
        rows = int(inside.sum())
        difference = int(series.register_wh[last - 1] - series.register_wh[first])
        seams = sum(_seam_wh(e) for e in events if series.end_s[first] <= e.at_s < series.end_s[last - 1])
        held = bool(np.any(series.state[first + 1 : last] == State.HELD))
        if (rows - difference - seams) % meter.modulus_wh and not held:
            why = f"rows sum to {rows} Wh, register rises by {difference} Wh, records explain {seams} Wh"
        total, span = total + rows, span + rows - ((rows - difference - seams) % meter.modulus_wh if not held else 0)
    return total, span, why


def _seam_wh(event: Event) -> int:
    """What a swap or reset adds to the register's difference: the old one's closing less the new one's opening."""
    return (event.closing_wh or 0) - (event.opening_wh or 0)


def e41_el_pj(case: Case) -> Result:
    value = {
        "formula": "EN-R-002: EL_PJ = generated - exported - battery loss",
        "by fiscal year": {str(y.fiscal_year): {"el_pj_wh": y.el_pj_wh, "battery_loss_wh": y.loss_wh} for y in case.reduction.years},
        "members": {m.activity.activity: m.total_wh for m in case.reduction.members},
    }
    off = [str(y.fiscal_year) for y in case.reduction.years if y.el_pj_wh != y.generation_wh - y.export_wh - y.loss_wh]
    return judged(value, "E39, E40, battery registers", off, population=len(case.reduction.members), ja="式と合わない年度", en="years off the formula")


def e42_el_bl(case: Case) -> Result:
    return stated({str(y.fiscal_year): y.el_pj_wh for y in case.reduction.years}, "E41: EL_BL = EL_PJ", population=len(case.reduction.years))


def e43_factor(case: Case) -> Result:
    used, missing = used_factors(case)
    value = {
        "plan": case.claim.plan.factor,
        "factors": [
            {"fiscal_year": f.fiscal_year, "kind": f.kind, "kg_per_kwh": f.kg_per_kwh, "source": f.source, "file": f.file_sha256, "class": "A"} for f in used
        ],
        "wh by year and step": {str(y.fiscal_year): dict(y.wh_by_step) for y in case.reduction.years},
    }
    if missing or not used:
        return unseen(value, "factor", ja="未登録の係数がある", en="; ".join(missing) or "there is no energy that takes a factor")
    return stated(value, "factor", population=len(used))


def _by_year(case: Case, name: str, source: str) -> Result:
    """A number a fiscal year, or *could not run* where a factor is missing."""
    value = {str(y.fiscal_year): getattr(y, name) for y in case.reduction.years}
    if any(v is None for v in value.values()):
        return unseen(value, source, ja="係数がなく計算できない", en="; ".join(case.reduction.missing_factors))
    return stated(value, source, population=len(value))


def e44_em_bl(case: Case) -> Result:
    return _by_year(case, "em_bl_kg", "E42, E43: EM_BL = EL_BL * CEF (kg)")


def e45_main(case: Case) -> Result:
    return _by_year(case, "em_pj_main_kg", "EN-R-002: EM_PJ,M = 0 (kg)")


def e46_incidental(case: Case) -> Result:
    plan = case.claim.plan
    value = {"items": plan.document()["incidental"], "kg by fiscal year": {str(y.fiscal_year): y.em_pj_incidental_kg for y in case.reduction.years}}
    if any(y.em_pj_incidental_kg is None for y in case.reduction.years):
        return unseen(value, "plan, E44", ja="係数がなく計算できない", en="; ".join(case.reduction.missing_factors))
    faults = list(incidental_faults(plan.incidental)) + ([] if plan.incidental else ["no treatment is stated"])
    monitored = {i.item for i in plan.incidental if i.treatment is Treatment.MONITORED}
    if "auxiliary" in monitored:
        faults += [f"activity {a.activity}: auxiliary is monitored, but not metered" for a, _ in case.earning() if not a.has(Register.AUXILIARY)]
    return judged(value, "plan, E44", faults, population=len(plan.incidental), ja="限度を超える項目", en="treatments beyond their limits")


def e47_years(case: Case) -> Result:
    result = _by_year(case, "tonnes", "E44 to E46, floored once a fiscal year")
    below = [y for y in case.reduction.years if y.tonnes is not None and y.tonnes < 0]
    return _negative(result.value, below) if below else result


def _negative(value: object, below: list[Year]) -> Result:
    return failed("負の年度がある", f"{len(below)} fiscal years are below zero", value=value, source="E44 to E46", population=len(below))


def e48_total(case: Case) -> Result:
    tonnes = case.reduction.tonnes
    if tonnes is None:
        return unseen(None, "E47", ja="係数がなく計算できない", en="; ".join(case.reduction.missing_factors))
    return stated(tonnes, "E47: sum of the floored years")


def e49_mwh(case: Case) -> Result:
    return stated({str(year): value for year, value in case.reduction.mwh_by_year().items()}, "E41 (MWh)", population=len(case.reduction.years))


def e50_planned(case: Case) -> Result:
    return unseen(
        {"claimed_t": case.reduction.tonnes},
        "plan",
        ja="計画値が登録されていない",
        en="the plan's forecast is not on record, so there is nothing to differ from",
    )
