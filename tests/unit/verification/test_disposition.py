"""The fate of every half hour, in literal series."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from verification.claim import Series, State
from verification.disposition import Fate, Reason, dispose, held_rows
from verification.methodology.en_r_002 import FactorChoice
from verification.period import Period


def counts(claim: Any, activity: int = 0) -> dict[str, int]:
    d = dispose(claim)[activity]
    return {fate.name: d.count(fate) for fate in Fate if d.count(fate)}


def without_edge(s: Series, place: int) -> Series:
    """As the stream has it when an edge was not read: one row runs over the hole."""
    keep = np.arange(len(s)) != place
    start, energy, state = s.start_s.copy(), s.energy_wh.copy(), s.state.copy()
    start[place + 1], state[place + 1] = s.start_s[place], State.SPREAD
    energy[place + 1] += s.energy_wh[place]
    return Series(start_s=start[keep], end_s=s.end_s[keep], register_wh=s.register_wh[keep], energy_wh=energy[keep], state=state[keep])


def with_state(s: Series, place: int, state: State) -> Series:
    changed = s.state.copy()
    changed[place] = state
    return replace(s, state=changed)


def replaced(claim: Any, **series: Series) -> Any:
    return replace(claim, series={**claim.series, **{int(name[1:]): s for name, s in series.items()}})


def test_an_honest_claim_is_credited_whole(small: Any) -> None:
    assert counts(small.claim()) == {"CREDITED": 14 * 48}


def test_one_missing_edge_of_export_spreads_generation_over_the_same_span(small: Any) -> None:
    claim = small.claim()
    claim = replaced(claim, m11=without_edge(claim.series[11], 30))
    d = dispose(claim)[0]
    assert d.count(Fate.CREDITED) == 14 * 48
    assert sum(r[3] is Reason.SPREAD for r in d.runs()) == 1
    assert int(d.pieces.wh("generation").sum()) == int(claim.series[10].energy_wh.sum())


def test_a_silent_export_takes_the_generation_with_it(small: Any) -> None:
    claim = small.claim()
    assert counts(replace(claim, series={10: claim.series[10]})) == {"MISSING": 14 * 48}


def test_a_site_without_export_register_earns_nothing(small: Any) -> None:
    claim = small.claim()
    for exports, reason in ((True, Reason.NO_EXPORT), (False, Reason.CAN_NOT_EXPORT)):
        first = small.activity(1, exports=exports)
        bare = replace(claim, activities=(replace(first, meters=first.meters[:1]), claim.activities[1]))
        assert counts(bare) == {"EXCLUDED": 14 * 48}
        assert {r[3] for r in dispose(bare)[0].runs()} == {reason}


def test_a_battery_needs_both_its_registers(small: Any) -> None:
    claim = small.claim()
    first = claim.activities[0]
    named = replace(first, site=replace(first.site, battery="10 kWh"))
    halved = replace(small.activity(1, battery=True), meters=small.activity(1, battery=True).meters[:3])
    for activity in (named, halved):
        assert counts(replace(claim, activities=(activity,))) == {"EXCLUDED": 14 * 48}


def test_a_held_row_of_any_register_earns_nothing(small: Any) -> None:
    claim = small.claim()
    assert counts(replaced(claim, m11=with_state(claim.series[11], 30, State.HELD))) == {"CREDITED": 14 * 48 - 1, "HELD": 1}


def test_a_flag_holds_what_it_overlaps_and_a_warning_does_not(small: Any) -> None:
    claim = small.claim()
    at = int(claim.series[10].end_s[29])
    held = replace(claim, flags=(small.flag(10, at, at + 3600),))
    warned = replace(claim, flags=(small.flag(10, at, at + 3600, level="warn"),))
    assert counts(held) == {"CREDITED": 14 * 48 - 2, "HELD": 2}
    assert counts(warned) == {"CREDITED": 14 * 48}


def test_a_hold_up_to_an_untrue_edge_holds_the_row_that_runs_over_it(small: Any) -> None:
    s = small.claim().series[10]
    spread = without_edge(s, 30)
    untrue = Series(
        start_s=np.insert(spread.start_s, 30, -1),
        end_s=np.insert(spread.end_s, 30, s.end_s[30]),
        register_wh=np.insert(spread.register_wh, 30, 0),
        energy_wh=np.insert(spread.energy_wh, 30, 0),
        state=np.insert(spread.state, 30, State.UNTRUE),
    )
    flag = small.flag(10, int(s.end_s[29]), int(s.end_s[30]))
    assert np.flatnonzero(held_rows(untrue, [flag])).tolist() == [31]
    assert counts(replace(replaced(small.claim(), m10=untrue), flags=(flag,))) == {"CREDITED": 14 * 48 - 2, "HELD": 2}


def test_a_register_that_starts_anew_does_not_run_on(small: Any) -> None:
    claim = small.claim()
    assert counts(replaced(claim, m10=with_state(claim.series[10], 30, State.OPENING))) == {"CREDITED": 14 * 48 - 1, "MISSING": 1}


def test_only_the_members_window_is_expected(small: Any) -> None:
    claim = small.claim()
    joined = replace(claim, activities=(small.activity(1, joined_on=date(2021, 5, 3)), small.activity(2, left_on=date(2021, 5, 5))))
    assert counts(joined, 0) == {"OUTSIDE": 2 * 48, "CREDITED": 12 * 48}
    assert counts(joined, 1) == {"CREDITED": 4 * 48, "OUTSIDE": 10 * 48}


def test_a_span_over_the_windows_edge_is_excluded(small: Any) -> None:
    claim = small.claim()
    midnight = 2 * 48
    cut = replaced(claim, m10=without_edge(claim.series[10], midnight))
    joined = replace(cut, activities=(small.activity(1, joined_on=date(2021, 5, 3)), claim.activities[1]))
    assert counts(joined) == {"OUTSIDE": 2 * 48, "EXCLUDED": 1, "CREDITED": 12 * 48 - 1}


def test_a_span_over_a_factor_step_is_excluded_where_the_plan_has_steps(small: Any) -> None:
    claim = small.claim()
    began = small.activity(1, operation_start=date(2020, 5, 3))
    cut = replace(replaced(claim, m10=without_edge(claim.series[10], 2 * 48)), activities=(began, claim.activities[1]))
    stepped = replace(cut, plan=replace(cut.plan, factor=FactorChoice.STEPPED))
    assert counts(cut) == {"CREDITED": 14 * 48}
    assert counts(stepped) == {"CREDITED": 14 * 48 - 2, "EXCLUDED": 2}


def test_a_span_over_the_fiscal_years_edge_is_excluded(small: Any) -> None:
    period = Period(start=date(2022, 3, 25), end=date(2022, 4, 8))
    claim = small.claim(period=period, series={})
    energies = np.tile(np.array([0] * 20 + [100] * 8 + [0] * 20), 14)
    series = {n: small.series(energies // d, start_s=period.start_s) for n, d in ((10, 1), (11, 2))}
    whole = replace(claim, series=series)
    cut = replace(whole, series={**series, 11: without_edge(series[11], 7 * 48)})
    assert counts(whole) == {"CREDITED": 14 * 48}
    assert counts(cut) == {"CREDITED": 14 * 48 - 2, "EXCLUDED": 2}


def test_a_restored_total_above_the_cap_is_excluded(small: Any) -> None:
    claim = small.claim()
    spread = without_edge(claim.series[10], 30)
    energy, register = spread.energy_wh.copy(), spread.register_wh.copy()
    energy[30] += 10_000
    register[30:] += 10_000
    assert counts(replaced(claim, m10=replace(spread, energy_wh=energy, register_wh=register))) == {"CREDITED": 14 * 48 - 2, "EXCLUDED": 2}


def test_operation_more_than_two_years_before_the_application_earns_nothing(small: Any) -> None:
    claim = small.claim()
    for began, fate in ((date(2019, 3, 1), "CREDITED"), (date(2019, 2, 28), "EXCLUDED")):
        assert counts(replace(claim, activities=(small.activity(1, operation_start=began),))) == {fate: 14 * 48}


def test_fates_of_any_readings_add_up(small: Any) -> None:
    rng = np.random.default_rng(3)
    claim = small.claim()
    for _ in range(20):
        state = rng.choice([0, 1, 2, 3, 4], len(claim.series[10]), p=[0.02, 0.8, 0.06, 0.06, 0.06]).astype(np.int8)
        d = dispose(replaced(claim, m10=replace(claim.series[10], state=state)))[0]
        assert sum(d.count(fate) for fate in Fate) == 14 * 48
        assert sum((end - start) // 1800 for start, end, _, _ in d.runs()) == 14 * 48
