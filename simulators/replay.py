"""Measured plants as registers: two series of real AC power that the `pvanalytics` wheel carries, moved into FY2021 and set down in Akita.

*Source.* NREL SERF East (2016-07-01 to 2016-10-13) and inverter stream 2 of PVDAQ system 50 (2011-04-15 to 2013-12-31), both on NREL's campus at Golden,
Colorado (39.742 N, 105.173 W), array 158 degrees from north, tilt 45; 15-minute means from the public PVDAQ database (data.openei.org/submissions/4568),
carried by pvanalytics under the MIT licence. Both are in W: read as kW they would be plants of megawatts, which is tested.
*Clock of the source.* SERF East stands in MST. System 50 says -07:00 but its clock keeps daylight saving time (sunrise jumps by an hour on 2011-11-06), so its
labels are read as wall clock of America/Denver. A label stands in the middle of its quarter hour: clear days fit a model best so.
*Calendar.* Moved by whole days, 1,826 (2016 to 2021) and 3,653 (2011 to 2021): the day of the year, and so declination and equation of time, agree to a day.
*Solar time.* JST is the mean solar time of 135 E, MST of 105 W. Relabelling MST as JST would be right at 134.83 E, in the sea; at Akita (140.10 E) the sun is
4 minutes a degree earlier, so the series is moved 21 minutes earlier: noon of the plant's sun is noon of Akita's sun. A half-hour edge then falls
inside a quarter hour, whose energy is cut in proportion.
*Missing stays missing.* An edge beside a value that is not there is not read. The register goes on where it stood: what was made in the hole is in no
reading, which is less, the safe side for generation. Power below zero (the inverter's own use at night) counts as zero, as a register with a backstop does.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pvanalytics

from simulators.fault import NOT_READ
from simulators.home import Energies
from simulators.sky import SLOTS_A_DAY, Column, Plant
from simulators.wire import JST

SOURCE_LON, SOURCE_MERIDIAN = -105.1727, -105.0
AKITA_LAT, AKITA_LON, JST_MERIDIAN = 39.74, 140.10, 135.0
QUARTER_S, SLOT_S, DAY_S = 900, 1800, 86_400
MST = "Etc/GMT+7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A measured plant. `moved_days` is the calendar shift; there is data in FY2021 from `joined_on` to `left_on` (exclusive).

    Ratings are those that the series itself shows: its highest quarter hour, and the array that fits its clear days.
    """

    name: str
    file: str
    title: str
    moved_days: int
    joined_on: date
    left_on: date | None
    wall_clock: str
    plant: Plant


SERF_EAST = Series(
    name="real-serf-east",
    file="serf_east_15min_ac_power.csv",
    title="measured plant: NREL SERF East, 2016, by pvanalytics (MIT)",
    moved_days=1826,
    joined_on=date(2021, 7, 1),
    left_on=date(2021, 10, 13),
    wall_clock=MST,
    plant=Plant(lat=AKITA_LAT, lon=AKITA_LON, alt=1795, dc_kw=6.0, ac_kw=5.5, tilt=45, azimuth=158),
)
PVDAQ_50 = Series(
    name="real-pvdaq-50",
    file="system_50_ac_power_2_full_DST.parquet",
    title="measured plant: PVDAQ system 50 inverter 2, 2011-12, by pvanalytics (MIT)",
    moved_days=3653,
    joined_on=date(2021, 4, 15),
    left_on=None,
    wall_clock="America/Denver",
    plant=Plant(lat=AKITA_LAT, lon=AKITA_LON, alt=1795, dc_kw=3.5, ac_kw=3.4, tilt=45, azimuth=158),
)
REAL = (SERF_EAST, PVDAQ_50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Energy of each half hour of the year, Wh (0 where it is not known), and for each edge whether it was read."""

    energy_wh: Energies
    edge_read: npt.NDArray[np.bool_]


def solar_shift_s() -> float:
    """Seconds to add to an MST label so that, read as JST at Akita, it shows the same mean solar time. 240 s a degree of longitude."""
    return 240 * ((SOURCE_LON - SOURCE_MERIDIAN) - (AKITA_LON - JST_MERIDIAN))


def measured(series: Series, *, start: datetime, days: int) -> Measured:
    """The plant's half hours from `start` (midnight JST) in JST at Akita."""
    at_s, power_w = _moved(series)
    edges_s = start.timestamp() + SLOT_S * np.arange(days * SLOTS_A_DAY + 1, dtype=np.float64)
    energy, known = cumulated(at_s, power_w, edges_s)
    edge_read = known & _within(series, edges_s)
    both = edge_read[1:] & edge_read[:-1]
    return Measured(energy_wh=np.where(both, np.diff(np.rint(energy)), 0).astype(np.int64), edge_read=edge_read)


def not_read_where_unknown(registers: Energies, plant: Measured) -> Energies:
    """The meter's readings, with NOT_READ at every edge at which the source has no value."""
    return np.where(plant.edge_read, registers, NOT_READ)


def _within(series: Series, edges_s: Column) -> npt.NDArray[np.bool_]:
    """Edges of the days on which the member took part; both midnights belong to it."""
    inside = edges_s >= _midnight_s(series.joined_on)
    return inside if series.left_on is None else inside & (edges_s <= _midnight_s(series.left_on))


def _midnight_s(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=JST).timestamp()


def _moved(series: Series) -> tuple[Column, Column]:
    """Middles of the quarter hours in seconds since 1970, moved to FY2021 and Akita, and their power in W (nan: no value)."""
    frame = _read(Path(pvanalytics.__file__).parent / "data" / series.file)
    labels = pd.DatetimeIndex(pd.to_datetime(frame.iloc[:, 0])).tz_localize(None)
    true = labels.tz_localize(series.wall_clock, ambiguous="NaT", nonexistent="NaT")
    there = ~true.isna()
    as_jst = true[there].tz_convert(MST).tz_localize(None).tz_localize("Asia/Tokyo") + timedelta(days=series.moved_days, seconds=solar_shift_s())
    return as_jst.as_unit("ns").asi8 / 1e9, frame.iloc[:, 1].to_numpy(dtype=np.float64)[there]


def _read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def cumulated(at_s: Column, power_w: Column, edges_s: Column) -> tuple[Column, npt.NDArray[np.bool_]]:
    """Wh since the first quarter hour, at each edge, and whether it is known there: the quarter hour that holds the edge and both beside it have a value."""
    bins = np.rint((at_s - at_s[0]) / QUARTER_S).astype(np.int64)
    power = np.full(bins[-1] + 1, np.nan)
    power[bins] = np.maximum(power_w, 0)  # of nan this is nan
    total = np.concatenate([[0], np.cumsum(np.nan_to_num(power) * QUARTER_S / 3600)])
    place = (edges_s - (at_s[0] - QUARTER_S / 2)) / QUARTER_S
    holds = np.floor(place).astype(np.int64)
    known = (holds >= 1) & (holds < len(power) - 1)
    for beside in (-1, 0, 1):
        known &= ~np.isnan(power[np.clip(holds + beside, 0, len(power) - 1)])
    return np.interp(place, np.arange(len(total)), total), known
