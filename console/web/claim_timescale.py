"""Claims, batches and serial blocks as their desks see them. Only reading: every step is a function of `verification` or `registry_client`."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

CLAIMS = """
SELECT c.*, p.name AS project_name, p.scheme, p.operator, v.verdicts, b.id AS batch, b.state AS batch_state, b.attempts, b.trouble, b.made_at AS asked_at
FROM claim c JOIN project p USING (project) LEFT JOIN batch b USING (claim)
LEFT JOIN LATERAL (SELECT jsonb_object_agg(verdict, n) AS verdicts FROM
  (SELECT verdict, count(*) AS n FROM claim_result r WHERE r.claim = c.claim GROUP BY verdict) AS by_verdict) AS v ON true
"""
ALL = f"{CLAIMS} ORDER BY c.number DESC LIMIT 500"
ONE = f"{CLAIMS} WHERE c.claim = %(claim)s"
RESULTS = "SELECT item, verdict, reason_ja, reason_en, population, stake_t, value, evidence FROM claim_result WHERE claim = %(claim)s"
EVENTS = "SELECT round, what, person, reason, detail, at FROM claim_event WHERE claim = %(claim)s ORDER BY id"
INSTEAD = "SELECT item, person, reason, file_name, sha256, at FROM instead WHERE claim = %(claim)s AND round = %(round)s ORDER BY item, at"
ENTRIES = "SELECT entry, kind, round, value, at, encode(hash, 'hex') AS hash FROM ledger WHERE claim = %(claim)s ORDER BY entry"
BLOCKS = """
SELECT first, last, tonnes, fiscal_year, claim, batch, entry FROM serial_block
WHERE %(claim)s::text IS NULL OR claim = %(claim)s ORDER BY entry, fiscal_year
"""
REPORT = "SELECT content, sha256, made_at FROM report WHERE claim = %(claim)s AND round = %(round)s"
BLOCK_OF = """
SELECT b.first, b.last, b.tonnes, b.fiscal_year, b.claim, b.batch, b.entry, c.project, p.name AS project_name, p.scheme, p.methodology, p.operator,
       c.start_on, c.end_on, c.state, c.opinion, c.report_sha256, c.statement_sha256, c.mwh_by_year
FROM serial_block b JOIN claim c USING (claim) JOIN project p USING (project)
WHERE b.series = %(series)s AND b.first_number <= %(number)s AND b.last_number >= %(number)s
"""

Row = dict[str, Any]


def claims(connection: psycopg.Connection[Any]) -> list[Row]:
    """The newest 500 claims, the newest first, with their verdicts counted and their batch."""
    return _rows(connection, ALL, {})


def claim(connection: psycopg.Connection[Any], name: str) -> Row | None:
    return next(iter(_rows(connection, ONE, {"claim": name})), None)


def results(connection: psycopg.Connection[Any], name: str) -> Mapping[str, Row]:
    """The answers to the 69 items, by item."""
    return {row["item"]: row for row in _rows(connection, RESULTS, {"claim": name})}


def history(connection: psycopg.Connection[Any], found: Row) -> Mapping[str, list[Row]]:
    """Who did what; what the body did instead; entries of the ledger; serial blocks."""
    query = {"claim": found["claim"], "round": found["round"]}
    return {name: _rows(connection, sql, query) for name, sql in (("events", EVENTS), ("instead", INSTEAD), ("entries", ENTRIES), ("blocks", BLOCKS))}


def report(connection: psycopg.Connection[Any], found: Row) -> Row | None:
    """The canonical report of the claim as it stands: the bytes whose SHA-256 is signed."""
    return next(iter(_rows(connection, REPORT, {"claim": found["claim"], "round": found["round"]})), None)


def blocks(connection: psycopg.Connection[Any]) -> list[Row]:
    return _rows(connection, BLOCKS, {"claim": None})


def trail(connection: psycopg.Connection[Any], *, series: str, number: int) -> Row | None:
    """What the public may know of one serial: its block, claim, and the ledger's entries about the claim; no member, no site."""
    found = next(iter(_rows(connection, BLOCK_OF, {"series": series, "number": number})), None)
    return {**found, "entries": _rows(connection, ENTRIES, {"claim": found["claim"]})} if found else None


def _rows(connection: psycopg.Connection[Any], query: str, values: Mapping[str, Any]) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()
