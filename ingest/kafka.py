"""One conversation with Kafka: segments and rejected messages go out, and are confirmed by all replicas before anybody says so."""

from kafka import KafkaProducer
from kafka.errors import KafkaError

from ingest.refusal import Refused
from ingest.segment import Message, pack

TELEMETRY, REJECTED = "telemetry.v1", "telemetry.rejected.v1"
MOST_REQUEST_BYTES = 8 << 20
RECONNECT_MOST_MS = 1000  # the library's own 30 s would keep gateways waiting long after Kafka is back


class Confirmation:
    """A record on its way; `done` says whether Kafka has it, and raises KafkaError when it will never have it."""

    def __init__(self, future: object) -> None:
        self._future = future

    def done(self) -> bool:
        if not self._future.is_done:  # type: ignore[attr-defined]
            return False
        if self._future.failed():  # type: ignore[attr-defined]
            raise KafkaError(f"Kafka did not take a record: {self._future.exception}")  # type: ignore[attr-defined]
        return True


class Sender:
    """An idempotent producer with acks=all; a record that it can not place within its delivery time ends the process that asked."""

    def __init__(self, address: str, telemetry: str = TELEMETRY, rejected: str = REJECTED) -> None:
        self._telemetry, self._rejected = telemetry, rejected
        self._producer = KafkaProducer(
            bootstrap_servers=address,
            acks="all",
            enable_idempotence=True,
            max_request_size=MOST_REQUEST_BYTES,
            linger_ms=0,
            max_block_ms=60_000,
            reconnect_backoff_max_ms=RECONNECT_MOST_MS,
        )
        self.partitions = len(self._producer.partitions_for(telemetry) or ())
        if not self.partitions:
            raise KafkaError(f"topic {telemetry} is not there; `jcredit up` makes it")

    def segment(self, messages: list[Message], partition: int) -> Confirmation:
        return Confirmation(self._producer.send(self._telemetry, pack(messages), partition=partition))

    def rejected(self, value: bytes, refusal: Refused, topic: str, received_us: int) -> Confirmation:
        """A message without a good signature, as received, with why and whence."""
        headers = [
            ("reason", refusal.reason.encode()),
            ("detail", refusal.detail[:500].encode()),
            ("origin", topic.encode()),
            ("received_us", str(received_us).encode()),
        ]
        return Confirmation(self._producer.send(self._rejected, value, headers=headers))

    def close(self) -> None:
        self._producer.close(timeout=10)
