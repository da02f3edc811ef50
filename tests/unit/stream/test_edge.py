"""Which readings of a series lie on half-hour edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.edge import edges

T0 = 1_617_202_800  # 2021-04-01T00:00+09:00


def picked(start: int, step_s: int, values: list[int | None]) -> list[tuple[int, int | None]]:
    instants, readings = edges(start, step_s, values)
    return list(zip(instants, readings, strict=True))


def test_minutes_give_every_thirtieth() -> None:
    assert picked(T0, 60, list(range(61))) == [(T0, 0), (T0 + 1800, 30), (T0 + 3600, 60)]


def test_a_series_that_starts_between_edges_gives_the_next() -> None:
    assert picked(T0 + 60, 60, list(range(30))) == [(T0 + 1800, 29)]


def test_half_hours_give_all() -> None:
    assert picked(T0, 1800, [5, None, 7]) == [(T0, 5), (T0 + 1800, None), (T0 + 3600, 7)]


def test_steps_longer_than_a_half_hour_give_what_lies_on_edges() -> None:
    assert picked(T0, 86_400, [1, 2]) == [(T0, 1), (T0 + 86_400, 2)]
    assert picked(T0 + 600, 2400, [1, 2, 3]) == [(T0 + 5400, 3)]


@pytest.mark.parametrize(("start", "step_s"), [(T0 + 1, 60), (T0 + 1, 1800), (T0 + 900, 3600)])
def test_a_series_beside_the_edges_gives_none(start: int, step_s: int) -> None:
    assert picked(start, step_s, [1] * 1000) == []


def test_a_series_that_ends_before_the_edge_gives_none() -> None:
    assert picked(T0 + 60, 60, list(range(29))) == []


@given(st.integers(-4000, 4000), st.integers(1, 86_400) | st.sampled_from([1, 7, 60, 70, 300, 900, 1200, 1800, 2400, 3600]), st.integers(1, 300))
def test_every_reading_on_an_edge_is_given_and_no_other(offset: int, step_s: int, count: int) -> None:
    instants = range(T0 + offset, T0 + offset + count * step_s, step_s)
    assert picked(T0 + offset, step_s, list(range(count))) == [(at, n) for n, at in enumerate(instants) if at % 1800 == 0]
