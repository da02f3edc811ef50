"""Who the simulated members are: a home's plant, meters, battery and age, drawn from the seed and its number alone.

A home's number never changes with the size of the fleet, so a bigger fleet holds the smaller one. The last two members are the measured plants.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from simulators.home import Battery
from simulators.replay import REAL, Series
from simulators.sky import AKITA, REGIONS, Plant, Region

LATEST_APPLIED = date(2021, 3, 31)
FEWEST_WITH_REAL = 4  # members below which there is no room for the measured plants
YIELD_WH_A_KW = 1_150_000
FIRST_REAL_NUMBER = 900_000
NEAR_ROLLOVER = (2, 9, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeMeter:
    """A meter and where it stands on 1 April 2021."""

    meter: str
    register: str
    modulus_wh: int
    resolution_wh: int
    opening_wh: int
    specified: bool
    serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """One member's home. `measured` is the plant it replays, if it does."""

    number: int
    name: str
    region: Region
    plant: Plant
    battery: Battery | None
    yearly_kwh: float
    operation_start: date
    applied_on: date
    meters: tuple[HomeMeter, ...]
    measured: Series | None = None

    @property
    def gateway(self) -> str:
        return f"gw-{self.name}"

    @property
    def site(self) -> str:
        return self.name if self.measured else f"site-{self.name}"


def households(members: int, seed: int, prefix: str = "") -> tuple[Household, ...]:
    """That many homes; from four members on the last two are the measured plants. `prefix` begins their names and changes nothing else."""
    real = REAL if members >= FEWEST_WITH_REAL else ()
    simulated = (_simulated(number, seed, prefix) for number in range(1, members - len(real) + 1))
    return (*simulated, *(_replayed(number, series, seed, prefix) for number, series in enumerate(real)))


def _simulated(number: int, seed: int, prefix: str) -> Household:
    rng = np.random.default_rng([seed, 2, number])
    region = REGIONS[number % len(REGIONS)]
    dc_kw = round(float(rng.uniform(3.2, 7.0)), 1)
    plant = Plant(
        lat=round(region.lat + float(rng.uniform(-0.08, 0.08)), 4),
        lon=round(region.lon + float(rng.uniform(-0.08, 0.08)), 4),
        alt=region.alt,
        dc_kw=dc_kw,
        ac_kw=round(dc_kw * float(rng.uniform(0.75, 0.98)), 1),
        tilt=round(float(rng.uniform(15, 35))),
        azimuth=round(float(rng.uniform(135, 225))),
    )
    battery = Battery(capacity_wh=int(rng.choice([6500, 9800])), most_wh=1500) if number % 6 == 4 else None
    return _household(number, f"{prefix}{number:04d}", region, plant, battery, rng)


def _replayed(number: int, series: Series, seed: int, prefix: str) -> Household:
    rng = np.random.default_rng([seed, 2, FIRST_REAL_NUMBER + number])
    return _household(FIRST_REAL_NUMBER + number, f"{prefix}{series.name}", AKITA, series.plant, None, rng, series)


def _household(
    number: int, name: str, region: Region, plant: Plant, battery: Battery | None, rng: np.random.Generator, series: Series | None = None
) -> Household:
    applied_on = LATEST_APPLIED - timedelta(days=int(rng.integers(1, 26)))
    operation_start = applied_on - timedelta(days=int(rng.integers(30, 700)))
    aged_wh = int((date(2021, 4, 1) - operation_start).days / 365 * plant.dc_kw * YIELD_WH_A_KW)
    return Household(
        number=number,
        name=name,
        region=region,
        plant=plant,
        battery=battery,
        yearly_kwh=round(float(rng.uniform(3600, 6200))),
        operation_start=operation_start,
        applied_on=applied_on,
        meters=_meters(number, name, battery is not None, aged_wh, simulated_export=series is not None),
        measured=series,
    )


def _meters(number: int, name: str, has_battery: bool, aged_wh: int, *, simulated_export: bool) -> tuple[HomeMeter, ...]:
    short = {"generation": "g", "export": "x-simulated" if simulated_export else "x"}
    shares = {"generation": 1.0, "export": 0.66}
    if has_battery:
        short |= {"charge": "c", "discharge": "d"}
        shares |= {"charge": 0.25, "discharge": 0.23}
    if number % 8 == 2:
        short |= {"pcs": "p"}
        shares |= {"pcs": 1.005}
    return tuple(_meter(number, f"m-{name}-{short[register]}", register, int(share * aged_wh)) for register, share in shares.items())


def _meter(number: int, meter: str, register: str, aged_wh: int) -> HomeMeter:
    modulus_wh = 10**8 if register == "export" or number % 3 == 0 else 10**9
    opening_wh = modulus_wh - 1_200_000 if register == "generation" and number in NEAR_ROLLOVER else aged_wh
    return HomeMeter(
        meter=meter,
        register=register,
        modulus_wh=modulus_wh,
        resolution_wh=_resolution_wh(number),
        opening_wh=opening_wh,
        specified=register == "export" or number % 7 != 6,
        serial=f"{'SM' if register == 'export' else 'PM'}{number:06d}{len(meter):02d}",
    )


def _resolution_wh(number: int) -> int:
    """Most show single Wh or tens, some hundreds, one whole kWh."""
    if number == 7:
        return 1000
    if number % 5 == 4:
        return 100
    return 10 if number % 2 == 0 else 1
