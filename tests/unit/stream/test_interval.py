"""Half hours from a register, a rule at a time: readings in, rows out. What a register can not have counted is never credited."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.interval import HALF_HOUR_S, Edge, Event, Register, Row, State, intervals

T0 = 1_617_202_800  # 2021-04-01T00:00+09:00
HOME = Register(rated_w=4000, modulus_wh=1_000_000_000)  # at most 2,501 Wh a half hour, 120,001 Wh a day
EXPORT = replace(HOME, safe_low=False)
TWO_WAY = replace(HOME, two_way=True, safe_low=False)
EARNS = (State.CREDITED, State.SPREAD)
DAY = 48


def edges(*readings: int | tuple[int, int]) -> list[Edge]:
    """Readings a half hour apart; a pair says how many half hours after the one before."""
    at, made = T0 - HALF_HOUR_S, []
    for reading in readings:
        steps, wh = reading if isinstance(reading, tuple) else (1, reading)
        at += steps * HALF_HOUR_S
        made.append(Edge(at=at, register_wh=wh))
    return made


def brief(rows: list[Row]) -> list[tuple[str, int | None, str]]:
    """State, energy and code of each row but the opening."""
    assert rows[0].state is State.OPENING
    return [(row.state.name.lower(), row.energy_wh, row.code) for row in rows[1:]]


def rows_of(*readings: int | tuple[int, int], register: Register = HOME, events: tuple[Event, ...] = ()) -> list[tuple[str, int | None, str]]:
    return brief(intervals(edges(*readings), replace(register, events=events)))


def earned_wh(rows: list[Row]) -> int:
    return sum(row.energy_wh or 0 for row in rows if row.state in EARNS)


def event(half_hours: float, kind: str, closing_wh: int | None, opening_wh: int | None) -> Event:
    return Event(at=T0 + int(half_hours * HALF_HOUR_S), kind=kind, closing_wh=closing_wh, opening_wh=opening_wh)


def test_nothing_read_is_no_row() -> None:
    assert intervals([], HOME) == []


def test_the_first_reading_opens_and_earns_nothing() -> None:
    assert intervals(edges(700), HOME) == [Row(end=T0, register_wh=700, start=None, energy_wh=None, state=State.OPENING)]


def test_a_half_hour_between_two_readings_is_credited() -> None:
    assert intervals(edges(700, 900), HOME)[1] == Row(end=T0 + 1800, register_wh=900, start=T0, energy_wh=200, state=State.CREDITED)


def test_over_edges_that_were_not_read_is_one_spread_row() -> None:
    assert rows_of(0, 100, (3, 900), 1000) == [("credited", 100, ""), ("spread", 800, ""), ("credited", 100, "")]


def test_a_week_offline_is_one_spread_row() -> None:
    assert rows_of(1000, (7 * DAY, 151_000), 151_100) == [("spread", 150_000, ""), ("credited", 100, "")]


def test_the_cap_itself_is_credited_and_one_more_is_held() -> None:
    assert rows_of(0, 2501) == [("credited", 2501, "")]
    assert rows_of(0, 2502, 2600) == [("held", 2502, "above-cap"), ("credited", 98, "")]


def test_a_lump_after_a_gap_is_held_above_the_cap_of_the_gap() -> None:
    assert rows_of(0, (4, 10_001)) == [("spread", 10_001, "")]
    assert rows_of(0, (4, 10_002)) == [("held", 10_002, "above-cap")]


def test_a_zero_on_waking_up_is_not_believed() -> None:
    assert rows_of(5000, 0, 5300) == [("untrue", None, "below-mark"), ("spread", 300, "recovered")]


def test_a_glitch_below_is_not_believed() -> None:
    assert rows_of(5000, 4100, 4200, 5300, 5400) == [
        ("untrue", None, "below-mark"),
        ("untrue", None, "below-mark"),
        ("spread", 300, "recovered"),
        ("credited", 100, ""),
    ]


def test_a_glitch_above_is_not_believed() -> None:
    assert rows_of(5000, 999_999, 5300, 5400) == [("untrue", None, "glitch-high"), ("spread", 300, ""), ("credited", 100, "")]


def test_a_glitch_above_that_lasts_is_not_believed_for_a_day() -> None:
    stuck = [999_999] * 48
    assert rows_of(5000, *stuck, 5300)[-1] == ("spread", 300, "")
    assert rows_of(5000, *stuck, 999_999, 5300)[-1] == ("held", 0, "register-fell")


def test_a_glitch_above_and_then_a_zero_are_both_not_believed() -> None:
    assert rows_of(5000, 999_999, 0, 5300) == [("untrue", None, "glitch-high"), ("untrue", None, "glitch-high"), ("spread", 300, "")]


def test_a_glitch_after_a_gap_is_not_believed_although_the_cap_is_wide() -> None:
    assert rows_of(1000, (7 * DAY, 800_000), 151_000, 151_100) == [("untrue", None, "glitch-high"), ("spread", 150_000, ""), ("credited", 100, "")]


def test_one_reading_between_long_silence_and_a_dead_meter_earns_nothing() -> None:
    assert rows_of(1000, (7 * DAY, 800_000), 0, 0) == [("held", 799_000, "register-fell"), ("held", 0, "register-fell"), ("held", 0, "register-fell")]


def test_long_silence_and_then_a_zero_on_waking_up_loses_nothing() -> None:
    assert rows_of(1000, (7 * DAY, 151_000), 0, 151_200) == [("spread", 150_000, ""), ("untrue", None, "below-mark"), ("spread", 200, "recovered")]


def test_a_reset_that_recovers_counts_only_what_lies_above_the_mark() -> None:
    assert rows_of(1000, 0, 600, 1200, 1300) == [
        ("untrue", None, "below-mark"),
        ("untrue", None, "below-mark"),
        ("spread", 200, "recovered"),
        ("credited", 100, ""),
    ]


def test_a_roll_back_that_is_counted_again_counts_once() -> None:
    rows = intervals(edges(1000, 1500, 2000, 1200, 1600, 2000, 2300), HOME)
    assert brief(rows)[2:] == [("untrue", None, "below-mark"), ("untrue", None, "below-mark"), ("spread", 0, "recovered"), ("credited", 300, "")]
    assert earned_wh(rows) == 1300


def test_a_reset_without_a_record_is_held_for_ever() -> None:
    assert rows_of(50_000, 0, 400, 800, (30 * DAY, 20_000)) == [("held", wh, "register-fell") for wh in (0, 400, 400, 19_200)]


def test_a_first_reading_that_is_never_reached_again_holds_what_follows() -> None:
    assert rows_of(5000, 100, 200) == [("held", 0, "register-fell"), ("held", 100, "register-fell")]


def test_a_recorded_reset_counts_before_and_after() -> None:
    reset = event(0.5, "reset", 50_300, None)
    assert rows_of(50_000, 400, 700, events=(reset,)) == [("credited", 700, "reset"), ("credited", 300, "")]


def test_a_recorded_swap_counts_both_meters() -> None:
    swap = event(0.5, "swap", 50_300, 7000)
    assert rows_of(50_000, 7400, events=(swap,)) == [("credited", 700, "swap")]
    assert rows_of(50_000, (3, 7400), events=(swap,)) == [("spread", 700, "swap")]


@pytest.mark.parametrize(("kind", "closing", "opening"), [("swap", None, 0), ("swap", 50_300, None), ("reset", None, None)])
def test_a_record_without_its_readings_is_held_once_and_sets_a_new_mark(kind: str, closing: int | None, opening: int | None) -> None:
    rows = rows_of(50_000, 400, 700, events=(event(0.5, kind, closing, opening),))
    assert [(state, code) for state, _, code in rows] == [("held", f"{kind}-incomplete"), ("credited", "")]


def test_a_record_below_what_was_read_is_held() -> None:
    assert rows_of(50_000, 400, events=(event(0.5, "swap", 49_000, 0),)) == [("held", 0, "swap-implausible")]


def test_a_record_that_would_count_more_than_the_cap_is_held() -> None:
    assert rows_of(50_000, 400, events=(event(0.5, "swap", 55_000, 0),)) == [("held", 5400, "swap-implausible")]


def test_two_records_between_two_readings_are_held() -> None:
    events = (event(0.25, "swap", 50_100, 0), event(0.5, "swap", 100, 0))
    assert rows_of(50_000, 200, events=events)[0][2] == "swap-incomplete"


def test_a_reading_at_the_instant_of_a_record_is_of_the_old_register() -> None:
    swap = event(1, "swap", 50_300, 0)
    assert rows_of(50_000, 50_300, 400, events=(swap,)) == [("credited", 300, ""), ("credited", 400, "swap")]


def test_a_fall_without_a_record_is_held_until_a_record_sets_a_new_mark() -> None:
    rows = rows_of(50_000, 100, 200, 300, 500, events=(event(2.5, "reset", 250, 0),))
    assert [state for state, _, _ in rows] == ["held", "held", "held", "credited"]


def test_a_rollover_is_counted_at_the_registered_modulus() -> None:
    assert rows_of(999_999_800, 300, 400) == [("credited", 500, "rollover"), ("credited", 100, "")]


def test_a_rollover_is_never_guessed() -> None:
    assert rows_of(99_999_800, 300, 400)[0] == ("held", 0, "register-fell")
    assert rows_of(1_000_000_000, 300)[0] == ("held", 0, "register-fell")
    assert rows_of(999_990_000, 300)[0] == ("held", 0, "register-fell")


def test_a_zero_near_the_modulus_is_no_rollover_when_the_register_jumps_back() -> None:
    assert rows_of(999_999_800, 0, 999_999_900, 50) == [("untrue", None, "below-mark"), ("spread", 100, "recovered"), ("credited", 150, "rollover")]


def test_a_leap_to_the_modulus_and_a_zero_are_no_rollover() -> None:
    assert rows_of(100, 999_999_999, 0) == [("held", 999_999_899, "above-cap"), ("held", 0, "register-fell")]


def test_a_register_that_a_day_can_count_through_has_no_rollover() -> None:
    assert rows_of(99_800, 300, register=replace(HOME, modulus_wh=100_000))[0][0] == "held"


def test_a_two_way_register_may_fall_within_the_cap() -> None:
    assert rows_of(5000, 3000, 3500, register=TWO_WAY) == [("credited", -2000, ""), ("credited", 500, "")]
    assert rows_of(5000, 2498, register=TWO_WAY) == [("held", 0, "register-fell")]


def test_export_that_comes_back_by_counting_is_held() -> None:
    assert rows_of(1000, 0, 600, 1200, 1300, register=EXPORT)[2:] == [("held", 200, "register-fell"), ("credited", 100, "")]


def test_export_that_may_have_come_back_by_counting_is_held() -> None:
    assert rows_of(1000, 400, 1200, register=EXPORT) == [("untrue", None, "below-mark"), ("held", 200, "register-fell")]


def test_export_that_comes_back_by_a_jump_had_never_lost_its_count() -> None:
    assert rows_of(50_000, 0, 50_300, register=EXPORT) == [("untrue", None, "below-mark"), ("spread", 300, "recovered")]


def test_a_conflict_holds_both_neighbours() -> None:
    three = [Edge(at=e.at, register_wh=e.register_wh, conflicted=n == 2) for n, e in enumerate(edges(0, 100, 200, 300, 400))]
    assert brief(intervals(three, HOME)) == [("credited", 100, ""), ("held", 100, "conflict"), ("held", 100, "conflict"), ("credited", 100, "")]


def test_another_device_without_a_record_is_held_once() -> None:
    read = [Edge(at=e.at, register_wh=e.register_wh, other_device=n == 1) for n, e in enumerate(edges(5000, 5100, 5200))]
    assert brief(intervals(read, HOME)) == [("held", 5100, "swap-unrecorded"), ("credited", 100, "")]


Steps = st.lists(st.tuples(st.sampled_from([1, 1, 1, 2, 48, 300]), st.integers(0, 2501)), min_size=1, max_size=40)


@given(st.integers(0, 10**8), Steps)
def test_of_a_register_that_only_counts_everything_is_earned(first: int, steps: list[tuple[int, int]]) -> None:
    wh, readings = first, [(1, first)]
    for half_hours, energy_wh in steps:
        wh += energy_wh
        readings.append((half_hours, wh))
    rows = intervals(edges(*readings), HOME)
    assert earned_wh(rows) == wh - first
    assert all(row.start == before.end for before, row in itertools.pairwise(rows))


@st.composite
def lied_about(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    """Readings of a register, and the true energy since the first. It loses count for good now and then; below, a reader may say anything; above, what
    no register could have counted, once in a row. The last reading is true."""
    true_wh, lied_high, register_wh = 0, False, draw(st.sampled_from([0, 1000, 10_000, 1_000_000]))
    peak_wh, half_hours, readings = register_wh, 0, [(1, register_wh)]
    for _ in range(draw(st.integers(1, 20))):
        step = 1 if lied_high else draw(st.sampled_from([1, 1, 1, 1, 2, 5, 48, 200]))
        energy_wh = step * draw(st.sampled_from([0, 100, 900, 2400]))
        half_hours, true_wh, register_wh = half_hours + step, true_wh + energy_wh, register_wh + energy_wh
        if draw(st.integers(0, 8)) == 0:
            register_wh = max(0, register_wh - draw(st.sampled_from([100, 3000, 10**7])))
        peak_wh = max(peak_wh, register_wh)
        lie = draw(st.sampled_from(["", "", "", "zero", "low", *([] if lied_high else ["high", "nines"])]))
        beyond_wh = peak_wh + 2501 * (half_hours + 1) + draw(st.sampled_from([0, 10_000]))
        readings.append((step, {"zero": 0, "low": max(0, register_wh - 700), "high": beyond_wh, "nines": 999_999_999}.get(lie, register_wh)))
        lied_high = lie in ("high", "nines")
    return [*readings, (1, register_wh)], true_wh


@given(lied_about())
@settings(max_examples=120, deadline=None)
def test_never_more_is_earned_than_was_generated(case: tuple[list[tuple[int, int]], int]) -> None:
    readings, true_wh = case
    assert earned_wh(intervals(edges(*readings), HOME)) <= true_wh


@given(lied_about())
@settings(max_examples=50, deadline=None)
def test_every_reading_has_one_row_and_no_two_rows_share_time(case: tuple[list[tuple[int, int]], int]) -> None:
    read = edges(*case[0])
    rows = intervals(read, HOME)
    assert [(row.end, row.register_wh) for row in rows] == [(edge.at, edge.register_wh) for edge in read]
    spans = [(row.start, row.end) for row in rows if row.start is not None]
    assert all(before <= start for (_, before), (start, _) in itertools.pairwise(spans))
