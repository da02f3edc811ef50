"""The ledger's tables: entries are appended in the caller's transaction, one writer at a time, and read as one moment's copy.

Whoever locks a claim's row and appends does it in that order, so that two never wait for each other. Each entry also leaves an `outbox` row for
the topic `ledger.v1`. The database itself refuses UPDATE, DELETE and TRUNCATE.
"""

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from verification import ledger, supply
from verification.ledger import ONCE, Entry, Kind, Span

TOPIC = "ledger.v1"
ONE_WRITER = 0x4A_4C_45_44  # the advisory lock of the ledger

LOCK = "SELECT pg_advisory_xact_lock(%(lock)s)"
LAST = """
SELECT COALESCE(max(entry), 0) AS entry, (SELECT hash FROM ledger ORDER BY entry DESC LIMIT 1) AS hash, clock_timestamp() AS at,
       count(*) FILTER (WHERE claim = %(claim)s AND kind = 'corrected' AND value ? 'sets_aside') AS round
FROM ledger
"""
STANDING = """
SELECT entry, value FROM ledger WHERE claim = %(claim)s AND kind = %(kind)s AND (round = %(round)s OR kind = 'credits issued')
"""
ADD = """
INSERT INTO ledger (entry, kind, claim, round, value, at, previous, hash)
VALUES (%(entry)s, %(kind)s, %(claim)s, %(round)s, %(value)s, %(at)s, %(previous)s, %(hash)s)
"""
TELL = "INSERT INTO outbox (topic, value) VALUES (%(topic)s, %(value)s)"
TO_SET_ASIDE = """
SELECT entry, kind FROM ledger
WHERE claim = %(claim)s AND kind IN ('reduction verified', 'batch approved', 'credits issued')
  AND round = (SELECT count(*) FROM ledger WHERE claim = %(claim)s AND kind = 'corrected' AND value ? 'sets_aside')
ORDER BY entry
"""
ASKED = "SELECT id FROM batch WHERE claim = %(claim)s"
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
ENTRIES = "SELECT entry, kind, claim, round, value, at, previous, hash FROM ledger ORDER BY entry"
ENTRIES_OF = "SELECT entry, kind, claim, round, value, at, previous, hash FROM ledger WHERE claim = %(claim)s ORDER BY entry"
BLOCKS = "SELECT series, first_number, last_number, claim, entry FROM serial_block ORDER BY entry, fiscal_year"
CERTIFIED = "SELECT activity, lower(period) AS start, upper(period) AS end, claim FROM certified ORDER BY activity, period"


class AlreadyEnteredError(ValueError):
    """The claim has an entry of this kind that says something else."""


class AlreadyIssuedError(ValueError):
    """The registry was asked for the claim's credits, so nothing of it can be set aside; a correction states a difference."""


def append(connection: psycopg.Connection[Any], *, kind: str, claim: str, value: Mapping[str, Any]) -> int:
    """Append an entry in the caller's transaction and give its number.

    A reduction, approval or issue that stands already with the same value gives its number again.
    AlreadyEnteredError if it stands with another value; EntryError if the kind can not have this value.
    """
    known = Kind(kind)
    clean = ledger.checked_value(known, value)
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(LOCK, {"lock": ONE_WRITER})
        last = cursor.execute(LAST, {"claim": claim}).fetchone() or {}
        if known in ONCE and (standing := cursor.execute(STANDING, {"claim": claim, "kind": known, "round": last["round"]}).fetchone()):
            return _same(standing, known, claim, clean)
        row = {"entry": last["entry"] + 1, "kind": str(known), "claim": claim, "round": last["round"], "value": clean, "at": last["at"]}
        row["previous"] = last["hash"] or ledger.FIRST_PREVIOUS
        row["hash"] = ledger.entry_hash(**row)
        cursor.execute(ADD, {**row, "value": Jsonb(clean)})
        told = {**row, "at": row["at"].isoformat(), "previous": row["previous"].hex(), "hash": row["hash"].hex()}
        cursor.execute(TELL, {"topic": TOPIC, "value": Jsonb(told)})
    return int(row["entry"])


def set_aside(connection: psycopg.Connection[Any], *, claim: str, reason: str) -> int:
    """Set aside what stands of a claim that goes back, so that it may be verified and approved anew; 0 if nothing stands.

    AlreadyIssuedError once the registry was asked: it may have issued, whatever we heard. The caller holds the claim's row.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(LOCK, {"lock": ONE_WRITER})
        standing = cursor.execute(TO_SET_ASIDE, {"claim": claim}).fetchall()
        if asked := cursor.execute(ASKED, {"claim": claim}).fetchone():
            raise AlreadyIssuedError(f"the registry was asked for the credits of {claim} ({asked['id']}); finish with `jcredit issue`, then open a correction")
    if not standing:
        return 0
    return append(connection, kind=Kind.CORRECTED, claim=claim, value={"sets_aside": [e["entry"] for e in standing], "reason": reason})


def entries(connection: psycopg.Connection[Any]) -> tuple[Entry, ...]:
    """Every entry, the first first."""
    return _entries(connection, ENTRIES, {})


def entries_of(connection: psycopg.Connection[Any], claim: str) -> tuple[Entry, ...]:
    """The entries of one claim, the first first."""
    return _entries(connection, ENTRIES_OF, {"claim": claim})


def book(connection: psycopg.Connection[Any]) -> supply.Book:
    """Ledger, serial blocks and certified periods as at one moment, so the connection must be outside a transaction."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(ONE_MOMENT)
        found = entries(connection)
        stored = tuple(_stored(row) for row in cursor.execute(BLOCKS))
        certified = tuple(supply.Certified(**row) for row in cursor.execute(CERTIFIED))
    return supply.Book(entries=found, blocks=stored, certified=certified)


def check(connection: psycopg.Connection[Any]) -> tuple[supply.Break, ...]:
    """Read everything again; every break of every rule, the first first."""
    return supply.check(book(connection))


def _entries(connection: psycopg.Connection[Any], query: LiteralString, values: Mapping[str, Any]) -> tuple[Entry, ...]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return tuple(Entry(**{**row, "kind": Kind(row["kind"])}) for row in cursor.execute(query, values))


def _same(standing: Mapping[str, Any], kind: Kind, claim: str, value: Mapping[str, Any]) -> int:
    if standing["value"] != value:
        raise AlreadyEnteredError(f"{kind} of {claim} stands as entry {standing['entry']} with another value; set the claim aside first, or enter a correction")
    return int(standing["entry"])


def _stored(row: Mapping[str, Any]) -> supply.StoredBlock:
    return supply.StoredBlock(span=Span(series=row["series"], first=row["first_number"], last=row["last_number"]), claim=row["claim"], entry=row["entry"])
