"""The Faust app: segments become half hours, rejected messages are kept and counted, gateways are told what is settled.

Faust acknowledges a record whose agent raised, so nothing leaves a loop body but a commit. A busy database is tried again there; any other error is
noted and ends the process, and the record comes again. A record that has ended a worker three times is kept, alarmed and passed over.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import faust
import msgspec
import psycopg

from ingest.mqtt import Session
from ingest.segment import partition
from stream.kafka import Topic
from stream.settlement import AckTimes, ack
from stream.timescale import Spot, Store
from stream.work import AlreadyDone, Detect, Worker

MOST_ATTEMPTS, ENDED = 3, 70
RECORDS_EVERY_S = 3.0
# A worker that is paused in the middle of a segment holds its position: without an end to that, whoever takes over would wait for it for ever.
HELD = "-c transaction_timeout=60s"
AWAY = (psycopg.OperationalError, psycopg.errors.TransactionTimeout)
log = logging.getLogger("jcredit.stream")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a worker is told: addresses, its number, topics by name with Kafka's ids, and how often a gateway hears from it."""

    kafka: str
    mqtt: str
    dsn: str
    number: int
    telemetry: str
    rejected: str
    topics: dict[str, Topic]
    group: str = "jcredit-worker"
    ack_every_s: float = 60.0
    data_dir: str = "."


class Desk:
    """One agent's connection to the database, opened again whenever it breaks; no two agents share one, or their transactions would lie in each other."""

    def __init__(self, dsn: str, worker: Worker) -> None:
        self._dsn, self._worker = dsn, worker
        self._store: Store | None = None
        self.begins_anew = False  # partitions were assigned, and nothing has been read of them

    async def store(self) -> Store:
        if self._store is None or self._store.connection.closed:
            self._store = Store(await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=5, options=HELD))
        return self._store

    async def do(self, work: Callable[[Store], Awaitable[Any]]) -> Any:
        """Do `work`; while the database is away or busy, wait and do it again."""
        pause = 0.1
        while True:
            try:
                return await work(await self.store())
            except AWAY as error:
                log.warning("the database does not answer, trying again: %s", str(error).strip())
                await self._lose()
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)

    async def _lose(self) -> None:
        if self._store is not None:
            await self._store.connection.close()
        self._store = None

    async def segment(self, spot: Spot, body: bytes) -> set[str]:
        """Do a segment once; memory that turns out to be old is read anew, once."""
        if self.begins_anew:
            self.begins_anew = False
            await self.do(self._worker.learn_silent)
        try:
            return await self._segment(spot, body)
        except (KeyError, psycopg.IntegrityError) as error:
            log.info("memory of %s was old (%r), reading it anew", spot, error)
            return await self._segment(spot, body)

    async def _segment(self, spot: Spot, body: bytes) -> set[str]:
        try:
            return await self.do(lambda store: self._worker.take(store, spot, body))  # type: ignore[no-any-return]
        except AlreadyDone:
            return set()

    async def take_up(self, topic: Topic, mine: set[int]) -> None:
        """Judge again the meters of gateways in `mine` partitions that have new records; what fails is tried again."""
        for gateway, meter in await self.do(lambda store: store.new_events()):
            spot = Spot(topic_id=topic.id, partition=partition(gateway, topic.partitions), offset=-1)
            if spot.partition in mine:
                try:
                    await self.do(partial(self._worker.take_up, spot=spot, gateway=gateway, meter=meter))
                except Exception:
                    log.exception("the new records of meter %d could not be taken up", meter)

    async def rejected(self, spot: Spot, row: tuple[Any, ...]) -> None:
        """Keep and count a rejected message, once."""

        async def keep(store: Store) -> None:
            async with store.connection.transaction():
                if await store.move(spot):
                    await store.put_rejected([(spot.topic_id, spot.partition, spot.offset, *row)])
                    await store.tally(spot.partition, [("refused", row[0], 1)])

        await self.do(keep)

    async def trouble(self, spot: Spot, body: bytes, error: Exception) -> None:
        """End the process, so that the record comes again; the third time keep the record as unread and go on. Nothing leaves here but that."""
        log.exception("record %s could not be worked on", spot)
        try:
            if await self.do(lambda store: store.attempted(spot, repr(error))) < MOST_ATTEMPTS:
                os._exit(ENDED)
            alarm = msgspec.json.encode({"code": "unread-segment", "partition": spot.partition, "offset": spot.offset, "error": repr(error)}).decode()
            await self.do(lambda store: store.pass_over(spot, body, alarm))
        except Exception:
            log.exception("nor could that be noted")
            os._exit(ENDED)


class Acks:
    """Tells gateways over MQTT; what is not told because the broker is away is told when the gateway asks by sending again."""

    def __init__(self, settings: Settings, worker: Worker) -> None:
        self._worker, self._every_s = worker, settings.ack_every_s
        self._times = AckTimes(settings.ack_every_s)
        self._session = Session(settings.mqtt, f"{settings.group}-{settings.number}", _nobody, None)
        self._again_s = 0.0

    def heard(self, gateways: set[str]) -> None:
        self._times.heard(gateways, time.monotonic())

    def turn(self) -> None:
        """Send what is due; connect if there is no connection."""
        now = time.monotonic()
        try:
            self._session.turn(0.0)
        except (ConnectionError, OSError):
            self._connect(now)
            return
        if self._session.connected:
            for gateway in self._times.due(now):
                self._tell(gateway)
            self._session.turn(0.0)

    def _tell(self, gateway: str) -> None:
        known = self._worker.memory.gateways.get(gateway)
        if known is not None:
            self._session.publish(f"jcredit/v1/{gateway}/ack", ack(self._worker.memory.chains[known.id], self._every_s))

    def _connect(self, now: float) -> None:
        if now >= self._again_s:
            self._again_s = now + 1.0
            try:
                self._session.connect()
            except OSError as error:
                log.warning("the broker does not answer, acks wait: %s", error)


def _nobody(*_: object) -> None:
    """Nothing is subscribed."""


def make_app(settings: Settings, detect: Detect | None = None, ready: Callable[[], None] = lambda: None) -> faust.App:
    """The app with its two agents; `detect` is called with the changed intervals in the transaction that writes them, `ready` at each assignment."""
    worker = Worker(detect)
    desk, back_desk, records_desk = (Desk(settings.dsn, worker) for _ in range(3))
    acks, mine = Acks(settings, worker), set[int]()
    app = _app(settings)
    raw = {"value_type": bytes, "value_serializer": "raw", "key_serializer": "raw"}

    async def settle(spot: Spot, event: Any) -> None:
        acks.heard(await desk.segment(spot, event.value))
        acks.turn()

    async def keep(spot: Spot, event: Any) -> None:
        await back_desk.rejected(spot, _rejected_row(event))

    @app.agent(app.topic(settings.telemetry, **raw), name="segments")
    async def segments(stream: Any) -> AsyncIterator[None]:
        async for event in stream.events():
            await _do(settings, desk, event, settle)
            yield

    @app.agent(app.topic(settings.rejected, **raw), name="rejected")
    async def rejected(stream: Any) -> AsyncIterator[None]:
        async for event in stream.events():
            await _do(settings, back_desk, event, keep)
            yield

    @app.timer(RECORDS_EVERY_S)
    async def take_up_records() -> None:
        await records_desk.take_up(settings.topics[settings.telemetry], mine)

    @app.timer(0.05)
    async def tell_gateways() -> None:
        acks.turn()

    @app.on_partitions_assigned.connect
    async def read_anew(_app: Any, assigned: Any, **_: Any) -> None:
        worker.memory.drop()
        mine.clear()
        mine.update(tp.partition for tp in assigned if tp.topic == settings.telemetry)
        log.info("partitions assigned: %s", sorted((tp.topic, tp.partition) for tp in assigned))
        desk.begins_anew = True
        ready()

    return app


async def _do(settings: Settings, desk: Desk, event: Any, work: Callable[[Spot, Any], Awaitable[None]]) -> None:
    """Work on a record; nothing leaves here but that it is done, or kept as unread."""
    spot = Spot(topic_id=settings.topics[event.message.topic].id, partition=event.message.partition, offset=event.message.offset)
    try:
        await work(spot, event)
    except Exception as error:
        await desk.trouble(spot, event.value, error)


def _app(settings: Settings) -> faust.App:
    return faust.App(
        settings.group,
        broker=f"kafka://{settings.kafka}",
        store="memory://",
        datadir=settings.data_dir,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=16 << 20,
        broker_session_timeout=6,
        broker_heartbeat_interval=1,
        broker_commit_interval=1.0,
        stream_buffer_maxsize=256,  # with 8, Faust stopped and started its fetching so often that every record came 2 s late
    )


def _rejected_row(event: Any) -> tuple[str, str, str, int, bytes]:
    headers = {name: value.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in dict(event.message.headers or {}).items()}
    return headers["reason"], headers.get("detail", ""), headers.get("origin", ""), int(headers["received_us"]), event.value
