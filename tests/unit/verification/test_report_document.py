"""The report's bytes, its page, and the 69 items."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from verification.entries import ENTRIES
from verification.item import Verdict, checklist, not_applicable
from verification.judgement import judge
from verification.methodology.factors import FactorTable
from verification.page import Instead, render
from verification.report import canonical, document, needs_person, sha256
from verification.statement import decided_otherwise, unsecured_statement
from verification.walk import Opinion


def made(small: Any, **evidence: Any) -> dict[str, Any]:
    case = small.case(**evidence)
    return dict(json.loads(canonical(document(case, judge(case), round_no=1))))


# RFC 8785


def test_rfc_8785_example() -> None:
    value = json.loads(
        '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",'
        '"literals":[null,true,false]}'
    )
    expected = '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical(value) == expected.encode()


def test_rfc_8785_sorts_by_utf_16() -> None:
    value = {"\u20ac": "Euro", "\r": "CR", "\ufb33": "Dalet", "1": "One", "\U0001f600": "Smiley", "\u0080": "Control", "\u00f6": "o"}
    assert list(json.loads(canonical(value)).values()) == ["CR", "One", "Control", "o", "Euro", "Smiley", "Dalet"]


def test_a_decimal_is_a_string_of_all_its_digits() -> None:
    assert canonical({"kg": Decimal("1E+3"), "t": Decimal("0.1000")}) == b'{"kg":"1000","t":"0.1000"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1 << 60, {1: 2}, b"bytes"])
def test_what_json_can_not_hold_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical(value)


# Items


def test_the_checklist_has_50_entries_and_19_checks() -> None:
    assert list(checklist()) == [f"E{n:02d}" for n in range(1, 51)] + [f"C{n:02d}" for n in range(1, 20)]
    assert len(ENTRIES) == 50


def test_all_69_items_are_answered_each_with_words_in_both_languages(small: Any) -> None:
    results = judge(small.case())
    assert list(results) == list(checklist())
    assert all(r.reason_ja and r.reason_en for r in results.values())


def test_a_function_short_is_refused(small: Any) -> None:
    with pytest.raises(ValueError, match="E50"):
        judge(small.case(), ENTRIES[:-1])


def test_not_applicable_has_a_population_of_0() -> None:
    assert not_applicable("なし", "none").population == 0
    with pytest.raises(ValueError, match="population of 0"):
        not_applicable("なし", "none", population=1)


def test_entries_state_the_numbers(small: Any) -> None:
    report = made(small)
    value = {item["id"]: item["value"] for item in report["items"]}
    members = value["E41"]["members"]
    assert sum(members.values()) == report["totals"]["el_pj_wh"] == value["E42"]["2021"]
    assert value["E48"] == report["totals"]["tonnes"] == 0
    assert value["E35"]["total"] == {"expected": 1344, "received": 1344, "percent": "100.00"}


def test_without_a_factor_nothing_is_passed_that_needs_it(small: Any) -> None:
    report = made(small, table=FactorTable(factors=()))
    verdicts = {item["id"]: item["verdict"] for item in report["items"]}
    assert report["totals"]["tonnes"] is None
    assert {verdicts[i] for i in ("E43", "E44", "E46", "E47", "E48", "C17")} == {"could not run"}


def test_the_same_case_gives_the_same_bytes(small: Any) -> None:
    case = small.case()
    assert canonical(document(case, judge(case), round_no=1)) == canonical(document(case, judge(case), round_no=1))


def test_a_report_short_of_an_item_is_refused(small: Any) -> None:
    case = small.case()
    results = dict(judge(case))
    del results["C11"]
    with pytest.raises(ValueError, match="C11"):
        document(case, results, round_no=1)


def test_what_is_not_credited_is_listed_with_its_reason(small: Any) -> None:
    claim = small.claim()
    at = int(claim.series[10].end_s[29])
    report = made(small, claim=replace(claim, flags=(small.flag(10, at, at + 1800),)))
    assert report["not_credited"]["act-1"] == [["2021-05-01T14:30:00+09:00", "2021-05-01T15:00:00+09:00", "held", "held by a flag or by the stream"]]


# Page and statement


def test_the_page_shows_all_items_and_says_that_demo_is_not_official(small: Any) -> None:
    page = render(made(small), sha256="f" * 64)
    assert all(f'id="{item}"' in page for item in checklist())
    assert "NOT OFFICIAL" in page
    assert "非公式" in page
    assert page.count("<svg") >= 2


def test_the_last_page_names_what_was_done_instead(small: Any) -> None:
    report = made(small)
    record = Instead(item="C11", person="vb", reason="neighbours compared by hand <b>", file_name="c11.txt", sha256="e" * 64)
    page = render(report, sha256="f" * 64, instead=[record])
    assert "neighbours compared by hand &lt;b&gt;" in page
    assert page.count("未決 not decided") == len(report["needs_person"]) - 1


def test_the_statement_lists_each_item_that_was_decided_otherwise(small: Any) -> None:
    report = made(small)
    record = Instead(item="C11", person="vb", reason="by hand", file_name="c11.txt", sha256="e" * 64)
    listed = {i["item"]: i["instead"] for i in decided_otherwise(report, [record])}
    assert list(listed) == report["needs_person"] == needs_person(judge(small.case()))
    assert listed["C11"] == [{"person": "vb", "reason": "by hand", "sha256": "e" * 64}]


def test_a_statement_names_the_reports_hash_and_the_key(small: Any) -> None:
    report, case = made(small), small.case()
    did = "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
    given: dict[str, Any] = {"report_sha256": sha256(b"x"), "frozen_at": case.claim.frozen_at, "body": "vb tanaka"}
    given |= {"opinion": Opinion.UNMODIFIED, "instead": ()}
    stated = unsecured_statement(report, did=did, **given)
    assert (stated["issuer"], stated["credentialSubject"]["reportSha256"]) == (did, sha256(b"x"))
    assert unsecured_statement(report, did=None, **given)["issuer"] == "urn:jcredit:body:vb_tanaka"
    with pytest.raises(ValueError, match="no did:key"):
        unsecured_statement(report, did="did:web:body", **given)


def test_verdicts_are_the_four() -> None:
    assert list(Verdict) == ["pass", "fail", "could not run", "not applicable"]
