"""Factor files in the database: loaded whole by one person, confirmed by another; of each year and kind the newest loaded file is in force."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from verification.methodology.factors import Factor, FactorTable, Kind, parse, sha256
from verification.walk import NotAllowedError

ADD_FILE = """
INSERT INTO factor_file (sha256, name, content, loaded_by) VALUES (%(sha256)s, %(name)s, %(content)s, %(person)s) ON CONFLICT (sha256) DO NOTHING
"""
ADD_FACTOR = """
INSERT INTO factor (sha256, fiscal_year, kind, kg_per_kwh, source) VALUES (%(sha256)s, %(fiscal_year)s, %(kind)s, %(kg_per_kwh)s, %(source)s)
ON CONFLICT DO NOTHING
"""
IN_FORCE = """
SELECT DISTINCT ON (f.fiscal_year, f.kind) f.fiscal_year, f.kind, f.kg_per_kwh, f.source, f.sha256, l.loaded_by, c.person AS confirmed_by, c.confirmed_at
FROM factor f JOIN factor_file l USING (sha256)
LEFT JOIN LATERAL (
  SELECT person, confirmed_at FROM factor_confirmation k WHERE k.sha256 = f.sha256 AND k.person <> l.loaded_by ORDER BY confirmed_at LIMIT 1
) c ON true
ORDER BY f.fiscal_year, f.kind, l.loaded_at DESC
"""
WAITING = """
SELECT l.sha256, l.name, l.loaded_by, l.loaded_at FROM factor_file l
WHERE NOT EXISTS (SELECT FROM factor_confirmation k WHERE k.sha256 = l.sha256 AND k.person <> l.loaded_by) ORDER BY l.loaded_at
"""
CONFIRM = "INSERT INTO factor_confirmation (sha256, person) VALUES (%(sha256)s, %(person)s) ON CONFLICT DO NOTHING"
OTHER_SCHEMES = "SELECT EXISTS (SELECT FROM project WHERE scheme <> 'DEMO')"


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorFile:
    """A file that waits for its second person."""

    sha256: str
    name: str
    loaded_by: str
    loaded_at: datetime


def load(connection: psycopg.Connection[Any], name: str, content: bytes, *, person: str, today: date) -> tuple[Factor, ...]:
    """Store a file's factors, all or nothing; the same bytes again change nothing. FactorFileError names every bad row."""
    factors = parse(name, content, loaded_by=person, today=today)
    digest = sha256(content)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(ADD_FILE, {"sha256": digest, "name": name, "content": content, "person": person})
        cursor.executemany(
            ADD_FACTOR,
            [{"sha256": digest, "fiscal_year": f.fiscal_year, "kind": f.kind, "kg_per_kwh": f.kg_per_kwh, "source": f.source} for f in factors],
        )
    return factors


def table(connection: psycopg.Connection[Any]) -> FactorTable:
    """The factors in force."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return FactorTable(factors=tuple(_factor(row) for row in cursor.execute(IN_FORCE)))


def waiting(connection: psycopg.Connection[Any]) -> tuple[FactorFile, ...]:
    """Files that no second person has confirmed, oldest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return tuple(FactorFile(**row) for row in cursor.execute(WAITING))


def confirm(connection: psycopg.Connection[Any], *, person: str) -> tuple[FactorFile, ...]:
    """Confirm every waiting file that somebody else loaded; NotAllowedError where the only waiting ones are the person's own."""
    with connection.transaction():
        found = waiting(connection)
        others = tuple(f for f in found if f.loaded_by != person)
        if found and not others:
            raise NotAllowedError(f"{person} loaded {', '.join(f.name for f in found)}; a second person has to confirm what one loaded")
        for file in others:
            connection.execute(CONFIRM, {"sha256": file.sha256, "person": person})
    return others


def only_demo(connection: psycopg.Connection[Any]) -> bool:
    """Whether every project here is of the scheme DEMO."""
    row = connection.execute(OTHER_SCHEMES).fetchone()
    return row is not None and not row[0]


def _factor(row: dict[str, Any]) -> Factor:
    return Factor(
        fiscal_year=row["fiscal_year"],
        kind=Kind(row["kind"]),
        kg_per_kwh=Decimal(row["kg_per_kwh"]),
        source=row["source"],
        file_sha256=row["sha256"],
        loaded_by=row["loaded_by"],
        confirmed_by=row["confirmed_by"],
        confirmed_at=row["confirmed_at"],
    )
