"""Verification of a claim against the database: freeze it at one moment, examine its evidence, answer the 69 items, keep what was found.

Everything is read in one REPEATABLE READ transaction and written in one other. Verifying a frozen claim again reads what was found and changes nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from ingest.segment import BrokenSegment, unpack
from verification.case import Case, Recalculation, RegistryAnswer, make_case
from verification.claim import Activity, Claim, Register
from verification.claim_timescale import BODIES, Snapshot, last_certified_end, row_of, snapshot
from verification.disposition import Fate
from verification.evidence import bundle
from verification.evidence.provenance import Counted, Examination, Provenance
from verification.item import Result
from verification.judgement import judge
from verification.person_timescale import Tell, acting
from verification.recompute.count import ON_TRUST, Recount
from verification.report import canonical, document, needs_person, sha256
from verification.walk import FROZEN, VERIFY, NotAllowedError, State, allowed

Enquire = Callable[[tuple[Activity, ...], Claim], RegistryAnswer | None]
Progress = Callable[[str, int, int], None]

CLEAR = ("DELETE FROM claim_day WHERE claim = %s", "DELETE FROM claim_slots WHERE claim = %s", "DELETE FROM claim_result WHERE claim = %s")
FREEZE = """
UPDATE claim SET state = 'verified', round = round + 1, frozen_at = %(frozen_at)s, verified_by = %(person)s, signed_by = NULL, opinion = NULL,
  tonnes = %(tonnes)s, tonnes_by_year = %(tonnes_by_year)s, mwh_by_year = %(mwh_by_year)s, report_sha256 = %(report_sha256)s, statement_sha256 = NULL
WHERE claim = %(claim)s AND round = %(round)s
"""
ADD_DAYS = """
COPY claim_day (claim, activity, day, generation_wh, export_wh, charge_wh, discharge_wh, auxiliary_wh, loss_wh, el_pj_wh, credited, held, excluded, missing)
FROM STDIN
"""
ADD_SLOTS = "INSERT INTO claim_slots (claim, activity, runs) VALUES (%s, %s, %s)"
ADD_INPUT = """
INSERT INTO claim_input (claim, segments, document) VALUES (%(claim)s, %(segments)s, %(document)s)
ON CONFLICT (claim) DO UPDATE SET segments = EXCLUDED.segments, document = EXCLUDED.document
"""
ADD_RESULT = """
INSERT INTO claim_result (claim, item, verdict, reason_ja, reason_en, population, stake_t, value, evidence)
VALUES (%(claim)s, %(item)s, %(verdict)s, %(reason_ja)s, %(reason_en)s, %(population)s, %(stake_t)s, %(value)s::jsonb, %(evidence)s)
"""
ADD_REPORT = "INSERT INTO report (claim, round, content, sha256) VALUES (%(claim)s, %(round)s, %(content)s, %(sha256)s)"
ADD_EVENT = "INSERT INTO claim_event (claim, round, what, person, reason, detail) VALUES (%(claim)s, %(round)s, %(what)s, %(person)s, %(reason)s, %(detail)s)"
REPORT = "SELECT content, sha256 FROM report WHERE claim = %s AND round = %s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """A verified claim: its report's bytes and hash, and whether it was verified just now."""

    claim: str
    report: bytes
    sha256: str
    tonnes: int | None
    needs_person: tuple[str, ...]
    fresh: bool

    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.report))


def verify(
    dsn: str, claim: str, person: str, *, build: str, enquire: Enquire | None = None, tell: Tell = print, progress: Progress = lambda *_: None
) -> Verified:
    """Freeze and judge a claim, or give what was found when it was. NotAllowedError, NoSuchClaimError."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = row_of(connection, claim)
        if row["state"] in FROZEN:
            return stored(connection, row)
        project = connection.execute("SELECT scheme FROM project WHERE project = %s", [row["project"]]).fetchone()
        actor = acting(connection, person, VERIFY.roles, demo=project is not None and project[0] == "DEMO", tell=tell)
        allowed(VERIFY, claim=claim, state=row["state"], person=person, role=actor.role, barred={"created": row["created_by"]})
        seen, provenance, recount = _read(connection, row, progress)
        progress("enquiry at the registry", 0, 1)
        answer = enquire(seen.claim.activities, seen.claim) if enquire else None
        case = _case(seen, provenance, answer, recount, build)
        progress("69 items", 0, 1)
        results = judge(case)
        report = canonical(document(case, results, round_no=row["round"] + 1))
        _write(connection, row, person, case, seen, _pinned(seen, recount), provenance, results, report)
        progress("69 items", 1, 1)
        return stored(connection, row_of(connection, claim))


def stored(connection: psycopg.Connection[Any], row: Mapping[str, Any]) -> Verified:
    """What was found when the claim was last frozen; NotAllowedError if it never was."""
    found = connection.execute(REPORT, [row["claim"], row["round"]]).fetchone()
    if found is None:
        raise NotAllowedError(f"claim {row['claim']} is {row['state']} and has no report; `jcredit verify {row['claim']} --as PERSON` makes it")
    content = bytes(found[0])
    return Verified(
        claim=row["claim"],
        report=content,
        sha256=found[1],
        tonnes=row["tonnes"],
        needs_person=tuple(json.loads(content)["needs_person"]),
        fresh=False,
    )


def _read(connection: psycopg.Connection[Any], row: Mapping[str, Any], progress: Progress) -> tuple[Snapshot, Provenance, Recount]:
    """The claim and its evidence, all of one moment."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    try:
        with connection.transaction():
            progress("intervals", 0, 1)
            seen = snapshot(connection, row)
            recount = Recount()
            recount.take(bundle.claim_record(seen.claim, seen.factors))  # `recount.claim` from here on
            return seen, _examine(connection, seen, recount, progress), recount
    finally:
        connection.isolation_level = None
        connection.read_only = None


def _examine(connection: psycopg.Connection[Any], seen: Snapshot, recount: Recount, progress: Progress) -> Provenance:
    """Every message again from its stored bytes: signature and hash for C01, readings for the second count."""
    examination = Examination(seen.keys)
    by_segment = {segment: list(rows) for segment, rows in groupby(seen.counted, key=lambda c: c.segment)}
    for done, (segment, body) in enumerate(bodies(connection, list(by_segment)), 1):
        rows = by_segment[segment]
        examination.take(segment, body, rows)
        for record in message_records(body, rows):
            recount.take(record)
        progress("signatures and second count", done, len(by_segment))
    for lost in set(by_segment) - set(examination.segments):
        examination.take(lost, None, by_segment[lost])
    return examination.result()


def bodies(connection: psycopg.Connection[Any], segments: list[int]) -> Iterator[tuple[int, bytes]]:
    """Evidence, a few segments in memory at a time; the connection must be in a transaction."""
    with connection.cursor(name="bodies") as cursor:
        cursor.itersize = 20
        cursor.execute(BODIES, {"segments": segments})
        for segment, body in cursor:
            yield segment, bytes(body)


def message_records(body: bytes, rows: list[Counted]) -> Iterator[bundle.Record]:
    """The counting messages of one segment, refused ones left out."""
    try:
        messages = unpack(body)
    except BrokenSegment:
        return
    for row in rows:
        if row.refused is None and 0 <= row.place < len(messages):
            yield bundle.message_record(row, messages[row.place])


def _case(seen: Snapshot, provenance: Provenance, answer: RegistryAnswer | None, recount: Recount, build: str) -> Case:
    evidence: dict[str, Any] = {
        "enrolled_activities": seen.enrolled_activities,
        "provenance": provenance,
        "registry": answer,
        "certified": seen.certified,
        "gateways": seen.gateways,
        "addresses": seen.addresses,
        "rule_sets": seen.rule_sets,
        "build": build,
        "last_certified_end": last_certified_end(seen.certified, seen.claim.period.start),
    }
    first = make_case(seen.claim, seen.factors, **evidence)
    recount.take(bundle.numbers_record(first))
    differences = tuple(map(str, recount.differences()))
    second = Recalculation(members=len(seen.claim.activities), intervals=recount.intervals, differences=differences, on_trust=ON_TRUST)
    return make_case(seen.claim, seen.factors, **evidence, recalculation=second)


def _pinned(seen: Snapshot, recount: Recount) -> dict[str, Any]:
    """What the claim was frozen over, for its bundle."""
    return {"claim": recount.claim, "numbers": recount.numbers, "keys": [bundle.key_record(k) for k in seen.keys]}


def _write(
    connection: psycopg.Connection[Any],
    row: Mapping[str, Any],
    person: str,
    case: Case,
    seen: Snapshot,
    pinned: Mapping[str, Any],
    provenance: Provenance,
    results: Mapping[str, Result],
    report: bytes,
) -> None:
    """Keep it all in one transaction; NotAllowedError if somebody else was quicker."""
    claim, round_no, digest = row["claim"], row["round"] + 1, sha256(report)
    frozen = {
        "claim": claim,
        "round": row["round"],
        "person": person,
        "frozen_at": seen.claim.frozen_at,
        "tonnes": case.reduction.tonnes,
        "tonnes_by_year": Jsonb({str(y.fiscal_year): y.tonnes for y in case.reduction.years}),
        "mwh_by_year": Jsonb({str(year): format(value, "f") for year, value in case.reduction.mwh_by_year().items()}),
        "report_sha256": digest,
    }
    with connection.transaction():
        now = row_of(connection, claim, lock=True)
        if (now["state"], now["round"]) != (row["state"], row["round"]) or connection.execute(FREEZE, frozen).rowcount != 1:
            raise NotAllowedError(f"claim {claim} was {now['state']} by somebody else meanwhile; nothing was written")
        for query in CLEAR:
            connection.execute(query, [claim])
        _write_days(connection, case)
        connection.execute(ADD_INPUT, {"claim": claim, "segments": list(provenance.segments), "document": Jsonb(pinned)})
        with connection.cursor() as cursor:
            cursor.executemany(ADD_RESULT, [_result(claim, item, result) for item, result in results.items()])
        connection.execute(ADD_REPORT, {"claim": claim, "round": round_no, "content": report, "sha256": digest})
        detail = Jsonb({"report_sha256": digest, "tonnes": case.reduction.tonnes, "needs_person": needs_person(results)})
        connection.execute(ADD_EVENT, {"claim": claim, "round": round_no, "what": State.VERIFIED, "person": person, "reason": None, "detail": detail})


def _write_days(connection: psycopg.Connection[Any], case: Case) -> None:
    claim, start = case.claim.claim, case.claim.period.start
    with connection.cursor() as cursor:
        with cursor.copy(ADD_DAYS) as copy:
            for member in case.reduction.members:
                columns = [
                    *(member.energy_wh[r].tolist() for r in (Register.GENERATION, Register.EXPORT, Register.CHARGE, Register.DISCHARGE, Register.AUXILIARY)),
                    member.loss_wh.tolist(),
                    member.el_pj_wh.tolist(),
                    *(member.counts[f].tolist() for f in (Fate.CREDITED, Fate.HELD, Fate.EXCLUDED, Fate.MISSING)),
                ]
                for n, values in enumerate(zip(*columns, strict=True)):
                    copy.write_row((claim, member.activity.activity, start + timedelta(days=n), *values))
        runs = [(claim, d.activity.activity, Jsonb([[a, b, int(fate), str(reason)] for a, b, fate, reason in d.runs()])) for d in case.dispositions]
        cursor.executemany(ADD_SLOTS, runs)


def _result(claim: str, item: str, result: Result) -> dict[str, Any]:
    return {
        "claim": claim,
        "item": item,
        "verdict": result.verdict,
        "reason_ja": result.reason_ja,
        "reason_en": result.reason_en,
        "population": result.population,
        "stake_t": None if result.stake_t is None else Decimal(result.stake_t),
        "value": canonical(result.value).decode(),
        "evidence": Jsonb(list(result.evidence)),
    }
