"""The body's statement on a claim, as an unsecured W3C verifiable credential: what is signed, and by whom it says to be."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from verification.decision import CREDENTIALS_V2, DID_KEY
from verification.item import BLOCKING
from verification.page import Instead
from verification.walk import Opinion

ASSURANCE = "reasonable"
NOT_FIXED = "not fixed before the work: C19 could not run"


def unsecured_statement(
    report: Mapping[str, Any], *, report_sha256: str, frozen_at: datetime, body: str, did: str | None, opinion: Opinion, instead: Sequence[Instead]
) -> dict[str, Any]:
    """The credential without proof. `body` is the person who verified; `did` the key that will sign, if it is known already."""
    if did is not None and not DID_KEY.fullmatch(did):
        raise ValueError(f"{did!r} is no did:key of an Ed25519 key (did:key:z6Mk…)")
    claim, totals = report["claim"], report["totals"]
    return {
        "@context": [CREDENTIALS_V2, {"@vocab": "urn:jcredit:terms:"}],
        "id": f"urn:jcredit:statement:{claim}:{report['round']}",
        "type": ["VerifiableCredential", "VerificationStatement"],
        "issuer": did or f"urn:jcredit:body:{re.sub(r'[^A-Za-z0-9._-]', '_', body)}",
        "validFrom": frozen_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "credentialSubject": {
            "id": f"urn:jcredit:claim:{claim}",
            "claim": claim,
            "round": report["round"],
            "project": report["project"]["project"],
            "scheme": report["scheme"],
            "official": report["official"],
            "period": report["period"],
            "tonnes": totals["tonnes"],
            "tonnesByFiscalYear": totals["tonnes_by_year"],
            "mwhByFiscalYear": totals["mwh_by_year"],
            "reportSha256": report_sha256,
            "verdicts": report["verdicts"],
            "decidedOtherwise": decided_otherwise(report, instead),
            "opinion": opinion,
            "levelOfAssurance": ASSURANCE,
            "criteria": [report["project"]["methodology"], "69 items of this report"],
            "materiality": NOT_FIXED,
            "build": report["build"],
            "ruleSets": report["rule_sets"],
            "verifiedBy": body,
        },
    }


def decided_otherwise(report: Mapping[str, Any], instead: Sequence[Instead]) -> list[dict[str, Any]]:
    """Each item that failed or could not run, with what is on record of what the body did instead."""
    by_item: dict[str, list[dict[str, str]]] = {}
    for i in instead:
        by_item.setdefault(i.item, []).append({"person": i.person, "reason": i.reason, "sha256": i.sha256})
    return [
        {"item": item["id"], "verdict": item["verdict"], "instead": by_item.get(item["id"], [])}
        for item in report["items"]
        if item["verdict"] in tuple(BLOCKING)
    ]
