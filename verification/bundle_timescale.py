"""A claim's bundle from the database: what the claim was frozen over, message by message, as records for `evidence.bundle.write`."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import psycopg
from psycopg.rows import dict_row

from verification.claim_timescale import row_of
from verification.evidence.bundle import Record
from verification.evidence.provenance import Counted
from verification.verify_timescale import bodies, message_records, stored

INPUT = "SELECT segments, document FROM claim_input WHERE claim = %s"
MESSAGES = """
SELECT g.gateway, m.seq, m.hash, m.segment, m.place, m.refused FROM message m JOIN gateway g ON g.id = m.gateway
WHERE m.segment = ANY(%(segments)s) AND g.gateway = ANY(%(gateways)s) ORDER BY m.segment, m.place
"""


def records(connection: psycopg.Connection[Any], claim: str, progress: Callable[[int, int], None] = lambda *_: None) -> Iterator[Record]:
    """Every record of a frozen claim's bundle, in order; the connection must be in a transaction. NotAllowedError if it was never verified."""
    report = stored(connection, row_of(connection, claim))
    with connection.cursor(row_factory=dict_row) as cursor:
        pinned: Any = cursor.execute(INPUT, [claim]).fetchone()
        document, segments = pinned["document"], pinned["segments"]
        gateways = sorted({m["gateway"] for a in document["claim"]["activities"] for m in a["meters"]})
        counted = [Counted(**r) for r in cursor.execute(MESSAGES, {"segments": segments, "gateways": gateways})]
    yield document["claim"]
    yield from document["keys"]
    by_segment = {segment: list(rows) for segment, rows in groupby(counted, key=lambda c: c.segment)}
    for done, (segment, body) in enumerate(bodies(connection, list(by_segment)), 1):
        yield from message_records(body, by_segment[segment])
        progress(done, len(by_segment))
    yield document["numbers"]
    yield {"kind": "report", "sha256": report.sha256, "content": report.report.decode()}
