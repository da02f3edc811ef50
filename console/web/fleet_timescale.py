"""Gateways as the operator sees them: who is silent, since when, and what each last said of itself (not signed: shown, never believed)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

A_PAGE = 100
STANDINGS = ("silent", "never", "offline", "heard")

# silent and never: nothing came within the window. offline: it came, and the gateway's last will says that it went.
SEEN = """
SELECT g.id, g.gateway, s.site, s.region, g.firmware, seen.received_at, extract(epoch FROM now() - seen.received_at)::float8 AS silent_s,
       status.state, status.at AS said_at, status.version, status.spooled, status.clock_offset_ms, status.seen_at,
       CASE WHEN seen.received_at IS NULL THEN 'never' WHEN seen.received_at < now() - make_interval(hours => %(hours)s) THEN 'silent'
            WHEN status.state = 'offline' THEN 'offline' ELSE 'heard' END AS standing,
       NOT EXISTS (SELECT FROM key k WHERE k.gateway = g.id AND k.revoked_at IS NULL) AS no_key
FROM gateway g JOIN site s ON s.id = g.site LEFT JOIN gateway_seen seen ON seen.gateway = g.id LEFT JOIN gateway_status status ON status.gateway = g.id
"""
COUNTS = f"SELECT standing, count(*) FROM ({SEEN}) AS g GROUP BY standing"
GATEWAYS = f"""
SELECT * FROM ({SEEN}) AS g WHERE %(standing)s::text IS NULL OR standing = %(standing)s
ORDER BY array_position(ARRAY['silent', 'never', 'offline', 'heard'], standing), received_at NULLS FIRST, gateway LIMIT {A_PAGE} OFFSET %(skip)s
"""
GATEWAY = f"{SEEN} WHERE g.gateway = %(gateway)s"
KEYS = "SELECT kid, enrolled_at, revoked_at, revoked_reason FROM key WHERE gateway = %(id)s ORDER BY enrolled_at, kid"
CHAIN = """
SELECT (SELECT settled_seq FROM chain WHERE gateway = %(id)s) AS settled_seq, max(seq) AS last_seq, count(*) AS messages, max(seq) + 1 - count(*) AS holes
FROM message WHERE gateway = %(id)s
"""
REFUSED = "SELECT refused AS reason, count(*) AS count, max(seq) AS last_seq FROM message WHERE gateway = %(id)s AND refused IS NOT NULL GROUP BY 1 ORDER BY 1"
METERS = """
SELECT m.meter, m.register, m.serial, last.end_at, last.register_wh FROM meter m
LEFT JOIN LATERAL (SELECT end_at, register_wh FROM interval i WHERE i.meter = m.id ORDER BY end_at DESC LIMIT 1) AS last ON true
WHERE m.gateway = %(id)s ORDER BY m.register, m.meter
"""
REJECTED = "SELECT reason, detail, origin, received_at FROM rejected ORDER BY received_at DESC LIMIT 20"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """A gateway and when it was last heard; `standing` is one of STANDINGS, `state` to `seen_at` are its own words."""

    id: int
    gateway: str
    site: str
    region: str | None
    firmware: str | None
    received_at: datetime | None
    silent_s: float | None
    state: str | None
    said_at: datetime | None
    version: str | None
    spooled: int | None
    clock_offset_ms: int | None
    seen_at: datetime | None
    standing: str
    no_key: bool


def counts(connection: psycopg.Connection[Any], hours: int) -> Mapping[str, int]:
    """How many gateways stand how; all of STANDINGS."""
    found = dict(connection.execute(COUNTS, {"hours": hours}).fetchall())
    return {standing: found.get(standing, 0) for standing in STANDINGS}


def gateways(connection: psycopg.Connection[Any], *, hours: int, standing: str | None = None, skip: int = 0) -> list[Gateway]:
    """A page of gateways, the silent first, the longest first."""
    with connection.cursor(row_factory=class_row(Gateway)) as cursor:
        return cursor.execute(GATEWAYS, {"hours": hours, "standing": standing, "skip": skip}).fetchall()


def gateway(connection: psycopg.Connection[Any], name: str, hours: int) -> Gateway | None:
    with connection.cursor(row_factory=class_row(Gateway)) as cursor:
        return cursor.execute(GATEWAY, {"gateway": name, "hours": hours}).fetchone()


def detail(connection: psycopg.Connection[Any], found: Gateway) -> Mapping[str, Any]:
    """Keys, chain, refusals and meters of one gateway."""
    with connection.cursor(row_factory=dict_row) as cursor:
        query = {name: cursor.execute(sql, {"id": found.id}).fetchall() for name, sql in (("keys", KEYS), ("refused", REFUSED), ("meters", METERS))}
        return {**query, "chain": cursor.execute(CHAIN, {"id": found.id}).fetchone()}


def rejected(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """The last messages that had no good signature; nobody can say whose they were."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(REJECTED).fetchall()
