"""How values are written for people: times in JST, energies in kWh with their digits grouped, `–` for what is not there."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

JST = timezone(timedelta(hours=9), "JST")
NOTHING = "–"


def jst(at: datetime | None) -> str:
    """`2021-04-01 09:15`, JST."""
    return at.astimezone(JST).strftime("%Y-%m-%d %H:%M") if at else NOTHING


def number(value: float | Decimal | None) -> str:
    """Digits in groups of three; no more decimals than are there."""
    if value is None:
        return NOTHING
    return f"{Decimal(str(value)):,f}".removesuffix(".0")


def kwh(energy_wh: int | None) -> str:
    """Wh as kWh, to the Wh."""
    return NOTHING if energy_wh is None else f"{Decimal(energy_wh) / 1000:,.3f}"


def span(seconds: float | None, day: str, hour: str, minute: str) -> str:
    """How long, in its two largest units, as `3 d 4 h`; the units are words of the page's language."""
    if seconds is None:
        return NOTHING
    minutes = max(int(seconds) // 60, 0)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days:
        return f"{days} {day} {hours} {hour}"
    return f"{hours} {hour} {rest} {minute}" if hours else f"{rest} {minute}"
