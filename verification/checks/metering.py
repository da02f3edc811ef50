"""C04 and C05: may the meter be believed, and does its register run on."""

import re
from collections.abc import Iterator
from datetime import date

import numpy as np
from numpy.typing import NDArray

from verification.case import Case
from verification.claim import Event, Meter, Series, State
from verification.disposition import Disposition, Fate
from verification.item import Result, could_not_run, failed, passed
from verification.period import SLOT_S, day_of, iso

MOST_SHOWN = 20
ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def c04_verified_meters(case: Case) -> Result:
    """Specified meter: verification valid to the end of the stated month. Other: its calibration record states days, from and until, that cover the claim."""
    meters = case.earning_meters()
    faults: list[str] = []
    unknown: list[str] = []
    energy = 0
    for activity, disposition, meter in meters:
        first, last = claimed_days(disposition)
        why, known = _not_valid(meter, first, last)
        if why:
            (faults if known else unknown).append(f"meter {meter.meter}: {why}")
            energy += case.member_of(activity).total_wh
    if faults:
        return failed(
            f"検定・校正が対象期間を満たさない計量器 {len(faults)}",
            f"{len(faults)} meters are claimed without valid verification or calibration",
            population=len(meters),
            stake_t=case.stake_t(energy),
            evidence=tuple((faults + unknown)[:MOST_SHOWN]),
        )
    if unknown or not meters:
        return could_not_run(
            f"検定・校正の記録が期間を示さない計量器 {len(unknown)}",
            f"{len(unknown)} meters have no record that states what it covers",
            population=len(meters),
            stake_t=case.stake_t(energy),
            evidence=tuple(unknown[:MOST_SHOWN]),
        )
    return passed(
        f"計量器 {len(meters)} 台すべてで検定・校正が対象区間を覆う",
        f"verification or calibration covers the claimed intervals of all {len(meters)} meters",
        population=len(meters),
        stake_t=case.stake_t(),
    )


def claimed_days(disposition: Disposition) -> tuple[date, date]:
    """First and last JST day with a credited half hour."""
    slots = np.flatnonzero(disposition.fate == Fate.CREDITED)
    at = disposition.period.start_s
    return day_of(at + int(slots[0]) * SLOT_S), day_of(at + int(slots[-1]) * SLOT_S)


def _not_valid(meter: Meter, first: date, last: date) -> tuple[str, bool]:
    """Why the meter may not be claimed over these days (empty: it may), and whether that is known rather than not stated."""
    if meter.specified or (meter.specified is None and meter.verified_until is not None):
        if meter.verified_until is None:
            return "a specified meter without a stated verification expiry", True
        return ("" if last < meter.verified_until else f"verification ends before {meter.verified_until}, claimed until {last}"), True
    days = [_day(text) for text in ISO_DAY.findall(meter.calibration or "")]
    if not meter.calibration or not days or None in days:
        return f"calibration {meter.calibration!r} states no days that it covers", False
    known = [d for d in days if d is not None]
    if len(known) < 2:
        return f"calibration {meter.calibration!r} does not state from when until when it holds", False
    covers = min(known) <= first and last <= max(known)
    return ("" if covers else f"calibration covers {min(known)} to {max(known)}, claimed {first} to {last}"), True


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def c05_continuity(case: Case) -> Result:
    """A register never falls without a rollover, record or two-way enrolment, and each claimed row's energy is what its register says."""
    tested, faults, energy = 0, [], 0
    for _, disposition, meter in case.earning_meters():
        series = case.claim.series_of(meter).true_edges()
        rows = claimed_rows(series, disposition)
        tested += len(rows)
        for row, why in _breaks(meter, series, rows, [e for e in case.claim.events if e.meter == meter.number]):
            faults.append(f"meter {meter.meter}, {iso(int(series.end_s[row]))}: {why}")
            energy += int(abs(series.energy_wh[row]))
    if faults:
        return failed(
            f"積算値が連続しない申請区間 {len(faults)}",
            f"{len(faults)} claimed intervals do not follow from their register",
            population=tested,
            stake_t=case.stake_t(energy),
            evidence=tuple(faults[:MOST_SHOWN]),
        )
    if not tested:
        return could_not_run("申請区間がない", "there is no claimed interval to test", stake_t=case.stake_t())
    return passed(
        f"申請した {tested} 計量区間すべてが積算値の差・桁上がり・記録された継ぎ目に一致",
        f"all {tested} claimed meter intervals equal their register's difference, a rollover at the modulus, or a recorded seam",
        population=tested,
        stake_t=case.stake_t(),
    )


def claimed_rows(series: Series, disposition: Disposition) -> NDArray[np.int64]:
    """Places of the rows whose first half hour was credited."""
    slot = (series.start_s - disposition.period.start_s) // SLOT_S
    inside = (series.start_s >= 0) & (slot >= 0) & (slot < len(disposition.fate)) & (series.state != State.OPENING)
    places = np.flatnonzero(inside)
    return np.asarray(places[disposition.fate[slot[places]] == Fate.CREDITED])


def _breaks(meter: Meter, series: Series, rows: NDArray[np.int64], events: list[Event]) -> Iterator[tuple[int, str]]:
    """Rows whose energy is not their register's difference, and why."""
    rows = rows[rows > 0]
    rise = series.register_wh[rows] - series.register_wh[rows - 1]
    energy = series.energy_wh[rows]
    runs_on = series.start_s[rows] == series.end_s[rows - 1]
    plain = (energy == rise) & ((rise >= 0) | meter.two_way)
    rolled = (rise < 0) & (energy == rise + meter.modulus_wh)
    for place in np.flatnonzero(~(runs_on & (plain | rolled))).tolist():
        row = int(rows[place])
        if not runs_on[place]:
            yield row, "it does not start where the row before it ends"
        elif not _seam(series, row, events):
            yield row, f"register {series.register_wh[row - 1]} to {series.register_wh[row]}, energy {series.energy_wh[row]} Wh, and no record says why"


def _seam(series: Series, row: int, events: list[Event]) -> bool:
    """One complete record within the row accounts for its energy to the Wh."""
    inside = [e for e in events if series.end_s[row - 1] <= e.at_s < series.end_s[row]]
    if len(inside) != 1 or inside[0].closing_wh is None:
        return False
    opening = inside[0].opening_wh if inside[0].opening_wh is not None else (0 if inside[0].kind == "reset" else None)
    if opening is None:
        return False
    old, new = inside[0].closing_wh - int(series.register_wh[row - 1]), int(series.register_wh[row]) - opening
    return min(old, new) >= 0 and old + new == int(series.energy_wh[row])
