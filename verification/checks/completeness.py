"""C06 to C08: is every gap known, is a gap never worth energy, and does nothing count twice."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from verification.case import Case
from verification.claim import Claim, Meter, Register, State
from verification.disposition import Disposition, Fate, held_rows, meters_silent
from verification.item import Result, could_not_run, failed, passed
from verification.period import DAY_S, SLOT_S, SLOTS_A_DAY, day_of, iso

MOST_SHOWN = 20
DISTINCT_VALUES = 8  # a day with fewer different energies may be equal to another by chance
LEAST_HALF_HOURS = 12  # and so may one with fewer half hours of generation


def c06_every_gap_known(case: Case) -> Result:
    """Expected half hours come from enrolment and windows; each is exactly one of credited, held, excluded, missing; silent sites are in."""
    claim = case.claim
    listed = {a.activity for a in claim.activities}
    faults = [f"activity {a}: enrolled, not in the claim" for a in sorted(case.enrolled_activities - listed)]
    faults += [f"activity {a}: in the claim, not enrolled" for a in sorted(listed - case.enrolled_activities)]
    total = 0
    for disposition in case.dispositions:
        expected = _expected(claim, disposition)
        counted = sum(disposition.count(fate) for fate in Fate if fate is not Fate.OUTSIDE)
        total += expected
        if expected != counted or len(disposition.fate) != claim.period.slots:
            faults.append(f"activity {disposition.activity.activity}: {expected} half hours expected, {counted} accounted for")
    if faults or not total:
        return failed(
            f"説明できない区間がある活動 {len(faults)}",
            f"{len(faults)} activities with half hours that nothing accounts for" if faults else "no half hour is expected of any activity",
            population=total,
            stake_t=case.stake_t(),
            evidence=tuple(faults[:MOST_SHOWN]),
        )
    sums = {fate: sum(d.count(fate) for d in case.dispositions) for fate in Fate}
    silent = meters_silent(claim)
    credited, held, excluded, missing = (sums[f] for f in (Fate.CREDITED, Fate.HELD, Fate.EXCLUDED, Fate.MISSING))
    return passed(
        f"想定 {total} 区間＝計上 {credited}＋保留 {held}＋除外 {excluded}＋欠測 {missing}。無通信の計量器 {len(silent)}",
        f"{total} half hours expected = {credited} credited + {held} held + {excluded} excluded + {missing} missing; {len(silent)} silent meters",
        population=total,
        stake_t=case.stake_t(),
        evidence=tuple(f"silent meter {m.meter}" for m in silent[:MOST_SHOWN]),
    )


def _expected(claim: Claim, disposition: Disposition) -> int:
    """Half hours from enrolment alone: days of the claim inside the member's window."""
    window = disposition.activity.window(claim.project)
    common = claim.period.meet(window) if window else None
    return common.slots if common else 0


def c07_gaps_conservative(case: Case) -> Result:
    """Every credited half hour is covered by a good row of each register, and a restored total has an edge of each register at both ends."""
    tested, faults, energy = 0, [], 0
    for activity, disposition in case.earning():
        credited = disposition.fate == Fate.CREDITED
        tested += int(credited.sum())
        for meter in activity.formula_meters:
            holes = np.flatnonzero(credited & ~_covered(case.claim, meter))
            faults += [f"meter {meter.meter}, {iso(case.claim.period.start_s + int(s) * SLOT_S)}: claimed, not read or held" for s in holes[:MOST_SHOWN]]
            faults += [f"meter {meter.meter}, {iso(int(at))}: a claimed span has no edge here" for at in _no_edge(case.claim, disposition, meter)[:MOST_SHOWN]]
            energy += _mean_wh(case, disposition) * len(holes)
    if faults:
        return failed(
            f"計測が欠けたまま計上された箇所 {len(faults)}",
            f"{len(faults)} places are claimed although a register of the formula is missing or held",
            population=tested,
            stake_t=case.stake_t(energy),
            evidence=tuple(faults[:MOST_SHOWN]),
        )
    if not tested:
        return could_not_run("申請区間がない", "there is no claimed interval to test", stake_t=case.stake_t())
    spread = sum(int(np.count_nonzero(d.pieces.credited & (d.pieces.end_s - d.pieces.start_s > SLOT_S))) for d in case.dispositions)
    return passed(
        f"計上 {tested} 区間すべてで式の全計量器が読まれ、保留なし。積算値で復元した期間 {spread} 件は両端が全計量器で一致",
        f"in all {tested} claimed half hours every register of the formula was read and none is held; {spread} restored spans have every register at both ends",
        population=tested,
        stake_t=case.stake_t(),
    )


def _covered(claim: Claim, meter: Meter) -> NDArray[np.bool_]:
    """Half hours that a credited or spread row of the meter covers and no hold touches: from the rows themselves, not from the disposition."""
    series = claim.series_of(meter)
    good = np.isin(series.state, (State.CREDITED, State.SPREAD)) & ~held_rows(series, claim.flags_of(meter)) & (series.start_s >= 0)
    change = np.zeros(claim.period.slots + 1, np.int64)
    first = np.clip((series.start_s[good] - claim.period.start_s) // SLOT_S, 0, claim.period.slots)
    last = np.clip((series.end_s[good] - claim.period.start_s) // SLOT_S, 0, claim.period.slots)
    np.add.at(change, first, 1)
    np.add.at(change, last, -1)
    return np.asarray(np.cumsum(change)[:-1] > 0)


def _no_edge(claim: Claim, disposition: Disposition, meter: Meter) -> NDArray[np.int64]:
    """Ends of credited spans at which this meter was not read."""
    on = disposition.pieces.credited
    ends = np.union1d(disposition.pieces.start_s[on], disposition.pieces.end_s[on])
    return np.setdiff1d(ends, claim.series_of(meter).true_edges().end_s)


def _mean_wh(case: Case, disposition: Disposition) -> int:
    return max(0, case.member_of(disposition.activity).total_wh) // max(1, disposition.count(Fate.CREDITED))


def c08_no_duplicates(case: Case) -> Result:
    """One value a meter and interval, and no day that is another day's or another site's, to the Wh, where its values could not be equal by chance."""
    claim = case.claim
    disputed = list(_disputed(case))
    copies, days, testable = _copies(case)
    if disputed or copies:
        return failed(
            f"値が二重の申請区間 {len(disputed)}、複製された日 {len(copies)}",
            f"{len(disputed)} claimed intervals have two values; {len(copies)} claimed days are copies",
            population=days,
            stake_t=case.stake_t(),
            evidence=tuple((disputed + copies)[:MOST_SHOWN]),
        )
    if not testable:
        return could_not_run(
            "複製の有無を判定できる情報量の日がない",
            "no day carries enough different values to tell a copy from chance",
            population=days,
            stake_t=case.stake_t(),
        )
    return passed(
        f"二重値の申請区間なし（衝突 {len(claim.conflicts)} 件は保留済み）。発電 {days} 日のうち判定可能な {testable} 日に複製なし",
        f"no claimed interval has two values ({len(claim.conflicts)} conflicts earn nothing); of {days} days of generation the {testable} that carry enough "
        "information are all different",
        population=days,
        stake_t=case.stake_t(),
    )


def _disputed(case: Case) -> Iterator[str]:
    """Claimed half hours that have a second value at one of their edges."""
    by_meter = defaultdict(list)
    for conflict in case.claim.conflicts:
        by_meter[conflict.meter].append(conflict.at_s)
    for _, disposition, meter in case.earning_meters():
        on = disposition.pieces.credited
        edges = np.union1d(disposition.pieces.start_s[on], disposition.pieces.end_s[on])
        for at in np.intersect1d(edges, np.array(by_meter.get(meter.number, []), np.int64)).tolist():
            yield f"meter {meter.meter}, {iso(at)}: two values, claimed"


def _copies(case: Case) -> tuple[list[str], int, int]:
    """Copied claimed days, days looked at, and days that carry enough information to be told from chance."""
    seen: dict[bytes, str] = {}
    copies, days, testable = [], 0, 0
    for activity, disposition in case.earning():
        for meter in activity.meters:
            if meter.register is not Register.GENERATION:
                continue
            for day, energies in _whole_days(case.claim, disposition, meter):
                days += 1
                if np.count_nonzero(energies) < LEAST_HALF_HOURS or len(set(energies.tolist())) < DISTINCT_VALUES:
                    continue
                testable += 1
                here = f"meter {meter.meter} on {day_of(day)}"
                there = seen.setdefault(energies.tobytes(), here)
                if there != here:
                    copies.append(f"{here} is a copy of {there}")
    return copies, days, testable


def _whole_days(claim: Claim, disposition: Disposition, meter: Meter) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(day's start, 48 energies) of days with every half hour read and at least one credited."""
    series = claim.series_of(meter)
    exact = (series.state == State.CREDITED) & (series.end_s - series.start_s == SLOT_S)
    slot = (series.start_s[exact] - claim.period.start_s) // SLOT_S
    good = (slot >= 0) & (slot < claim.period.slots)
    energies = np.zeros(claim.period.slots, np.int64)
    there = np.zeros(claim.period.slots, np.bool_)
    energies[slot[good]], there[slot[good]] = series.energy_wh[exact][good], True
    whole = there.reshape(-1, SLOTS_A_DAY).all(axis=1) & (disposition.fate == Fate.CREDITED).reshape(-1, SLOTS_A_DAY).any(axis=1)
    for day in np.flatnonzero(whole).tolist():
        yield claim.period.start_s + day * DAY_S, energies[day * SLOTS_A_DAY : (day + 1) * SLOTS_A_DAY]
