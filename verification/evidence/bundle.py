"""What a claim's bundle holds, as records: everything that the second implementation, or a body's own machine, needs to count again.

`claim` first (enrolment, period, plan, factors, what was disbelieved or held), then `key`s, then `message`s in the order in which they were kept,
then `numbers` as the first implementation has them, last the `report`. The form is the contract's: a magic line, gzip members, the SHA-256 of all before it.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from ingest.segment import Message
from verification.case import Case
from verification.claim import Activity, Claim, Meter, State
from verification.disposition import Fate, held_rows
from verification.evidence.provenance import Counted, Key, signed_and_inner
from verification.methodology.factors import FactorTable
from verification.reduction import Member
from verification.report import canonical

MAGIC = b"jcredit-bundle 1\n"
LINES_A_MEMBER = 2000

Record = dict[str, Any]


def claim_record(claim: Claim, factors: FactorTable) -> Record:
    """What the claim is judged by, as frozen; only JSON's own types."""
    names = {m.number: m.meter for _, m in claim.meters()}
    record = {
        "kind": "claim",
        "claim": claim.claim,
        "project": claim.project.project,
        "methodology": claim.project.methodology,
        "period": {"start": claim.period.start, "end": claim.period.end},
        "certified": {"start": claim.project.certified.start, "end": claim.project.certified.end},
        "registration_applied_on": claim.project.registration_applied_on,
        "frozen_at": claim.frozen_at,
        "plan": claim.plan.document(),
        "activities": [_activity(a) for a in claim.activities],
        "events": [{"meter": names[e.meter], "at": e.at_s, "kind": e.kind, "closing_wh": e.closing_wh, "opening_wh": e.opening_wh} for e in claim.events],
        "factors": [{"fiscal_year": f.fiscal_year, "kind": f.kind, "kg_per_kwh": str(f.kg_per_kwh), "file": f.file_sha256} for f in factors.factors],
        "untrue": {m.meter: claim.series_of(m).end_s[claim.series_of(m).state == State.UNTRUE].tolist() for _, m in claim.meters()},
        "held": {m.meter: _held(claim, m) for _, m in claim.meters()},
    }
    return dict(json.loads(canonical(record)))


def _activity(a: Activity) -> Record:
    return {
        "activity": a.activity,
        "applied_on": a.applied_on,
        "joined_on": a.joined_on,
        "left_on": a.left_on,
        "operation_start": a.site.operation_start,
        "ac_kw": str(a.site.ac_kw),
        "battery": a.site.battery,
        "exports": a.site.exports,
        "meters": [
            {
                "meter": m.meter,
                "register": m.register,
                "gateway": m.gateway,
                "modulus_wh": m.modulus_wh,
                "resolution_wh": m.resolution_wh,
                "two_way": m.two_way,
            }
            for m in a.meters
        ],
    }


def _held(claim: Claim, meter: Meter) -> list[list[int]]:
    """Spans of the rows that earn nothing because they are held."""
    series = claim.series_of(meter)
    held = np.flatnonzero(held_rows(series, claim.flags_of(meter)) & (series.start_s >= 0))
    return [[int(series.start_s[n]), int(series.end_s[n])] for n in held]


def key_record(key: Key) -> Record:
    return {
        "kind": "key",
        "kid": key.kid,
        "gateway": key.gateway,
        "public_key": base64.b64encode(key.public_key).decode(),
        "enrolled_us": key.enrolled_us,
        "revoked_us": key.revoked_us,
    }


def message_record(row: Counted, message: Message) -> Record:
    """One message with its exact bytes; `payload` is the JSON that its hash is of, `signed` what the signature is over where that is something else."""
    signed, inner = signed_and_inner(message)
    record = {
        "kind": "message",
        "gateway": row.gateway,
        "seq": row.seq,
        "segment": row.segment,
        "place": row.place,
        "received_us": message.received_us,
        "kid": message.kid,
        "signature": base64.b64encode(message.signature).decode(),
        "sha256": row.hash.hex(),
        "payload": base64.b64encode(inner or b"").decode(),
    }
    return record if signed == inner else record | {"signed": base64.b64encode(signed or b"").decode()}


def numbers_record(case: Case) -> Record:
    """What the first implementation found."""
    record = {
        "kind": "numbers",
        "members": {d.activity.activity: _member(d.count(Fate.CREDITED), m, case) for d, m in zip(case.dispositions, case.reduction.members, strict=True)},
        "years": {str(y.fiscal_year): {"el_pj_wh": y.el_pj_wh, "er_kg": y.er_kg, "tonnes": y.tonnes} for y in case.reduction.years},
        "tonnes": case.reduction.tonnes,
    }
    return dict(json.loads(canonical(record)))


def _member(credited: int, member: Member, case: Case) -> Record:
    start = np.datetime64(case.claim.period.start)
    days = "".join(f"{start + n} {wh}\n" for n, wh in enumerate(member.el_pj_wh.tolist()) if wh)
    return {
        "credited": credited,
        "generation_wh": int(member.energy_wh_of("generation").sum()),
        "export_wh": int(member.energy_wh_of("export").sum()),
        "loss_wh": int(member.loss_wh.sum()),
        "el_pj_wh": member.total_wh,
        "days_sha256": hashlib.sha256(days.encode()).hexdigest(),
    }


def write(records: Iterable[Record], file: BinaryIO) -> str:
    """Write a bundle; the SHA-256 that its last line states."""
    digest = hashlib.sha256()

    def put(piece: bytes) -> None:
        digest.update(piece)
        file.write(piece)

    put(MAGIC)
    for lines in _batches(records):
        put(gzip.compress(lines, 6, mtime=0))
    file.write(digest.hexdigest().encode() + b"\n")
    return digest.hexdigest()


def _batches(records: Iterable[Record]) -> Iterator[bytes]:
    lines: list[bytes] = []
    for record in records:
        lines.append(json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        if len(lines) == LINES_A_MEMBER:
            yield b"".join(lines)
            lines = []
    if lines:
        yield b"".join(lines)
