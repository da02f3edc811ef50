"""The work on one segment: which messages count, which half hours they make, all in one transaction.

Once, although Kafka delivers at least once: the transaction moves the position row past the record, and if no row moves the record is done
or somebody else's. Memory is a cache of what the database says; it is dropped whenever it might not hold.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from ingest import telemetry
from ingest.payload import jws
from ingest.segment import Message, unpack
from stream import halfhours as hh
from stream.edge import edges as edges_of
from stream.interval import LOOK_AHEAD_S, Changed, Edge, Register, Row, State, intervals
from stream.settlement import Chain
from stream.timescale import Known, Spot, Store

BOOKMARK_EVERY = 64
MOST_GATEWAYS = 300_000
MOST_LEARNT, LEARN_AT_ONCE = 100_000, 2_000

Detect = Callable[[psycopg.AsyncConnection[Any], Changed], Awaitable[None]]


class AlreadyDone(Exception):
    """The record's position has been passed: nothing was written, and memory of the partition does not hold."""


@dataclass(slots=True)
class Memory:
    """What the worker knows without asking: gateways, registers, chains, tails."""

    gateways: dict[str, Known] = field(default_factory=dict)
    registers: dict[int, Register] = field(default_factory=dict)
    chains: dict[int, Chain] = field(default_factory=dict)
    tails: dict[int, hh.Tail] = field(default_factory=dict)
    positions: dict[tuple[UUID, int], int | None] = field(default_factory=dict)  # where this worker left each partition

    def drop(self) -> None:
        caches: tuple[dict[Any, Any], ...] = (self.gateways, self.registers, self.chains, self.tails, self.positions)
        for cache in caches:
            cache.clear()


@dataclass(slots=True)
class Taken:
    """What a segment's messages turned out to be."""

    gateway: list[int] = field(default_factory=list)
    seq: list[int] = field(default_factory=list)
    digest: list[bytes] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    refused: list[tuple[str, int, int]] = field(default_factory=list)
    again: list[tuple[int, int, int, bytes]] = field(default_factory=list)  # gateway, seq, place, hash
    meter: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    wh: list[int] = field(default_factory=list)
    source: list[tuple[int, int, int]] = field(default_factory=list)  # of each reading: gateway, seq, place
    marks: dict[int, int] = field(default_factory=dict)


class Worker:
    """Takes segments, one at a time."""

    def __init__(self, detect: Detect | None = None) -> None:
        self.memory, self._detect = Memory(), detect
        self._one_at_a_time = asyncio.Lock()  # memory is one

    async def take(self, store: Store, spot: Spot, body: bytes) -> set[str]:
        """Do a segment; the gateways that it carries messages of. AlreadyDone, BrokenSegment, or the database's errors; nothing is half done."""
        messages = unpack(body)
        async with self._whole(store):
            await self._write(store, spot, body, messages)
        return {message.gateway for message in messages}

    async def learn_silent(self, store: Store) -> None:
        """Read, many at a time, what is enrolled of gateways that have not sent yet: their first messages come together when a programme begins.

        A transaction a batch: one over all of them could outlast the time that the database gives to a transaction, and would begin again for ever.
        """
        names = await store.silent(MOST_LEARNT)
        for start in range(0, len(names), LEARN_AT_ONCE):
            async with self._whole(store):
                await self._learn(store, set(names[start : start + LEARN_AT_ONCE]))

    async def take_up(self, store: Store, spot: Spot, gateway: str, meter: int) -> None:
        """Judge a meter's rows again with the swaps and resets that were recorded since; `spot` names the gateway's partition."""
        async with self._whole(store):
            await self._hold(store, spot)
            self.memory.gateways.pop(gateway, None)
            since = await store.take_up_events(meter)
            if since is None:
                return
            await self._learn(store, {gateway})
            judged = self._again(meter, *await store.window(meter, since - LOOK_AHEAD_S - 1))
            if judged:
                await store.put_judged([(meter, row) for _, row, _ in judged])
                if self._detect is not None:
                    await self._detect(store.connection, _columns(judged, ()))

    @asynccontextmanager
    async def _whole(self, store: Store) -> AsyncIterator[None]:
        """All of it in one transaction, or nothing and an empty memory."""
        async with self._one_at_a_time:
            try:
                async with store.connection.transaction():
                    yield
            except BaseException:
                self.memory.drop()
                raise

    async def _hold(self, store: Store, spot: Spot) -> None:
        """Have the partition for this transaction; if another worker has gone on with it since, memory does not hold."""
        place, now = (spot.topic_id, spot.partition), await store.hold(spot)
        if self.memory.positions.setdefault(place, now) != now:
            self.memory.drop()
            self.memory.positions[place] = now

    async def _write(self, store: Store, spot: Spot, body: bytes, messages: list[Message]) -> None:
        await self._hold(store, spot)
        if not await store.move(spot):
            raise AlreadyDone
        await self._learn(store, {message.gateway for message in messages})
        segment = await store.put_evidence(spot, body, len(messages), messages[-1].received_us if messages else 0)
        taken = self._sort_out(messages)
        if taken.gateway:
            await store.put_messages(segment, taken.gateway, taken.seq, taken.digest, taken.place)
        await store.put_refused(taken.refused)
        await store.bookmark(taken.marks)
        conflicting = await self._put_again(store, segment, taken)
        changed = await self._put_intervals(store, segment, taken)
        if self._detect is not None and changed is not None:
            await self._detect(store.connection, changed)
        counts = Counter(reason for reason, _, _ in taken.refused)
        await store.tally(
            spot.partition,
            [
                ("accepted", "", len(taken.gateway) - len(taken.refused)),
                ("repeated", "", len(taken.again) - conflicting),
                ("conflicting", "", conflicting),
                *(("refused", reason, count) for reason, count in counts.items()),
            ],
        )
        self.memory.positions[spot.topic_id, spot.partition] = spot.offset + 1

    async def _learn(self, store: Store, names: set[str]) -> None:
        """Read what memory lacks of these gateways."""
        memory = self.memory
        if len(memory.gateways) > MOST_GATEWAYS:
            memory.drop()
        missing = [name for name in names if name not in memory.gateways]
        if not missing:
            return
        known, registers = await store.gateways(missing)
        chains = await store.chains([one.id for one in known.values()])
        new = {meter for one in known.values() if not _begun(chains[one.id]) for meter in one.meters.values()}
        memory.tails |= {meter: hh.tail_of([], registers[meter]) for meter in new}
        memory.tails |= await store.tails({meter: register for meter, register in registers.items() if meter not in new})
        memory.gateways |= known
        memory.registers |= registers
        memory.chains |= chains

    def _sort_out(self, messages: list[Message]) -> Taken:
        """In order of place: the first with a sequence number counts, the others are repeats or conflicts."""
        taken = Taken()
        for place, message in enumerate(messages):
            known = self.memory.gateways[message.gateway]
            chain = self.memory.chains[known.id]
            content, seq = _content(message)
            if chain.known(seq):
                taken.again.append((known.id, seq, place, message.sha256))
                continue
            before = chain.seq
            chain.take(seq, message.sha256, message.refused)
            if chain.seq // BOOKMARK_EVERY > max(before, 0) // BOOKMARK_EVERY:
                taken.marks[known.id] = chain.seq
            taken.gateway.append(known.id)
            taken.seq.append(seq)
            taken.digest.append(message.sha256)
            taken.place.append(place)
            if content is None:
                taken.refused.append((message.refused or "malformed", known.id, seq))
            else:
                _add_readings(taken, content, known, place)
        return taken

    async def _put_again(self, store: Store, segment: int, taken: Taken) -> int:
        """Tell repeats from conflicts; the number of conflicts. The first of a number may be in this very segment."""
        if not taken.again:
            return 0
        hashes = await store.hashes([(gateway, seq) for gateway, seq, _, _ in taken.again])
        others = [(g, seq, segment, place, None, None, None, None) for g, seq, place, digest in taken.again if hashes[g, seq] != digest]
        await store.put_conflicts(others)
        return len(others)

    async def _put_intervals(self, store: Store, segment: int, taken: Taken) -> Changed | None:
        if not taken.meter:
            return None
        memory = self.memory
        ordinary = hh.halfhours(taken.meter, taken.at, taken.wh, memory.tails, memory.registers)
        await store.put_ordinary(ordinary)
        hh.tails_after(ordinary, memory.tails)
        judged: list[tuple[int, Row, bool]] = []
        conflicts: list[tuple[int, int, int, int]] = []
        odd = ordinary.odd
        if odd:
            late, fresh = hh.among(odd, await store.around(odd), memory.registers)
            odd = late.odd
            await store.put_ordinary(hh.only(late, fresh))
            judged += _rows_of(hh.only(late, ~fresh))
            ordinary = hh.joined(ordinary, hh.only(late, fresh))
            hh.tails_after(late, memory.tails)
        for meter, arrivals in odd.items():
            rows, clashes = await self._judge(store, segment, taken, meter, arrivals)
            judged += rows
            conflicts += clashes
        if judged:
            await store.put_judged([(meter, row) for meter, row, _ in judged])
        return _changed(ordinary, judged, tuple(conflicts))

    async def _judge(
        self, store: Store, segment: int, taken: Taken, meter: int, arrivals: list[tuple[int, int]]
    ) -> tuple[list[tuple[int, Row, bool]], list[tuple[int, int, int, int]]]:
        """Put the new edges of one meter among the stored ones and make the rows again; those that changed."""
        since = min(at for at, _ in arrivals) - LOOK_AHEAD_S - 1  # a day ahead of an edge includes the edge after just that
        stored, edges = await store.window(meter, since)
        merged = {edge.at: edge for edge in edges}
        conflicts = []
        for at, wh in arrivals:
            first = merged.setdefault(at, Edge(at=at, register_wh=wh))
            if first.register_wh != wh:
                merged[at] = Edge(at=at, register_wh=first.register_wh, conflicted=True)
                conflicts.append((meter, at, first.register_wh, wh))
        await store.put_conflicts(_clashes(conflicts, taken, segment))
        return self._again(meter, stored, [merged[at] for at in sorted(merged)]), conflicts

    def _again(self, meter: int, stored: list[Row], edges: list[Edge]) -> list[tuple[int, Row, bool]]:
        """The rows of a meter's window made again from its edges, in order of time; those that are not as stored, and whether they are fresh."""
        opens = not stored or stored[0].start is None or edges[0].at < stored[0].end
        register = self.memory.registers[meter]
        rows = intervals(edges, register)
        if not opens:
            rows[0] = stored[0]  # the row that ends where the window begins is not of this window
        before = {row.end: row for row in stored}
        self.memory.tails[meter] = hh.tail_of(rows, register)
        return [(meter, row, row.end not in before) for row in rows if before.get(row.end) != row]


def _rows_of(moved: hh.Ordinary) -> list[tuple[int, Row, bool]]:
    """Rows that stand already and now run from another edge."""
    columns = (moved.meter, moved.end_at, moved.register_wh, moved.start_at, moved.energy_wh, moved.state)
    return [
        (meter, Row(end=end, register_wh=wh, start=start, energy_wh=energy_wh, state=State(state)), False)
        for meter, end, wh, start, energy_wh, state in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _begun(chain: Chain) -> bool:
    return chain.seq >= 0 or bool(chain.beyond)


def _content(message: Message) -> tuple[telemetry.Telemetry | None, int]:
    """The readings of a message (None if it is refused) and its sequence number."""
    inner = message.payload if message.format == "native" else _inner(message.payload)
    if message.refused is None:
        content = telemetry.trust(inner)
        return content, content.seq
    place = telemetry.place(inner)
    if place is None:
        raise ValueError(f"a refused message of {message.gateway} without a place in its chain was put into a segment")
    return None, place.seq


def _inner(payload: bytes) -> bytes:
    compact = jws.parse(payload)
    if compact is None:
        raise ValueError("a segment carries a JWS that is none")
    return compact.inner


def _add_readings(taken: Taken, content: telemetry.Telemetry, known: Known, place: int) -> None:
    for channel in content.channels:
        instants, values = edges_of(int(channel.start.timestamp()), channel.step_s, channel.values)
        if None in values:
            pairs = [(at, wh) for at, wh in zip(instants, values, strict=True) if wh is not None]
            instants, values = [at for at, _ in pairs], [wh for _, wh in pairs]  # type: ignore[assignment]
        count = len(values)
        if count:
            taken.meter += [known.meters[channel.meter]] * count
            taken.at += instants
            taken.wh += values  # type: ignore[arg-type]
            taken.source += [(known.id, content.seq, place)] * count


def _clashes(conflicts: list[tuple[int, int, int, int]], taken: Taken, segment: int) -> list[tuple[Any, ...]]:
    """Each conflict with the message that brought the other value."""
    if not conflicts:
        return []
    brought = {(m, at, wh): source for m, at, wh, source in zip(taken.meter, taken.at, taken.wh, taken.source, strict=True)}
    rows = []
    for meter, at, first_wh, other_wh in conflicts:
        gateway, seq, place = brought[meter, at, other_wh]
        rows.append((gateway, seq, segment, place, meter, at, first_wh, other_wh))
    return rows


def _changed(ordinary: hh.Ordinary, judged: list[tuple[int, Row, bool]], conflicts: tuple[tuple[int, int, int, int], ...]) -> Changed | None:
    if not len(ordinary.meter) + len(judged):
        return None
    then, opening = _columns(judged, conflicts), ordinary.opening
    return Changed(
        meter=np.append(ordinary.meter.astype(np.int32), then.meter),
        end_at=np.append(ordinary.end_at, then.end_at),
        start_at=np.append(ordinary.start_at, then.start_at),
        register_wh=np.append(ordinary.register_wh, then.register_wh),
        energy_wh=np.append(np.where(opening, 0, ordinary.energy_wh), then.energy_wh),
        state=np.append(ordinary.state, then.state),
        code=np.append(np.full(len(opening), "", object), then.code),
        fresh=np.append(np.ones(len(opening), np.bool_), then.fresh),
        conflicts=conflicts,
    )


def _columns(judged: list[tuple[int, Row, bool]], conflicts: tuple[tuple[int, int, int, int], ...]) -> Changed:
    rows = [row for _, row, _ in judged]
    return Changed(
        meter=np.array([meter for meter, _, _ in judged], np.int32),
        end_at=np.array([r.end for r in rows], np.int64),
        start_at=np.array([hh.NEVER if r.start is None else r.start for r in rows], np.int64),
        register_wh=np.array([r.register_wh for r in rows], np.int64),
        energy_wh=np.array([r.energy_wh or 0 for r in rows], np.int64),
        state=np.array([int(r.state) for r in rows], np.int8),
        code=np.array([r.code for r in rows], object),
        fresh=np.array([fresh for _, _, fresh in judged], np.bool_),
        conflicts=conflicts,
    )
