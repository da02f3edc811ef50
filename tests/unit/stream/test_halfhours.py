"""A segment's half hours in one pass are those that `interval.intervals` gives, and what needs judgement is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.halfhours import ALWAYS, NEVER, Ordinary, Tail, halfhours, tail_of, tails_after
from stream.interval import HALF_HOUR_S, Edge, Event, Register, Row, State, intervals

T0 = 1_617_202_800
HOME = Register(rated_w=4000, modulus_wh=10**9)
SWAPPED = Register(rated_w=4000, modulus_wh=10**9, events=(Event(at=T0 + 900, kind="swap", closing_wh=1, opening_wh=0),))


def row(end: int, wh: int, state: State, code: str = "") -> Row:
    return Row(end=T0 + end, register_wh=wh, start=None, energy_wh=None, state=state, code=code)


def rows_by_meter(made: Ordinary) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    columns = (made.meter, made.end_at, made.register_wh, made.start_at, made.energy_wh, made.state, made.opening)
    for meter, end, wh, start, energy_wh, state, opening in zip(*(column.tolist() for column in columns), strict=True):
        told = Row(end=end, register_wh=wh, start=None if opening else start, energy_wh=None if opening else energy_wh, state=State(state))
        found.setdefault(meter, []).append(told)
    return found


def one_meter(readings: list[tuple[int, int]], tail: Tail | None = None, register: Register = HOME) -> Ordinary:
    at, wh = [T0 + at for at, _ in readings], [wh for _, wh in readings]
    return halfhours([1] * len(at), at, wh, {1: tail or Tail()}, {1: register})


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([(0, 100)], id="at the last edge"),
        pytest.param([(-1800, 50)], id="before the last edge"),
        pytest.param([(1800, 99)], id="below it"),
        pytest.param([(1800, 2602)], id="above the cap"),
        pytest.param([(1800, 200), (1800, 200)], id="twice"),
        pytest.param([(1800, 200), (3600, 150)], id="falling later in the segment"),
    ],
)
def test_what_needs_judgement_is_named_with_all_new_edges_of_its_meter(readings: list[tuple[int, int]]) -> None:
    made = one_meter(readings, Tail(T0, 100))
    assert made.odd == {1: [(T0 + at, wh) for at, wh in readings]}
    assert rows_by_meter(made) == {}


def test_up_to_when_a_tail_says_rows_need_judgement() -> None:
    assert one_meter([(1800, 200)], Tail(T0, 100, T0 + 1800)).odd
    assert not one_meter([(3600, 200)], Tail(T0, 100, T0 + 1800)).odd


def test_the_order_within_a_segment_does_not_matter() -> None:
    readings = [(3600, 300), (0, 100), (1800, 200)]
    assert rows_by_meter(one_meter(readings)) == rows_by_meter(one_meter(sorted(readings)))


def test_one_odd_meter_leaves_the_others_alone() -> None:
    tails = {1: Tail(T0, 100), 2: Tail(T0, 100)}
    made = halfhours([1, 2], [T0 + 1800] * 2, [50, 150], tails, {1: HOME, 2: HOME})
    assert made.odd == {1: [(T0 + 1800, 50)]}
    assert list(rows_by_meter(made)) == [2]


def test_nothing_read_is_nothing_made() -> None:
    assert rows_by_meter(one_meter([])) == {}


@given(st.dictionaries(st.integers(1, 4), st.lists(st.tuples(st.sampled_from([1, 1, 2, 48]), st.integers(0, 2501)), min_size=1, max_size=20), min_size=1))
@settings(deadline=None)
def test_ordinary_registers_have_the_rows_of_the_rule(steps: dict[int, list[tuple[int, int]]]) -> None:
    readings: dict[int, list[tuple[int, int]]] = {}
    for meter, taken in steps.items():
        at, wh = T0, 1000 * meter
        for half_hours, energy_wh in taken:
            at, wh = at + half_hours * HALF_HOUR_S, wh + energy_wh
            readings.setdefault(meter, []).append((at, wh))
    flat = [(meter, at, wh) for meter, mine in readings.items() for at, wh in mine]
    tails = {meter: Tail() for meter in readings}
    made = halfhours([m for m, _, _ in flat], [at for _, at, _ in flat], [wh for _, _, wh in flat], tails, dict.fromkeys(readings, HOME))
    tails_after(made, tails)
    assert made.odd == {}
    assert rows_by_meter(made) == {meter: intervals([Edge(at=at, register_wh=wh) for at, wh in mine], HOME) for meter, mine in readings.items()}
    assert {meter: (tail.at, tail.register_wh) for meter, tail in tails.items()} == {meter: mine[-1] for meter, mine in readings.items()}


@pytest.mark.parametrize(
    ("rows", "register", "until"),
    [
        pytest.param([], HOME, NEVER, id="no row"),
        pytest.param([], SWAPPED, ALWAYS, id="a record ahead"),
        pytest.param([row(0, 5, State.CREDITED)], HOME, NEVER, id="believed"),
        pytest.param([row(0, 5, State.OPENING)], HOME, ALWAYS, id="the first, that may be in conflict"),
        pytest.param([row(0, 5, State.UNTRUE)], HOME, ALWAYS, id="not believed"),
        pytest.param([row(0, 5, State.HELD, "conflict")], HOME, ALWAYS, id="in conflict"),
        pytest.param([row(0, 5, State.CREDITED)], SWAPPED, ALWAYS, id="believed, and a record ahead"),
        pytest.param([row(1800, 5, State.CREDITED)], SWAPPED, NEVER, id="believed, behind the record"),
        pytest.param([row(0, 5, State.HELD, "above-cap"), row(1800, 6, State.CREDITED)], HOME, T0 + 86_400, id="for a day after a leap"),
    ],
)
def test_how_long_a_tail_needs_judgement(rows: list[Row], register: Register, until: int) -> None:
    assert tail_of(rows, register).odd_until == until
