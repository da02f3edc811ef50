"""Jobs beside the stream: facts in the outbox are told on Kafka (at least once, key = id), and what gateways say of themselves is written down."""

import contextlib
import time
from collections.abc import Callable
from datetime import datetime

import msgspec
import psycopg
from kafka import KafkaProducer
from kafka.errors import KafkaError

from ingest.mqtt import Session

STATUS = "jcredit/v1/+/status"
WAITING = "SELECT id, topic, value FROM outbox WHERE sent_at IS NULL ORDER BY id LIMIT 500"
SENT = "UPDATE outbox SET sent_at = now() WHERE id = ANY(%s)"
SAID = """
INSERT INTO gateway_status (gateway, state, at, version, spooled, clock_offset_ms, seen_at)
SELECT id, %(state)s, %(at)s, %(version)s, %(spooled)s, %(clock_offset_ms)s, now() FROM gateway WHERE gateway = %(gateway)s
ON CONFLICT (gateway) DO UPDATE SET state = EXCLUDED.state, at = EXCLUDED.at, version = EXCLUDED.version, spooled = EXCLUDED.spooled,
  clock_offset_ms = EXCLUDED.clock_offset_ms, seen_at = EXCLUDED.seen_at
"""


class Status(msgspec.Struct):
    """What a gateway says of itself; not signed, so shown and never believed."""

    v: int
    gateway: str
    state: str
    at: datetime
    version: str | None = None
    spooled: int | None = None
    clock_offset_ms: int | None = None


def read_status(topic: str, payload: bytes) -> Status | None:
    """The status in a message, or None if it is none, or of another gateway than its topic."""
    try:
        status = msgspec.json.decode(payload[:4096], type=Status)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    sane = status.state in ("online", "offline") and topic == f"jcredit/v1/{status.gateway}/status" and status.at.tzinfo is not None
    return status if sane and "\0" not in (status.version or "") and abs(status.spooled or 0) < 1 << 62 and abs(status.clock_offset_ms or 0) < 1 << 62 else None


class Jobs:
    """Runs until told to stop; a service that is away is asked again."""

    def __init__(self, *, dsn: str, kafka: str, mqtt: str) -> None:
        self._dsn, self._kafka = dsn, kafka
        self._said: dict[str, Status] = {}
        self._session = Session(mqtt, "jcredit-jobs", self._arrived, STATUS)
        self._producer: KafkaProducer | None = None

    def run(self, stopping: Callable[[], bool]) -> None:
        while not stopping():
            with contextlib.suppress(psycopg.OperationalError, KafkaError), psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
                while not stopping():
                    self._listen()
                    self._write_status(connection)
                    self.tell(connection)
            time.sleep(0.5)

    def tell(self, connection: psycopg.Connection) -> int:
        """Send what waits in the outbox; the number sent. Marked only after Kafka has confirmed."""
        rows = connection.execute(WAITING).fetchall()
        if rows:
            self._producer = self._producer or KafkaProducer(bootstrap_servers=self._kafka, acks="all", enable_idempotence=True)
            sent = [self._producer.send(topic, key=str(number).encode(), value=msgspec.json.encode(value)) for number, topic, value in rows]
            for future in sent:
                future.get(30)
            connection.execute(SENT, ([number for number, _, _ in rows],))
        return len(rows)

    def _listen(self) -> None:
        try:
            self._session.turn(0.5)
        except ConnectionError:
            time.sleep(0.5)
            with contextlib.suppress(OSError):
                self._session.connect()

    def _arrived(self, mid: int, topic: str, payload: bytes, _kid: str | None, _sig: str | None) -> None:
        status = read_status(topic, payload)
        if status is not None:
            self._said[status.gateway] = status
        if mid:
            self._session.acknowledge([mid])

    def _write_status(self, connection: psycopg.Connection) -> None:
        while self._said:
            name, status = next(iter(self._said.items()))
            connection.execute(SAID, msgspec.structs.asdict(status))
            del self._said[name]
