"""The calendar strip: what a cell says of a day."""

from datetime import date

import pytest

from console.web.strip import Cell, Expected, cells, fiscal_year, fiscal_year_of, month, next_month

D = date(2021, 4, 1)
ALWAYS = Expected(start=date(2021, 1, 1), end=date(2030, 1, 1), today=date(2022, 1, 1), over_today=20)


@pytest.mark.parametrize(
    ("cell", "missing", "kind", "label"),
    [
        (Cell(day=D, read=48), 0, "full", "·"),
        (Cell(day=D, read=46, spread=2), 0, "spread", "~"),
        (Cell(day=D, read=45, held=3), 0, "held", "h3"),
        (Cell(day=D, read=40, held=3), 5, "gaps", "5"),
        (Cell(day=D), 48, "silent", "✕"),
        (Cell(day=D, expected=0), 0, "outside", ""),
        (Cell(day=D, expected=20, read=20), 0, "full", "·"),
    ],
)
def test_a_cell_says_the_worst_of_its_day(cell: Cell, missing: int, kind: str, label: str) -> None:
    assert (cell.missing, cell.kind, cell.label) == (missing, kind, label)


def test_a_site_that_never_sent_is_missing_on_every_day_of_the_programme() -> None:
    found = cells(month(D), {}, Expected(start=date(2021, 4, 10), end=date(2021, 4, 20), today=date(2022, 1, 1), over_today=0))
    assert [c.kind for c in found] == ["outside"] * 9 + ["silent"] * 10 + ["outside"] * 11


def test_the_future_is_not_missing_and_today_only_up_to_now() -> None:
    assert [ALWAYS.of(date(2021, 12, 31)), ALWAYS.of(date(2022, 1, 1)), ALWAYS.of(date(2022, 1, 2))] == [48, 20, 0]


def test_what_was_found_is_kept_beside_what_was_expected() -> None:
    assert cells([D], {D: Cell(day=D, read=40, held=2)}, ALWAYS) == (Cell(day=D, read=40, held=2),)


def test_months_and_fiscal_years() -> None:
    assert [next_month(date(2021, 12, 31)), next_month(date(2021, 1, 31))] == [date(2022, 1, 1), date(2021, 2, 1)]
    year = fiscal_year(2023)
    assert (year[0][0], year[-1][-1], sum(map(len, year))) == (date(2023, 4, 1), date(2024, 3, 31), 366)
    assert [fiscal_year_of(date(2022, 3, 31)), fiscal_year_of(date(2022, 4, 1))] == [2021, 2022]
