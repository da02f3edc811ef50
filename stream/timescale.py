"""One conversation with TimescaleDB: what the worker knows of the register and of the past, and what a segment writes.

Writes are batches: binary COPY for rows that are new by construction, `INSERT … ON CONFLICT` for those that may stand already. Names are
not qualified, so that `rebuild` can run the same code in a schema of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from stream.halfhours import Ordinary, Stored, Tail, tail_of
from stream.interval import RULE_SET, Edge, Event, Register, Row, State
from stream.settlement import Chain

EPOCH_2000_S = 946_684_800
COPY_HEAD, COPY_TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"

GATEWAYS = "SELECT id, gateway FROM gateway WHERE gateway = ANY(%s)"
SILENT = """
SELECT g.gateway FROM gateway g WHERE NOT EXISTS (SELECT FROM message m WHERE m.gateway = g.id) ORDER BY g.id DESC LIMIT %s
"""
METERS = """
SELECT m.id, m.meter, m.gateway, m.register, m.modulus_wh, m.resolution_wh, m.two_way, 1000 * greatest(s.ac_kw, s.dc_kw)
FROM meter m JOIN site s ON s.id = m.site WHERE m.gateway = ANY(%s)
"""
EVENTS = """
SELECT meter, extract(epoch FROM at)::bigint, kind, closing_wh, opening_wh FROM meter_event
WHERE meter = ANY(%s) AND taken_up_at IS NOT NULL ORDER BY meter, at
"""
NEW_EVENTS = """
SELECT DISTINCT g.gateway, e.meter FROM meter_event e JOIN meter m ON m.id = e.meter JOIN gateway g ON g.id = m.gateway WHERE e.taken_up_at IS NULL
"""
TAKE_UP = "UPDATE meter_event SET taken_up_at = now() WHERE meter = %s AND taken_up_at IS NULL RETURNING extract(epoch FROM at)::bigint"
BOOKMARKS = "SELECT gateway, settled_seq FROM chain WHERE gateway = ANY(%s)"
CHAINS = """
SELECT m.gateway, m.seq, m.hash, m.refused FROM unnest(%s::int[], %s::bigint[]) AS b (gateway, seq)
JOIN message m ON m.gateway = b.gateway AND m.seq >= b.seq ORDER BY m.gateway, m.seq
"""
TAILS = """
SELECT w.meter, l.end_at, l.register_wh, l.state FROM unnest(%s::int[]) AS w (meter)
JOIN LATERAL (
  SELECT extract(epoch FROM end_at)::bigint AS end_at, register_wh, state FROM interval i WHERE i.meter = w.meter ORDER BY i.end_at DESC LIMIT 49
) l ON true
ORDER BY w.meter, l.end_at
"""
MOVE = """
INSERT INTO position AS p (topic_id, partition, next_offset) VALUES (%(topic_id)s, %(partition)s, %(offset)s + 1)
ON CONFLICT (topic_id, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset WHERE p.next_offset <= %(offset)s
"""
HOLD = "SELECT next_offset FROM position WHERE topic_id = %(topic_id)s AND partition = %(partition)s FOR UPDATE"
EVIDENCE = """
INSERT INTO evidence (topic_id, partition, "offset", messages, received_at, body)
VALUES (%(topic_id)s, %(partition)s, %(offset)s, %(messages)s, to_timestamp(%(received_us)s / 1e6), %(body)s) RETURNING segment
"""
KNOWN = """
SELECT m.gateway, m.seq, m.hash FROM unnest(%s::int[], %s::bigint[]) AS w (gateway, seq) JOIN message m USING (gateway, seq)
"""
MESSAGES = "COPY message (gateway, seq, hash, segment, place, refused) FROM STDIN (FORMAT binary)"
REFUSED = "UPDATE message SET refused = %s WHERE gateway = %s AND seq = %s"
INTERVALS = "COPY interval (meter, end_at, register_wh, start_at, energy_wh, state, rule_set) FROM STDIN (FORMAT binary)"
OPENINGS = "COPY interval (meter, end_at, register_wh, state, rule_set) FROM STDIN (FORMAT binary)"
JUDGED = """
INSERT INTO interval AS i (meter, end_at, register_wh, start_at, energy_wh, state, code, rule_set)
SELECT meter, to_timestamp(end_at), register_wh, to_timestamp(start_at), energy_wh, state, code, %s
FROM unnest(%s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::text[])
  AS r (meter, end_at, register_wh, start_at, energy_wh, state, code)
ON CONFLICT (meter, end_at) DO UPDATE SET start_at = EXCLUDED.start_at, energy_wh = EXCLUDED.energy_wh, state = EXCLUDED.state,
  code = EXCLUDED.code, rule_set = EXCLUDED.rule_set
"""
AROUND = """
SELECT i.meter, extract(epoch FROM i.end_at)::bigint, i.register_wh,
  i.state IN (0, 1, 2) AND i.code = '' AND NOT EXISTS (SELECT FROM conflict c WHERE c.meter = i.meter AND c.at = i.end_at)
FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS n (meter, first, last)
JOIN LATERAL (
  SELECT COALESCE((SELECT max(end_at) FROM interval WHERE meter = n.meter AND end_at <= to_timestamp(n.first)), to_timestamp(n.first)) AS since,
    COALESCE((SELECT min(end_at) FROM interval WHERE meter = n.meter AND end_at >= to_timestamp(n.last)), to_timestamp(n.last)) AS upto
) w ON true
JOIN LATERAL (SELECT * FROM interval i WHERE i.meter = n.meter AND i.end_at BETWEEN w.since AND w.upto) i ON true
"""
BEFORE = """
SELECT extract(epoch FROM max(end_at))::bigint FROM interval WHERE meter = %s AND end_at <= to_timestamp(%s) AND state IN (0, 1, 2)
"""
WINDOW = """
SELECT extract(epoch FROM i.end_at)::bigint, i.register_wh, extract(epoch FROM i.start_at)::bigint, i.energy_wh, i.state, i.code,
  EXISTS (SELECT FROM conflict c WHERE c.meter = i.meter AND c.at = i.end_at)
FROM interval i WHERE i.meter = %s AND i.end_at >= to_timestamp(%s) ORDER BY i.end_at
"""
CONFLICT = """
INSERT INTO conflict (gateway, seq, segment, place, meter, at, first_wh, other_wh) VALUES (%s, %s, %s, %s, %s, to_timestamp(%s), %s, %s)
ON CONFLICT DO NOTHING
"""
BOOKMARK = """
INSERT INTO chain (gateway, settled_seq) SELECT * FROM unnest(%s::int[], %s::bigint[])
ON CONFLICT (gateway) DO UPDATE SET settled_seq = EXCLUDED.settled_seq WHERE chain.settled_seq < EXCLUDED.settled_seq
"""
TALLY = """
INSERT INTO tally AS t (partition, what, reason, count) VALUES (%s, %s, %s, %s)
ON CONFLICT (partition, what, reason) DO UPDATE SET count = t.count + EXCLUDED.count
"""
REJECTED = """
INSERT INTO rejected (topic_id, partition, "offset", reason, detail, origin, received_at, value)
VALUES (%s, %s, %s, %s, %s, %s, to_timestamp(%s / 1e6), %s) ON CONFLICT DO NOTHING
"""
ATTEMPT = """
INSERT INTO unread AS u (topic_id, partition, "offset", attempts, error) VALUES (%(topic_id)s, %(partition)s, %(offset)s, 1, %(error)s)
ON CONFLICT (topic_id, partition, "offset") DO UPDATE SET attempts = u.attempts + 1, error = EXCLUDED.error, at = now() RETURNING attempts
"""
PASS_OVER = """
UPDATE unread SET passed_over = true, body = %(body)s WHERE topic_id = %(topic_id)s AND partition = %(partition)s AND "offset" = %(offset)s
"""
ALARM = "INSERT INTO outbox (topic, value) VALUES ('anomaly.v1', %s)"

Record = tuple[tuple[str, str], ...]


def _dtype(*columns: tuple[str, str]) -> np.dtype[Any]:
    """A binary COPY tuple: the number of columns, then length and value of each."""
    fields: list[tuple[str, str]] = [("n", ">i2")]
    for name, kind in columns:
        fields += [(f"{name}_size", ">i4"), (name, kind)]
    return np.dtype(fields)


RULE_SET_BYTES = RULE_SET.encode()
_RULE_SET = ("rule_set", f"S{len(RULE_SET_BYTES)}")
INTERVAL_ROW = _dtype(("meter", ">i4"), ("end_at", ">i8"), ("register_wh", ">i8"), ("start_at", ">i8"), ("energy_wh", ">i8"), ("state", ">i2"), _RULE_SET)
OPENING_ROW = _dtype(("meter", ">i4"), ("end_at", ">i8"), ("register_wh", ">i8"), ("state", ">i2"), _RULE_SET)
MESSAGE_ROW = np.dtype([*_dtype(("gateway", ">i4"), ("seq", ">i8"), ("hash", "V32"), ("segment", ">i8"), ("place", ">i2")).descr, ("refused_size", ">i4")])


def copy_rows(dtype: np.dtype[Any], **columns: Any) -> bytes:
    """Columns of equal length as the body of a binary COPY."""
    size = len(next(iter(columns.values())))
    rows = np.zeros(size, dtype)
    names = [name for name in dtype.names or () if name != "n" and not name.endswith("_size")]
    rows["n"] = len(names) + ("refused_size" in (dtype.names or ()))
    for name in names:
        rows[f"{name}_size"] = dtype[name].itemsize
        rows[name] = columns[name]
    if "refused_size" in (dtype.names or ()):
        rows["refused_size"] = -1
    return COPY_HEAD + rows.tobytes() + COPY_TAIL


def _instants(at_s: NDArray[np.int64]) -> NDArray[np.int64]:
    return (at_s - EPOCH_2000_S) * 1_000_000


@dataclass(kw_only=True, slots=True)
class Known:
    """What is enrolled of a gateway: its id and those of its meters."""

    id: int
    meters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """Where a record lies in Kafka."""

    topic_id: UUID
    partition: int
    offset: int

    def values(self) -> dict[str, Any]:
        return {"topic_id": self.topic_id, "partition": self.partition, "offset": self.offset}


class Store:
    """Reads and writes over one connection; a transaction is the caller's."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection

    async def _all(self, query: str, *values: Any) -> list[Any]:
        return await (await self.connection.execute(query, values)).fetchall()

    async def silent(self, most: int) -> list[str]:
        """Gateways that have never sent, the newest first."""
        return [name for (name,) in await self._all(SILENT, most)]

    async def gateways(self, names: Sequence[str]) -> tuple[dict[str, Known], dict[int, Register]]:
        """What is enrolled of these gateways, and the registers of their meters by id."""
        known = {name: Known(id=number) for number, name in await self._all(GATEWAYS, list(names))}
        by_id = {one.id: one for one in known.values()}
        rows = await self._all(METERS, list(by_id))
        events = await self.events([row[0] for row in rows])
        registers = {}
        for number, name, gateway, register, modulus_wh, resolution_wh, two_way, rated_w in rows:
            by_id[gateway].meters[name] = number
            registers[number] = Register(
                rated_w=rated_w,
                modulus_wh=modulus_wh,
                resolution_wh=resolution_wh,
                two_way=two_way,
                safe_low=register in ("generation", "pcs"),
                events=tuple(events.get(number, ())),
            )
        return known, registers

    async def events(self, meters: list[int]) -> dict[int, list[Event]]:
        found: dict[int, list[Event]] = {}
        for meter, at, kind, closing_wh, opening_wh in await self._all(EVENTS, meters):
            found.setdefault(meter, []).append(Event(at=at, kind=kind, closing_wh=closing_wh, opening_wh=opening_wh))
        return found

    async def new_events(self) -> list[tuple[str, int]]:
        """(gateway, meter) of records that no row has been judged with yet."""
        return await self._all(NEW_EVENTS)

    async def take_up_events(self, meter: int) -> int | None:
        """From now on the meter's rows are judged with all its records; the instant of the first new one, None if there is none."""
        return min((at for (at,) in await self._all(TAKE_UP, meter)), default=None)

    async def chains(self, gateways: list[int]) -> dict[int, Chain]:
        """Where these chains stand, read from the last bookmark on."""
        marks = dict.fromkeys(gateways, -1) | dict(await self._all(BOOKMARKS, gateways))
        chains = {gateway: Chain(seq=mark - 1) if mark > 0 else Chain() for gateway, mark in marks.items()}
        for gateway, seq, digest, refused in await self._all(CHAINS, list(marks), [max(mark, 0) for mark in marks.values()]):
            chains[gateway].take(seq, bytes(digest), refused)
        return chains

    async def tails(self, registers: dict[int, Register]) -> dict[int, Tail]:
        """The last edge of each of these meters, read with the day before it."""
        rows: dict[int, list[Row]] = {meter: [] for meter in registers}
        for meter, end, register_wh, state in await self._all(TAILS, list(registers)):
            code = "above-cap" if state == State.HELD else ""
            rows[meter].append(Row(end=end, register_wh=register_wh, start=None, energy_wh=None, state=State(state), code=code))
        tails = {meter: tail_of(mine, registers[meter]) for meter, mine in rows.items()}
        for meter, mine in rows.items():
            if mine and mine[-1].state is State.HELD:
                tails[meter].odd_until = 1 << 62
        return tails

    async def move(self, spot: Spot) -> bool:
        """Move the position past this record; False if it is done already, or somebody else's."""
        return (await self.connection.execute(MOVE, spot.values())).rowcount == 1

    async def hold(self, spot: Spot) -> int | None:
        """Keep other workers from writing of this partition until the transaction ends; the next offset to be done, None before the first."""
        row = await (await self.connection.execute(HOLD, spot.values())).fetchone()
        return None if row is None else int(row[0])

    async def put_evidence(self, spot: Spot, body: bytes, messages: int, received_us: int) -> int:
        cursor = await self.connection.execute(EVIDENCE, spot.values() | {"messages": messages, "received_us": received_us, "body": body})
        row = await cursor.fetchone()
        return int(row[0])  # type: ignore[index]

    async def hashes(self, places: list[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """The hash of the message that counts at each (gateway, seq)."""
        rows = await self._all(KNOWN, [g for g, _ in places], [s for _, s in places])
        return {(gateway, seq): bytes(digest) for gateway, seq, digest in rows}

    async def _copy(self, statement: str, body: bytes) -> None:
        async with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            await copy.write(body)

    async def put_messages(self, segment: int, gateway: list[int], seq: list[int], digest: list[bytes], place: list[int]) -> None:
        hashes = np.frombuffer(b"".join(digest), "V32")
        await self._copy(MESSAGES, copy_rows(MESSAGE_ROW, gateway=gateway, seq=seq, hash=hashes, segment=np.full(len(gateway), segment), place=place))

    async def put_refused(self, refused: list[tuple[str, int, int]]) -> None:
        await self._many(REFUSED, refused)

    async def put_ordinary(self, rows: Ordinary) -> None:
        """Rows that can not stand yet."""
        for opening, statement, dtype in ((False, INTERVALS, INTERVAL_ROW), (True, OPENINGS, OPENING_ROW)):
            pick = rows.opening == opening
            if not pick.any():
                continue
            columns = {"meter": rows.meter[pick], "end_at": _instants(rows.end_at[pick]), "register_wh": rows.register_wh[pick], "state": rows.state[pick]}
            if not opening:
                columns |= {"start_at": _instants(rows.start_at[pick]), "energy_wh": rows.energy_wh[pick]}
            await self._copy(statement, copy_rows(dtype, **columns, rule_set=np.full(int(pick.sum()), RULE_SET_BYTES)))

    async def put_judged(self, rows: list[tuple[int, Row]]) -> None:
        columns: list[list[Any]] = [
            [meter for meter, _ in rows],
            [r.end for _, r in rows],
            [r.register_wh for _, r in rows],
            [r.start for _, r in rows],
            [r.energy_wh for _, r in rows],
            [int(r.state) for _, r in rows],
            [r.code for _, r in rows],
        ]
        await self.connection.execute(JUDGED, [RULE_SET, *columns])

    async def around(self, news: dict[int, list[tuple[int, int]]]) -> Stored:
        """Of each meter the rows from the last at or before its new edges (at, register_wh) to the first at or after them."""
        spans = [(meter, min(at for at, _ in pairs), max(at for at, _ in pairs)) for meter, pairs in sorted(news.items())]
        cursor = await self.connection.execute(AROUND, [list(column) for column in zip(*spans, strict=True)], binary=True)
        rows = np.array(await cursor.fetchall(), np.int64).reshape(-1, 4)
        return Stored(meter=rows[:, 0], end_at=rows[:, 1], register_wh=rows[:, 2], plain=rows[:, 3].astype(np.bool_))

    async def window(self, meter: int, since: int) -> tuple[list[Row], list[Edge]]:
        """Stored rows from the last believed edge at or before `since` (Unix s) to the end, and the same as edges."""
        found = await self._all(BEFORE, meter, since)
        first = found[0][0] if found[0][0] is not None else 0
        rows, edges = [], []
        for end, register_wh, start, energy_wh, state, code, conflicted in await self._all(WINDOW, meter, first):
            rows.append(Row(end=end, register_wh=register_wh, start=start, energy_wh=energy_wh, state=State(state), code=code))
            edges.append(Edge(at=end, register_wh=register_wh, conflicted=conflicted))
        return rows, edges

    async def put_conflicts(self, rows: list[tuple[Any, ...]]) -> None:
        """(gateway, seq, segment, place, meter, at, first_wh, other_wh) each; the last four None for a whole message."""
        await self._many(CONFLICT, rows)

    async def bookmark(self, marks: dict[int, int]) -> None:
        if marks:
            await self.connection.execute(BOOKMARK, [list(marks), list(marks.values())])

    async def tally(self, partition: int, counts: Iterable[tuple[str, str, int]]) -> None:
        await self._many(TALLY, [(partition, what, reason, count) for what, reason, count in counts if count])

    async def put_rejected(self, rows: list[tuple[Any, ...]]) -> None:
        await self._many(REJECTED, rows)

    async def _many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            async with self.connection.cursor() as cursor:
                await cursor.executemany(statement, rows)

    async def attempted(self, spot: Spot, error: str) -> int:
        """Note that this record ended a worker; how often it has by now."""
        row = await (await self.connection.execute(ATTEMPT, spot.values() | {"error": error[:2000]})).fetchone()
        return int(row[0])  # type: ignore[index]

    async def pass_over(self, spot: Spot, body: bytes, alarm: str) -> None:
        """Keep a record that can not be read, raise the alarm, and go on behind it."""
        async with self.connection.transaction():
            if await self.move(spot):
                await self.connection.execute(PASS_OVER, spot.values() | {"body": body})
                await self.connection.execute(ALARM, (alarm,))
