"""The enrolment tables of the database: what is known, writing an enrolment, revoking a key.

`enrol` is one transaction, all or nothing. A row that is there with equal values is unchanged, so that enrolling twice equals once; with
other values it is an error that names row and column, for what is enrolled is never rewritten. Only what time itself changes may be renewed: the day
a member left, a gateway's firmware, a meter's verification and calibration. One enrolment at a time: a second waits.
Bridges ask for keys by `changed_at`, so it is set last and by the clock: a long enrolment would otherwise be older than their last look.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

import psycopg
from psycopg.rows import class_row

from ingest.enrolment import bad
from ingest.enrolment_row import BadRow, Enrolment, EnrolmentErrors, Known, Row, shown, text

MANY = 1000
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('jcredit enrolment'))"

KNOWN_PROJECTS = "SELECT project FROM project"
KNOWN_SITES = "SELECT site FROM site"
KNOWN_GATEWAYS = "SELECT g.gateway, s.site FROM gateway g JOIN site s ON s.id = g.site"
KNOWN_METERS = "SELECT meter, modulus_wh FROM meter"

REVOKED = """
SELECT i.n, 'kid', 'was revoked at ' || k.revoked_at || ', and a revoked kid never returns: enrol a new key under a new kid'
FROM incoming_key i JOIN key k USING (kid) WHERE k.revoked_at IS NOT NULL
"""
SHARED_KEY = """
SELECT i.n, 'public_key', 'is the public key of ' || k.kid || ' already: every kid has its own'
FROM incoming_key i JOIN key k ON k.public_key = i.public_key AND k.kid <> i.kid
"""
TAKEN_SITE = """
SELECT i.n, 'site', i.site || ' is the site of activity ' || m.activity || ' already'
FROM incoming_member i JOIN site s USING (site) JOIN member m ON m.site = s.id AND m.activity <> i.activity
"""
TOUCH = """
WITH touched AS (
  SELECT gateway FROM key WHERE enrolled_at = now()
  UNION SELECT gateway FROM meter WHERE enrolled_at = now()
  UNION SELECT m.gateway FROM meter_event e JOIN meter m ON m.id = e.meter WHERE e.written_at = now()
), gateways AS (
  UPDATE gateway SET changed_at = clock_timestamp() FROM touched WHERE gateway.id = touched.gateway AND gateway.enrolled_at <> now()
)
UPDATE key SET changed_at = clock_timestamp() FROM touched WHERE key.gateway = touched.gateway AND key.enrolled_at <> now()
"""
REVOKE = """
UPDATE key SET (revoked_at, revoked_reason, changed_at) = (SELECT COALESCE(revoked_at, at), %(reason)s, at FROM clock_timestamp() AS at)
WHERE kid = %(kid)s AND revoked_reason IS NULL
"""
REVOKED_KEY = "SELECT kid, revoked_at, revoked_reason AS reason FROM key WHERE kid = %(kid)s"
FILLED_ONCE = "it is filled once"
NOT_EMPTIED = "it may be renewed but not emptied"
ONLY_LATER = "it may be renewed to a later day"
NEVER = "what is enrolled is never rewritten"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """How rows get into one table. `columns` are name and type as files say them, the first `keys` of them name a row; `stored` gives
    what is there in the same words; `insert` adds what comes; `renews` says of a column when what comes (`i`) may take the place of what is
    there (`s`), and that rule in words; `secret` columns are never repeated in a message."""

    name: str
    columns: Mapping[str, str]
    rows: Callable[[Enrolment], Iterable[Row]]
    stored: str
    insert: str
    keys: int = 1
    renews: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    secret: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


PROJECT = Table(
    name="project",
    columns={
        "project": "text",
        "name": "text",
        "scheme": "text",
        "methodology": "text",
        "operator": "text",
        "registration_applied_on": "date",
        "certified_from": "date",
        "certified_to": "date",
        "area": "text",
    },
    rows=lambda enrolment: enrolment.projects,
    stored="SELECT * FROM project",
    insert="""
    INSERT INTO project (project, name, scheme, methodology, operator, registration_applied_on, certified_from, certified_to, area)
    SELECT i.project, i.name, i.scheme, i.methodology, i.operator, i.registration_applied_on, i.certified_from, i.certified_to, i.area
    FROM incoming_project i
    """,
)
SITE = Table(
    name="site",
    columns={
        "site": "text",
        "lat": "float8",
        "lon": "float8",
        "alt": "float8",
        "dc_kw": "float8",
        "ac_kw": "float8",
        "tilt": "float8",
        "azimuth": "float8",
        "operation_start": "date",
        "exports": "boolean",
        "region": "text",
        "pcs_maker": "text",
        "pcs_model": "text",
        "pcs_serial": "text",
        "supply_point": "text",
        "battery": "text",
    },
    rows=lambda enrolment: enrolment.sites,
    stored="SELECT * FROM site",
    insert="""
    INSERT INTO site (site, lat, lon, alt, dc_kw, ac_kw, tilt, azimuth, operation_start, exports,
                      region, pcs_maker, pcs_model, pcs_serial, supply_point, battery)
    SELECT i.site, i.lat, i.lon, i.alt, i.dc_kw, i.ac_kw, i.tilt, i.azimuth, i.operation_start, i.exports,
           i.region, i.pcs_maker, i.pcs_model, i.pcs_serial, i.supply_point, i.battery
    FROM incoming_site i ORDER BY i.n
    """,
)
MEMBER = Table(
    name="member",
    columns={
        "activity": "text",
        "member": "text",
        "project": "text",
        "site": "text",
        "applied_on": "date",
        "consented_on": "date",
        "joined_on": "date",
        "left_on": "date",
    },
    rows=lambda enrolment: enrolment.members,
    stored="SELECT m.activity, m.member, m.project, s.site, m.applied_on, m.consented_on, m.joined_on, m.left_on FROM member m JOIN site s ON s.id = m.site",
    insert="""
    INSERT INTO member (activity, member, project, site, applied_on, consented_on, joined_on, left_on)
    SELECT i.activity, i.member, i.project, s.id, i.applied_on, i.consented_on, i.joined_on, i.left_on
    FROM incoming_member i LEFT JOIN site s USING (site)
    """,
    renews={"left_on": ("s.left_on IS NULL", FILLED_ONCE)},
    refusals=(TAKEN_SITE,),
)
PERSON = Table(
    name="member_person",
    columns={"member": "text", "name": "text", "address": "text"},
    rows=lambda enrolment: {m.member: m for m in enrolment.members if m.name or m.address}.values(),
    stored="SELECT * FROM member_person",
    insert="""
    INSERT INTO member_person (member, name, address)
    SELECT i.member, i.name, i.address
    FROM incoming_member_person i
    """,
    secret=("name", "address"),
)
GATEWAY = Table(
    name="gateway",
    columns={"gateway": "text", "site": "text", "firmware": "text"},
    rows=lambda enrolment: {g.gateway: g for g in enrolment.gateways}.values(),
    stored="SELECT g.gateway, s.site, g.firmware FROM gateway g JOIN site s ON s.id = g.site",
    insert="""
    INSERT INTO gateway (gateway, site, firmware)
    SELECT i.gateway, s.id, i.firmware
    FROM incoming_gateway i LEFT JOIN site s USING (site) ORDER BY i.n
    """,
    renews={"firmware": ("i.firmware IS NOT NULL", NOT_EMPTIED)},
)
METER = Table(
    name="meter",
    columns={
        "meter": "text",
        "site": "text",
        "gateway": "text",
        "register": "text",
        "modulus_wh": "bigint",
        "serial": "text",
        "resolution_wh": "bigint",
        "specified": "boolean",
        "verified_until": "date",
        "calibration": "text",
        "two_way": "boolean",
    },
    rows=lambda enrolment: enrolment.meters,
    stored="""
    SELECT m.meter, s.site, g.gateway, m.register, m.modulus_wh, m.serial, m.resolution_wh, m.specified, m.verified_until, m.calibration, m.two_way
    FROM meter m JOIN site s ON s.id = m.site JOIN gateway g ON g.id = m.gateway
    """,
    insert="""
    INSERT INTO meter (meter, site, gateway, register, modulus_wh, serial, resolution_wh, specified, verified_until, calibration, two_way)
    SELECT i.meter, s.id, g.id, i.register, i.modulus_wh, i.serial, i.resolution_wh, i.specified, i.verified_until, i.calibration, i.two_way
    FROM incoming_meter i LEFT JOIN site s USING (site) LEFT JOIN gateway g ON g.gateway = i.gateway
    ORDER BY i.n
    """,
    renews={
        "verified_until": ("s.verified_until IS NULL OR i.verified_until > s.verified_until", ONLY_LATER),
        "calibration": ("i.calibration IS NOT NULL", NOT_EMPTIED),
    },
)
EVENT = Table(
    name="meter_event",
    columns={"meter": "text", "at": "timestamptz", "kind": "text", "closing_wh": "bigint", "opening_wh": "bigint", "serial": "text"},
    keys=2,
    rows=lambda enrolment: enrolment.events,
    stored="SELECT m.meter, e.at, e.kind, e.closing_wh, e.opening_wh, e.serial FROM meter_event e JOIN meter m ON m.id = e.meter",
    insert="""
    INSERT INTO meter_event (meter, at, kind, closing_wh, opening_wh, serial)
    SELECT m.id, i.at, i.kind, i.closing_wh, i.opening_wh, i.serial
    FROM incoming_meter_event i LEFT JOIN meter m USING (meter)
    """,
)
KEY = Table(
    name="key",
    columns={"kid": "text", "gateway": "text", "public_key": "bytea"},
    rows=lambda enrolment: enrolment.gateways,
    stored="SELECT k.kid, g.gateway, k.public_key FROM key k JOIN gateway g ON g.id = k.gateway",
    insert="""
    INSERT INTO key (kid, gateway, public_key, changed_at)
    SELECT i.kid, g.id, i.public_key, clock_timestamp()
    FROM incoming_key i LEFT JOIN gateway g USING (gateway)
    """,
    secret=("public_key",),
    refusals=(REVOKED, SHARED_KEY),
)
TABLES = (PROJECT, SITE, MEMBER, PERSON, GATEWAY, METER, EVENT, KEY)  # in the order of their references; keys last, for changed_at


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Rows a table of the database: `added` now, `renewed` in a column that may be, `unchanged` because they were there."""

    added: Mapping[str, int]
    renewed: Mapping[str, int]
    unchanged: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Revocation:
    """A key that has ended: when, and why in the words of the person who ended it."""

    kid: str
    revoked_at: datetime
    reason: str


class UnknownKeyError(LookupError):
    """No key has this kid."""


def known(connection: psycopg.Connection) -> Known:
    """What rows to come may refer to."""
    return Known(
        projects=frozenset(project for (project,) in connection.execute(KNOWN_PROJECTS)),
        sites=frozenset(site for (site,) in connection.execute(KNOWN_SITES)),
        gateways=dict(connection.execute(KNOWN_GATEWAYS).fetchall()),
        meters=dict(connection.execute(KNOWN_METERS).fetchall()),
    )


def enrol(connection: psycopg.Connection, enrolment: Enrolment, *, dry_run: bool = False) -> Counts:
    """Write all of it or nothing; a dry run does the same and takes it back. Raises EnrolmentErrors where the database has other values."""
    with connection.transaction(force_rollback=dry_run), incoming(connection, enrolment) as rows:
        errors = tuple(disagreements(connection, rows))
        if errors:
            raise EnrolmentErrors(errors, sound=enrolment)
        renewed = {table.name: connection.execute(renew(table)).rowcount if table.renews else 0 for table in TABLES}
        unchanged = {table.name: connection.execute(set_aside(table)).rowcount - renewed[table.name] for table in TABLES}
        added = {table.name: add(connection, table) for table in TABLES}
        connection.execute(TOUCH)
    return Counts(added=added, renewed=renewed, unchanged=unchanged)


def renew(table: Table) -> str:
    """Write the columns that may be renewed where they came with another value; that they may, `disagreements` has seen."""
    key = next(iter(table.columns))
    values = ", ".join(f"{name} = i.{name}" for name in table.renews)
    other = " OR ".join(f"s.{name} IS DISTINCT FROM i.{name}" for name in table.renews)
    return f"UPDATE {table.name} s SET {values} FROM incoming_{table.name} i WHERE s.{key} = i.{key} AND ({other})"


def set_aside(table: Table) -> str:
    """Take the rows that are there already out of what comes. Not left to the insert: it might read again and again what it is writing."""
    same = " AND ".join(f"i.{name} = s.{name}" for name in list(table.columns)[: table.keys])
    return f"DELETE FROM incoming_{table.name} i USING ({table.stored}) s WHERE {same}"


def add(connection: psycopg.Connection, table: Table) -> int:
    """Insert what is left; of many rows the planner must know before the next table is joined to them, or it takes the table for empty."""
    added = connection.execute(table.insert).rowcount
    if added >= MANY:
        connection.execute(f"ANALYZE {table.name}")
    return added


def refused(connection: psycopg.Connection, enrolment: Enrolment) -> tuple[BadRow, ...]:
    """What `enrol` would refuse of these rows, for whoever lists it beside what is wrong with others."""
    with connection.transaction(force_rollback=True), incoming(connection, enrolment) as rows:
        return tuple(disagreements(connection, rows))


def revoke(connection: psycopg.Connection, kid: str, reason: str) -> Revocation:
    """End a key, now, by the database's clock; a key that has ended keeps its time and reason. Raises UnknownKeyError; ValueError without a reason."""
    if not text(reason).strip():
        raise ValueError("say why the key is revoked: the reason is empty")
    with connection.transaction():
        connection.execute(REVOKE, {"kid": kid, "reason": reason})
        with connection.cursor(row_factory=class_row(Revocation)) as cursor:
            revocation = cursor.execute(REVOKED_KEY, {"kid": kid}).fetchone()
    if revocation is None:
        raise UnknownKeyError(f"no key {shown(kid)} is enrolled")
    return revocation


@contextmanager
def incoming(connection: psycopg.Connection, enrolment: Enrolment) -> Iterator[Mapping[str, Sequence[Row]]]:
    """Temporary tables `incoming_…`, for as long as the caller looks at them; each row has its number `n` in the sequence given back."""
    connection.execute(ONE_AT_A_TIME)
    rows = {table.name: tuple(table.rows(enrolment)) for table in TABLES}
    for table in TABLES:
        bring(connection, table, rows[table.name])
    yield rows
    for table in TABLES:
        connection.execute(f"DROP TABLE incoming_{table.name}")


def bring(connection: psycopg.Connection, table: Table, rows: Sequence[Row]) -> None:
    values = attrgetter(*table.columns)
    connection.execute(f"CREATE TEMPORARY TABLE incoming_{table.name} (n int, {', '.join(f'{name} {kind}' for name, kind in table.columns.items())})")
    with connection.cursor() as cursor, cursor.copy(f"COPY incoming_{table.name} FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", *table.columns.values()])
        for n, row in enumerate(rows):
            copy.write_row((n, *values(row)))
    connection.execute(f"ANALYZE incoming_{table.name}")


def disagreements(connection: psycopg.Connection, rows: Mapping[str, Sequence[Row]]) -> Iterator[BadRow]:
    for table in TABLES:
        for refusal in table.refusals:
            for n, column, reason in connection.execute(refusal):
                yield bad(rows[table.name][n], column, reason)
        for n, *both in connection.execute(different(table)):
            yield from rewritten(table, rows[table.name][n], both)


def different(table: Table) -> str:
    """Rows that are there with other values, a renewal counted as none: `n`, the values that come, the values that are there."""
    here, there = ", ".join(comes(table, name) for name in table.columns), ", ".join(f"s.{name}" for name in table.columns)
    keys = ", ".join(list(table.columns)[: table.keys])
    return f"SELECT i.n, {here}, {there} FROM incoming_{table.name} i JOIN ({table.stored}) s USING ({keys}) WHERE ({here}) IS DISTINCT FROM ({there})"


def comes(table: Table, column: str) -> str:
    may_be_renewed, _ = table.renews.get(column, ("", ""))
    return f"CASE WHEN {may_be_renewed} THEN s.{column} ELSE i.{column} END" if may_be_renewed else f"i.{column}"


def rewritten(table: Table, row: Row, both: Sequence[Any]) -> Iterator[BadRow]:
    size = len(table.columns)
    for column, here, there in zip(table.columns, both[:size], both[size:], strict=True):
        if here != there:
            _, rule = table.renews.get(column, ("", NEVER))
            values = "another value is enrolled" if column in table.secret else f"{here} here, {there} enrolled"
            yield bad(row, column, f"{values}; {rule}")
