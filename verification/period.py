"""A period is JST days, the end exclusive; a half-hour slot is the unit of account and a fiscal year runs April to March.

Everything here is a pure function of dates and Unix seconds. JST has no daylight saving time, so a day is always 48 slots of 1,800 s.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

JST = timezone(timedelta(hours=9), "JST")
SLOT_S = 1800
DAY_S = 86_400
SLOTS_A_DAY = 48
JST_S = 9 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """JST days from `start` to `end`, the end exclusive."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"a period ends after it starts: {self.start} to {self.end} (the end is exclusive)")

    @property
    def start_s(self) -> int:
        return unix(self.start)

    @property
    def end_s(self) -> int:
        return unix(self.end)

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def slots(self) -> int:
        return self.days * SLOTS_A_DAY

    def within(self, other: "Period") -> bool:
        return other.start <= self.start and self.end <= other.end

    def meet(self, other: "Period") -> "Period | None":
        """What both have in common, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start=start, end=end) if start < end else None

    def fiscal_years(self) -> tuple[int, ...]:
        return tuple(range(fiscal_year(self.start), fiscal_year(self.end - timedelta(days=1)) + 1))


def unix(day: date) -> int:
    """Unix seconds of the day's first instant in JST."""
    return int(datetime(day.year, day.month, day.day, tzinfo=JST).timestamp())


def day_of(at_s: int) -> date:
    """The JST day that an instant lies in."""
    return datetime.fromtimestamp(at_s, JST).date()


def iso(at_s: int) -> str:
    """An instant as ISO time in JST."""
    return datetime.fromtimestamp(at_s, JST).isoformat()


def iso_utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def fiscal_year(day: date) -> int:
    """The Japanese fiscal year, April to March."""
    return day.year - (day.month < 4)


def add_years(day: date, years: int) -> date:
    return add_months(day, 12 * years)


def add_months(day: date, months: int) -> date:
    """The same day of the month so many months later; the first of the next month where that day does not exist."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    try:
        return date(year, month + 1, day.day)
    except ValueError:
        following, month = divmod(year * 12 + month + 1, 12)
        return date(following, month + 1, 1)


def day_index(at_s: NDArray[np.int64], period: Period) -> NDArray[np.int64]:
    """The number of the JST day in the period, for each instant."""
    return (at_s - period.start_s) // DAY_S
