"""E01 to E08: what is applied for, by whom, for which period."""

from verification.case import Case
from verification.entries.stated import judged, stated, unseen
from verification.item import Result
from verification.methodology import methodology
from verification.methodology.en_r_002 import ROUNDING_RULE

REPORT_FORM = "jcredit-report-1"


def e01_project(case: Case) -> Result:
    project = case.claim.project
    return stated({"project": project.project, "name": project.name}, "enrolment: project", en="as registered", ja="登録のとおり")


def e02_operator(case: Case) -> Result:
    return unseen(
        {"operator": case.claim.project.operator},
        "enrolment: project.operator",
        ja="住所と口座番号の登録原簿がなく照合できない",
        en="the operator's name is stated; address and registry account are not on record, so nothing to compare with",
        population=1,
    )


def e03_methodology(case: Case) -> Result:
    registered = case.claim.project.methodology
    known = methodology(registered)
    return stated(
        {"registered": registered, "newest known": f"{known.name} {known.version}", "rounding": ROUNDING_RULE},
        "enrolment: project.methodology; methodology table",
        ja="登録された方法論。把握する最新版を併記",
        en="the registered methodology; the newest version known stands beside it",
    )


def e04_form(case: Case) -> Result:
    by_hand = [f"activity {a.activity}: a meter without gateway" for a in case.claim.activities if not a.meters or not all(m.gateway for m in a.meters)]
    return judged(
        {"form": "programme", "attribute": "f", "activities": len(case.claim.activities)},
        "enrolment: meters and gateways",
        by_hand,
        population=len(case.claim.activities),
        ja="自動収集でない会員",
        en="members not collected automatically",
    )


def e05_period(case: Case) -> Result:
    claim = case.claim
    value = {"start": claim.period.start, "end": claim.period.end, "certified_from": claim.project.certified.start, "certified_to": claim.project.certified.end}
    outside = [] if claim.period.within(claim.project.certified) else [f"claimed {claim.period}, certified {claim.project.certified}"]
    return judged(value, "claim; enrolment: project", outside, population=1, ja="認証対象期間の外", en="outside the project's certification period")


def e06_join(case: Case) -> Result:
    overlap = [f"activity {c.activity}: certified by {c.claim}" for c in case.certified if c.period.meet(case.claim.period)]
    last = case.last_certified_end
    gap = None if last is None else (case.claim.period.start - last).days
    return judged(
        {"last certified until": last, "gap in days": gap}, "certified", overlap, population=len(case.claim.activities), ja="期間の重複", en="overlaps"
    )


def e07_report_form(case: Case) -> Result:
    made = case.claim.frozen_at
    if made is None:
        return unseen({"form": REPORT_FORM}, "report", ja="申請が凍結されていない", en="the claim is not frozen")
    value = {"form": REPORT_FORM, "made_at": made, "hash": "SHA-256 of this report's canonical JSON, kept beside it and in the statement"}
    return stated(value, "report", ja="様式・作成日時・内容ハッシュを保存", en="form, time and content hash are kept")


def e08_change(_case: Case) -> Result:
    return unseen(
        None,
        "registered plan",
        ja="登録計画書が機械可読で登録されていない",
        en="the registered plan is not on record in a form that can be compared with what was done",
    )
