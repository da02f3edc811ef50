"""A calendar strip: what became of each half hour of a site's day, a cell a day.

A half hour is *read* if every register of the formula was read at both its edges and none is held; *spread* if one of them runs over an edge that
was not read; *held* if one is held; else *missing*. Expected are all 48 of each day that the site is in the programme, up to now: a site that
never sent anything is missing throughout. That is what the operator has to look after; what earns, the claim says.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

A_DAY = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A site's day. `expected` is 48, less on the day that is going on, 0 outside the programme."""

    day: date
    expected: int = A_DAY
    read: int = 0
    spread: int = 0
    held: int = 0

    @property
    def missing(self) -> int:
        return max(self.expected - self.read - self.spread - self.held, 0)

    @property
    def kind(self) -> str:
        """The worst thing about the day."""
        if not self.expected:
            return "outside"
        if self.missing:
            return "silent" if self.missing == self.expected else "gaps"
        if self.held:
            return "held"
        return "spread" if self.spread else "full"

    @property
    def label(self) -> str:
        """What stands in the cell: colour is never the only sign."""
        return {"outside": "", "silent": "✕", "gaps": str(self.missing), "held": f"h{self.held}", "spread": "~", "full": "·"}[self.kind]


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """The days that a site is in the programme, `end` exclusive, and how many half hours of the last one are over."""

    start: date
    end: date
    today: date
    over_today: int

    def of(self, day: date) -> int:
        if not self.start <= day < self.end or day > self.today:
            return 0
        return self.over_today if day == self.today else A_DAY


def cells(days: Sequence[date], found: Mapping[date, Cell], expected: Expected) -> tuple[Cell, ...]:
    """A cell for each day, whatever was found of it."""
    return tuple(_cell(day, found.get(day), expected.of(day)) for day in days)


def _cell(day: date, found: Cell | None, expected: int) -> Cell:
    if found is None:
        return Cell(day=day, expected=expected)
    return Cell(day=day, expected=expected, read=found.read, spread=found.spread, held=found.held)


def month(first: date) -> tuple[date, ...]:
    """The days of the month of a day."""
    return tuple(first.replace(day=n) for n in range(1, monthrange(first.year, first.month)[1] + 1))


def next_month(first: date) -> date:
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1)


def fiscal_year(year: int) -> tuple[tuple[date, ...], ...]:
    """The months of a fiscal year, April to March."""
    return tuple(month(date(year + (n > 12), (n - 1) % 12 + 1, 1)) for n in range(4, 16))


def fiscal_year_of(day: date) -> int:
    return day.year - (day.month < 4)
