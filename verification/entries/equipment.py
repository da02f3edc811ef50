"""E20 to E29: plant, meters, gateways, and which way the energy goes."""

from collections import Counter

from verification.case import Case
from verification.claim import Register
from verification.disposition import Fate, Reason, site_reason
from verification.entries.stated import judged, none_here, unseen
from verification.item import Result
from verification.period import iso


def e20_specification(case: Case) -> Result:
    rated = {
        a.activity: {"maker": a.site.pcs_maker, "model": a.site.pcs_model, "ac_kw": str(a.site.ac_kw), "dc_kw": str(a.site.dc_kw)}
        for a in case.claim.activities
    }
    return unseen(
        rated,
        "enrolment: sites",
        ja="第二の出所（銘板写真・契約・機器応答）がない",
        en="there is no second source (nameplate, contract, the device itself): a register only equals itself",
        population=len(rated),
    )


def e21_additionality(case: Case) -> Result:
    return unseen(
        None,
        "plan",
        ja="追加性と設置義務の回答記録がない",
        en="no answers on additionality and on a legal duty to install are on record",
        population=len(case.claim.activities),
    )


def e22_monitoring_points(case: Case) -> Result:
    points = {m.meter: f"{a.activity}/{m.register}" for a, m in case.claim.meters()}
    shared = [f"{point}: {n} meters" for point, n in Counter(points.values()).items() if n > 1]
    bare = [f"activity {a.activity}: no meter" for a in case.claim.activities if not a.meters]
    return judged(points, "enrolment: meters", shared + bare, population=len(points), ja="一点に対応しない計量器", en="channels that do not map to one point")


def e23_verification_expiry(case: Case) -> Result:
    specified = [m for _, m in case.claim.meters() if m.specified]
    if not specified:
        return none_here("enrolment: meters.specified", ja="特定計量器なし", en="no specified meter")
    silent = [f"meter {m.meter}" for m in specified if m.verified_until is None]
    value = {m.meter: m.verified_until for m in specified}
    return judged(value, "enrolment: meters.verified_until (exclusive)", silent, population=len(specified), ja="期限の記載なし", en="no expiry stated")


def e24_calibration(case: Case) -> Result:
    others = [m for _, m in case.claim.meters() if not m.specified]
    if not others:
        return none_here("enrolment: meters.specified", ja="特定計量器以外なし", en="every meter is a specified one")
    silent = [f"meter {m.meter}" for m in others if not m.calibration]
    value = {m.meter: {"calibration": m.calibration, "resolution_wh": m.resolution_wh} for m in others}
    return judged(value, "enrolment: meters.calibration", silent, population=len(others), ja="校正方法の記載なし", en="no calibration method stated")


def e25_ownership(case: Case) -> Result:
    return unseen(
        None,
        "agreements",
        ja="環境価値の帰属・譲渡の記録がない",
        en="no record of who owns the environmental value and assigned it",
        population=len(case.claim.activities),
    )


def e26_gateways(case: Case) -> Result:
    value = {g.gateway: {"kids": g.kids, "sha256 of public keys": g.fingerprints, "firmware": g.firmware} for g in case.gateways}
    return unseen(
        value,
        "enrolment: gateways, keys",
        ja="ファームウェアの許可リストがない",
        en="gateways and keys are enrolled; there is no allow-list to compare their firmware with",
        population=len(value),
    )


def e27_seams(case: Case) -> Result:
    names = {m.number: m.meter for _, m in case.claim.meters()}
    seams = [{"meter": names[e.meter], "at": iso(e.at_s), "kind": e.kind, "closing_wh": e.closing_wh, "opening_wh": e.opening_wh} for e in case.claim.events]
    unexplained = [f"meter {names[f.meter]}, {iso(f.start_s)}: {f.code}" for f in case.claim.flags if f.code == "register-fell" and f.meter in names]
    claimed = [
        line for line, f in zip(unexplained, (f for f in case.claim.flags if f.code == "register-fell" and f.meter in names), strict=True) if not f.holds
    ]
    value = {"recorded": seams, "not recorded, earning nothing": unexplained}
    return judged(
        value, "enrolment: meter events; flags", claimed, population=len(names), ja="記録のない継ぎ目の計上", en="seams without a record that are claimed"
    )


def e28_export_point(case: Case) -> Result:
    channels = {a.activity: [m.meter for m in a.meters if m.register is Register.EXPORT] for a in case.claim.activities}
    earning = [f"activity {a.activity}: no export register" for a, _ in case.earning() if not channels[a.activity]]
    refused = {d.activity.activity: site_reason(d.activity) for d in case.dispositions if site_reason(d.activity) in (Reason.NO_EXPORT, Reason.CAN_NOT_EXPORT)}
    value = {"export registers": channels, "earning nothing": refused}
    return judged(value, "enrolment: meters, sites.exports", earning, population=len(channels), ja="売電計量のない申請", en="claimed without export register")


def e29_battery(case: Case) -> Result:
    sites = [d for d in case.dispositions if d.activity.site.battery or d.activity.has(Register.CHARGE) or d.activity.has(Register.DISCHARGE)]
    if not sites:
        return none_here("enrolment: sites.battery", ja="蓄電池なし", en="no site has a battery")
    paths, faults = {}, []
    for d in sites:
        metered = d.activity.has(Register.CHARGE) and d.activity.has(Register.DISCHARGE)
        paths[d.activity.activity] = "metered: charged - discharged is deducted" if metered else "not metered: earns nothing"
        if not metered and d.count(Fate.CREDITED):
            faults.append(f"activity {d.activity.activity}: claimed without a stated path")
    return judged(paths, "enrolment: sites.battery, meters", faults, population=len(sites), ja="経路の不明な蓄電池", en="battery sites without a stated path")
