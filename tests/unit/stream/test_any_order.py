"""The half hours of a register are a function of the set of its readings: no order of arrival, and no cut into segments, shows in them.

The worker's own path (`halfhours` for what is ordinary, a window of stored rows for what is not) over a small shelf in place of the database.
"""

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import halfhours as hh
from stream.halfhours import Ordinary, Stored
from stream.interval import HALF_HOUR_S, Edge, Event, Register, Row, State, intervals
from stream.work import Taken, Worker

T0 = 1_617_202_800  # 2021-04-01T00:00+09:00
METER = 1
BELIEVED = (State.OPENING, State.CREDITED, State.SPREAD)
GENERATION = Register(rated_w=4000, modulus_wh=10**9)  # at most 2,501 Wh a half hour
EXPORT = replace(GENERATION, safe_low=False)
SMALL = replace(GENERATION, modulus_wh=200_000)  # more than a day can count
TWO_WAY = replace(EXPORT, two_way=True)
SWAPPED = replace(GENERATION, events=(Event(at=T0 + 20 * HALF_HOUR_S + 600, kind="swap", closing_wh=11_000, opening_wh=0),))


class Shelf:
    """The rows of one meter as `stream.timescale.Store` keeps them."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.conflicts: set[int] = set()

    async def put_ordinary(self, rows: Ordinary) -> None:
        columns = (rows.end_at, rows.register_wh, rows.start_at, rows.energy_wh, rows.state, rows.opening)
        for end, wh, start, energy_wh, state, opening in zip(*(c.tolist() for c in columns), strict=True):
            assert end not in self.rows, "an ordinary row is written over another"
            self.rows[end] = Row(end=end, register_wh=wh, start=None if opening else start, energy_wh=None if opening else energy_wh, state=State(state))

    async def put_judged(self, rows: list[tuple[int, Row]]) -> None:
        for _, row in rows:
            stands = self.rows.get(row.end, row)
            self.rows[row.end] = replace(row, register_wh=stands.register_wh)

    async def put_conflicts(self, rows: list[tuple[Any, ...]]) -> None:
        self.conflicts |= {row[5] for row in rows}

    async def around(self, news: dict[int, list[tuple[int, int]]]) -> Stored:
        news_at = [at for at, _ in news[METER]]
        since = max((end for end in self.rows if end <= min(news_at)), default=min(news_at))
        upto = min((end for end in self.rows if end >= max(news_at)), default=max(news_at))
        rows = [self.rows[end] for end in sorted(self.rows) if since <= end <= upto]
        plain = [r.state in BELIEVED and not r.code and r.end not in self.conflicts for r in rows]
        columns = ([METER for _ in rows], [r.end for r in rows], [r.register_wh for r in rows])
        meter, end_at, register_wh = (np.array(column, np.int64) for column in columns)
        return Stored(meter=meter, end_at=end_at, register_wh=register_wh, plain=np.array(plain, np.bool_))

    async def window(self, meter: int, since: int) -> tuple[list[Row], list[Edge]]:
        believed = [r.end for r in self.rows.values() if r.end <= since and r.state in BELIEVED]
        rows = [self.rows[end] for end in sorted(self.rows) if end >= max(believed, default=0)]
        return rows, [Edge(at=r.end, register_wh=r.register_wh, conflicted=r.end in self.conflicts) for r in rows]


def played(segments: list[list[tuple[int, int]]], register: Register) -> list[Row]:
    """The rows after these segments of (at, register_wh), in this order."""
    worker, shelf = Worker(), Shelf()
    worker.memory.registers[METER] = register
    worker.memory.tails[METER] = hh.tail_of([], register)

    async def play() -> None:
        for number, readings in enumerate(segments):
            count = len(readings)
            at, wh = [at for at, _ in readings], [wh for _, wh in readings]
            await worker._put_intervals(shelf, number, Taken(meter=[METER] * count, at=at, wh=wh, source=[(1, number, 0)] * count))  # type: ignore[arg-type]

    asyncio.run(play())
    return [shelf.rows[end] for end in sorted(shelf.rows)]


def at_once(readings: list[tuple[int, int]], register: Register) -> list[Row]:
    return intervals([Edge(at=at, register_wh=wh) for at, wh in sorted(readings)], register)


@st.composite
def registers_read(draw: st.DrawFn, *, ceiling: int = 10**8) -> list[tuple[int, int]]:
    """A register that counts, with gaps of up to days, seen through a reader that lies now and then."""
    wh, at, readings = draw(st.sampled_from([0, 1000, 10_000, ceiling - 3000])), T0, []
    for _ in range(draw(st.integers(1, 25))):
        at += HALF_HOUR_S * draw(st.sampled_from([1, 1, 1, 1, 2, 5, 47, 48, 49, 200]))
        wh += draw(st.sampled_from([0, 100, 900, 2400]))
        lie = draw(st.sampled_from(["", "", "", "", "zero", "small", "lower", "higher", "high", "back", "forth"]))
        seen = {"zero": 0, "small": 150, "lower": max(0, wh - 700), "higher": wh + 1500, "high": wh + 10_000}.get(lie, wh)
        if lie == "back":
            wh = seen = max(0, wh - 3000)
        if lie == "forth":
            wh = seen = wh + 6000
        readings.append((at, seen % ceiling))
    return readings


@st.composite
def arrivals(draw: st.DrawFn, *, ceiling: int = 10**8) -> tuple[list[tuple[int, int]], list[list[tuple[int, int]]]]:
    """Readings, and the same in some order, some of them twice, cut into segments."""
    readings = draw(registers_read(ceiling=ceiling))
    order = draw(st.one_of(st.just(readings), st.permutations(readings)))
    order = [*order, *draw(st.lists(st.sampled_from(readings), max_size=3))]
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=8)) | {0, len(order)})
    return readings, [order[a:b] for a, b in itertools.pairwise(cuts) if a < b]


def same_in_any_order(case: tuple[list[tuple[int, int]], list[list[tuple[int, int]]]], register: Register) -> None:
    readings, segments = case
    assert played(segments, register) == at_once(readings, register)


@given(arrivals())
@settings(max_examples=60, deadline=None)
def test_generation_in_any_order(case: tuple[list[tuple[int, int]], list[list[tuple[int, int]]]]) -> None:
    same_in_any_order(case, GENERATION)


@given(arrivals())
@settings(max_examples=60, deadline=None)
def test_export_in_any_order(case: tuple[list[tuple[int, int]], list[list[tuple[int, int]]]]) -> None:
    same_in_any_order(case, EXPORT)


@given(arrivals())
@settings(max_examples=60, deadline=None)
def test_a_two_way_register_in_any_order(case: tuple[list[tuple[int, int]], list[list[tuple[int, int]]]]) -> None:
    same_in_any_order(case, TWO_WAY)


@given(arrivals(ceiling=200_000))
@settings(max_examples=60, deadline=None)
def test_a_register_that_rolls_over_in_any_order(case: tuple[list[tuple[int, int]], list[list[tuple[int, int]]]]) -> None:
    same_in_any_order(case, SMALL)


@given(arrivals())
@settings(max_examples=60, deadline=None)
def test_a_register_with_a_recorded_swap_in_any_order(case: tuple[list[tuple[int, int]], list[list[tuple[int, int]]]]) -> None:
    same_in_any_order(case, SWAPPED)


def test_a_conflict_on_the_very_first_edge_holds_the_row_that_starts_there() -> None:
    rows = played([[(T0, 100)], [(T0, 200)], [(T0 + 1800, 150)], [(T0 + 3600, 160)]], GENERATION)
    assert [(row.state, row.code) for row in rows] == [(State.OPENING, ""), (State.HELD, "conflict"), (State.CREDITED, "")]


def test_a_conflict_holds_both_neighbours_whichever_value_came_first() -> None:
    for first, other in ((200, 250), (250, 200)):
        rows = played([[(T0, 100), (T0 + 1800, first), (T0 + 3600, 300), (T0 + 5400, 400)], [(T0 + 1800, other)]], GENERATION)
        assert [(row.state, row.code) for row in rows[1:]] == [(State.HELD, "conflict"), (State.HELD, "conflict"), (State.CREDITED, "")]


def test_a_conflict_within_one_segment_is_one_too() -> None:
    rows = played([[(T0, 100), (T0 + 1800, 200), (T0 + 1800, 250), (T0 + 3600, 300)]], GENERATION)
    assert [row.code for row in rows] == ["", "conflict", "conflict"]
