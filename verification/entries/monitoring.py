"""E30 to E38: how it was measured, kept and handled."""

from collections import Counter
from typing import Any

from verification.case import Case
from verification.claim import Register
from verification.disposition import Fate, meters_silent
from verification.entries.stated import judged, stated, unseen
from verification.item import Result
from verification.period import add_years, iso

SYMBOLS = {
    "EL_PJ": ("self-consumed electricity", "kWh", "B"),
    "generated": ("energy of the generation register", "kWh", "B"),
    "exported": ("energy of the export register", "kWh", "B"),
    "battery loss": ("charged - discharged", "kWh", "B"),
    "CEF": ("emission factor of electricity", "kg-CO2/kWh", "A"),
}
RETENTION_YEARS = 2  # after the project's own certification period


def e30_symbols(case: Case) -> Result:
    value = {name: {"definition": what, "unit": unit, "class": kind} for name, (what, unit, kind) in SYMBOLS.items()}
    bare = [f"activity {a.activity}: no generation register" for a, _ in case.earning() if not a.has(Register.GENERATION)]
    return judged(value, "methodology EN-R-002", bare, population=len(value), ja="欠けた記号", en="symbols without a measurement")


def e31_frequency(case: Case) -> Result:
    spans, faults = {}, []
    for activity, meter in case.claim.meters():
        series = case.claim.series_of(meter)
        spans[meter.meter] = [iso(int(series.end_s[0])), iso(int(series.end_s[-1])), len(series)] if len(series) else None
        if not len(series) and case.disposition_of(activity).count(Fate.CREDITED) and meter.in_formula:
            faults.append(f"meter {meter.meter}: claimed, nothing read")
    value = {"unit of account": "30 min", "first, last, edges read": spans, "silent": [m.meter for m in meters_silent(case.claim)]}
    return judged(value, "interval", faults, population=len(spans), ja="未計測の申請", en="claimed meters that were silent")


def e32_persons(_case: Case) -> Result:
    return unseen(
        None, "posts", ja="データ管理責任者とモニタリング担当者の任命記録がない", en="the posts of data manager and monitoring person are not on record"
    )


def e33_data_flow(_case: Case) -> Result:
    return unseen(
        {"flow": "gateway - MQTT - Kafka - TimescaleDB evidence - intervals - this report"},
        "design",
        ja="計画書のデータフロー図との照合はできない",
        en="the flow is stated; there is no plan on record to compare it with",
    )


def e34_retention(case: Case) -> Result:
    until = add_years(case.claim.project.certified.end, RETENTION_YEARS)
    return unseen(
        {"needed until": until},
        "enrolment: project.certified_to",
        ja="保存期間の設定記録がない",
        en=f"records are needed until {until}; no retention setting is on record (evidence is never deleted by this system)",
    )


def e35_capture(case: Case) -> Result:
    rates, got, wanted = {}, 0, 0
    for d in case.dispositions:
        expected = len(d.fate) - d.count(Fate.OUTSIDE)
        received = expected - d.count(Fate.MISSING)
        rates[d.activity.activity] = {"expected": expected, "received": received, "percent": _percent(received, expected)}
        got, wanted = got + received, wanted + expected
    return stated(
        {"total": {"expected": wanted, "received": got, "percent": _percent(got, wanted)}, "members": rates}, "interval; enrolment", population=wanted
    )


def _percent(part: int, whole: int) -> str:
    return f"{part * 100 / whole:.2f}" if whole else "-"


def e36_edits(case: Case) -> Result:
    refused = case.provenance.refused if case.provenance else None
    value: dict[str, Any] = {"manual edits": [], "refused messages": refused, "second values for one instant": len(case.claim.conflicts)}
    if case.provenance is None:
        return unseen(value, "message, conflict", ja="電文を読めなかった", en="the messages were not read")
    return stated(
        value, "message, conflict; nobody can type energy here", population=case.provenance.tested, ja="手修正の手段なし", en="there is no way to type energy"
    )


def e37_anomalies(case: Case) -> Result:
    names = {m.number: m.meter for _, m in case.claim.meters()}
    mine = [f for f in case.claim.flags if f.meter in names]
    by_code = Counter((f.code, f.level) for f in mine)
    wh = Counter[tuple[str, str]]()
    for f in mine:
        wh[f.code, f.level] += f.energy_at_stake_wh
    rows = [
        {"code": code, "level": level, "count": n, "energy_wh": wh[code, level], "t": case.stake_t(wh[code, level])}
        for (code, level), n in sorted(by_code.items())
    ]
    listed = [f"{names[f.meter]} {iso(f.start_s)}/{iso(f.end_s)} {f.code} {f.level} {f.energy_at_stake_wh} Wh" for f in mine]
    value = {"by code": rows, "list": listed, "disposition": "hold: excluded; warn: kept; corrected: none"}
    return stated(value, "flag", population=len(mine), ja="全件一覧を添付", en="the complete list is attached")


def e38_build(case: Case) -> Result:
    return unseen(
        {"build": case.build, "rule sets": list(case.rule_sets), "factor files": sorted({f.file_sha256 for f in case.factors.factors})},
        "this process; flags; factors",
        ja="評価済みの版の記録がない",
        en="build, rule sets and factor files are stated; no assessment of them is on record",
    )
