"""Where the sun stands, and the most that a plant can make under it: numpy columns in, columns out, well under 5 µs a row.

The bound must hold for a rough registration: a rating that is 20 % low and a plane that is 60° wrong. So the plane is not used: the bound
takes the plane that faces the sun, a very clear sky and a generous margin. It is no estimate of the yield.
Angles are degrees, instants Unix seconds, a span [start, end). An unknown position or rating is NaN and makes the answer NaN: nothing known.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Spans:
    """Spans at places, and the sun's way over them: sine of elevation = level + swing × cos(hour angle), taken at the middle."""

    lat: Floats
    lon: Floats
    start: Instants
    end: Instants
    level: Floats
    swing: Floats
    hour_angle: Floats  # radians, from 0 at noon to π at midnight
    beam_w_m2: Floats  # above the atmosphere, at the Sun's distance of the day

    def take(self, which: NDArray[np.bool_]) -> "Spans":
        """Some of the spans."""
        return Spans(**{name: getattr(self, name)[which] for name in self.__slots__})


def spans(lat: Floats, lon: Floats, start: Instants, end: Instants) -> Spans:
    """Each span under its sun."""
    days = ((start + end) / 2.0 - _J2000_S) / 86_400.0
    anomaly = np.radians(357.528 + 0.9856003 * days)
    declination, hour_angle = _equatorial(lon, days, anomaly)
    beam_w_m2 = SOLAR_CONSTANT_W_M2 / (1.00014 - 0.01671 * np.cos(anomaly)) ** 2
    phi = np.radians(lat)
    level, swing = np.sin(phi) * np.sin(declination), np.cos(phi) * np.cos(declination)
    return Spans(lat=lat, lon=lon, start=start, end=end, level=level, swing=swing, hour_angle=np.abs(hour_angle), beam_w_m2=beam_w_m2)


def highest_elevation_deg(spans: Spans, slack_s: int = CLOCK_TOLERANCE_S) -> Floats:
    """The sun's greatest elevation within each span widened by `slack_s` at both ends; geometric, to some 0.02°."""
    elevation_deg: Floats = np.degrees(np.arcsin(_highest_sine(spans, slack_s)))
    return elevation_deg


def is_night(spans: Spans, slack_s: int = CLOCK_TOLERANCE_S) -> NDArray[np.bool_]:
    """The sun is below the horizon during the whole span, with margin. An unknown position is never night."""
    night: NDArray[np.bool_] = _highest_sine(spans, slack_s) < np.sin(np.radians(NIGHT_ELEVATION_DEG))
    return night


def clear_w_m2(elevation_deg: Floats, beam_w_m2: Floats) -> Floats:
    """Irradiance on a plane that faces the sun under a very clear sky: beam of ESRA (Rigollier 2000) at Linke 2, a tenth more from around it.

    Air mass of Kasten and Young 1989, Rayleigh depth of Kasten 1996. Zero at night.
    """
    up = np.maximum(elevation_deg, 0.0)
    air_mass = 1.0 / (np.sin(np.radians(up)) + 0.50572 * (up + 6.07995) ** -1.6364)
    m = np.minimum(air_mass, 20.0)
    near = 6.6296 + m * (1.7513 + m * (-0.1202 + m * (0.0065 - 0.00013 * m)))
    depth = 1.0 / np.where(air_mass <= 20.0, near, 10.4 + 0.718 * air_mass)
    beam = beam_w_m2 * np.exp(-0.8662 * LINKE_CLEAR * air_mass * depth)
    return np.where(elevation_deg < NIGHT_ELEVATION_DEG, 0.0, 1.1 * beam + SKY_W_M2)


def rating_bound_w(dc_kw: Floats, ac_kw: Floats) -> Floats:
    """The most power that the ratings allow; one of the two is enough, NaN where neither is known."""
    return np.fmin(dc_kw * RATING_LOW * BEST_HALF_HOUR, ac_kw * RATING_LOW) * 1000.0


def bound_wh(over: Spans, dc_kw: Floats, ac_kw: Floats, slack_s: int = CLOCK_TOLERANCE_S) -> Floats:
    """The most energy of each span: the lesser of ratings and clear sky, summed over half hours; NaN where no rating is known."""
    pieces = np.clip(-(-(over.end - over.start) // PIECE_S), 1, PIECES_AT_MOST)
    if pieces.size == 0 or pieces.max() == 1:
        return _piece_wh(over, dc_kw, ac_kw, slack_s)
    row = np.repeat(np.arange(pieces.size), pieces)
    nth = np.arange(row.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start, length, of = over.start[row], (over.end - over.start)[row], pieces[row]
    part = spans(over.lat[row], over.lon[row], start + length * nth // of, start + length * (nth + 1) // of)
    return np.bincount(row, weights=_piece_wh(part, dc_kw[row], ac_kw[row], slack_s), minlength=pieces.size).astype(np.float64)


def _piece_wh(over: Spans, dc_kw: Floats, ac_kw: Floats, slack_s: int) -> Floats:
    sky_w = dc_kw * clear_w_m2(highest_elevation_deg(over, slack_s), over.beam_w_m2) * RATING_LOW * BEST_HALF_HOUR
    rating_w = rating_bound_w(dc_kw, ac_kw)
    power_w: Floats = np.where(np.isnan(rating_w), np.nan, np.fmin(rating_w, sky_w))
    return power_w * (over.end - over.start) / 3600.0


def _highest_sine(spans: Spans, slack_s: int) -> Floats:
    """Over one span the sun is highest where its hour angle is least; the sun turns a degree in 240 s."""
    half_width = np.radians(((spans.end - spans.start) / 2.0 + slack_s) / 240.0)
    sine = spans.level + spans.swing * np.cos(np.maximum(spans.hour_angle - half_width, 0.0))
    return np.minimum(np.maximum(sine, -1.0), 1.0)


def _equatorial(lon: Floats, days: Floats, anomaly: Floats) -> tuple[Floats, Floats]:
    """Declination, and hour angle in [-π, π), in radians: low-precision formulas of the Astronomical Almanac (1950-2050)."""
    longitude = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    obliquity = np.radians(23.439 - 4.0e-7 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    sidereal = np.radians(280.46062 + 360.985647366 * days + lon)
    return np.arcsin(np.sin(obliquity) * np.sin(longitude)), (sidereal - ascension + np.pi) % (2.0 * np.pi) - np.pi
