"""The fate of every half hour: exactly one of credited, held, excluded, missing, or outside the member's window.

What is expected comes from enrolment, never from arrivals. An interval earns between two half-hour edges that every register of the formula read; the
energy of each is its register's difference over that very span. Between them every row must run on from the last, and none may be held. A span longer
than one slot (`spread`) earns only where it lies wholly inside claim, window, fiscal year and factor step, and under the cap of the rating.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from verification.claim import Activity, Claim, Flag, Meter, Register, Series, State
from verification.methodology.en_r_002 import STEP_MONTHS, FactorChoice
from verification.period import SLOT_S, Period, add_months, add_years, fiscal_year, unix

CAP_MARGIN = 1.25  # registered ratings are rough: up to 20 % low
TWO_YEARS = 2


class Fate(IntEnum):
    OUTSIDE = 0  # not expected: outside the member's window
    CREDITED = 1
    HELD = 2
    EXCLUDED = 3
    MISSING = 4


class Reason(StrEnum):
    OUTSIDE = "outside the member's crediting window"
    EXACT = "read at both edges"
    SPREAD = "over edges that were not read, restored from the register"
    NOT_READ = "not read"
    RESTARTED = "the register does not run on"
    HELD = "held by a flag or by the stream"
    NO_GENERATION = "no generation meter"
    NO_EXPORT = "no export meter"
    CAN_NOT_EXPORT = "no dated document that the site can not export"
    BATTERY = "battery without both registers, charge and discharge"
    TWO_YEARS = "operation began more than two years before the application"
    CROSSES = "runs over the edge of claim, window, fiscal year or factor step"
    ABOVE_CAP = "more than the rating allows over the span"


REASONS = tuple(Reason)
CODE = {reason: n for n, reason in enumerate(REASONS)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pieces:
    """Spans between edges that all registers of the formula share. `energy_wh[register]` is its sum over the span; good only where the piece is known."""

    start_s: NDArray[np.int64]
    end_s: NDArray[np.int64]
    fate: NDArray[np.int8]
    reason: NDArray[np.int8]
    energy_wh: dict[Register, NDArray[np.int64]]

    @property
    def credited(self) -> NDArray[np.bool_]:
        return np.asarray(self.fate == Fate.CREDITED)

    def wh(self, register: Register) -> NDArray[np.int64]:
        """Energy of a register over each piece; 0 where the site has none."""
        return self.energy_wh.get(register, np.zeros(len(self.start_s), np.int64))


@dataclass(frozen=True, kw_only=True, slots=True)
class Disposition:
    """What became of an activity's half hours: `fate` and `reason` (a place in REASONS) a slot of the claim's period."""

    activity: Activity
    period: Period
    fate: NDArray[np.int8]
    reason: NDArray[np.int8]
    pieces: Pieces

    def count(self, fate: Fate) -> int:
        return int(np.count_nonzero(self.fate == fate))

    def runs(self) -> list[tuple[int, int, Fate, Reason]]:
        """(start, end, fate, reason) of consecutive slots of one kind, Unix s."""
        kind = self.fate.astype(np.int64) * 64 + self.reason
        starts = np.flatnonzero(np.concatenate(([True], kind[1:] != kind[:-1])))
        ends = np.append(starts[1:], len(kind))
        at = self.period.start_s
        return [(at + int(a) * SLOT_S, at + int(b) * SLOT_S, Fate(int(self.fate[a])), REASONS[int(self.reason[a])]) for a, b in zip(starts, ends, strict=True)]


def dispose(claim: Claim) -> tuple[Disposition, ...]:
    """The disposition of each activity, in the claim's order."""
    return tuple(_dispose(claim, activity) for activity in claim.activities)


def site_reason(activity: Activity) -> Reason | None:
    """Why nothing of the site can earn, whatever was read; None where it can."""
    site = activity.site
    if not activity.has(Register.GENERATION):
        return Reason.NO_GENERATION
    if not activity.has(Register.EXPORT):
        return Reason.NO_EXPORT if site.exports else Reason.CAN_NOT_EXPORT
    batteries = activity.has(Register.CHARGE), activity.has(Register.DISCHARGE)
    if any(batteries) != all(batteries) or (site.battery and not all(batteries)):
        return Reason.BATTERY
    if not within_two_years(activity):
        return Reason.TWO_YEARS
    return None


def within_two_years(activity: Activity) -> bool:
    """Operation began no more than two years before the member's application."""
    return activity.site.operation_start >= add_years(activity.applied_on, -TWO_YEARS)


def held_rows(series: Series, flags: Iterable[Flag]) -> NDArray[np.bool_]:
    """Rows that a hold overlaps, or that the stream held."""
    held: NDArray[np.bool_] = series.state == State.HELD
    spans = np.array([(f.start_s, f.end_s) for f in flags if f.holds], np.int64).reshape(-1, 2)
    rows = np.flatnonzero((series.state != State.UNTRUE) & (series.start_s >= 0))
    if not len(spans) or not len(rows):
        return held
    change = np.zeros(len(rows) + 1, np.int64)  # among true rows both starts and ends rise
    first, last = np.searchsorted(series.end_s[rows], spans[:, 0], "right"), np.searchsorted(series.start_s[rows], spans[:, 1], "left")
    np.add.at(change, first, 1)
    np.add.at(change, np.maximum(first, last), -1)
    held[rows] |= np.cumsum(change)[:-1] > 0
    return held


def cap_wh(activity: Activity, span_s: NDArray[np.int64]) -> NDArray[np.float64]:
    """The most that the site's rating allows over spans."""
    return np.asarray(activity.site.ac_kw * 1000 * CAP_MARGIN * span_s / 3600)


def _dispose(claim: Claim, activity: Activity) -> Disposition:
    pieces = _pieces(claim, activity)
    fate = np.full(claim.period.slots, Fate.MISSING, np.int8)
    reason = np.full(claim.period.slots, CODE[Reason.NOT_READ], np.int8)
    first = (pieces.start_s - claim.period.start_s) // SLOT_S
    lengths = (pieces.end_s - pieces.start_s) // SLOT_S
    if len(first):
        span = slice(int(first[0]), int(first[0] + lengths.sum()))
        fate[span], reason[span] = np.repeat(pieces.fate, lengths), np.repeat(pieces.reason, lengths)
    if (bar := site_reason(activity)) is not None:
        fate[:], reason[:] = Fate.EXCLUDED, CODE[bar]
    out = ~_inside(claim.period, activity.window(claim.project))
    fate[out], reason[out] = Fate.OUTSIDE, CODE[Reason.OUTSIDE]
    return Disposition(activity=activity, period=claim.period, fate=fate, reason=reason, pieces=pieces)


def _inside(period: Period, window: Period | None) -> NDArray[np.bool_]:
    inside = np.zeros(period.slots, np.bool_)
    if window is not None and (common := period.meet(window)) is not None:
        inside[(common.start_s - period.start_s) // SLOT_S : (common.end_s - period.start_s) // SLOT_S] = True
    return inside


def _pieces(claim: Claim, activity: Activity) -> Pieces:
    """Spans between the shared edges of the formula's registers within the claim, each with its fate."""
    meters = activity.formula_meters
    channels = [_Channel(claim.series_of(m).true_edges(), claim.flags_of(m)) for m in meters]
    edges = _shared([c.series.end_s for c in channels], claim.period)
    start, end = edges[:-1], edges[1:]
    broken, holds = np.zeros(len(start), np.bool_), np.zeros(len(start), np.bool_)
    energy: dict[Register, NDArray[np.int64]] = {}
    for meter, channel in zip(meters, channels, strict=True):
        wh, breaks, hold = channel.between(start, end)
        energy[meter.register] = energy.get(meter.register, np.zeros(len(start), np.int64)) + wh
        broken, holds = broken | breaks, holds | hold
    fate, reason = _judge(claim, activity, start, end, broken, holds, energy)
    return Pieces(start_s=start, end_s=end, fate=fate, reason=reason, energy_wh=energy)


def _shared(edges: list[NDArray[np.int64]], period: Period) -> NDArray[np.int64]:
    """Instants that every register read at a half-hour edge within the period, rising."""
    if not edges:
        return np.zeros(0, np.int64)
    shared = edges[0]
    for other in edges[1:]:
        shared = np.intersect1d(shared, other, assume_unique=True)
    return np.asarray(shared[(shared >= period.start_s) & (shared <= period.end_s) & ((shared - period.start_s) % SLOT_S == 0)])


class _Channel:
    """Running sums over one register's rows, so that a span is two look-ups."""

    def __init__(self, series: Series, flags: tuple[Flag, ...]) -> None:
        self.series = series
        runs_on = np.zeros(len(series), np.bool_)
        runs_on[1:] = (series.start_s[1:] == series.end_s[:-1]) & (series.state[1:] != State.OPENING)
        self.energy = np.cumsum(np.where(series.state == State.OPENING, 0, series.energy_wh))
        self.breaks = np.cumsum(~runs_on)
        self.held = np.cumsum(held_rows(series, flags))

    def between(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Energy, whether the register does not run on, whether a row is held, over spans whose edges are edges of this register."""
        a, b = np.searchsorted(self.series.end_s, start), np.searchsorted(self.series.end_s, end)
        return self.energy[b] - self.energy[a], self.breaks[b] > self.breaks[a], self.held[b] > self.held[a]


def _judge(
    claim: Claim,
    activity: Activity,
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    broken: NDArray[np.bool_],
    holds: NDArray[np.bool_],
    energy: dict[Register, NDArray[np.int64]],
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Fate and reason a piece; what is written later weighs more."""
    fate = np.full(len(start), Fate.CREDITED, np.int8)
    reason = np.full(len(start), CODE[Reason.EXACT], np.int8)

    def mark(where: NDArray[np.bool_], new: Fate, why: Reason) -> None:
        fate[where], reason[where] = new, CODE[why]

    spread = end - start > SLOT_S
    mark(spread, Fate.CREDITED, Reason.SPREAD)
    made = energy.get(Register.GENERATION, np.zeros(len(start), np.int64))
    mark(spread & (made > cap_wh(activity, end - start) + _resolution(activity)), Fate.EXCLUDED, Reason.ABOVE_CAP)
    mark(spread & _crosses(start, end, boundaries(claim, activity)), Fate.EXCLUDED, Reason.CROSSES)
    mark(holds, Fate.HELD, Reason.HELD)
    mark(broken, Fate.MISSING, Reason.RESTARTED)
    bar, window = site_reason(activity), activity.window(claim.project)
    if bar is not None:
        mark(np.ones(len(start), np.bool_), Fate.EXCLUDED, bar)
    if window is None:
        mark(np.ones(len(start), np.bool_), Fate.OUTSIDE, Reason.OUTSIDE)
    else:
        mark((end <= window.start_s) | (start >= window.end_s), Fate.OUTSIDE, Reason.OUTSIDE)
    return fate, reason


def _resolution(activity: Activity) -> int:
    return max((m.resolution_wh for m in activity.meters if m.register is Register.GENERATION), default=1)


def boundaries(claim: Claim, activity: Activity) -> tuple[int, ...]:
    """Instants that a spread interval may not run over: window, fiscal years, factor steps."""
    window = activity.window(claim.project)
    days = [window.start, window.end] if window else []
    days += [date(year, 4, 1) for year in range(fiscal_year(claim.period.start), fiscal_year(claim.period.end) + 1)]
    if claim.plan.factor is FactorChoice.STEPPED:
        days += [add_months(activity.site.operation_start, months) for months in STEP_MONTHS]
    return tuple(sorted({unix(day) for day in days}))


def _crosses(start: NDArray[np.int64], end: NDArray[np.int64], edges: Iterable[int]) -> NDArray[np.bool_]:
    crosses = np.zeros(len(start), np.bool_)
    for edge in edges:
        crosses |= (start < edge) & (edge < end)
    return crosses


def meters_silent(claim: Claim) -> tuple[Meter, ...]:
    """Meters of which nothing at all was read in the period."""
    return tuple(m for _, m in claim.meters() if not len(claim.series_of(m)))
