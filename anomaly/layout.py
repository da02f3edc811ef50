"""Intervals and sites as files give them (`jcredit detect`, the layout of the anomaly benchmark) → rows and meters, each bad value refused.

Intervals: `site, start (UTC), minutes, energy_wh`, optional `register_wh` (rolls over at the site's modulus), `export_wh`, `pcs_wh`. A missing row is
a gap: the energy after it is taken to run from the end of the row before. Sites: `site`, optional `lat, lon, dc_kw, ac_kw, pulse_wh, modulus_wh`.
`pcs_wh` is checked and left to the tests of whole days. A row whose time was stated already is a dispute: only one of the two can count.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from anomaly.column import LARGEST_WH, instants, integer, number, refuse, texts, whole
from anomaly.flag import Flag
from anomaly.row import EXPORT, GENERATION, Bools, Dispute, Floats, Ints, Meters, Rows
from anomaly.slot import Flags, detect
from stream.interval import State

MODULUS_WH = 10**9  # of the layout: 1,000,000 kWh
FALL_WH = 10  # real meters creep a few Wh below zero at night
LONGEST_MIN = 31 * 24 * 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A checked table of intervals, ordered by site and start; `site` is a place in the sites; NaN where a register was not given."""

    site: Ints
    start: Ints
    end: Ints
    energy_wh: Ints
    register_wh: Floats
    export_wh: Floats

    def part(self, first: int, last: int) -> "Table":
        """The rows [first, last)."""
        return Table(**{name: getattr(self, name)[first:last] for name in self.__slots__})


@dataclass(frozen=True, kw_only=True, slots=True)
class Sites:
    """The checked table of sites: names, their meters (generation and export of site n are 2n and 2n + 1) and moduli."""

    names: tuple[str, ...]
    meters: Meters
    modulus_wh: Ints


def sites_of(frame: pd.DataFrame) -> Sites:
    """The table of sites; unknown positions and ratings stay unknown."""
    names = texts(frame, "site")
    refuse(names.duplicated().to_numpy(), "site", "stands here a second time", names)
    numbers = {
        "lat": number(frame, "lat", -90, 90),
        "lon": number(frame, "lon", -180, 180),
        "dc_kw": number(frame, "dc_kw", 1e-3, 1e7),
        "ac_kw": number(frame, "ac_kw", 1e-3, 1e7),
        "pulse_wh": number(frame, "pulse_wh", 0, 1e7),
        "modulus_wh": number(frame, "modulus_wh", 1, LARGEST_WH),
    }
    twice = {name: np.repeat(column, 2) for name, column in numbers.items()}
    meters = Meters(
        site=np.repeat(np.arange(len(names)), 2),
        register=np.tile(np.array([GENERATION, EXPORT]), len(names)),
        resolution_wh=np.maximum(np.nan_to_num(twice["pulse_wh"], nan=1.0), 1.0).astype(np.int64),
        two_way=np.zeros(2 * len(names), bool),
        lat=twice["lat"],
        lon=twice["lon"],
        dc_kw=twice["dc_kw"],
        ac_kw=twice["ac_kw"],
    )
    return Sites(names=tuple(names), meters=meters, modulus_wh=np.nan_to_num(numbers["modulus_wh"], nan=MODULUS_WH).astype(np.int64))


def table_of(frame: pd.DataFrame, sites: Sites) -> Table:
    """The table of intervals, every value checked."""
    names = texts(frame, "site")
    site = pd.Index(sites.names).get_indexer(names)
    refuse(site < 0, "site", "is not in the table of sites", names)
    start = instants(frame, "start")
    minutes = whole(frame, "minutes", 1, LONGEST_MIN)
    energy_wh = whole(frame, "energy_wh", -LARGEST_WH, LARGEST_WH)
    register_wh = integer(frame, "register_wh", 0, LARGEST_WH)
    export_wh = integer(frame, "export_wh", -LARGEST_WH, LARGEST_WH)
    integer(frame, "pcs_wh", -LARGEST_WH, LARGEST_WH)
    order = np.lexsort((start, site))
    site, start, end = site[order], start[order], (start + minutes * 60)[order]
    return Table(site=site, start=start, end=end, energy_wh=energy_wh[order], register_wh=register_wh[order], export_wh=export_wh[order])


def flags_of(table: Table, sites: Sites) -> list[tuple[Flag, datetime]]:
    """Every flag, with the start of the row that it stands on as the file gives it (a row after a gap is judged over the whole gap)."""
    rows = rows_of(table, sites)
    found = detect(rows, sites.meters)
    given = np.concatenate([np.arange(len(table.site)), _exported(table)])[found.row]
    return [_flag(found, n, rows, sites.names[table.site[row]], int(table.start[row])) for n, row in enumerate(given)]


def _flag(found: Flags, n: int, rows: Rows, where: str, given_start: int) -> tuple[Flag, datetime]:
    row = found.row[n]
    flag = Flag(
        code=found.code[n],
        level=found.level[n],
        where=where,
        start=_instant(int(rows.start_at[row])),
        end=_instant(int(rows.end_at[row])),
        observed=float(found.observed[n]),
        bound=float(found.bound[n]),
        energy_at_stake_wh=int(found.energy_at_stake_wh[n]),
        rule_set=found.rule_set,
    )
    return flag, _instant(given_start)


def _instant(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def rows_of(table: Table, sites: Sites) -> Rows:
    """Rows of generation, one a row of the table and in its order, then those of export where it was given."""
    known_end = _end_before(table)
    gap, overlap = (known_end >= 0) & (table.start > known_end), (known_end > table.start)
    start = np.where(gap, known_end, table.start)
    state = np.where(gap, State.SPREAD, State.CREDITED).astype(np.int8)
    fell = _register_fell(table, sites)
    exported = _exported(table)
    code = np.full(len(table.site) + len(exported), "", object)
    code[: len(fell)][fell] = "register-fell"
    return Rows(
        meter=np.concatenate([2 * table.site, 2 * table.site[exported] + 1]),
        start_at=np.concatenate([start, start[exported]]),
        end_at=np.concatenate([table.end, table.end[exported]]),
        energy_wh=np.concatenate([table.energy_wh, table.export_wh[exported].astype(np.int64)]),
        state=np.concatenate([np.where(fell, State.HELD, state).astype(np.int8), state[exported]]),
        code=code,
        disputes=_disputes(table, overlap),
    )


def _exported(table: Table) -> Ints:
    return np.flatnonzero(~np.isnan(table.export_wh))


def _end_before(table: Table) -> Ints:
    """The latest end of the site's rows before each row; -1 for its first."""
    offset = table.site << 34  # keeps the running maximum within a site
    latest = np.maximum.accumulate(table.end + offset)
    before = np.full(len(table.site), -1, np.int64)
    same = table.site[1:] == table.site[:-1]
    before[1:][same] = latest[:-1][same] - offset[1:][same]
    return before


def _register_fell(table: Table, sites: Sites) -> Bools:
    """The register is below the one before it, and no rollover at the site's modulus explains the energy that was sent."""
    before = pd.Series(table.register_wh).groupby(table.site).ffill().groupby(table.site).shift().to_numpy()
    resolution_wh = sites.meters.resolution_wh[2 * table.site]
    turned = table.register_wh + sites.modulus_wh[table.site] - before
    rolled = np.abs(turned - table.energy_wh) <= 2 * resolution_wh
    fell: Bools = (before - table.register_wh > resolution_wh + FALL_WH) & ~(rolled & (turned >= 0))
    return fell


def _disputes(table: Table, overlap: Bools) -> tuple[Dispute, ...]:
    """Both rows of a time that was stated twice."""
    energy = table.energy_wh
    return tuple(Dispute(row=int(row), first_wh=int(energy[n - 1]), other_wh=int(energy[n])) for n in np.flatnonzero(overlap) for row in (n - 1, n))
