from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pvlib
import pytest

from simulators.fault import NOT_READ
from simulators.replay import AKITA_LAT, AKITA_LON, PVDAQ_50, SERF_EAST, Measured, Series, cumulated, measured, not_read_where_unknown, solar_shift_s
from simulators.wire import JST

START = datetime(2021, 4, 1, tzinfo=JST)
SUMMER, WINTER = range(122, 153), range(260, 320)


@pytest.fixture(scope="module")
def serf() -> Measured:
    return measured(SERF_EAST, start=START, days=365)


@pytest.fixture(scope="module")
def pvdaq() -> Measured:
    return measured(PVDAQ_50, start=START, days=365)


def test_solar_time_of_akita_is_21_minutes_before_the_label() -> None:
    assert solar_shift_s() == pytest.approx(-(20.4 * 60 + 41.4), abs=1)


@pytest.mark.parametrize(("series", "days"), [(SERF_EAST, SUMMER), (PVDAQ_50, SUMMER), (PVDAQ_50, WINTER)])
def test_the_middle_of_the_generating_day_is_solar_noon_in_jst(series: Series, days: range) -> None:
    """Half the way from first to last generation, against the sun's transit at Akita: within a quarter of an hour, in summer (source on DST) and in winter."""
    plant = measured(series, start=START, days=365)
    noon_h = _noons_h()
    off_h = [_middle_h(plant, day) - noon_h[day] for day in days if _whole(plant, day)]
    assert len(off_h) > 20
    assert abs(np.median(off_h)) < 0.25


def _whole(plant: Measured, day: int) -> bool:
    return bool(plant.edge_read[day * 48 : day * 48 + 49].all())


def _middle_h(plant: Measured, day: int) -> float:
    up = np.flatnonzero(plant.energy_wh[day * 48 : day * 48 + 48] > 2)
    return float(up[0] + up[-1] + 1) / 4


def _noons_h() -> list[float]:
    """The sun's transit at Akita on each day of the year, hours JST."""
    midnights = pd.date_range("2021-04-01", periods=365, freq="D", tz="Asia/Tokyo")
    noon = pvlib.solarposition.sun_rise_set_transit_spa(midnights, AKITA_LAT, AKITA_LON)["transit"].dt.tz_convert("Asia/Tokyo")
    return [float(hour) for hour in noon.dt.hour + noon.dt.minute / 60]


def test_the_series_are_watts_of_a_home(serf: Measured, pvdaq: Measured) -> None:
    """A plant makes 2 to 6 kWh a day for each kW: read in the wrong unit it would be a thousand times off."""
    for plant, series in ((serf, SERF_EAST), (pvdaq, PVDAQ_50)):
        a_day_kwh = plant.energy_wh.sum() / 1000 / (plant.edge_read.sum() / 48)
        assert 2 < a_day_kwh / series.plant.dc_kw < 6


def test_power_never_passes_the_registered_rating_by_much(serf: Measured, pvdaq: Measured) -> None:
    assert serf.energy_wh.max() * 2 <= SERF_EAST.plant.ac_kw * 1000
    assert pvdaq.energy_wh.max() * 2 <= PVDAQ_50.plant.ac_kw * 1000


def test_serf_east_is_read_from_july_to_twelve_october_and_never_beyond(serf: Measured) -> None:
    read = np.flatnonzero(serf.edge_read)
    assert START + read[0] * timedelta(minutes=30) == datetime(2021, 7, 1, tzinfo=JST)
    assert START + read[-1] * timedelta(minutes=30) == datetime(2021, 10, 13, tzinfo=JST)
    assert serf.edge_read[read[0] : read[-1] + 1].all()


def test_a_hole_in_the_source_is_a_hole_in_the_readings(pvdaq: Measured) -> None:
    inside = pvdaq.edge_read[14 * 48 :]
    assert 0.9 < inside.mean() < 1
    registers = not_read_where_unknown(np.arange(len(pvdaq.edge_read)), pvdaq)
    assert ((registers == NOT_READ) == ~pvdaq.edge_read).all()


def test_energy_is_summed_from_quarter_hours_and_cut_in_proportion() -> None:
    """1 kW for two quarter hours, 2 kW for two; labels in the middle."""
    at_s = np.array([450.0, 1350.0, 2250.0, 3150.0, 4050.0])
    energy, known = cumulated(at_s, np.array([1000.0, 1000.0, 2000.0, 2000.0, 0.0]), np.array([900.0, 1800.0, 2700.0, 3150.0]))
    assert energy.tolist() == [250.0, 500.0, 1000.0, 1250.0]
    assert known.tolist() == [True, True, True, True]


def test_an_edge_beside_a_missing_quarter_hour_is_not_known() -> None:
    at_s = np.arange(450.0, 9_000.0, 900.0)
    power = np.full(10, 1000.0)
    power[4] = np.nan
    _, known = cumulated(at_s, power, np.array([0.0, 1350.0, 2250.0, 3150.0, 4050.0, 4950.0, 5850.0, 8550.0, 99_999.0]))
    assert known.tolist() == [False, True, True, False, False, False, True, False, False]


def test_what_the_inverter_uses_at_night_is_no_generation() -> None:
    energy, _ = cumulated(np.array([450.0, 1350.0, 2250.0]), np.array([-3.0, 1000.0, -3.0]), np.array([900.0, 1800.0]))
    assert energy.tolist() == [0.0, 250.0]
