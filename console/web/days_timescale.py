"""Site-days from the table of intervals: how many half hours were read, spread and held, for calendar strips and for one day.

A row of `interval` ends at an edge that was read and may run over several half hours; each of them is looked at. A flag of level hold holds what it lies on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from console.web.show import JST
from console.web.strip import Cell, Expected

A_PAGE = 50

SITES = f"""
SELECT s.id, s.site, s.region, s.ac_kw, m.activity,
       greatest(s.operation_start, m.joined_on, p.registration_applied_on, p.certified_from) AS start,
       least(m.left_on, p.certified_to, DATE '9999-12-31') AS end,
       array(SELECT gateway FROM gateway g WHERE g.site = s.id ORDER BY 1) AS gateways
FROM site s LEFT JOIN member m ON m.site = s.id LEFT JOIN project p USING (project)
WHERE %(site)s::text IS NULL OR s.site = %(site)s ORDER BY s.site LIMIT {A_PAGE} OFFSET %(skip)s
"""
NEWEST = "SELECT max(end_at) FROM interval"
NOW = "SELECT now()"

# Every half hour of the sites' formula meters in [start, end) that all of them have, by the worst state of any; a hold is as bad as held.
SLOTS = """
WITH m AS MATERIALIZED (SELECT id, site, count(*) OVER (PARTITION BY site) AS needed FROM meter WHERE site = ANY(%(sites)s) AND register <> 'pcs'),
hold AS MATERIALIZED (
  SELECT DISTINCT meter, end_at FROM flag WHERE level = 'hold' AND meter IN (SELECT id FROM m) AND end_at > %(start)s AND start_at < %(end)s),
row AS (
  SELECT m.site, m.needed, i.meter, i.start_at, i.end_at, i.state FROM m JOIN interval i ON i.meter = m.id
  WHERE i.state IN (1, 2, 3) AND i.end_at > %(start)s AND i.end_at <= %(end)s
),
half AS (
  SELECT site, needed, state, start_at AS at, meter, end_at FROM row WHERE end_at - start_at <= interval '30 min'
  UNION ALL
  SELECT site, needed, state, at, meter, end_at FROM (
    SELECT * FROM row WHERE end_at - start_at > interval '30 min'
    UNION ALL
    SELECT m.site, m.needed, i.meter, i.start_at, i.end_at, i.state FROM m CROSS JOIN LATERAL (
      SELECT * FROM interval WHERE meter = m.id AND state IN (1, 2, 3) AND end_at > %(end)s ORDER BY end_at LIMIT 1) AS i
    WHERE i.start_at < %(end)s) AS long
  CROSS JOIN LATERAL generate_series(greatest(start_at, %(start)s), least(end_at, %(end)s) - interval '30 min', interval '30 min') AS at
),
slot AS (
  SELECT site, at, max(CASE WHEN hold.meter IS NOT NULL THEN 3 ELSE state END) AS worst FROM half LEFT JOIN hold USING (meter, end_at)
  GROUP BY site, at HAVING count(*) >= min(needed))
SELECT site, (at AT TIME ZONE 'Asia/Tokyo')::date AS day, count(*) FILTER (WHERE worst = 3) AS held,
       count(*) FILTER (WHERE worst = 2) AS spread, count(*) FILTER (WHERE worst = 1) AS read
FROM slot GROUP BY 1, 2
"""

DAY = """
SELECT m.meter, m.register, i.start_at, i.end_at, i.energy_wh, i.state, i.code, array_remove(array_agg(f.code || ' (' || f.level || ')'), NULL) AS flags
FROM meter m LEFT JOIN interval i ON i.meter = m.id AND i.end_at > %(start)s AND i.end_at <= %(end)s
LEFT JOIN flag f ON f.meter = i.meter AND f.end_at = i.end_at
WHERE m.site = %(site)s GROUP BY m.id, m.meter, m.register, i.start_at, i.end_at, i.energy_wh, i.state, i.code ORDER BY m.register, m.meter, i.end_at
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A site and the days that it is in the programme, `end` exclusive."""

    id: int
    site: str
    region: str | None
    ac_kw: float
    activity: str | None
    start: date
    end: date
    gateways: list[str]

    def expected(self, now: datetime) -> Expected:
        """What should have arrived by now: the half hours that are over."""
        local = now.astimezone(JST)
        return Expected(start=self.start, end=self.end, today=local.date(), over_today=local.hour * 2 + local.minute // 30)


def sites(connection: psycopg.Connection[Any], *, site: str | None = None, skip: int = 0) -> list[Site]:
    """A page of sites by name, or the one named."""
    with connection.cursor(row_factory=class_row(Site)) as cursor:
        return cursor.execute(SITES, {"site": site, "skip": skip}).fetchall()


def days(connection: psycopg.Connection[Any], wanted: Sequence[Site], first: date, end: date) -> Mapping[int, Mapping[date, Cell]]:
    """What was found of each day in [first, end), by site id; a day of which nothing was found is not there."""
    found: dict[int, dict[date, Cell]] = {site.id: {} for site in wanted}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(SLOTS, {"sites": list(found), "start": midnight(first), "end": midnight(end)}):
            found[row["site"]][row["day"]] = Cell(day=row["day"], read=row["read"], spread=row["spread"], held=row["held"])
    return found


def one_day(connection: psycopg.Connection[Any], site: Site, day: date) -> list[dict[str, Any]]:
    """The interval rows that end in a day, by meter; a meter without any has one row of None."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(DAY, {"site": site.id, "start": midnight(day), "end": midnight(day + timedelta(days=1))}).fetchall()


def newest(connection: psycopg.Connection[Any]) -> datetime | None:
    """The end of the newest interval of all."""
    row = connection.execute(NEWEST).fetchone()
    return row[0] if row else None


def now(connection: psycopg.Connection[Any]) -> datetime:
    """The database's clock."""
    row = connection.execute(NOW).fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=JST)
