"""A claim as known at one moment: enrolment, intervals, flags and the record around them, read in the caller's REPEATABLE READ transaction.

Interval rows come as one byte string a meter, made by the database from the types' own send functions, straight into numpy columns: no Python object a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import dict_row

from verification import factors_timescale
from verification.case import Certified, Gateway
from verification.claim import Activity, Claim, Conflict, Event, Flag, Meter, Project, Register, Series, Site, plan_of
from verification.evidence.provenance import Counted, Key
from verification.methodology.factors import FactorTable
from verification.period import Period

EPOCH_2000_S = 946_684_800
NEVER_US = -(1 << 63)

CLAIM = "SELECT * FROM claim WHERE claim = %(claim)s"
NOW = "SELECT transaction_timestamp() AS now"
PROJECT = "SELECT * FROM project WHERE project = %(project)s"
MEMBERS = """
SELECT m.activity, m.member, m.applied_on, m.consented_on, m.joined_on, m.left_on, s.id AS site_id, s.site, s.lat, s.lon, s.dc_kw, s.ac_kw,
       s.operation_start, s.exports, s.region, s.pcs_maker, s.pcs_model, s.pcs_serial, s.supply_point, s.battery
FROM member m JOIN site s ON s.id = m.site WHERE m.project = %(project)s ORDER BY m.activity
"""
METERS = """
SELECT m.id, m.meter, m.site, m.register, m.modulus_wh, m.resolution_wh, m.serial, m.specified, m.verified_until, m.calibration, m.two_way, g.gateway
FROM meter m JOIN gateway g ON g.id = m.gateway WHERE m.site = ANY(%(sites)s) ORDER BY m.meter
"""
ADDRESSES = "SELECT member FROM member_person WHERE member = ANY(%(members)s) AND address IS NOT NULL AND address <> ''"
EVENTS = """
SELECT meter, extract(epoch FROM at)::bigint AS at_s, kind, closing_wh, opening_wh, serial FROM meter_event WHERE meter = ANY(%(meters)s)
AND at >= to_timestamp(%(start)s) AND at < to_timestamp(%(end)s) ORDER BY meter, at
"""
FLAGS = """
SELECT meter, extract(epoch FROM start_at)::bigint AS start_s, extract(epoch FROM end_at)::bigint AS end_s, code, level, observed, bound, energy_at_stake_wh,
       rule_set
FROM flag WHERE meter = ANY(%(meters)s) AND end_at > to_timestamp(%(start)s) AND start_at < to_timestamp(%(end)s) ORDER BY meter, start_at, code
"""
CONFLICTS = """
SELECT meter, extract(epoch FROM at)::bigint AS at_s, first_wh, other_wh FROM conflict
WHERE meter = ANY(%(meters)s) AND at BETWEEN to_timestamp(%(start)s) AND to_timestamp(%(end)s) ORDER BY meter, at
"""
INTERVALS = """
SELECT meter, string_agg(
  timestamptz_send(end_at) || int8send(register_wh) || timestamptz_send(COALESCE(start_at, '-infinity')) || int8send(COALESCE(energy_wh, 0)) || int2send(state),
  '' ORDER BY end_at) AS rows
FROM interval WHERE meter = ANY(%(meters)s) AND end_at >= to_timestamp(%(start)s) AND end_at <= to_timestamp(%(end)s) GROUP BY meter
"""
KEYS = """
SELECT k.kid, g.gateway, g.firmware, s.site, k.public_key, (extract(epoch FROM k.enrolled_at) * 1000000)::bigint AS enrolled_us,
       (extract(epoch FROM k.revoked_at) * 1000000)::bigint AS revoked_us
FROM key k JOIN gateway g ON g.id = k.gateway JOIN site s ON s.id = g.site WHERE g.site = ANY(%(sites)s) ORDER BY g.gateway, k.kid
"""
MESSAGES = """
SELECT g.gateway, m.seq, m.hash, m.segment, m.place, m.refused FROM message m JOIN gateway g ON g.id = m.gateway
WHERE g.site = ANY(%(sites)s) ORDER BY m.segment, m.place
"""
CERTIFIED = """
SELECT activity, lower(period) AS start, upper(period) AS end, claim FROM certified WHERE activity = ANY(%(activities)s) AND claim <> %(claim)s
"""
RULE_SETS = "SELECT DISTINCT rule_set FROM interval WHERE meter = ANY(%(meters)s) AND end_at > to_timestamp(%(start)s) AND end_at <= to_timestamp(%(end)s)"
BODIES = "SELECT segment, body FROM evidence WHERE segment = ANY(%(segments)s) ORDER BY segment"

ROW = np.dtype([("end", ">i8"), ("register", ">i8"), ("start", ">i8"), ("energy", ">i8"), ("state", ">i2")])


class NoSuchClaimError(LookupError):
    """There is no claim of this id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A claim and what stands around it, as of `claim.frozen_at`."""

    claim: Claim
    factors: FactorTable
    keys: tuple[Key, ...]
    gateways: tuple[Gateway, ...]
    counted: tuple[Counted, ...]
    certified: tuple[Certified, ...]
    addresses: frozenset[str]
    enrolled_activities: frozenset[str]
    rule_sets: tuple[str, ...]


Rows = list[dict[str, Any]]


def row_of(connection: psycopg.Connection[Any], claim: str, *, lock: bool = False) -> dict[str, Any]:
    """The claim's row, locked for the caller's transaction if asked; NoSuchClaimError."""
    rows = _rows(connection, CLAIM + (" FOR UPDATE" if lock else ""), {"claim": claim})
    if not rows:
        raise NoSuchClaimError(f"there is no claim {claim}; `jcredit claim list` shows them")
    return rows[0]


def snapshot(connection: psycopg.Connection[Any], row: Mapping[str, Any]) -> Snapshot:
    """Read everything about a claim. The transaction must be REPEATABLE READ, so that all of it is of one moment."""
    project, members = project_of(connection, row["project"]), _rows(connection, MEMBERS, {"project": row["project"]})
    sites = [m["site_id"] for m in members]
    meters = _rows(connection, METERS, {"sites": sites})
    period = Period(start=row["start_on"], end=row["end_on"])
    asked = {"meters": [m["id"] for m in meters], "start": period.start_s, "end": period.end_s}
    flags = tuple(Flag(**f) for f in _rows(connection, FLAGS, asked))
    claim = Claim(
        claim=row["claim"],
        project=project,
        period=period,
        plan=plan_of(row["plan"]),
        activities=tuple(_activity(m, [x for x in meters if x["site"] == m["site_id"]]) for m in members),
        series=series(connection, asked),
        flags=flags,
        events=tuple(Event(**e) for e in _rows(connection, EVENTS, asked)),
        conflicts=tuple(Conflict(**c) for c in _rows(connection, CONFLICTS, asked)),
        frozen_at=_rows(connection, NOW, {})[0]["now"],
        created_by=row["created_by"],
    )
    keys = _rows(connection, KEYS, {"sites": sites})
    activities = [m["activity"] for m in members]
    return Snapshot(
        claim=claim,
        factors=factors_timescale.table(connection),
        keys=tuple(Key(**{name: k[name] for name in ("kid", "gateway", "public_key", "enrolled_us", "revoked_us")}) for k in keys),
        gateways=_gateways(keys),
        counted=tuple(Counted(**m) for m in _rows(connection, MESSAGES, {"sites": sites})),
        certified=tuple(
            Certified(activity=c["activity"], period=Period(start=c["start"], end=c["end"]), claim=c["claim"])
            for c in _rows(connection, CERTIFIED, {"activities": activities, "claim": row["claim"]})
        ),
        addresses=frozenset(r["member"] for r in _rows(connection, ADDRESSES, {"members": [m["member"] for m in members]})),
        enrolled_activities=frozenset(activities),
        rule_sets=tuple(sorted({r["rule_set"] for r in _rows(connection, RULE_SETS, asked)} | {f.rule_set for f in flags})),
    )


def project_of(connection: psycopg.Connection[Any], project: str) -> Project:
    """The enrolled project; LookupError."""
    rows = _rows(connection, PROJECT, {"project": project})
    if not rows:
        raise LookupError(f"there is no project {project}; `jcredit enrol` enters one")
    r = rows[0]
    return Project(
        project=r["project"],
        name=r["name"],
        scheme=r["scheme"],
        methodology=r["methodology"],
        operator=r["operator"],
        registration_applied_on=r["registration_applied_on"],
        certified=Period(start=r["certified_from"], end=r["certified_to"]),
        area=r["area"],
    )


def series(connection: psycopg.Connection[Any], asked: Mapping[str, Any]) -> dict[int, Series]:
    """Interval rows of the meters between two instants (edges at both included), by meter."""
    with connection.cursor(binary=True) as cursor:
        return {meter: _series(np.frombuffer(rows, ROW)) for meter, rows in cursor.execute(INTERVALS, asked)}


def _series(rows: NDArray[Any]) -> Series:
    start = rows["start"].astype(np.int64)
    return Series(
        start_s=np.where(start == NEVER_US, -1, start // 1_000_000 + EPOCH_2000_S),
        end_s=rows["end"].astype(np.int64) // 1_000_000 + EPOCH_2000_S,
        register_wh=rows["register"].astype(np.int64),
        energy_wh=rows["energy"].astype(np.int64),
        state=rows["state"].astype(np.int8),
    )


def _activity(member: Mapping[str, Any], meters: Rows) -> Activity:
    site = Site(
        **{name: member[name] for name in ("site", "lat", "lon", "dc_kw", "ac_kw", "operation_start", "exports", "region", "battery")},
        **{name: member[name] for name in ("pcs_maker", "pcs_model", "pcs_serial", "supply_point")},
    )
    return Activity(
        activity=member["activity"],
        member=member["member"],
        site=site,
        **{name: member[name] for name in ("applied_on", "consented_on", "joined_on", "left_on")},
        meters=tuple(_meter(m) for m in meters),
    )


def _meter(m: Mapping[str, Any]) -> Meter:
    names = ("meter", "gateway", "modulus_wh", "resolution_wh", "serial", "specified", "verified_until", "calibration", "two_way")
    return Meter(number=m["id"], register=Register(m["register"]), **{name: m[name] for name in names})


def _gateways(keys: Rows) -> tuple[Gateway, ...]:
    found: dict[str, Rows] = {}
    for key in keys:
        found.setdefault(key["gateway"], []).append(key)
    return tuple(
        Gateway(
            gateway=name,
            site=mine[0]["site"],
            kids=tuple(k["kid"] for k in mine),
            fingerprints=tuple(sha256(k["public_key"]).hexdigest() for k in mine),
            firmware=mine[0]["firmware"],
        )
        for name, mine in found.items()
    )


def _rows(connection: psycopg.Connection[Any], query: str, values: Mapping[str, Any]) -> Rows:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def last_certified_end(certified: Sequence[Certified], before: date) -> date | None:
    """The last day until which one of these was certified, of periods that ended by `before`."""
    return max((c.period.end for c in certified if c.period.end <= before), default=None)
