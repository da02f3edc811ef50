"""Where the sun stands, and the most that a plant can make under it: numpy columns in, columns out, well under 5 µs a row.

The bound must hold for a rough registration: a rating that is 20 % low and a plane that is 60° wrong. So the plane is not used: the bound
takes the plane that faces the sun, a very clear sky and a generous margin. It is no estimate of the yield.
Angles are degrees, instants Unix seconds, a span [start, end). An unknown position or rating is NaN and makes the answer NaN: nothing known.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]

CLOCK_TOLERANCE_S = 300  # of a site's clock, at both ends of a span
LABEL_TOLERANCE_S = 1800  # of loggers that name an interval by its other end: generation at dusk may stand half an hour late
NIGHT_ELEVATION_DEG = -2.0  # 0.83 refraction and the sun's disc, 1.0 the dip of the horizon from 1,000 m, the rest for the registered position
RATING_LOW = 1.25  # a rating registered 20 % low
BEST_HALF_HOUR = 1.15  # cloud edges, cold modules and snow on the ground over half an hour
LINKE_CLEAR = 2.0  # Linke turbidity of very clean cold air
SKY_W_M2 = 50.0  # diffuse light that is there as soon as the sun is up
SOLAR_CONSTANT_W_M2 = 1361.0
PIECE_S = 1800  # a longer span is summed in pieces
PIECES_AT_MOST = 2048

_J2000_S = 946_728_000  # 2000-01-01 12:00 UTC


def highest_elevation_deg(lat: Floats, lon: Floats, start: Instants, end: Instants, slack_s: int = CLOCK_TOLERANCE_S) -> Floats:
    """The sun's greatest elevation within each span widened by `slack_s` at both ends; geometric, to some 0.02°.

    Low-precision formulas of the Astronomical Almanac (1950-2050). Over one span the sun is highest where its hour angle is least.
    """
    middle, half_width_s = (start + end) / 2.0, (end - start) / 2.0 + slack_s
    declination, hour_angle = _equatorial(lon, middle)
    least = np.maximum(np.abs(hour_angle) - np.radians(half_width_s / 240.0), 0.0)
    phi = np.radians(lat)
    sine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(least)
    elevation_deg: Floats = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    return elevation_deg


def is_night(lat: Floats, lon: Floats, start: Instants, end: Instants, slack_s: int = CLOCK_TOLERANCE_S) -> NDArray[np.bool_]:
    """The sun is below the horizon during the whole span, with margin. An unknown position is never night."""
    return highest_elevation_deg(lat, lon, start, end, slack_s) < NIGHT_ELEVATION_DEG


def clear_w_m2(elevation_deg: Floats, at: Floats) -> Floats:
    """Irradiance on a plane that faces the sun under a very clear sky: beam of ESRA (Rigollier 2000) at Linke 2, a tenth more from around it.

    Air mass of Kasten and Young 1989, Rayleigh depth of Kasten 1996. Zero at night.
    """
    up = np.maximum(elevation_deg, 0.0)
    air_mass = 1.0 / (np.sin(np.radians(up)) + 0.50572 * (up + 6.07995) ** -1.6364)
    m = np.minimum(air_mass, 20.0)
    near = 6.6296 + m * (1.7513 + m * (-0.1202 + m * (0.0065 - 0.00013 * m)))
    depth = 1.0 / np.where(air_mass <= 20.0, near, 10.4 + 0.718 * air_mass)
    beam = SOLAR_CONSTANT_W_M2 * _nearness(at) * np.exp(-0.8662 * LINKE_CLEAR * air_mass * depth)
    return np.where(elevation_deg < NIGHT_ELEVATION_DEG, 0.0, 1.1 * beam + SKY_W_M2)


def rating_bound_w(dc_kw: Floats, ac_kw: Floats) -> Floats:
    """The most power that the ratings allow; one of the two is enough, NaN where neither is known."""
    return np.fmin(dc_kw * RATING_LOW * BEST_HALF_HOUR, ac_kw * RATING_LOW) * 1000.0


def bound_wh(lat: Floats, lon: Floats, dc_kw: Floats, ac_kw: Floats, start: Instants, end: Instants, slack_s: int = CLOCK_TOLERANCE_S) -> Floats:
    """The most energy of each span: the lesser of ratings and clear sky, summed over half hours; NaN where no rating is known."""
    pieces = np.clip(-(-(end - start) // PIECE_S), 1, PIECES_AT_MOST)
    if pieces.size == 0 or pieces.max() == 1:
        return _piece_wh(lat, lon, dc_kw, ac_kw, start, end, slack_s)
    row = np.repeat(np.arange(pieces.size), pieces)
    nth = np.arange(row.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    span, of = (end - start)[row], pieces[row]
    first, last = start[row] + span * nth // of, start[row] + span * (nth + 1) // of
    weights = _piece_wh(lat[row], lon[row], dc_kw[row], ac_kw[row], first, last, slack_s)
    return np.bincount(row, weights=weights, minlength=pieces.size).astype(np.float64)


def _piece_wh(lat: Floats, lon: Floats, dc_kw: Floats, ac_kw: Floats, start: Instants, end: Instants, slack_s: int) -> Floats:
    elevation_deg = highest_elevation_deg(lat, lon, start, end, slack_s)
    sky_w = dc_kw * clear_w_m2(elevation_deg, start.astype(np.float64)) * RATING_LOW * BEST_HALF_HOUR
    rating_w = rating_bound_w(dc_kw, ac_kw)
    power_w: Floats = np.where(np.isnan(rating_w), np.nan, np.fmin(rating_w, sky_w))
    return power_w * (end - start) / 3600.0


def _equatorial(lon: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Declination, and hour angle in [-π, π), in radians."""
    days = (at - _J2000_S) / 86_400.0
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    obliquity = np.radians(23.439 - 4.0e-7 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    sidereal = np.radians(280.46062 + 360.985647366 * days + lon)
    return np.arcsin(np.sin(obliquity) * np.sin(longitude)), (sidereal - ascension + np.pi) % (2.0 * np.pi) - np.pi


def _nearness(at: Floats) -> Floats:
    """The inverse square of the Sun's distance in astronomical units."""
    anomaly = np.radians(357.528 + 0.9856003 * (at - _J2000_S) / 86_400.0)
    return 1.0 / (1.00014 - 0.01671 * np.cos(anomaly) - 0.00014 * np.cos(2.0 * anomaly)) ** 2
