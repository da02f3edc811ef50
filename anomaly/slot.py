"""Slot tests: what one interval, with its site's other registers over the same span, can show without history.

A detector is a short function: slots in, a verdict a slot out. To add one, write it and name it in `DETECTORS`. Published limits stand in
`anomaly.rules`; every flag names its rule set. A row is an interval of one register; columns and units are those of `anomaly.row`.
The same code runs in the stream's worker (`anomaly.timescale`) and on files (`jcredit detect`): flags are a function of the rows.
What can not be tested (no position, no rating, no second register) gives no flag here and is the claim's business: `could_not_run` counts it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anomaly.flag import Code, Level
from anomaly.row import GENERATION, PCS, Bools, Bytes, Floats, Ints, Meters, Rows, Slots, slots_of
from anomaly.rules import RULES, Rules
from stream.interval import State

INSIDE, AT_EDGE = 1, 2  # where a disputed instant lies


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a detector says of each slot. `observed` and `bound` are Wh; a slot that is held is not also warned of."""

    code: Code
    hold: Bools
    warn: Bools
    observed: Floats
    bound: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Flags:
    """What was found, a row a flag: `row` is the place in the rows."""

    row: Ints
    code: tuple[Code, ...]
    level: tuple[Level, ...]
    observed: Floats
    bound: Floats
    energy_at_stake_wh: Ints
    rule_set: str


def detect(rows: Rows, sites: Meters, rules: Rules = RULES) -> Flags:
    """Every flag of these rows, ordered by row. Rows of one site and span belong into one call; `sites` are their meters with their sites' facts."""
    slots = slots_of(rows, sites, rules)
    return _flags(slots, [detector(slots) for detector in DETECTORS], rules)


def could_not_run(sites: Meters) -> tuple[int, int]:
    """How many generation registers have no position (no night test, no clear sky), and how many no rating (no bound)."""
    generation = sites.register == GENERATION
    nowhere = np.isnan(sites.lat) | np.isnan(sites.lon)
    unrated = np.isnan(sites.dc_kw) & np.isnan(sites.ac_kw)
    return int((generation & nowhere).sum()), int((generation & unrated).sum())


def negative(slots: Slots) -> Verdict:
    """E < 0. Standby at night costs nothing: less generation is safe, so it is at most a warning. A two-way meter may fall."""
    limit = -np.where(_physical(slots), slots.standby_wh, slots.floor_wh)
    below = slots.energy_wh < limit
    hold = below & ~slots.two_way & ~(_physical(slots) & (slots.night | slots.dusk))
    warn = (slots.energy_wh < -slots.noise_wh) & ~slots.two_way & ~hold
    return Verdict(code=Code.NEGATIVE, hold=hold, warn=warn, observed=slots.energy_wh, bound=np.where(hold, limit, -slots.noise_wh))


def night(slots: Slots) -> Verdict:
    """Generation while the sun is below the horizon throughout, net of what the site's battery discharged over the same span. At dusk a label or
    a clock half an hour off explains it: a warning (`above_bound` holds what it does not explain)."""
    net_wh = np.minimum(slots.energy_wh, slots.same_span.generation_wh - slots.same_span.discharge_wh)
    net_wh = np.where(slots.register == GENERATION, net_wh, slots.energy_wh)
    hold = slots.night & _physical(slots) & (net_wh > slots.floor_wh)
    warn = _physical(slots) & (net_wh > np.where(slots.dusk, slots.floor_wh, slots.noise_wh)) & (slots.night | slots.dusk) & ~hold
    return Verdict(code=Code.NIGHT, hold=hold, warn=warn, observed=net_wh, bound=np.where(hold | slots.dusk, slots.floor_wh, slots.noise_wh))


def above_bound(slots: Slots) -> Verdict:
    """More than rating or clear sky allow (of other registers: what the stream holds above its cap, by the rating). At night the night test
    speaks, unless the rating is exceeded too."""
    bound = np.where(_physical(slots) & ~slots.night, slots.bound_wh, slots.rating_wh) + slots.resolution_wh
    tested = (_physical(slots) & (slots.state != int(State.SPREAD))) | _over_cap(slots)
    return Verdict(code=Code.ABOVE_BOUND, hold=tested & (slots.energy_wh > bound), warn=_none(slots), observed=slots.energy_wh, bound=bound)


def register_fell(slots: Slots) -> Verdict:
    """The register does not run on: the stream holds the row, and neither a second value nor the rating says why."""
    explained = (_disputes(slots)[0] == AT_EDGE) | (_over_cap(slots) & (slots.energy_wh > slots.rating_wh + slots.resolution_wh))
    hold = (slots.state == int(State.HELD)) & ~explained
    return Verdict(code=Code.REGISTER_FELL, hold=hold, warn=_none(slots), observed=slots.energy_wh, bound=np.zeros(len(slots.row)))


def gap_lump(slots: Slots) -> Verdict:
    """A total over edges that were not read is accepted under the bound of the whole gap, and held above it."""
    bound = slots.bound_wh + slots.floor_wh
    hold = _physical(slots) & (slots.state == int(State.SPREAD)) & (slots.energy_wh > bound)
    return Verdict(code=Code.GAP_LUMP, hold=hold, warn=_none(slots), observed=slots.energy_wh, bound=bound)


def duplicate(slots: Slots) -> Verdict:
    """Two values for one instant: both neighbours are held. Inside an interval no energy depends on it: a warning."""
    kind, first, other = _disputes(slots)
    return Verdict(code=Code.DUPLICATE, hold=kind == AT_EDGE, warn=kind == INSIDE, observed=other, bound=first)


def export_above_generation(slots: Slots) -> Verdict:
    """Export beyond generation and discharge over the same span by more than the resolution of all; meters' own tolerance is a warning."""
    span = slots.same_span
    allowed = span.generation_wh + span.discharge_wh + span.resolution_wh
    limit = allowed + slots.meter_tolerance * np.maximum(span.generation_wh + span.discharge_wh, 0.0)
    tested = (slots.register == GENERATION) & span.exported
    hold = tested & (span.export_wh > limit)
    warn = tested & (span.export_wh > allowed) & ~hold
    return Verdict(code=Code.EXPORT_ABOVE_GENERATION, hold=hold, warn=warn, observed=span.export_wh, bound=np.where(hold, limit, allowed))


DETECTORS: tuple[Callable[[Slots], Verdict], ...] = (negative, night, above_bound, register_fell, gap_lump, duplicate, export_above_generation)


def _flags(slots: Slots, verdicts: list[Verdict], rules: Rules) -> Flags:
    at = [np.flatnonzero(v.hold | v.warn) for v in verdicts]
    place = np.concatenate(at)
    order = np.argsort(slots.row[place], kind="stable")
    codes = [v.code for v, hits in zip(verdicts, at, strict=True) for _ in hits]
    held = np.concatenate([v.hold[hits] for v, hits in zip(verdicts, at, strict=True)])[order]
    return Flags(
        row=slots.row[place][order],
        code=tuple(codes[n] for n in order),
        level=tuple(Level.HOLD if h else Level.WARN for h in held),
        observed=np.concatenate([v.observed[hits] for v, hits in zip(verdicts, at, strict=True)])[order],
        bound=np.concatenate([v.bound[hits] for v, hits in zip(verdicts, at, strict=True)])[order],
        energy_at_stake_wh=np.abs(slots.energy_wh[place][order]).astype(np.int64),
        rule_set=rules.id,
    )


def _physical(slots: Slots) -> Bools:
    """Registers that count what the sun makes."""
    physical: Bools = (slots.register == GENERATION) | (slots.register == PCS)
    return physical


def _over_cap(slots: Slots) -> Bools:
    """Rows that the stream holds for a rise above its cap."""
    held: Bools = slots.state == int(State.HELD)
    if held.any():
        held[held] = slots.code[held] == "above-cap"
    return held


def _disputes(slots: Slots) -> tuple[Bytes, Floats, Floats]:
    """Of each slot: the strongest kind of dispute it is in, the first value and the other."""
    kind, first, other = np.zeros(len(slots.row), np.int8), np.zeros(len(slots.row)), np.zeros(len(slots.row))
    for dispute in slots.disputes:
        n, now = int(np.searchsorted(slots.row, dispute.row)), INSIDE if dispute.inside else AT_EDGE
        if n < len(slots.row) and slots.row[n] == dispute.row and now > kind[n]:
            kind[n], first[n], other[n] = now, dispute.first_wh, dispute.other_wh
    return kind, first, other


def _none(slots: Slots) -> Bools:
    return np.zeros(len(slots.row), bool)
