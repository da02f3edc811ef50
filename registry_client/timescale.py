"""Batches and serial blocks in the database.

`request` makes a claim's batch once and commits before anything is sent; `write` puts ledger entry, serial blocks and the claim's state down in one
transaction. Both lock the claim's row first, so of many at once each finds what the one before it wrote. What the credits of a claim may be comes
from the ledger's approval, and must be what the claim's own row says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from registry_client import serial
from registry_client.answer import OverlappingBlockError, same_blocks
from registry_client.issuance import Approved, Batch, State, Vintage, batch_of
from registry_client.serial import Block, Kind
from verification import ledger_timescale, supply
from verification.person_timescale import Tell, acting
from verification.walk import Role

CLAIM = """
SELECT c.claim, c.state, c.project, p.name AS project_name, p.operator, p.scheme, p.methodology, c.start_on, c.end_on, c.round,
       c.tonnes_by_year, c.mwh_by_year, c.report_sha256, c.statement_sha256
FROM claim c JOIN project p USING (project) WHERE c.claim = %(claim)s FOR UPDATE OF c
"""
MAKE = """
INSERT INTO batch (id, claim, tonnes, request, person) VALUES (%(id)s, %(claim)s, %(tonnes)s, %(request)s, %(person)s) ON CONFLICT (claim) DO NOTHING
"""
BATCH = "SELECT id, claim, tonnes, request, state, attempts FROM batch WHERE claim = %(claim)s"
ATTEMPT = "UPDATE batch SET attempts = attempts + 1 WHERE claim = %(claim)s"
TROUBLE = "UPDATE batch SET trouble = %(trouble)s WHERE claim = %(claim)s AND state = 'requested'"
DONE = "UPDATE batch SET state = 'issued', trouble = NULL WHERE claim = %(claim)s"
ADD_BLOCK = """
INSERT INTO serial_block (series, first_number, last_number, first, last, tonnes, fiscal_year, claim, batch, entry)
VALUES (%(series)s, %(first_number)s, %(last_number)s, %(first)s, %(last)s, %(tonnes)s, %(fiscal_year)s, %(claim)s, %(batch)s, %(entry)s)
"""
MARK_ISSUED = "UPDATE claim SET state = 'issued' WHERE claim = %(claim)s"
EVENT = """
INSERT INTO claim_event (claim, round, what, person, detail)
SELECT claim, round, 'issued', %(person)s, jsonb_build_object('batch', %(batch)s::text, 'entry', %(entry)s::bigint) FROM claim WHERE claim = %(claim)s
"""
SERIALS = "SELECT first, last, tonnes, claim FROM serial_block ORDER BY entry, fiscal_year"
SERIALS_OF = "SELECT first, last, tonnes, claim FROM serial_block WHERE claim = %(claim)s ORDER BY series"
MAY_ISSUE = (Role.ADMINISTRATOR, Role.OPERATOR)


class NotIssuableError(Exception):
    """The claim's credits can not be asked for: the message says why and what comes first."""


class NoClaimError(LookupError):
    """There is no such claim."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuedBlock:
    """A row of `jcredit ledger serials`, both ends in it."""

    first: str
    last: str
    tonnes: int
    claim: str


def request(connection: psycopg.Connection[Any], *, claim: str, person: str, kind: Kind, tell: Tell = lambda _: None) -> Batch:
    """The claim's batch, made now if it was not, with one attempt more on its count; committed. An issued batch comes back as it is.

    `tell` hears of a person who was added, as the scheme DEMO does.
    """
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        row = _locked(cursor, claim)
        if row["state"] == "issued":
            return _batch(cursor, claim)
        _may_issue(connection, row, person, tell)
        batch = _asked_for(_approved(connection, row), kind)
        cursor.execute(MAKE, {"id": batch.id, "claim": claim, "tonnes": batch.tonnes, "request": batch.request, "person": person})
        kept = _batch(cursor, claim)
        if kept.request != batch.request:
            raise NotIssuableError(f"{kept.id} was asked of the registry for what {claim} said before; ask the registry what it issued under this key")
        cursor.execute(ATTEMPT, {"claim": claim})
        return kept


def write(connection: psycopg.Connection[Any], *, batch: Batch, blocks: Sequence[Block], person: str) -> tuple[IssuedBlock, ...]:
    """Enter issued credits in the ledger, their blocks and the claim's state, all or nothing; what was written before must be the same."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        row = _locked(cursor, batch.claim)
        if row["state"] == "issued":
            same_blocks(batch, tuple(blocks), tuple(serial.block(b.first, b.last) for b in serials(connection, batch.claim)))
            return serials(connection, batch.claim)
        if row["state"] != "approved":
            named = ", ".join(str(b) for b in blocks)
            raise NotIssuableError(f"the registry issued {named}, but claim {batch.claim} is now {row['state']}; issue again when it is approved")
        entry = ledger_timescale.append(connection, kind="credits issued", claim=batch.claim, value=_value(batch, blocks))
        _add_blocks(cursor, [_block(b, batch, entry) for b in blocks])
        cursor.execute(DONE, {"claim": batch.claim})
        cursor.execute(MARK_ISSUED, {"claim": batch.claim})
        cursor.execute(EVENT, {"claim": batch.claim, "person": person, "batch": batch.id, "entry": entry})
        return serials(connection, batch.claim)


def note_trouble(connection: psycopg.Connection[Any], *, claim: str, trouble: str) -> None:
    """Keep what stood in the way of the last attempt, for the people who look at the batch."""
    with connection.transaction():
        connection.execute(TROUBLE, {"claim": claim, "trouble": trouble})


def serials(connection: psycopg.Connection[Any], claim: str | None = None) -> tuple[IssuedBlock, ...]:
    """Issued blocks, oldest first; those of one claim if it is named."""
    with connection.cursor(row_factory=class_row(IssuedBlock)) as cursor:
        return tuple(cursor.execute(SERIALS_OF, {"claim": claim}) if claim else cursor.execute(SERIALS))


def _locked(cursor: psycopg.Cursor[dict[str, Any]], claim: str) -> dict[str, Any]:
    row = cursor.execute(CLAIM, {"claim": claim}).fetchone()
    if row is None:
        raise NoClaimError(f"there is no claim {claim!r}; `jcredit claim list` shows them")
    return row


def _may_issue(connection: psycopg.Connection[Any], row: Mapping[str, Any], person: str, tell: Tell) -> None:
    if row["state"] != "approved":
        raise NotIssuableError(f"claim {row['claim']} is {row['state']}, not approved; `jcredit approve {row['claim']} --as PERSON` comes first")
    known = acting(connection, person, MAY_ISSUE, demo=row["scheme"] == "DEMO", tell=tell)
    if known.role not in MAY_ISSUE:
        raise NotIssuableError(f"{person} is {known.role}; credits are asked for by {' or '.join(MAY_ISSUE)}")


def _approved(connection: psycopg.Connection[Any], row: Mapping[str, Any]) -> Approved:
    """The claim as its row and the ledger's approval both say it."""
    claim = row["claim"]
    stated = {int(year): int(t) for year, t in (row["tonnes_by_year"] or {}).items() if t}
    entered = supply.issuable(supply.Book(entries=ledger_timescale.entries_of(connection, claim)), claim)
    if stated != entered:
        raise NotIssuableError(
            f"claim {claim} says {stated} t by fiscal year, the ledger has {entered} verified and approved; `jcredit ledger check` names a break"
        )
    return Approved(
        claim=claim,
        project=row["project"],
        project_name=row["project_name"],
        operator=row["operator"],
        scheme=row["scheme"],
        methodology=row["methodology"],
        start=row["start_on"],
        end=row["end_on"],
        vintages=tuple(Vintage(fiscal_year=y, tonnes=t, energy_wh=int(Decimal(row["mwh_by_year"][str(y)]) * 1_000_000)) for y, t in sorted(stated.items())),
        report_sha256=row["report_sha256"],
        statement_sha256=row["statement_sha256"],
    )


def _asked_for(approved: Approved, kind: Kind) -> Batch:
    try:
        return batch_of(approved, kind=kind)
    except ValueError as error:  # 0 t, or a scheme or year that no serial can name
        raise NotIssuableError(f"{error}; `jcredit return` or `jcredit withdraw` takes the claim back") from error


def _batch(cursor: psycopg.Cursor[dict[str, Any]], claim: str) -> Batch:
    row = cursor.execute(BATCH, {"claim": claim}).fetchone()
    if row is None:
        raise NotIssuableError(f"claim {claim} is issued without a batch; `jcredit ledger check` names the break")
    return Batch(**{**row, "state": State(row["state"])})


def _add_blocks(cursor: psycopg.Cursor[dict[str, Any]], rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        cursor.executemany(ADD_BLOCK, rows)
    except (psycopg.errors.ExclusionViolation, psycopg.errors.UniqueViolation) as error:
        raise OverlappingBlockError(f"the registry named serials that another claim has: {error.diag.message_detail}") from error


def _value(batch: Batch, blocks: Sequence[Block]) -> dict[str, Any]:
    return {
        "batch": batch.id,
        "request_sha256": batch.request_sha256,
        "tonnes": {str(b.first.series.vintage): b.tonnes for b in blocks},
        "blocks": [{"first": str(b.first), "last": str(b.last), "tonnes": b.tonnes} for b in blocks],
    }


def _block(block: Block, batch: Batch, entry: int) -> dict[str, Any]:
    return {
        "series": str(block.first.series),
        "first_number": block.first.number,
        "last_number": block.last.number,
        "first": str(block.first),
        "last": str(block.last),
        "tonnes": block.tonnes,
        "fiscal_year": block.first.series.vintage,
        "claim": batch.claim,
        "batch": batch.id,
        "entry": entry,
    }
