"""Make all derived state again from evidence, in an empty schema, and compare: the proof that it is derived.

The state in force and the evidence are read in one snapshot, so the product may go on meanwhile. The same code does the work, with the same
detectors; only the evidence itself is not written a second time.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
from psycopg import sql

from stream.timescale import Spot, Store
from stream.work import Detect, Worker

SEGMENTS = """
SELECT e.segment, e.topic_id, e.partition, e."offset", e.body FROM evidence e
JOIN (SELECT topic_id, min(segment) AS first FROM evidence GROUP BY topic_id) t USING (topic_id) ORDER BY t.first, e.partition, e."offset"
"""
COUNT = "SELECT count(*) FROM evidence"
# A digest a group, so that a difference is named by meter and month, or by gateway, and not found by eye.
DIGESTS = {
    "message": """SELECT gateway::text, count(*), md5(string_agg(ROW(seq, hash, segment, place, refused)::text, ' ' ORDER BY seq))
        FROM {}.message GROUP BY 1""",
    "interval": """SELECT meter || ' ' || to_char(end_at AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM'), count(*),
        md5(string_agg(ROW(extract(epoch FROM end_at), register_wh, extract(epoch FROM start_at), energy_wh, state, code, rule_set)::text, ' ' ORDER BY end_at))
        FROM {}.interval GROUP BY 1""",
    "flag": """SELECT meter::text, count(*), md5(string_agg(ROW(extract(epoch FROM start_at), extract(epoch FROM end_at), code, level, observed, bound,
        energy_at_stake_wh, rule_set)::text, ' ' ORDER BY end_at, code)) FROM {}.flag GROUP BY 1""",
    "conflict": """SELECT gateway::text, count(*), md5(string_agg(ROW(seq, segment, place, meter, extract(epoch FROM at), first_wh, other_wh)::text, ' '
        ORDER BY segment, place, meter, at)) FROM {}.conflict GROUP BY 1""",
    "tally": """SELECT what || ' ' || reason, sum(count), '' FROM {}.tally GROUP BY 1""",
}
REJECTED = "SELECT 'refused ' || reason, count(*) FROM rejected GROUP BY 1"

Progress = Callable[[int, int], None]
Groups = dict[str, tuple[int, str]]


class _Replay(Store):
    """A store whose evidence is there already: a segment keeps the number that it has."""

    segment = 0

    async def put_evidence(self, *_: object) -> int:
        return self.segment


async def check(dsn: str, schema_sql: str, detect: Detect | None, progress: Progress = lambda _done, _total: None) -> str | None:
    """None if the state made again from evidence equals the one in force, else the first difference in one sentence.

    `schema_sql` makes the derived tables; they go into the schema `rebuild`, which is dropped afterwards.
    """
    async with await psycopg.AsyncConnection.connect(dsn) as held, await _empty_schema(dsn, schema_sql) as again:
        await held.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        try:
            await _replay(held, again, detect, progress)
            return await _first_difference(held, again)
        finally:
            await again.execute("DROP SCHEMA IF EXISTS rebuild CASCADE")


async def _empty_schema(dsn: str, schema_sql: str) -> psycopg.AsyncConnection[Any]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("DROP SCHEMA IF EXISTS rebuild CASCADE")
        await connection.execute("CREATE SCHEMA rebuild")
    again = await psycopg.AsyncConnection.connect(dsn, autocommit=True, options="-c search_path=rebuild,public -c synchronous_commit=off")
    await again.execute(schema_sql.encode())
    return again


async def _replay(held: psycopg.AsyncConnection[Any], again: psycopg.AsyncConnection[Any], detect: Detect | None, progress: Progress) -> None:
    worker, store, done = Worker(detect), _Replay(again), 0
    total = int((await (await held.execute(COUNT)).fetchone())[0])  # type: ignore[index]
    async for segment, topic_id, partition, offset, body in _segments(held):
        store.segment = segment
        await worker.take(store, Spot(topic_id=topic_id, partition=partition, offset=offset), bytes(body))
        done += 1
        progress(done, total)


async def _segments(held: psycopg.AsyncConnection[Any]) -> AsyncIterator[Any]:
    async with held.cursor("segments") as cursor:
        cursor.itersize = 50
        await cursor.execute(SEGMENTS)
        async for row in cursor:
            yield row


async def _first_difference(held: psycopg.AsyncConnection[Any], again: psycopg.AsyncConnection[Any]) -> str | None:
    for table in DIGESTS:
        mine, made = await _groups(held, "public", table), await _groups(again, "rebuild", table)
        if table == "tally":
            made = _with_rejected(made, dict(await (await held.execute(REJECTED)).fetchall()))
        for key in sorted(mine.keys() | made.keys()):
            if mine.get(key) != made.get(key):
                return f"{table} {key}: {_told(mine.get(key))} in force, {_told(made.get(key))} made again from evidence"
    return None


async def _groups(connection: psycopg.AsyncConnection[Any], schema: str, table: str) -> Groups:
    cursor = await connection.execute(sql.SQL(DIGESTS[table]).format(sql.Identifier(schema)))
    return {key: (int(count), digest) for key, count, digest in await cursor.fetchall()}


def _with_rejected(made: Groups, rejected: dict[str, int]) -> Groups:
    """Messages without a good signature are no evidence: they are counted as they are kept."""
    keys = made.keys() | rejected.keys()
    return {key: (made.get(key, (0, ""))[0] + rejected.get(key, 0), "") for key in keys}


def _told(group: tuple[int, str] | None) -> str:
    return f"{group[0]} rows {group[1][:8]}".rstrip() if group else "no rows"
