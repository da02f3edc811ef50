"""Ten numbers in, ten booleans out: each detector on a plant of 5 kW near Tokyo, resolution 10 Wh."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly import slot
from anomaly.flag import Code, Level
from anomaly.row import DISCHARGE, EXPORT, GENERATION, Dispute, Meters, Rows
from stream.interval import State

NOON, MIDNIGHT, DUSK = 1_624_242_600, 1_624_201_200, 1_624_270_800  # 2021-06-21 11:30, 00:00 and 19:20 JST; the sun sets at 19:00
G, E, D, TWO_WAY, UNKNOWN = range(5)
METERS = Meters(
    site=np.array([0, 0, 0, 1, 2]),
    register=np.array([GENERATION, EXPORT, DISCHARGE, GENERATION, GENERATION]),
    resolution_wh=np.full(5, 10),
    two_way=np.array([False, False, False, True, False]),
    lat=np.array([35.68, 35.68, 35.68, 35.68, np.nan]),
    lon=np.array([139.65, 139.65, 139.65, 139.65, np.nan]),
    dc_kw=np.array([5.0, 5.0, 5.0, 5.0, np.nan]),
    ac_kw=np.array([5.0, 5.0, 5.0, 5.0, np.nan]),
)


def rows(energy_wh, *, meter=G, start=NOON, minutes=30, state=State.CREDITED, code="", disputes=()):
    n = len(energy_wh)
    start_at = np.broadcast_to(np.asarray(start), n).astype(np.int64)
    return Rows(
        meter=np.broadcast_to(np.asarray(meter), n).astype(np.int64),
        start_at=start_at,
        end_at=start_at + minutes * 60,
        energy_wh=np.array(energy_wh, np.int64),
        state=np.broadcast_to(np.asarray(state), n).astype(np.int8),
        code=np.broadcast_to(np.asarray(code, object), n).copy(),
        disputes=tuple(disputes),
    )


def verdict(detector, given_rows):
    return detector(slot.slots_of(given_rows, METERS))


def held(detector, given_rows):
    return verdict(detector, given_rows).hold.astype(int).tolist()


def warned(detector, given_rows):
    return verdict(detector, given_rows).warn.astype(int).tolist()


def apart(n):
    """Starts of n intervals at the same hour of different days: nothing is compared over the same span."""
    return NOON + 86_400 * np.arange(n)


def test_negative_by_day_is_held_beyond_standby():
    energy = [0, 5, -1, -12, -20, -35, -41, -400, 900, -2000]
    assert held(slot.negative, rows(energy, start=apart(10))) == [0, 0, 0, 0, 0, 0, 1, 1, 0, 1]
    assert warned(slot.negative, rows(energy, start=apart(10))) == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]


def test_negative_at_night_costs_nothing_and_is_at_most_a_warning():
    energy = [0, -1, -2, -5, -9, -13, -14, -20, -300, -2000]
    assert held(slot.negative, rows(energy, start=MIDNIGHT)) == [0] * 10
    assert warned(slot.negative, rows(energy, start=MIDNIGHT)) == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_negative_export_is_held_at_night_too_since_it_adds_to_the_claim():
    assert held(slot.negative, rows([-5, -15, -21, -300], meter=E, start=MIDNIGHT)) == [0, 0, 1, 1]


def test_a_two_way_meter_may_fall():
    assert held(slot.negative, rows([-400, -2000], meter=TWO_WAY)) == [0, 0]


def test_night_generation_is_held_beyond_the_noise_floor():
    energy = [0, 5, 10, 13, 14, 19, 21, 46, 300, -5]
    start = MIDNIGHT + 86_400 * np.arange(10)
    assert held(slot.night, rows(energy, start=start)) == [0, 0, 0, 0, 0, 0, 1, 1, 1, 0]
    assert warned(slot.night, rows(energy, start=start)) == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]


def test_the_same_energies_by_day_are_not_night_generation():
    energy = [0, 5, 10, 13, 14, 19, 21, 46, 300, 2400]
    assert held(slot.night, rows(energy, start=apart(10))) == [0] * 10


def test_just_after_sunset_a_label_half_an_hour_off_explains_it():
    found = rows([300, 19, 21], start=DUSK + np.array([0, 86_400, 172_800]))
    assert held(slot.night, found) == [0, 0, 0]
    assert warned(slot.night, found) == [1, 0, 1]


def test_a_battery_that_discharges_after_dark_is_not_night_generation():
    both = rows([400, 390, 400, 300], meter=[G, D, G, D], start=[MIDNIGHT, MIDNIGHT, MIDNIGHT + 86_400, MIDNIGHT + 86_400])
    assert held(slot.night, both) == [0, 0, 1, 0]
    assert verdict(slot.night, both).observed[2] == 100


def test_discharge_and_export_at_night_are_not_generation():
    assert held(slot.night, rows([900, 900], meter=[D, E], start=MIDNIGHT)) == [0, 0]


def test_without_a_position_the_night_test_finds_nothing_and_says_it_could_not_run():
    assert held(slot.night, rows([900], meter=UNKNOWN, start=MIDNIGHT)) == [0]
    assert slot.could_not_run(METERS) == (1, 1)


def test_above_the_rating_by_more_than_a_rough_registration_is_held():
    energy = [0, 900, 2400, 2500, 2800, 3135, 3136, 4000, 25_000, -10]
    assert held(slot.above_bound, rows(energy, start=apart(10))) == [0, 0, 0, 0, 0, 0, 1, 1, 1, 0]


def test_above_the_clear_sky_is_held_below_the_rating_too():
    early = 1_624_217_400  # 04:30 JST, the sun rises at 04:25
    assert held(slot.above_bound, rows([10, 900, 2400, 2900], start=early + 86_400 * np.arange(4))) == [0, 0, 1, 1]


def test_without_a_rating_there_is_no_bound():
    assert held(slot.above_bound, rows([10**9], meter=UNKNOWN)) == [0]


def test_export_is_above_the_bound_only_where_the_stream_holds_it():
    found = rows([4000, 4000], meter=E, start=apart(2), state=[State.HELD, State.CREDITED], code=np.array(["above-cap", ""], object))
    assert held(slot.above_bound, found) == [1, 0]
    assert held(slot.register_fell, found) == [0, 0]


def test_a_register_that_does_not_run_on_is_held():
    states = [State.CREDITED, State.HELD, State.HELD, State.HELD, State.SPREAD]
    codes = np.array(["", "register-fell", "swap-unrecorded", "conflict", ""], object)
    found = rows([500] * 5, start=apart(5), state=states, code=codes, disputes=[Dispute(row=3, first_wh=1, other_wh=2)])
    assert held(slot.register_fell, found) == [0, 1, 1, 0, 0]


def test_openings_and_untrue_readings_are_no_intervals():
    found = rows([900, 900, 900], start=[-1, MIDNIGHT, MIDNIGHT], state=[State.OPENING, State.UNTRUE, State.CREDITED])
    assert slot.slots_of(found, METERS).row.tolist() == [2]


def test_a_lump_after_a_gap_is_accepted_under_the_bound_of_the_whole_gap():
    energy = [0, 2000, 5000, 10_000, 18_000, 19_000, 25_000, 60_000, -5, 12_000]
    found = rows(energy, minutes=360, start=NOON - 10_800 + 86_400 * np.arange(10), state=State.SPREAD)  # 6 h × 5 kW × 1.25 = 37,500
    assert held(slot.gap_lump, found) == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert held(slot.above_bound, found) == [0] * 10


def test_a_lump_after_a_night_is_held():
    found = rows([0, 30, 200, 5000], minutes=240, start=MIDNIGHT - 7200 + 86_400 * np.arange(4), state=State.SPREAD)  # 22:00 to 02:00
    assert held(slot.gap_lump, found) == [0, 0, 1, 1]


def test_two_values_hold_both_neighbours_and_inside_an_interval_warn():
    disputes = [Dispute(row=1, first_wh=5000, other_wh=5100), Dispute(row=2, first_wh=5000, other_wh=5100), Dispute(row=4, first_wh=7, other_wh=9, inside=True)]
    found = rows([500] * 6, start=apart(6), disputes=disputes)
    assert held(slot.duplicate, found) == [0, 1, 1, 0, 0, 0]
    assert warned(slot.duplicate, found) == [0, 0, 0, 0, 1, 0]
    assert verdict(slot.duplicate, found).observed.tolist() == [0, 5100, 5100, 0, 9, 0]


def test_export_above_generation_is_held_on_the_generation_row():
    export = [0, 900, 1000, 1020, 1021, 1060, 1061, 1500, 3000, -5]
    found = rows([1000] * 10 + export, meter=[G] * 10 + [E] * 10, start=np.tile(apart(10), 2))
    assert held(slot.export_above_generation, found) == [0, 0, 0, 0, 0, 0, 1, 1, 1, 0] + [0] * 10
    assert warned(slot.export_above_generation, found) == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0] + [0] * 10


def test_export_is_compared_over_the_very_same_span_only():
    found = rows([100, 900], meter=[G, E], start=[NOON, NOON - 1800])
    found = replace(found, end_at=np.array([NOON + 1800, NOON + 1800]))
    assert held(slot.export_above_generation, found) == [0, 0]


def test_a_discharging_battery_may_export_more_than_is_generated():
    assert held(slot.export_above_generation, rows([100, 900, 850], meter=[G, E, D])) == [0, 0, 0]


def test_a_flag_carries_row_level_numbers_stake_and_rule_set():
    found = slot.detect(rows([900, 500], start=[MIDNIGHT, NOON]), METERS)
    assert (found.row.tolist(), found.code, found.level) == ([0], (Code.NIGHT,), (Level.HOLD,))
    assert (found.observed.tolist(), found.bound.tolist(), found.energy_at_stake_wh.tolist(), found.rule_set) == ([900], [20], [900], "slot-1")


def test_no_rows_no_flags():
    assert slot.detect(rows([]), METERS).row.tolist() == []


def test_every_detector_is_in_the_list():
    assert {detector(slot.slots_of(rows([1]), METERS)).code for detector in slot.DETECTORS} == set(Code)


ROW = st.tuples(
    st.sampled_from([G, E, D]),
    st.integers(0, 60),
    st.sampled_from([0, 12, 40, 700, 2400, 9000, -30]),
    st.sampled_from([State.CREDITED, State.SPREAD, State.HELD]),
)


@settings(max_examples=60, deadline=None)
@given(given_rows=st.lists(ROW, unique_by=lambda r: r[:2], min_size=1, max_size=40), seed=st.randoms())
def test_flags_do_not_depend_on_the_order_of_rows(given_rows, seed):
    def found(some):
        meter, place, energy, state = (np.array(column) for column in zip(*some, strict=True))
        columns = rows(energy, meter=meter, start=MIDNIGHT + 1800 * place, state=state)
        flags = slot.detect(columns, METERS)
        keys = [(int(meter[row]), int(place[row])) for row in flags.row]
        return sorted(zip(keys, flags.code, flags.level, flags.observed.tolist(), flags.bound.tolist(), strict=True))

    mixed = list(given_rows)
    seed.shuffle(mixed)
    assert found(mixed) == found(given_rows)
