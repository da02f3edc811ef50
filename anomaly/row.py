"""Rows of intervals and what is enrolled of their meters, as columns; and the slots that detectors look at, made from both.

Columns are numpy arrays of equal length; energies are Wh, instants Unix s. Missing is said, never guessed: a position or a rating that is not
known is NaN, and a comparison with NaN finds nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly import sky
from anomaly.rules import RULES, Rules
from stream.interval import State

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.int8]
Texts = NDArray[np.object_]

REGISTERS = ("generation", "export", "pcs", "charge", "discharge", "auxiliary")
GENERATION, EXPORT, PCS, CHARGE, DISCHARGE, AUXILIARY = range(6)


@dataclass(frozen=True, kw_only=True, slots=True)
class Meters:
    """What is enrolled, a row a meter. `register` is a place in REGISTERS; unknown positions and ratings are NaN."""

    site: Ints
    register: Ints
    resolution_wh: Ints
    two_way: Bools
    lat: Floats
    lon: Floats
    dc_kw: Floats
    ac_kw: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Dispute:
    """A second value for an instant or row: at an edge of the interval `row`, or (`inside`) at an instant that no energy depends on."""

    row: int
    first_wh: int
    other_wh: int
    inside: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Intervals, a row each. `meter` is a place in `Meters`; `start_at` is -1 where there is none; `code` is the stream's."""

    meter: Ints
    start_at: Ints
    end_at: Ints
    energy_wh: Ints
    state: Bytes
    code: Texts
    disputes: tuple[Dispute, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Slots:
    """Rows that are intervals, beside what their meter, sky and sister registers allow. `row` is the place in the rows."""

    row: Ints
    energy_wh: Floats
    state: Bytes
    code: Texts
    register: Ints
    two_way: Bools
    disputes: tuple[Dispute, ...]
    night: Bools  # the sun is below the horizon throughout, whatever end of the interval the logger named it by
    dusk: Bools  # below it too, were the label right
    rating_wh: Floats  # the most that the ratings allow; NaN: not known
    bound_wh: Floats  # the most that ratings and sky allow; NaN: not known
    noise_wh: Floats
    floor_wh: Floats  # beyond it there is energy worth a hold
    standby_wh: Floats  # the most that a plant draws by day
    resolution_wh: Floats
    meter_tolerance: float
    same_span: "SameSpan"


@dataclass(frozen=True, kw_only=True, slots=True)
class SameSpan:
    """Sums over the registers of the slot's site that run over the very same span; `exported` says whether an export register does."""

    generation_wh: Floats
    export_wh: Floats
    discharge_wh: Floats
    resolution_wh: Floats
    exported: Bools


def slots_of(rows: Rows, sites: Meters, rules: Rules = RULES) -> Slots:
    """The rows that are intervals (an opening or an untrue reading is none) beside all that detectors look at."""
    row = np.flatnonzero((rows.start_at >= 0) & (rows.end_at > rows.start_at) & (rows.state != int(State.OPENING)) & (rows.state != int(State.UNTRUE)))
    meter, start, end = rows.meter[row], rows.start_at[row], rows.end_at[row]
    lat, lon, dc_kw, ac_kw = sites.lat[meter], sites.lon[meter], sites.dc_kw[meter], sites.ac_kw[meter]
    hours, resolution_wh = (end - start) / 3600.0, sites.resolution_wh[meter].astype(np.float64)
    rated_w = np.nan_to_num(np.fmin(dc_kw, ac_kw)) * 1000.0
    energy_wh, register = rows.energy_wh[row].astype(np.float64), sites.register[meter]
    over = sky.spans(lat, lon, start, end)
    night = sky.is_night(over, sky.LABEL_TOLERANCE_S)
    dusk = sky.is_night(over) & ~night
    bound_wh = sky.bound_wh(over, dc_kw, ac_kw)
    if dusk.any():
        bound_wh[dusk] = sky.bound_wh(over.take(dusk), dc_kw[dusk], ac_kw[dusk], sky.LABEL_TOLERANCE_S)
    return Slots(
        row=row,
        energy_wh=energy_wh,
        state=rows.state[row],
        code=rows.code[row],
        register=register,
        two_way=sites.two_way[meter],
        disputes=rows.disputes,
        night=night,
        dusk=dusk,
        rating_wh=sky.rating_bound_w(dc_kw, ac_kw) * hours,
        bound_wh=bound_wh,
        noise_wh=resolution_wh + (rules.noise_w + rules.noise_share * rated_w) * hours,
        floor_wh=resolution_wh + (rules.hold_w + rules.hold_share * rated_w) * hours,
        standby_wh=resolution_wh + (rules.hold_w + rules.negative_share * rated_w) * hours,
        resolution_wh=resolution_wh,
        meter_tolerance=rules.meter_tolerance,
        same_span=_same_span(sites.site[meter], start, end, register, energy_wh, resolution_wh),
    )


def _same_span(site: Ints, start: Ints, end: Ints, register: Ints, energy_wh: Floats, resolution_wh: Floats) -> SameSpan:
    order = np.lexsort((end, start, site))
    first = np.ones(len(site), bool)
    first[1:] = np.any([np.diff(column[order]) != 0 for column in (site, start, end)], axis=0)
    group = np.empty(len(site), np.int64)
    group[order] = np.cumsum(first) - 1

    def total(values: Floats, where: Bools) -> Floats:
        sums = np.bincount(group, weights=np.where(where, values, 0.0), minlength=1)
        return sums.astype(np.float64)[group]

    exports, discharges = register == EXPORT, register == DISCHARGE
    return SameSpan(
        generation_wh=total(energy_wh, register == GENERATION),
        export_wh=total(energy_wh, exports),
        discharge_wh=total(np.maximum(energy_wh, 0.0), discharges),
        resolution_wh=total(resolution_wh, exports | discharges | (register == GENERATION)),
        exported=total(np.ones(len(site)), exports) > 0,
    )
