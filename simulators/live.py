"""What a home's registers read at a minute of now, years after the simulated year: a function of the minute alone, so that asking twice never differs.

From its last reading each meter runs on by the mean day of its year, shaped as a raised cosine from 08:00 to 16:00 JST, which lies inside
daylight all over Japan on every day of the year. It is plain sunshine without weather: enough to show that a minute arrives.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from simulators.fault import NOT_READ, Readings
from simulators.folder import Fleet, MeterWire
from simulators.spool import Item
from simulators.wire import JST, Channel

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SUN_FROM_H, SUN_HOURS = 8, 8


def live_items(fleet: Fleet, registers: Mapping[str, Readings], *, now: datetime, messages: int, readings_each: int) -> list[Item]:
    """That many messages of one-minute readings, the last reading the last whole minute; each with the name under which it is spooled."""
    last = now.astimezone(JST).replace(second=0, microsecond=0)
    first = last - (messages * readings_each - 1) * MINUTE
    return [_item(fleet, registers, first + number * readings_each * MINUTE, readings_each) for number in range(messages)]


def _item(fleet: Fleet, registers: Mapping[str, Readings], start: datetime, readings: int) -> Item:
    minutes = [start + number * MINUTE for number in range(readings)]
    meters = fleet.gateways[fleet.live_gateway]
    return f"live:{start.isoformat()}+{readings}", lambda: [_channel(fleet, meter, registers[meter.meter], minutes) for meter in meters]


def _channel(fleet: Fleet, meter: MeterWire, readings: Readings, minutes: Sequence[datetime]) -> Channel:
    end = fleet.start + fleet.days * DAY
    values = tuple(reading_wh(readings, modulus_wh=meter.modulus_wh, days=fleet.days, end=end, at=at) for at in minutes)
    return Channel(meter=meter.meter, register=meter.register, start=minutes[0], step_s=60, values=values)


def reading_wh(readings: Readings, *, modulus_wh: int, days: int, end: datetime, at: datetime) -> int:
    """The register at a time after the year's `end` (midnight JST)."""
    if at < end:
        raise ValueError(f"{at} lies in the simulated year, which ends at {end}")
    read = readings[readings != NOT_READ]
    a_day_wh = (int(read[-1]) - int(read[0])) % modulus_wh / days
    whole, part = divmod(at - end, DAY)
    return (int(read[-1]) + int(a_day_wh * (whole + share_of_day(part / timedelta(hours=1))))) % modulus_wh


def share_of_day(hour: float) -> float:
    """How much of a day's energy has come by this hour, JST: 0 before the sun, 1 after it."""
    x = min(max((hour - SUN_FROM_H) / SUN_HOURS, 0.0), 1.0)
    return x - math.sin(2 * math.pi * x) / (2 * math.pi)
