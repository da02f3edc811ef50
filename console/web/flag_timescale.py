"""Flags as rows: counted by code, or one after the other with observed, bound and energy at stake."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from anomaly import flag
from console.web.language import Speech

A_PAGE = 100

BY_CODE = """
SELECT f.code, f.level, count(*) AS flags, count(DISTINCT m.site) AS sites, sum(f.energy_at_stake_wh)::bigint AS energy_at_stake_wh,
       min(f.start_at) AS first_at, max(f.end_at) AS last_at
FROM flag f LEFT JOIN meter m ON m.id = f.meter GROUP BY f.code, f.level ORDER BY f.level, energy_at_stake_wh DESC, f.code
"""
FLAGS = f"""
SELECT f.code, f.level, f.start_at, f.end_at, f.observed, f.bound, f.energy_at_stake_wh, f.rule_set, m.meter, m.register, s.site
FROM flag f JOIN meter m ON m.id = f.meter JOIN site s ON s.id = m.site
WHERE (%(code)s::text IS NULL OR f.code = %(code)s) AND (%(level)s::text IS NULL OR f.level = %(level)s) AND (%(site)s::text IS NULL OR s.site = %(site)s)
ORDER BY f.energy_at_stake_wh DESC, f.end_at DESC, m.meter LIMIT {A_PAGE} OFFSET %(skip)s
"""


def by_code(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Flags by code and level: how many, at how many sites, and the energy at stake."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(BY_CODE).fetchall()


def flags(
    connection: psycopg.Connection[Any], *, code: str | None = None, level: str | None = None, site: str | None = None, skip: int = 0
) -> list[dict[str, Any]]:
    """A page of flags, the most energy at stake first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(FLAGS, {"code": code, "level": level, "site": site, "skip": skip}).fetchall()


def sentence(row: Mapping[str, Any], say: Speech) -> str:
    """What the flag says in words; nothing for a code that this build's detectors do not have."""
    try:
        code = flag.Code(row["code"])
    except ValueError:
        return ""
    found = flag.Flag(
        code=code,
        level=flag.Level(row["level"]),
        where=row["meter"],
        start=row["start_at"],
        end=row["end_at"],
        observed=row["observed"],
        bound=row["bound"],
        energy_at_stake_wh=row["energy_at_stake_wh"],
        rule_set=row["rule_set"],
    )
    return say.of(*flag.sentences(found))
