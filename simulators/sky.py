"""The weather of a region and the power of a plant under it (pvlib).

Homes of a region share one sky: clearness is an AR(1) process by the day with a quicker one by the half hour on top, the same for all homes of the
region, to which each home adds a little of its own. Clearness multiplies the clear-sky irradiance (Ineichen), so no home is ever above a clear sky.
Everything is sampled in the middle of each quarter hour and given back as the mean power of half hours, in W.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pandas as pd
import pvlib

Column = npt.NDArray[np.float64]
SLOTS_A_DAY = 48
LINKE_TURBIDITY = 4.0  # a clear to slightly hazy sky
SYSTEM_LOSSES = 0.14  # PVWatts default: soiling, wiring, mismatch, age
INVERTER_EFFICIENCY = 0.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A place with one weather. `winter_dim` is how much duller its winters are (the Sea of Japan side has clouds and snow)."""

    name: str
    lat: float
    lon: float
    alt: float
    clear: float
    winter_dim: float
    mean_c: float
    supply_prefix: str


AKITA = Region(name="akita", lat=39.72, lon=140.10, alt=20, clear=0.5, winter_dim=1.6, mean_c=12.1, supply_prefix="02")
SAITAMA = Region(name="saitama", lat=35.86, lon=139.65, alt=15, clear=0.8, winter_dim=-0.8, mean_c=15.4, supply_prefix="03")
AICHI = Region(name="aichi", lat=35.18, lon=136.91, alt=25, clear=0.9, winter_dim=-0.4, mean_c=16.2, supply_prefix="04")
KUMAMOTO = Region(name="kumamoto", lat=32.80, lon=130.71, alt=40, clear=0.8, winter_dim=0.1, mean_c=17.2, supply_prefix="09")
REGIONS = (AKITA, SAITAMA, AICHI, KUMAMOTO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What stands on the roof. Azimuth in degrees clockwise from north."""

    lat: float
    lon: float
    alt: float
    dc_kw: float
    ac_kw: float
    tilt: float
    azimuth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """A region's clearness (0 to 1 of a clear sky) and air temperature by the half hour from `start`."""

    start: datetime
    clearness: Column
    air_c: Column


def weather(region: Region, *, start: datetime, days: int, rng: np.random.Generator) -> Weather:
    """One run of a region's weather; the same generator state gives the same weather."""
    slots = days * SLOTS_A_DAY
    winter = winterness(start, days)
    by_day = np.repeat(_wander(rng, days, keeps=0.6), SLOTS_A_DAY)
    cover = region.clear - region.winter_dim * winter + 1.6 * by_day + 0.7 * _wander(rng, slots, keeps=0.93)
    hour = np.arange(slots) % SLOTS_A_DAY / 2
    air_c = region.mean_c - 11 * (2 * winter - 1) + 4 * np.cos((hour - 14) / 24 * 2 * np.pi) + 2 * by_day
    return Weather(start=start, clearness=0.08 + 0.92 / (1 + np.exp(-2 * cover)), air_c=air_c)


def winterness(start: datetime, days: int) -> Column:
    """1 in the middle of January, 0 in the middle of July, by the half hour."""
    day = np.arange(days * SLOTS_A_DAY) / SLOTS_A_DAY + start.timetuple().tm_yday
    return np.asarray(0.5 + 0.5 * np.cos((day - 15) / 365.25 * 2 * np.pi))


def _wander(rng: np.random.Generator, count: int, *, keeps: float) -> Column:
    """AR(1) around 0 with variance 1: `keeps` of the last value stays."""
    steps = rng.standard_normal(count) * np.sqrt(1 - keeps**2)
    return np.fromiter(accumulate(steps, lambda last, step: keeps * last + step), dtype=np.float64, count=count)


def power_w(plant: Plant, sky: Weather, *, rng: np.random.Generator) -> Column:
    """Mean AC power of each half hour, clipped at the inverter: PVWatts on the plane of the array. Exactly 0 while the sun is down."""
    own = np.clip(sky.clearness * (1 + 0.04 * _wander(rng, len(sky.clearness), keeps=0.8)), 0.02, 1.0)
    times = _quarter_middles(sky)
    sun = pvlib.solarposition.get_solarposition(times, plant.lat, plant.lon, altitude=plant.alt, method="ephemeris")
    zenith, azimuth = sun["apparent_zenith"].to_numpy(), sun["azimuth"].to_numpy()
    poa = _plane_w_m2(plant, times, zenith, azimuth, np.repeat(own, 2))
    cell_c = pvlib.temperature.faiman(poa, np.repeat(sky.air_c, 2), 2.0)
    dc_w = pvlib.pvsystem.pvwatts_dc(poa, cell_c, plant.dc_kw * 1000, -0.0035) * (1 - SYSTEM_LOSSES)
    ac_w = pvlib.inverter.pvwatts(dc_w, plant.ac_kw * 1000 / INVERTER_EFFICIENCY, INVERTER_EFFICIENCY)
    return np.asarray(np.where(zenith < 90, np.maximum(ac_w, 0), 0).reshape(-1, 2).mean(axis=1))


def _quarter_middles(sky: Weather) -> pd.DatetimeIndex:
    first = pd.Timestamp(sky.start).tz_convert("UTC") + pd.Timedelta(minutes=7.5)
    return pd.date_range(first, periods=2 * len(sky.clearness), freq="15min")


def _plane_w_m2(plant: Plant, times: pd.DatetimeIndex, zenith: Column, azimuth: Column, clearness: Column) -> Column:
    """Irradiance on the array: clearness x clear-sky global, split by Erbs; direct light never more than that of the clear sky."""
    airmass = pvlib.atmosphere.get_absolute_airmass(pvlib.atmosphere.get_relative_airmass(zenith), pvlib.atmosphere.alt2pres(plant.alt))
    with np.errstate(divide="ignore"):  # below the horizon, where the result is 0
        clear = pvlib.clearsky.ineichen(zenith, airmass, LINKE_TURBIDITY, plant.alt)
    ghi = np.nan_to_num(clear["ghi"]) * clearness
    split = pvlib.irradiance.erbs(ghi, zenith, times.day_of_year.to_numpy())
    dni = np.minimum(np.nan_to_num(split["dni"]), np.nan_to_num(clear["dni"]))
    dhi = np.clip(ghi - dni * np.cos(np.radians(zenith)), 0, ghi)
    total = pvlib.irradiance.get_total_irradiance(plant.tilt, plant.azimuth, zenith, azimuth, dni, ghi, dhi)
    plane: Column = np.nan_to_num(np.asarray(total["poa_global"]))
    return plane
