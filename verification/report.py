"""The report: 69 answers and the numbers, as bytes that anyone can make again (RFC 8785), whose SHA-256 the statement signs.

The document is made once, when a claim is frozen and judged. Pages, charts and what was decided later are drawn from it, never put into it.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import rfc8785

from verification.case import Case
from verification.disposition import Disposition, Fate
from verification.item import BLOCKING, Item, Result, Verdict, checklist
from verification.period import iso
from verification.reduction import ENERGIES, Member

FORM = "jcredit-report-1"
FATES = {Fate.CREDITED: "credited", Fate.HELD: "held", Fate.EXCLUDED: "excluded", Fate.MISSING: "missing", Fate.OUTSIDE: "outside"}


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value. `Decimal`, dates and times become strings, so that no digit is lost; ValueError for what JSON can not hold."""
    return rfc8785.dumps(_plain(value))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def document(case: Case, results: Mapping[str, Result], *, round_no: int) -> dict[str, Any]:
    """The report of a judged claim; ValueError unless all 69 items are answered."""
    items = checklist()
    if set(results) != set(items):
        raise ValueError(f"a report answers all {len(items)} items; not answered: {sorted(set(items) - set(results))}")
    claim, reduction = case.claim, case.reduction
    return {
        "form": FORM,
        "claim": claim.claim,
        "round": round_no,
        "scheme": claim.project.scheme,
        "official": claim.project.official,
        "project": {
            "project": claim.project.project,
            "name": claim.project.name,
            "operator": claim.project.operator,
            "methodology": claim.project.methodology,
        },
        "period": {"start": claim.period.start, "end_exclusive": claim.period.end},
        "plan": claim.plan.document(),
        "frozen_at": claim.frozen_at,
        "build": case.build,
        "rule_sets": list(case.rule_sets),
        "totals": {
            "tonnes": reduction.tonnes,
            "tonnes_by_year": {str(y.fiscal_year): y.tonnes for y in reduction.years},
            "er_kg_by_year": {str(y.fiscal_year): y.er_kg for y in reduction.years},
            "mwh_by_year": {str(year): value for year, value in reduction.mwh_by_year().items()},
            "el_pj_wh": reduction.el_pj_wh,
        },
        "verdicts": {verdict: sum(r.verdict is verdict for r in results.values()) for verdict in Verdict},
        "needs_person": needs_person(results),
        "items": [_item(item, results[item.id]) for item in items.values()],
        "activities": [_activity(case, d, m) for d, m in zip(case.dispositions, reduction.members, strict=True)],
        "months": _months(case),
        "calendar": {d.activity.activity: member.counts[Fate.CREDITED].tolist() for d, member in zip(case.dispositions, reduction.members, strict=True)},
        "not_credited": {d.activity.activity: _not_credited(d) for d in case.dispositions},
    }


def needs_person(results: Mapping[str, Result]) -> list[str]:
    """Items that block signing until the body has decided otherwise."""
    return [item for item in checklist() if item in results and results[item].verdict in BLOCKING]


def _item(item: Item, result: Result) -> dict[str, Any]:
    return {
        "no": item.no,
        "id": item.id,
        "kind": item.kind,
        "section": item.section,
        "ja": item.ja,
        "en": item.en,
        "rule": item.rule,
        "grounding": item.grounding,
        "verdict": result.verdict,
        "reason_ja": result.reason_ja,
        "reason_en": result.reason_en,
        "population": result.population,
        "stake_t": result.stake_t,
        "value": result.value,
        "source": result.source,
        "evidence": list(result.evidence),
    }


def _activity(case: Case, disposition: Disposition, member: Member) -> dict[str, Any]:
    a, window = disposition.activity, disposition.activity.window(case.claim.project)
    return {
        "activity": a.activity,
        "member": a.member,
        "site": a.site.site,
        "class": "B",
        "operation_start": a.site.operation_start,
        "window": None if window is None else {"start": window.start, "end_exclusive": window.end},
        "meters": {m.meter: m.register for m in a.meters},
        "energy_wh": {register: member.total(register) for register in ENERGIES},
        "battery_loss_wh": int(member.loss_wh.sum()),
        "el_pj_wh": member.total_wh,
        "half_hours": {name: disposition.count(fate) for fate, name in FATES.items()},
    }


def _months(case: Case) -> list[dict[str, Any]]:
    """Sums a calendar month (JST), over all members."""
    days = [(case.claim.period.start + timedelta(days=n)).isoformat()[:7] for n in range(case.claim.period.days)]
    sums: dict[str, dict[str, int]] = {}
    for member in case.reduction.members:
        columns = {str(register): member.energy_wh[register].tolist() for register in ENERGIES} | {"el_pj": member.el_pj_wh.tolist()}
        columns |= {name: member.counts[fate].tolist() for fate, name in FATES.items()}
        for name, values in columns.items():
            for month, value in zip(days, values, strict=True):
                row = sums.setdefault(month, {})
                row[name] = row.get(name, 0) + value
    return [{"month": month, **row} for month, row in sorted(sums.items())]


def _not_credited(disposition: Disposition) -> list[list[str]]:
    """Every run of half hours that was expected and earns nothing, with its reason."""
    kept = (Fate.CREDITED, Fate.OUTSIDE)
    return [[iso(start), iso(end), FATES[fate], str(reason)] for start, end, fate, reason in disposition.runs() if fate not in kept]
