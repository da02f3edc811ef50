"""C09 to C14: could it have happened. Plausibility is tested on all intervals before exclusion; only a claimed one fails.

Detectors are not run again here: their flags are read. C09, C10 and C13 test by their own arithmetic beside them, so that a lost flag is seen.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly import sky
from verification.case import Case
from verification.claim import Activity, Meter, Register, Series, State
from verification.disposition import Disposition, Fate, held_rows
from verification.item import Result, could_not_run, failed, passed
from verification.period import DAY_S, SLOT_S, day_of, iso

MOST_SHOWN = 20
NOISE_W, NOISE_SHARE = 10.0, 0.002  # of rating: what standby and noise of a power conditioner may count
CLOCK_LIMIT_S = 60  # between the clocks of two registers of a site


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """Intervals that one test saw, of all before exclusion: how many, how many were over, and which of those are claimed."""

    tested: int
    over: int
    claimed: tuple[str, ...]
    claimed_wh: int


def c09_physical_limit(case: Case) -> Result:
    """No claimed generation above rating and clear sky."""
    seen = _sum(_above(case, a, d, m) for a, d, m in _generation(case))
    return _judged(case, seen, ("above-bound", "gap-lump"), "定格・快晴時上限超過", "above the limit of rating and clear sky", "anomaly.sky bound, noise floor")


def c10_night(case: Case) -> Result:
    """No claimed generation while the sun is below the horizon throughout, net of battery discharge."""
    seen = _sum(_dark(case, a, d, m) for a, d, m in _generation(case))
    return _judged(case, seen, ("night-generation",), "夜間発電", "generation at night", "anomaly.sky elevation, noise floor")


def _judged(case: Case, seen: Tested, codes: tuple[str, ...], ja: str, en: str, how: str) -> Result:
    flagged = sum(f.code in codes for f in case.claim.flags)
    excluded = seen.over - len(seen.claimed)
    ja_all = f"{ja}：検査 {seen.tested}、超過 {seen.over}、フラグ {flagged}、除外 {excluded}、解除 0"
    en_all = f"{en}: {seen.tested} tested, {seen.over} over, {flagged} flagged, {excluded} excluded, 0 released"
    if seen.claimed:
        return failed(
            f"{ja_all}、申請に残る {len(seen.claimed)}",
            f"{en_all}, {len(seen.claimed)} still claimed",
            population=seen.tested,
            stake_t=case.stake_t(seen.claimed_wh),
            evidence=seen.claimed[:MOST_SHOWN],
        )
    if not seen.tested:
        return could_not_run("発電区間がない", "there is no interval of generation to test", stake_t=case.stake_t())
    return passed(f"{ja_all}、申請に残るものなし", f"{en_all}, none claimed", population=seen.tested, stake_t=case.stake_t(), evidence=(how,))


def _generation(case: Case) -> Iterator[tuple[Activity, Disposition, Meter]]:
    """Every generation meter of the claim, earning or not."""
    return ((d.activity, d, m) for d in case.dispositions for m in d.activity.meters if m.register is Register.GENERATION)


def _sum(parts: Iterator[Tested]) -> Tested:
    found = list(parts)
    return Tested(
        tested=sum(p.tested for p in found),
        over=sum(p.over for p in found),
        claimed=tuple(line for p in found for line in p.claimed),
        claimed_wh=sum(p.claimed_wh for p in found),
    )


def _rows(series: Series) -> Series:
    """Rows that are intervals."""
    keep = np.isin(series.state, (State.CREDITED, State.SPREAD, State.HELD)) & (series.start_s >= 0)
    return Series(
        start_s=series.start_s[keep], end_s=series.end_s[keep], register_wh=series.register_wh[keep], energy_wh=series.energy_wh[keep], state=series.state[keep]
    )


def _noise_wh(activity: Activity, meter: Meter, span_s: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(meter.resolution_wh + (NOISE_W + NOISE_SHARE * activity.site.dc_kw * 1000) * span_s / 3600)


def _spans(activity: Activity, rows: Series) -> sky.Spans:
    return sky.spans(np.full(len(rows), activity.site.lat), np.full(len(rows), activity.site.lon), rows.start_s, rows.end_s)


def _above(case: Case, activity: Activity, disposition: Disposition, meter: Meter) -> Tested:
    rows = _rows(case.claim.series_of(meter))
    dc, ac = np.full(len(rows), activity.site.dc_kw), np.full(len(rows), activity.site.ac_kw)
    bound = sky.bound_wh(_spans(activity, rows), dc, ac, sky.LABEL_TOLERANCE_S) + _noise_wh(activity, meter, rows.end_s - rows.start_s)
    return _tested(disposition, meter, rows, rows.energy_wh, bound)


def _dark(case: Case, activity: Activity, disposition: Disposition, meter: Meter) -> Tested:
    rows = _rows(case.claim.series_of(meter))
    dark = sky.is_night(_spans(activity, rows), sky.LABEL_TOLERANCE_S)
    rows = Series(
        start_s=rows.start_s[dark], end_s=rows.end_s[dark], register_wh=rows.register_wh[dark], energy_wh=rows.energy_wh[dark], state=rows.state[dark]
    )
    net = rows.energy_wh - sum((_same_span(case, m, rows) for m in activity.meters if m.register is Register.DISCHARGE), np.zeros(len(rows), np.int64))
    return _tested(disposition, meter, rows, net, _noise_wh(activity, meter, rows.end_s - rows.start_s))


def _same_span(case: Case, meter: Meter, rows: Series) -> NDArray[np.int64]:
    """A second register's energy over the very same spans; 0 where it has no such row."""
    other = _rows(case.claim.series_of(meter))
    if not len(other):
        return np.zeros(len(rows), np.int64)
    place = np.minimum(np.searchsorted(other.end_s, rows.end_s), len(other) - 1)
    same = (other.end_s[place] == rows.end_s) & (other.start_s[place] == rows.start_s)
    return np.asarray(np.where(same, other.energy_wh[place], 0))


def _tested(disposition: Disposition, meter: Meter, rows: Series, energy: NDArray[np.int64], bound: NDArray[np.float64]) -> Tested:
    over = np.flatnonzero(energy > bound)
    claimed = [n for n in over.tolist() if _is_claimed(disposition, int(rows.start_s[n]))]
    return Tested(
        tested=len(rows),
        over=len(over),
        claimed=tuple(f"meter {meter.meter}, {iso(int(rows.start_s[n]))}: {int(energy[n])} Wh, limit {bound[n]:.0f} Wh" for n in claimed),
        claimed_wh=sum(int(rows.energy_wh[n]) for n in claimed),
    )


def _is_claimed(disposition: Disposition, start_s: int) -> bool:
    slot = (start_s - disposition.period.start_s) // SLOT_S
    return 0 <= slot < len(disposition.fate) and bool(disposition.fate[slot] == Fate.CREDITED)


def c11_peers(case: Case) -> Result:
    """Specific yield against comparable sites: that detector sees weeks of many sites and is not there yet."""
    return could_not_run(
        "近隣・気象との比較（複数サイト・複数週）は未実施",
        "the comparison with peers and weather, over weeks of many sites, was not made",
        stake_t=case.stake_t(),
    )


def c12_synthetic(case: Case) -> Result:
    """Stuck, synthetic or cloned data by a rule set whose miss rate was measured: none was measured yet."""
    return could_not_run(
        "見逃し率を測定した規則による固着・合成の検査は未実施（完全な複製日は C08）",
        "no rule set with a measured miss rate looked for stuck or synthetic data (exact copies of days: C08)",
        stake_t=case.stake_t(),
    )


def c13_balance(case: Case) -> Result:
    """Per member and day, export exceeds what was made and discharged by no more than resolution and clocks explain; negative intervals stay in the sum."""
    tested, faults, energy = 0, [], 0
    for activity, disposition in case.earning():
        excess, allowed, days = _daily_excess(case, activity, disposition)
        tested += len(days)
        for n in np.flatnonzero(excess > allowed).tolist():
            day = day_of(case.claim.period.start_s + int(days[n]) * DAY_S)
            faults.append(f"activity {activity.activity} on {day}: export exceeds generation by {int(excess[n])} Wh, allowed {int(allowed[n])} Wh")
            energy += int(excess[n])
    if faults:
        return failed(
            f"売電が発電を許容以上に超える会員日 {len(faults)}",
            f"on {len(faults)} claimed member-days export exceeds generation by more than resolution and clocks explain",
            population=tested,
            stake_t=case.stake_t(energy),
            evidence=tuple(faults[:MOST_SHOWN]),
        )
    if not tested:
        return could_not_run("申請区間がない", "there is no claimed day to test", stake_t=case.stake_t())
    negative = sum(int(np.count_nonzero((d.pieces.wh(Register.GENERATION) < d.pieces.wh(Register.EXPORT)) & d.pieces.credited)) for d in case.dispositions)
    return passed(
        f"会員日 {tested} 日で収支が成立。負の自家消費 {negative} 区間は負のまま合算",
        f"the balance holds on all {tested} member-days; {negative} intervals of negative self-consumption stay negative in the sum",
        population=tested,
        stake_t=case.stake_t(),
    )


def _daily_excess(case: Case, activity: Activity, disposition: Disposition) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Export beyond generation and net discharge, what is allowed, and the day's number, of each day with a credited span."""
    pieces = disposition.pieces
    on = np.flatnonzero(pieces.credited)
    day = (pieces.start_s[on] - case.claim.period.start_s) // DAY_S
    excess = pieces.wh(Register.EXPORT) - pieces.wh(Register.GENERATION) - pieces.wh(Register.DISCHARGE) + pieces.wh(Register.CHARGE)
    starts_run = np.ones(len(on), np.bool_)
    starts_run[1:] = (pieces.start_s[on][1:] != pieces.end_s[on][:-1]) | (day[1:] != day[:-1])
    days, place = np.unique(day, return_inverse=True)
    total, runs = np.zeros(len(days), np.int64), np.zeros(len(days), np.int64)
    np.add.at(total, place, excess[on])
    np.add.at(runs, place, starts_run)
    resolution = sum(m.resolution_wh for m in activity.formula_meters)
    clock_wh = activity.site.ac_kw * 1000 * CLOCK_LIMIT_S / 3600
    return total, np.asarray(runs * (resolution + clock_wh)), days


def c14_anomalies_resolved(case: Case) -> Result:
    """Each flag has its disposition by rule: a hold is forfeited when the claim is frozen, a warning is kept. Nothing was released. The sum reconciles."""
    numbers = {m.number: (d, m) for d in case.dispositions for m in d.activity.formula_meters}
    mine = [f for f in case.claim.flags if f.meter in numbers]
    holds = [f for f in mine if f.holds]
    faults = [
        f"meter {numbers[f.meter][1].meter}, {iso(f.start_s)}: {f.code} holds, but the interval is claimed"
        for f in holds
        if _touches_claimed(numbers[f.meter][0], f.start_s, f.end_s)
    ]
    kept = _kept_wh(case)
    effects = Counter(f"{f.code} ({f.level}, {f.rule_set})" for f in mine)
    stake = sum(f.energy_at_stake_wh for f in holds)
    evidence = tuple(f"{code}: {count}" for code, count in sorted(effects.items()))
    if faults or kept:
        return failed(
            f"処置と一致しない保留 {len(faults)}、保留行の計上 {kept} Wh",
            f"{len(faults)} holds overlap claimed intervals; {kept} Wh of held rows are counted",
            population=len(mine),
            stake_t=case.stake_t(stake),
            evidence=tuple(faults[:MOST_SHOWN]) + evidence,
        )
    return passed(
        f"異常 {len(mine)} 件：保留 {len(holds)} 件は規則により失効（対象 {stake} Wh）、警告 {len(mine) - len(holds)} 件は規則により維持、人による解除なし",
        f"{len(mine)} flags: {len(holds)} holds forfeited by rule ({stake} Wh at stake), {len(mine) - len(holds)} warnings kept by rule, none released",
        population=len(mine),
        stake_t=case.stake_t(stake),
        evidence=evidence,
    )


def _touches_claimed(disposition: Disposition, start_s: int, end_s: int) -> bool:
    at = disposition.period.start_s
    first, last = max(0, (start_s - at) // SLOT_S), max(0, -(-(end_s - at) // SLOT_S))
    return bool(np.any(disposition.fate[first:last] == Fate.CREDITED))


def _kept_wh(case: Case) -> int:
    """Energy of held rows inside credited half hours: always 0, counted from the rows themselves."""
    kept = 0
    for _, disposition, meter in case.earning_meters():
        series = _rows(case.claim.series_of(meter))
        held = held_rows(series, case.claim.flags_of(meter))
        kept += sum(abs(int(series.energy_wh[n])) for n in np.flatnonzero(held).tolist() if _is_claimed(disposition, int(series.start_s[n])))
    return kept
