"""Each check that runs: the honest claim passes it, and evidence broken on purpose makes it fail or not run."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from verification.case import Case, Certified
from verification.checks import CHECKS, answer
from verification.checks.calculation import c17_factor, c18_recalculation
from verification.checks.completeness import c06_every_gap_known, c07_gaps_conservative, c08_no_duplicates
from verification.checks.eligibility import c15_eligible, c16_no_double_counting
from verification.checks.metering import c04_verified_meters, c05_continuity
from verification.checks.plausibility import c09_physical_limit, c10_night, c13_balance, c14_anomalies_resolved
from verification.checks.provenance import c01_signatures, c03_clock
from verification.claim import Conflict, Event
from verification.disposition import Fate
from verification.item import Verdict
from verification.methodology.factors import FactorTable
from verification.period import SLOT_S, Period

RUNNING = ("C01", "C04", "C05", "C06", "C07", "C08", "C09", "C10", "C13", "C14", "C16", "C17", "C18")


def with_series(claim: Any, meter: int, **columns: Any) -> Any:
    return replace(claim, series={**claim.series, meter: replace(claim.series[meter], **columns)})


def claimed_at(claim: Any, meter: int, place: int) -> int:
    return int(claim.series[meter].end_s[place])


def test_an_honest_claim_passes_every_check_that_runs(small: Any) -> None:
    results = answer(CHECKS, small.case(count_again=True))
    assert {item: results[item].reason_en for item in RUNNING if results[item].verdict is not Verdict.PASS} == {}


def test_what_has_no_evidence_yet_could_not_run(small: Any) -> None:
    results = answer(CHECKS, small.case())
    assert [item for item in results if results[item].verdict is Verdict.COULD_NOT_RUN] == ["C02", "C03", "C11", "C12", "C15", "C19"]


def test_an_empty_tuple_is_refused(small: Any) -> None:
    with pytest.raises(ValueError, match="at least one"):
        answer((), small.case())


def test_an_error_is_could_not_run_never_pass(small: Any) -> None:
    def c99_breaks(_case: Case) -> Any:
        raise KeyError("nothing here")

    assert answer((c99_breaks,), small.case())["C99"].verdict is Verdict.COULD_NOT_RUN


def test_an_empty_claim_passes_nothing_that_needs_intervals(small: Any) -> None:
    results = answer(CHECKS, small.case(small.claim(series={}), recalculation=None))
    passed = [item for item in results if results[item].verdict is Verdict.PASS]
    assert passed == ["C01", "C06", "C14"]  # messages are signed, every gap is known, nothing is flagged


# C01


def test_c01_fails_for_a_changed_byte(small: Any) -> None:
    kept = small.messages(small.claim())
    kept.messages[3] = replace_message(kept.messages[3], payload=kept.messages[3].payload.replace(b'"Wh"', b'"wH"', 1))
    result = c01_signatures(small.case(kept=kept))
    assert result.verdict is Verdict.FAIL
    assert "hash" in result.evidence[0]


def test_c01_fails_for_another_signature(small: Any) -> None:
    kept = small.messages(small.claim())
    kept.messages[0] = replace_message(kept.messages[0], signature=kept.messages[1].signature)
    assert c01_signatures(small.case(kept=kept)).verdict is Verdict.FAIL


def test_c01_fails_for_a_key_revoked_before(small: Any) -> None:
    kept = small.messages(small.claim())
    kept.keys = (replace(kept.keys[0], revoked_us=kept.messages[0].received_us), kept.keys[1])
    result = c01_signatures(small.case(kept=kept))
    assert (result.verdict, len(result.evidence)) == (Verdict.FAIL, 14)


def test_c01_fails_for_another_gateways_key(small: Any) -> None:
    kept = small.messages(small.claim())
    kept.keys = (replace(kept.keys[0], gateway="gw-2"), kept.keys[1])
    assert c01_signatures(small.case(kept=kept)).verdict is Verdict.FAIL


def test_c01_fails_where_bytes_are_lost(small: Any) -> None:
    kept = small.messages(small.claim())
    kept.counted[5] = replace(kept.counted[5], place=999)
    assert c01_signatures(small.case(kept=kept)).verdict is Verdict.FAIL


def test_c01_fails_for_a_credited_site_without_messages(small: Any) -> None:
    kept = small.messages(small.claim())
    kept.counted = [c for c in kept.counted if c.gateway == "gw-1"]
    assert "gw-2" in c01_signatures(small.case(kept=kept)).evidence[0]


def test_c01_could_not_run_without_evidence(small: Any) -> None:
    assert c01_signatures(small.case(provenance=None)).verdict is Verdict.COULD_NOT_RUN


def replace_message(message: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(message, **changes)


# C03


def test_c03_fails_for_a_message_from_the_future(small: Any) -> None:
    import hashlib

    from nacl.signing import SigningKey

    kept = small.messages(small.claim())
    payload = kept.messages[0].payload.replace(b'"sent_at": "2026', b'"sent_at": "2027')
    digest, signature = hashlib.sha256(payload).digest(), SigningKey(bytes([1]) * 32).sign(payload).signature
    kept.messages[0] = replace_message(kept.messages[0], payload=payload, sha256=digest, signature=signature)
    kept.counted[0] = replace(kept.counted[0], hash=digest)
    result = c03_clock(small.case(kept=kept))
    assert (result.verdict, len(result.evidence)) == (Verdict.FAIL, 1)


def test_c03_could_not_run_while_only_part_of_its_rule_is_seen(small: Any) -> None:
    assert c03_clock(small.case()).verdict is Verdict.COULD_NOT_RUN


# C04


def with_meter(small: Any, **changes: Any) -> Any:
    claim = small.claim()
    first = claim.activities[0]
    meters = (replace(first.meters[0], **changes), *first.meters[1:])
    return replace(claim, activities=(replace(first, meters=meters), *claim.activities[1:]))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"verified_until": date(2021, 5, 15)}, Verdict.PASS),
        ({"verified_until": date(2021, 5, 14)}, Verdict.FAIL),
        ({"verified_until": None}, Verdict.FAIL),
        ({"specified": False, "verified_until": None, "calibration": "class 1, 2020-01-01/2025-01-01"}, Verdict.PASS),
        ({"specified": False, "verified_until": None, "calibration": "class 1, 2020-01-01/2021-05-10"}, Verdict.FAIL),
        ({"specified": False, "verified_until": None, "calibration": "class 1, done 2020-01-01"}, Verdict.COULD_NOT_RUN),
        ({"specified": False, "verified_until": None, "calibration": None}, Verdict.COULD_NOT_RUN),
        ({"specified": None, "verified_until": None}, Verdict.COULD_NOT_RUN),
    ],
)
def test_c04_verification_covers_the_claimed_days(small: Any, changes: dict[str, Any], verdict: Verdict) -> None:
    assert c04_verified_meters(small.case(with_meter(small, **changes))).verdict is verdict


# C05


def test_c05_fails_where_energy_is_not_the_registers_difference(small: Any) -> None:
    claim = small.claim()
    energy = claim.series[10].energy_wh.copy()
    energy[30] += 1
    result = c05_continuity(small.case(with_series(claim, 10, energy_wh=energy)))
    assert (result.verdict, len(result.evidence)) == (Verdict.FAIL, 1)


def test_c05_fails_for_a_fall_without_a_record(small: Any) -> None:
    claim = small.claim()
    register, energy = claim.series[10].register_wh.copy(), claim.series[10].energy_wh
    register[100:] -= 300_000
    assert c05_continuity(small.case(with_series(claim, 10, register_wh=register, energy_wh=energy))).verdict is Verdict.FAIL


def test_c05_passes_a_rollover_at_the_modulus_and_a_recorded_swap(small: Any) -> None:
    claim = small.claim()
    rolled = (claim.series[10].register_wh + 10**9 - 1_010_000) % 10**9
    swapped = claim.series[20].register_wh.copy()
    closing = int(swapped[99])
    swapped[100:] -= closing - 7
    claim = with_series(with_series(claim, 10, register_wh=rolled), 20, register_wh=swapped)
    event = Event(meter=20, at_s=claimed_at(claim, 20, 99), kind="swap", closing_wh=closing, opening_wh=7)
    assert (np.diff(rolled) < 0).sum() == 1
    assert c05_continuity(small.case(replace(claim, events=(event,)))).verdict is Verdict.PASS
    assert c05_continuity(small.case(claim)).verdict is Verdict.FAIL


# C06 and C07


def test_c06_fails_for_an_enrolled_activity_that_is_not_in_the_claim(small: Any) -> None:
    assert c06_every_gap_known(small.case(enrolled_activities=frozenset({"act-1", "act-2", "act-3"}))).verdict is Verdict.FAIL


def test_c06_counts_a_silent_site(small: Any) -> None:
    claim = small.claim()
    silent = replace(claim, series={10: claim.series[10], 11: claim.series[11]})
    result = c06_every_gap_known(small.case(silent))
    assert (result.verdict, result.population, len(result.evidence)) == (Verdict.PASS, 2 * 14 * 48, 2)


def test_c06_fails_where_a_slot_has_no_fate(small: Any) -> None:
    case = small.case()
    first = case.dispositions[0]
    fate = first.fate.copy()
    fate[:10] = Fate.OUTSIDE
    broken = replace(case, dispositions=(replace(first, fate=fate), *case.dispositions[1:]))
    assert c06_every_gap_known(broken).verdict is Verdict.FAIL


def test_c07_fails_where_a_held_row_is_credited(small: Any) -> None:
    case = small.case()
    claim = replace(case.claim, flags=(small.flag(11, claimed_at(case.claim, 11, 29), claimed_at(case.claim, 11, 30)),))
    assert c07_gaps_conservative(replace(case, claim=claim)).verdict is Verdict.FAIL


def test_c07_fails_where_a_register_was_not_read(small: Any) -> None:
    case = small.case()
    s = case.claim.series[11]
    keep = np.arange(len(s)) != 40
    lost = replace(s, start_s=s.start_s[keep], end_s=s.end_s[keep], register_wh=s.register_wh[keep], energy_wh=s.energy_wh[keep], state=s.state[keep])
    claim = replace(case.claim, series={**case.claim.series, 11: lost})
    assert c07_gaps_conservative(replace(case, claim=claim)).verdict is Verdict.FAIL


# C08


def test_c08_fails_for_a_claimed_second_value(small: Any) -> None:
    claim = small.claim()
    conflict = Conflict(meter=10, at_s=claimed_at(claim, 10, 30), first_wh=1, other_wh=2)
    assert c08_no_duplicates(small.case(replace(claim, conflicts=(conflict,)))).verdict is Verdict.FAIL


def test_c08_fails_for_a_day_of_another_day_or_site(small: Any) -> None:
    claim = small.claim()
    other = np.concatenate([small.day(n) for n in range(13)])
    copied = small.series(np.concatenate([other, small.day(10 * 1000 + 4)]))
    again = small.series(np.concatenate([other, small.day(5)]))
    assert c08_no_duplicates(small.case(replace(claim, series={**claim.series, 20: copied}))).verdict is Verdict.FAIL
    assert c08_no_duplicates(small.case(replace(claim, series={**claim.series, 20: again}))).verdict is Verdict.FAIL


def test_c08_does_not_take_chance_for_a_copy(small: Any) -> None:
    claim = small.claim()
    coarse = small.series(np.tile(np.repeat([0, 1000, 0], 16), 14))
    assert c08_no_duplicates(small.case(replace(claim, series={**claim.series, 20: coarse}))).verdict is Verdict.PASS
    both = {**claim.series, 20: coarse, 10: coarse}
    assert c08_no_duplicates(small.case(replace(claim, series=both))).verdict is Verdict.COULD_NOT_RUN


# C09, C10, C13


def spiked(small: Any, place: int, wh: int) -> Any:
    claim = small.claim()
    energy = claim.series[10].energy_wh.copy()
    energy[place] += wh
    return replace(claim, series={**claim.series, 10: small.series(energy[1:])})


def test_c09_fails_for_a_claimed_spike_and_passes_one_that_is_held(small: Any) -> None:
    claim = spiked(small, 25, 30_000)
    assert c09_physical_limit(small.case(claim)).verdict is Verdict.FAIL
    flag = small.flag(10, claimed_at(claim, 10, 24), claimed_at(claim, 10, 25), code="above-bound")
    result = c09_physical_limit(small.case(replace(claim, flags=(flag,))))
    assert result.verdict is Verdict.PASS
    assert "1 over, 1 flagged, 1 excluded" in result.reason_en


def test_c10_fails_for_claimed_generation_at_night_beyond_noise(small: Any) -> None:
    assert c10_night(small.case(spiked(small, 4, 300))).verdict is Verdict.FAIL
    assert c10_night(small.case(spiked(small, 4, 5))).verdict is Verdict.PASS


def test_c13_fails_where_export_exceeds_generation_over_a_day(small: Any) -> None:
    claim = small.claim()
    energy = claim.series[11].energy_wh[1:].copy()
    energy[48:96] = claim.series[10].energy_wh[1:][48:96] + 10
    result = c13_balance(small.case(replace(claim, series={**claim.series, 11: small.series(energy)})))
    assert (result.verdict, len(result.evidence)) == (Verdict.FAIL, 1)


# C14 to C16


def test_c14_fails_where_a_hold_is_not_forfeited(small: Any) -> None:
    case = small.case()
    flags = (small.flag(10, claimed_at(case.claim, 10, 29), claimed_at(case.claim, 10, 30)),)
    assert c14_anomalies_resolved(small.case(replace(case.claim, flags=flags))).verdict is Verdict.PASS
    assert c14_anomalies_resolved(replace(case, claim=replace(case.claim, flags=flags))).verdict is Verdict.FAIL


def test_c15_fails_outside_the_window_and_else_could_not_run(small: Any) -> None:
    case = small.case()
    late = replace(case.claim, project=replace(small.project, registration_applied_on=date(2021, 5, 3)))
    assert c15_eligible(case).verdict is Verdict.COULD_NOT_RUN
    assert c15_eligible(replace(case, claim=late)).verdict is Verdict.FAIL


def test_c16_fails_for_what_was_certified_before(small: Any) -> None:
    again = Certified(activity="act-1", period=Period(start=date(2021, 5, 14), end=date(2021, 6, 1)), claim="other")
    apart = replace(again, period=Period(start=date(2021, 5, 15), end=date(2021, 6, 1)))
    assert c16_no_double_counting(small.case(certified=(again,))).verdict is Verdict.FAIL
    assert c16_no_double_counting(small.case(certified=(apart,))).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"hits": {"act-1": "other programme"}}, Verdict.FAIL),
        ({"asked": frozenset({"act-1"})}, Verdict.COULD_NOT_RUN),
        ({"answered_at": datetime(2026, 11, 22, 2, 59, tzinfo=UTC)}, Verdict.COULD_NOT_RUN),
    ],
)
def test_c16_needs_the_registrys_answer_after_the_freeze(small: Any, changes: dict[str, Any], verdict: Verdict) -> None:
    assert c16_no_double_counting(small.case(registry=small.registry(small.claim(), **changes))).verdict is verdict


def test_c16_could_not_run_without_an_answer(small: Any) -> None:
    assert c16_no_double_counting(small.case(registry=None)).verdict is Verdict.COULD_NOT_RUN


# C17 and C18


def test_c17_could_not_run_without_the_factor_or_its_second_person(small: Any) -> None:
    factor = small.table.factors[0]
    assert c17_factor(small.case(table=FactorTable(factors=()))).verdict is Verdict.COULD_NOT_RUN
    assert c17_factor(small.case(table=FactorTable(factors=(replace(factor, confirmed_by=None),)))).verdict is Verdict.COULD_NOT_RUN
    assert c17_factor(small.case(table=FactorTable(factors=(replace(factor, confirmed_by="op"),)))).verdict is Verdict.COULD_NOT_RUN
    assert c17_factor(small.case(table=FactorTable(factors=(replace(factor, fiscal_year=2020),)))).verdict is Verdict.COULD_NOT_RUN


def test_c18_fails_where_the_messages_say_something_else(small: Any) -> None:
    claim = small.claim()
    kept = small.messages(claim)
    energy = claim.series[10].energy_wh[1:].copy()
    energy[30] += 500
    other = replace(claim, series={**claim.series, 10: small.series(energy)})
    result = c18_recalculation(small.case(other, kept=kept, count_again=True))
    assert result.verdict is Verdict.FAIL
    assert "act-1" in result.evidence[0]


def test_c18_could_not_run_without_the_second_count(small: Any) -> None:
    assert c18_recalculation(small.case(recalculation=None)).verdict is Verdict.COULD_NOT_RUN


def test_stakes_are_tonnes(small: Any) -> None:
    assert small.case().stake_t() == Decimal(0)  # two homes in two weeks: less than a tonne
    assert small.case().stake_t(1_000_000) == Decimal("0.431179")


def test_half_hour_is_the_slot() -> None:
    assert SLOT_S == 1800
