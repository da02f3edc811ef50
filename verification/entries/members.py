"""E09 to E19: the members, their windows, and who else may claim them."""

from collections import Counter
from collections.abc import Iterable

from verification.case import Case
from verification.checks.metering import claimed_days
from verification.claim import Activity
from verification.disposition import Fate, within_two_years
from verification.entries.stated import judged, none_here, stated, unseen
from verification.item import Result

MANDATORY = ("pcs_maker", "pcs_model", "pcs_serial")
MONITORING_CLASS = "B"  # meters; documents are A and estimates C


def e09_count(case: Case) -> Result:
    period, activities = case.claim.period, case.claim.activities
    opening = sum((a.joined_on or a.consented_on) < period.start for a in activities)
    left = sum(a.left_on is not None and period.start <= a.left_on < period.end for a in activities)
    value = {
        "opening": opening,
        "joined": len(activities) - opening,
        "left": left,
        "closing": len(activities) - left,
        "last certified": case.last_certified_end,
    }
    twice = [f"activity {a}: listed {n} times" for a, n in Counter(a.activity for a in activities).items() if n > 1]
    if case.last_certified_end is not None:
        return unseen(
            value, "enrolment; ledger", ja="前回報告の期末リストとの照合は未実施", en="the closing list of the last certified report was not compared"
        )
    return judged(value, "enrolment: members; no report was certified before", twice, population=len(activities), ja="重複した番号", en="ids given twice")


def e10_mandatory(case: Case) -> Result:
    faults = []
    for a in case.claim.activities:
        empty = [name for name in MANDATORY if not getattr(a.site, name)]
        empty += [] if a.member in case.addresses else ["address"]
        faults += [f"activity {a.activity}: {', '.join(empty)} missing"] if empty else []
    value = {"fields": ["address", "dc_kw", "ac_kw", *MANDATORY, "operation_start", "applied_on"], "members": len(case.claim.activities)}
    return judged(value, "enrolment: members, sites", faults, population=len(case.claim.activities), ja="未記入のある会員", en="members with a field missing")


def e11_consent(case: Case) -> Result:
    late = [
        f"activity {a.activity}: consented {a.consented_on}, claimed from {claimed_days(d)[0]}"
        for a, d in case.earning()
        if a.consented_on > claimed_days(d)[0]
    ]
    value = _days((a.activity, a.consented_on) for a in case.claim.activities)
    return judged(value, "enrolment: members.consented_on", late, population=len(case.earning()), ja="同意前の申請", en="claimed before consent")


def e12_two_years(case: Case) -> Result:
    faults = [f"activity {a.activity}: began {a.site.operation_start}, applied {a.applied_on}" for a, _ in case.earning() if not within_two_years(a)]
    excluded = [d.activity.activity for d in case.dispositions if not within_two_years(d.activity)]
    value = {"operation_start": _days((a.activity, a.site.operation_start) for a in case.claim.activities), "excluded by the rule": excluded}
    return judged(
        value, "enrolment: sites.operation_start, members.applied_on", faults, population=len(case.earning()), ja="二年超の会員", en="members beyond two years"
    )


def e13_window(case: Case) -> Result:
    windows, faults = {}, []
    for d in case.dispositions:
        window = d.activity.window(case.claim.project)
        windows[d.activity.activity] = None if window is None else [window.start, window.end]
        if d.count(Fate.CREDITED):
            first, last = claimed_days(d)
            if window is None or first < window.start or last >= window.end:
                faults.append(f"activity {d.activity.activity}: claimed {first} to {last}, window {window}")
    return judged(windows, "enrolment: project, members, sites", faults, population=len(windows), ja="窓外の申請", en="claimed outside the window")


def e14_area(case: Case) -> Result:
    outside = [f"activity {a.activity}: {a.site.lat}, {a.site.lon}" for a in case.claim.activities if not _in_japan(a)]
    value = {"area": case.claim.project.area, "regions": dict(Counter(a.site.region or "" for a in case.claim.activities))}
    if outside:
        return judged(value, "enrolment: sites", outside, population=len(case.claim.activities), ja="国外の設置", en="sites outside Japan")
    return unseen(
        value,
        "enrolment: project.area, sites.lat, sites.lon",
        ja="座標は国内だが、住所・都道府県コードと登録区域との照合はできない",
        en="every position lies in Japan, but there is no prefecture code to compare with the registered area",
        population=len(case.claim.activities),
    )


def _in_japan(a: Activity) -> bool:
    return 20 <= a.site.lat <= 46 and 122 <= a.site.lon <= 154


def e15_same_methodology(case: Case) -> Result:
    value = {"methodology": case.claim.project.methodology, "monitored item": "self-consumed electricity", "members": len(case.claim.activities)}
    return stated(value, "enrolment: project; one claim has one methodology", population=len(case.claim.activities))


def e16_classes(case: Case) -> Result:
    meterless = [a.activity for a in case.claim.activities if not a.meters]
    value = {"A": [], MONITORING_CLASS: [a.activity for a in case.claim.activities if a.meters], "C": []}
    return judged(
        value,
        "enrolment: meters",
        [f"activity {a}: no meter" for a in meterless],
        population=len(case.claim.activities),
        ja="分類のない会員",
        en="without class",
    )


def e17_duplicates(case: Case) -> Result:
    keys: dict[str, list[str | None]] = {
        "PCS serial": [a.site.pcs_serial for a in case.claim.activities],
        "supply point": [a.site.supply_point for a in case.claim.activities],
        "meter": [m.meter for _, m in case.claim.meters()],
        "activity": [a.activity for a in case.claim.activities],
    }
    twice = [f"{what} {key}: {n} times" for what, values in keys.items() for key, n in Counter(v for v in values if v).items() if n > 1]
    return judged({what: len(values) for what, values in keys.items()}, "enrolment", twice, population=len(keys["meter"]), ja="重複", en="duplicate keys")


def e18_other_projects(case: Case) -> Result:
    answer, wanted = case.registry, {a.activity for a in case.claim.activities}
    if answer is None or case.claim.frozen_at is None or answer.answered_at < case.claim.frozen_at or wanted - answer.asked:
        return unseen(
            None if answer is None else {"answered_at": answer.answered_at, "without answer": sorted(wanted - answer.asked)},
            "registry",
            ja="凍結後の全活動に対する照会回答がない",
            en="there is no answer for every activity dated after the freeze",
        )
    hits = [f"activity {name}: {words}" for name, words in sorted(answer.hits.items())]
    value = {"registry": answer.registry, "answered_at": answer.answered_at, "asked": len(answer.asked), "hits": len(hits)}
    return judged(value, f"answer of {answer.registry}", hits, population=len(wanted), ja="他での登録", en="registered elsewhere")


def e19_leavers(case: Case) -> Result:
    leavers = [a for a in case.claim.activities if a.left_on is not None]
    if not leavers:
        return none_here("enrolment: members.left_on", ja="退会・移転・撤去なし", en="nobody left, moved or removed equipment")
    late = [f"activity {a.activity}: left {a.left_on}" for a, d in case.earning() if a.left_on is not None and claimed_days(d)[1] >= a.left_on]
    return judged(
        _days((a.activity, a.left_on) for a in leavers),
        "enrolment: members.left_on",
        late,
        population=len(leavers),
        ja="退会後の申請",
        en="claimed after leaving",
    )


def _days(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    return dict(pairs)
