"""Slot tests in the stream's worker: one conversation with the database, inside the transaction that wrote the intervals.

Flags are a function of the intervals and conflicts that stand in the database. So a change is judged together with what it is compared with
(the site's other registers at the same edge, both neighbours of a disputed instant), and the flags of all those rows are written anew:
writing twice equals writing once. A new hold also leaves a row in the outbox. Where a site's registers arrive through several gateways,
two workers may write the two halves of a slot at the same time; a lock a site lets the second see the first.
What is enrolled is remembered, within bounds, until another meter is enrolled anywhere.
"""

from bisect import bisect_left
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg

from anomaly.enrolled import Enrolled, Enrolment
from anomaly.row import Dispute, Rows
from anomaly.rules import RULES, Rules
from anomaly.slot import Flags, detect
from stream.interval import HALF_HOUR_S, Changed

NEWEST = "SELECT COALESCE(max(id), 0) FROM meter"

METERS = """
SELECT m.id, m.site, m.register, m.resolution_wh, m.two_way, s.lat, s.lon, s.dc_kw, s.ac_kw, m.gateway
FROM meter m JOIN site s ON s.id = m.site
WHERE m.site IN (SELECT site FROM meter WHERE id = ANY(%(meters)s::int[]))
"""

LOCK_SITES = "SELECT pg_advisory_xact_lock(%(space)s, site) FROM unnest(%(sites)s::int[]) AS site"
LOCK_SPACE = 0x534C4F54  # 'SLOT'

INTERVAL = """i.meter, COALESCE(extract(epoch FROM i.start_at)::bigint, -1), extract(epoch FROM i.end_at)::bigint,
       COALESCE(i.energy_wh, 0), i.state, i.code"""

# The bounds let TimescaleDB leave out chunks.
AT_EDGES = f"""
SELECT {INTERVAL}
FROM unnest(%(meters)s::int[], %(ends)s::bigint[]) AS wanted (meter, end_at)
JOIN interval i ON i.meter = wanted.meter AND i.end_at = to_timestamp(wanted.end_at)
WHERE i.end_at BETWEEN to_timestamp(%(first)s::bigint) AND to_timestamp(%(last)s::bigint)
"""

# The interval that ends at or runs over the instant, and the one that starts at it or runs over it.
AROUND = f"""
SELECT DISTINCT {INTERVAL}
FROM unnest(%(meters)s::int[], %(ats)s::bigint[]) AS disputed (meter, at)
CROSS JOIN LATERAL (
  (SELECT * FROM interval WHERE interval.meter = disputed.meter AND end_at >= to_timestamp(disputed.at) AND start_at IS NOT NULL ORDER BY end_at LIMIT 1)
  UNION ALL
  (SELECT * FROM interval WHERE interval.meter = disputed.meter AND end_at > to_timestamp(disputed.at) AND start_at IS NOT NULL ORDER BY end_at LIMIT 1)
) i
WHERE i.start_at <= to_timestamp(disputed.at)
"""

CONFLICTS = """
SELECT meter, extract(epoch FROM at)::bigint, first_wh, other_wh
FROM conflict
WHERE meter = ANY(%(meters)s::int[]) AND at BETWEEN to_timestamp(%(first)s::bigint) AND to_timestamp(%(last)s::bigint)
  AND first_wh IS NOT NULL AND other_wh IS NOT NULL
"""

# One statement: what is no longer found goes, what is found is written, and a hold that was none before is told.
WRITE = """
WITH found AS MATERIALIZED (
  SELECT meter, to_timestamp(start_at) AS start_at, to_timestamp(end_at) AS end_at, code, level, observed, bound, stake
  FROM unnest(%(meter)s::int[], %(start_at)s::bigint[], %(end_at)s::bigint[], %(code)s::text[], %(level)s::text[],
              %(observed)s::float8[], %(bound)s::float8[], %(stake)s::bigint[]) AS f (meter, start_at, end_at, code, level, observed, bound, stake)
), judged AS (
  SELECT meter, to_timestamp(end_at) AS end_at FROM unnest(%(judged_meter)s::int[], %(judged_end)s::bigint[]) AS j (meter, end_at)
), gone AS (
  DELETE FROM flag USING judged
  WHERE flag.meter = judged.meter AND flag.end_at = judged.end_at
    AND NOT EXISTS (SELECT FROM found WHERE found.meter = flag.meter AND found.end_at = flag.end_at AND found.code = flag.code)
), written AS (
  INSERT INTO flag (meter, start_at, end_at, code, level, observed, bound, energy_at_stake_wh, rule_set)
  SELECT meter, start_at, end_at, code, level, observed, bound, stake, %(rule_set)s FROM found
  ON CONFLICT (meter, end_at, code) DO UPDATE
  SET start_at = EXCLUDED.start_at, level = EXCLUDED.level, observed = EXCLUDED.observed, bound = EXCLUDED.bound,
      energy_at_stake_wh = EXCLUDED.energy_at_stake_wh, rule_set = EXCLUDED.rule_set
)
INSERT INTO outbox (topic, value)
SELECT 'anomaly.v1', jsonb_build_object('v', 1, 'meter', meter.meter, 'start', found.start_at, 'end', found.end_at, 'code', found.code, 'level', found.level,
  'observed_wh', found.observed, 'bound_wh', found.bound, 'energy_at_stake_wh', found.stake, 'rule_set', %(rule_set)s::text)
FROM found
JOIN meter ON meter.id = found.meter
LEFT JOIN flag before ON before.meter = found.meter AND before.end_at = found.end_at AND before.code = found.code
WHERE found.level = 'hold' AND before.level IS DISTINCT FROM 'hold'
ORDER BY found.end_at, found.meter, found.code
"""

LAST_S = 4_102_444_800  # 2100-01-01

Connection = psycopg.AsyncConnection[Any]
Key = tuple[int, int]  # meter, end_at
Interval = tuple[int, int, int, int, int, str]  # meter, start_at, end_at, energy_wh, state, code
Conflict = tuple[int, int, int, int]  # meter, at, first_wh, other_wh


class SlotTests:
    """What the worker calls inside its transaction, after it has written the intervals and conflicts of a batch."""

    def __init__(self, rules: Rules = RULES) -> None:
        self._rules = rules
        self._enrolled, self._newest = Enrolled(), 0

    async def __call__(self, connection: Connection, changed: Changed) -> None:
        keys = set(zip(changed.meter.tolist(), changed.end_at.tolist(), strict=True))
        meters = {meter for meter, _ in keys} | {meter for meter, *_ in changed.conflicts}
        await self._learn(connection, meters)
        more = await self._around(connection, changed.conflicts, keys)
        more += await self._partners(connection, keys | {(row[0], row[2]) for row in more})
        rows = _rows(changed, more, self._enrolled)
        rows = replace(rows, disputes=_disputes(changed, more, await _conflicts(connection, rows, changed, more)))
        found = detect(rows, self._enrolled.table(), self._rules)
        await _write(connection, changed, more, found, rows)

    async def _learn(self, connection: Connection, meters: set[int]) -> None:
        cursor = await connection.execute(NEWEST)
        newest = (await cursor.fetchone() or (0,))[0]
        if newest != self._newest:  # a site that is known may have another meter now
            self._enrolled, self._newest = Enrolled(), newest
        unknown = self._enrolled.unknown(meters)
        if unknown:
            cursor = await connection.execute(METERS, {"meters": sorted(unknown)}, binary=True)
            self._enrolled.learn([Enrolment(*row) for row in await cursor.fetchall()])

    async def _around(self, connection: Connection, conflicts: tuple[Conflict, ...], have: set[Key]) -> list[Interval]:
        """The intervals on both sides of each new conflict."""
        if not conflicts:
            return []
        cursor = await connection.execute(AROUND, {"meters": [c[0] for c in conflicts], "ats": [c[1] for c in conflicts]}, binary=True)
        return [row for row in await cursor.fetchall() if (row[0], row[2]) not in have]

    async def _partners(self, connection: Connection, have: set[Key]) -> list[Interval]:
        """The rows of the same sites and edges that these are compared with."""
        wanted = sorted({(partner, end) for meter, end in have for partner in self._enrolled.partners(meter)} - have)
        if not wanted:
            return []
        split = {site for meter, _ in wanted if (site := self._enrolled.split_site(meter)) is not None}
        if split:
            await connection.execute(LOCK_SITES, {"space": LOCK_SPACE, "sites": sorted(split)})
        ends = [end for _, end in wanted]
        cursor = await connection.execute(AT_EDGES, {"meters": [m for m, _ in wanted], "ends": ends, "first": min(ends), "last": max(ends)}, binary=True)
        return await cursor.fetchall()


async def _conflicts(connection: Connection, rows: Rows, changed: Changed, more: list[Interval]) -> set[Conflict]:
    """All that is known of disputed instants of these rows. Only a row that the stream holds for one, or that runs over edges, can have any."""
    touched = (rows.start_at >= 0) & ((rows.code == "conflict") | (rows.end_at - rows.start_at > HALF_HOUR_S))
    if not touched.any() and not changed.conflicts:
        return set()
    meters = np.append(changed.meter, np.array([row[0] for row in more], np.int64))[touched]
    span = {"first": int(rows.start_at[touched].min(initial=LAST_S)), "last": int(rows.end_at[touched].max(initial=0))}
    cursor = await connection.execute(CONFLICTS, {"meters": np.unique(meters).tolist(), **span}, binary=True)
    return {*await cursor.fetchall(), *changed.conflicts}


def _rows(changed: Changed, more: list[Interval], enrolled: Enrolled) -> Rows:
    meter, start_at, end_at, energy_wh, state, code = zip(*more, strict=True) if more else ((),) * 6
    return Rows(
        meter=enrolled.places([*changed.meter.tolist(), *meter]),
        start_at=np.append(changed.start_at, np.array(start_at, np.int64)),
        end_at=np.append(changed.end_at, np.array(end_at, np.int64)),
        energy_wh=np.append(changed.energy_wh, np.array(energy_wh, np.int64)),
        state=np.append(changed.state, np.array(state, np.int8)),
        code=np.append(changed.code.astype(object), np.array(code, object)),
    )


def _disputes(changed: Changed, more: list[Interval], conflicts: set[Conflict]) -> tuple[Dispute, ...]:
    """Every row whose edges or inside a conflict touches."""
    if not conflicts:
        return ()
    known: dict[int, list[tuple[int, int, int]]] = {}
    for meter, at, first_wh, other_wh in sorted(conflicts):
        known.setdefault(meter, []).append((at, first_wh, other_wh))
    spans = [*zip(changed.meter.tolist(), changed.start_at.tolist(), changed.end_at.tolist(), strict=True), *(row[:3] for row in more)]
    return tuple(
        Dispute(row=n, first_wh=first_wh, other_wh=other_wh, inside=start < at < end)
        for n, (meter, start, end) in enumerate(spans)
        if start >= 0 and meter in known
        for at, first_wh, other_wh in known[meter][bisect_left(known[meter], (start,)) : bisect_left(known[meter], (end + 1,))]
    )


async def _write(connection: Connection, changed: Changed, more: list[Interval], found: Flags, rows: Rows) -> None:
    """Nothing is asked of the database where nothing was found and no row had been judged before."""
    stale = ~changed.fresh
    judged = [*zip(changed.meter[stale].tolist(), changed.end_at[stale].tolist(), strict=True), *((row[0], row[2]) for row in more)]
    if not judged and not len(found.row):
        return
    meters = [*changed.meter.tolist(), *(row[0] for row in more)]
    columns = {
        "meter": [meters[row] for row in found.row],
        "start_at": rows.start_at[found.row].tolist(),
        "end_at": rows.end_at[found.row].tolist(),
        "code": [code.value for code in found.code],
        "level": [level.value for level in found.level],
        "observed": found.observed.tolist(),
        "bound": found.bound.tolist(),
        "stake": found.energy_at_stake_wh.tolist(),
        "judged_meter": [meter for meter, _ in judged],
        "judged_end": [end for _, end in judged],
        "rule_set": found.rule_set,
    }
    await connection.execute(WRITE, columns)
