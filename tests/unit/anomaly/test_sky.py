"""The sun stands where the almanac and pvlib say, and the bound holds over rough registrations."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pvlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly import sky

TOKYO, AKITA = (35.6762, 139.6503), (39.72, 140.10)


def unix(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())


def over(place, *starts, minutes=30):
    start = np.array([unix(text) for text in starts])
    n = len(start)
    return sky.spans(np.full(n, place[0]), np.full(n, place[1]), start, start + minutes * 60)


def test_tokyo_noon_at_the_solstices_and_the_equinox():
    at = over(TOKYO, "2021-06-21T11:30+09:00", "2021-12-22T11:30+09:00", "2021-03-20T11:30+09:00")
    assert sky.highest_elevation_deg(at, slack_s=0) == pytest.approx([77.76, 30.89, 54.3], abs=0.15)


def test_akita_sunset_in_june_is_at_19_11_and_in_december_at_16_17():
    hours = ("2021-06-21T19:00+09:00", "2021-06-21T19:30+09:00", "2021-12-21T16:00+09:00", "2021-12-21T16:45+09:00")
    assert sky.is_night(over(AKITA, *hours)).tolist() == [False, True, False, True]


def test_a_label_half_an_hour_off_explains_the_first_interval_after_sunset_and_no_more():
    hours = ("2021-06-21T19:30+09:00", "2021-06-21T20:00+09:00", "2021-12-21T16:30+09:00", "2021-12-21T17:00+09:00")
    assert sky.is_night(over(AKITA, *hours), sky.LABEL_TOLERANCE_S).tolist() == [False, True, False, True]


def test_midnight_is_night_and_a_whole_day_is_not():
    assert sky.is_night(over(TOKYO, "2021-06-21T00:00+09:00")).tolist() == [True]
    assert sky.is_night(over(TOKYO, "2021-06-21T00:00+09:00", minutes=1440)).tolist() == [False]


def test_an_unknown_position_is_never_night():
    assert sky.is_night(over((np.nan, np.nan), "2021-06-21T00:00+09:00")).tolist() == [False]


@settings(max_examples=12, deadline=None)
@given(lat=st.floats(20, 50), lon=st.floats(-180, 180), day=st.integers(0, 20_000))
def test_elevation_is_that_of_pvlib_to_a_twentieth_of_a_degree(lat, lon, day):
    at = day * 86_400 + np.arange(0, 86_400, 3600)
    n = np.ones(len(at))
    ours = sky.highest_elevation_deg(sky.spans(lat * n, lon * n, at, at), slack_s=0)
    theirs = pvlib.solarposition.get_solarposition(pd.to_datetime(at, unit="s", utc=True), lat, lon)["elevation"].to_numpy()
    assert np.abs(ours - theirs).max() < 0.05


@settings(max_examples=15, deadline=None)
@given(
    day=st.integers(18_000, 18_365),
    place=st.sampled_from([TOKYO, AKITA, (26.2, 127.7), (43.0, 143.1)]),
    tilt=st.floats(0, 90),
    azimuth=st.floats(0, 360),
    altitude=st.sampled_from([0, 1500]),
)
def test_no_plane_under_a_clear_sky_exceeds_the_bound_even_with_a_rating_20_percent_low(day, place, tilt, azimuth, altitude):
    start = day * 86_400 + np.arange(0, 86_400, 1800)
    moments = pd.to_datetime(start + 900, unit="s", utc=True)
    sun = pvlib.solarposition.get_solarposition(moments, *place)
    clear = pvlib.location.Location(*place, altitude=altitude).get_clearsky(moments, solar_position=sun, linke_turbidity=2.5)
    plane = pvlib.irradiance.get_total_irradiance(tilt, azimuth, sun.apparent_zenith, sun.azimuth, clear.dni, clear.ghi, clear.dhi, albedo=0.2)
    true_kw = 5.0 / 0.8
    made_wh = np.minimum(plane.poa_global.fillna(0).to_numpy() * true_kw * 0.92, true_kw * 1000) / 2
    n = np.ones(len(start))
    bound_wh = sky.bound_wh(sky.spans(place[0] * n, place[1] * n, start, start + 1800), 5.0 * n, 5.0 * n)
    assert (made_wh <= bound_wh + 1).all()


def test_the_bound_is_the_lesser_of_rating_and_sky_and_needs_one_rating():
    dc, ac = np.array([5.0, 5.0, np.nan, np.nan]), np.array([4.0, np.nan, 4.0, np.nan])
    noon = over(TOKYO, *["2021-06-21T11:30+09:00"] * 4)
    assert sky.bound_wh(noon, dc, ac) == pytest.approx([2500, 3593.75, 2500, np.nan], nan_ok=True)


def test_a_long_span_has_the_sum_of_its_half_hours():
    whole = over(AKITA, "2021-06-21T04:00+09:00", minutes=600)
    n, pieces = np.ones(20), whole.start[0] + 1800 * np.arange(20)
    halves = sky.bound_wh(sky.spans(AKITA[0] * n, AKITA[1] * n, pieces, pieces + 1800), 5 * n, 4 * n)
    assert sky.bound_wh(whole, np.array([5.0]), np.array([4.0]))[0] == pytest.approx(halves.sum())


def test_a_gap_of_years_is_bounded_without_a_piece_for_every_half_hour():
    bound = sky.bound_wh(over(AKITA, "2011-06-21T04:00+09:00", minutes=10 * 365 * 1440), np.array([5.0]), np.array([4.0]))[0]
    assert 1e7 < bound < 5001 * 10 * 365 * 24
