"""Gathering messages into segments: 256 of them, 512 KiB of payload, or what came in 200 ms. A noun: time is given, nothing is sent."""

from dataclasses import dataclass, field

from ingest.segment import LINGER_S, MOST_BYTES, MOST_MESSAGES, Message


@dataclass(kw_only=True, slots=True)
class Batch:
    """What becomes one segment, and the MQTT message ids that wait for it."""

    partition: int
    born_s: float
    messages: list[Message] = field(default_factory=list)
    mids: list[int] = field(default_factory=list)
    size_bytes: int = 0


class Gatherer:
    """One open batch a partition."""

    def __init__(self) -> None:
        self._open: dict[int, Batch] = {}

    def add(self, message: Message, mid: int, partition: int, now_s: float) -> Batch | None:
        """Put a message in; the batch comes out when that fills it."""
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = Batch(partition=partition, born_s=now_s)
        batch.messages.append(message)
        batch.mids.append(mid)
        batch.size_bytes += len(message.payload)
        if len(batch.messages) >= MOST_MESSAGES or batch.size_bytes >= MOST_BYTES:
            return self._open.pop(partition)
        return None

    def due(self, now_s: float) -> list[Batch]:
        """The batches that have waited long enough."""
        return [self._open.pop(p) for p, batch in list(self._open.items()) if now_s - batch.born_s >= LINGER_S]

    def waiting(self) -> bool:
        """Whether a batch is open."""
        return bool(self._open)

    def drop(self) -> None:
        """Forget what is not sent: the broker sends it again to the next connection."""
        self._open.clear()
