"""A batch is closed by 256 messages, by 512 KiB, or after 200 ms; what is dropped is the broker's to send again."""

from ingest.gather import Batch, Gatherer
from ingest.segment import Message


def message(size: int = 10) -> Message:
    return Message(payload=bytes(size), kid="k", signature=bytes(64), format="native", received_us=0, sha256=bytes(32), gateway="gw")


def filled(gatherer: Gatherer, count: int, *, size: int = 10, partition: int = 0) -> list[Batch | None]:
    return [gatherer.add(message(size), mid, partition, 0.0) for mid in range(1, count + 1)]


def test_256_messages_are_a_batch_in_order_of_receipt() -> None:
    *waiting, full = filled(Gatherer(), 256)
    assert waiting == [None] * 255
    assert full is not None
    assert full.mids == list(range(1, 257))
    assert len(full.messages) == 256


def test_512_kib_are_a_batch() -> None:
    *waiting, full = filled(Gatherer(), 4, size=128 << 10)
    assert waiting == [None] * 3
    assert full is not None
    assert full.size_bytes == 512 << 10


def test_after_a_full_batch_the_next_begins() -> None:
    gatherer = Gatherer()
    filled(gatherer, 256)
    assert not gatherer.waiting()
    assert filled(gatherer, 1) == [None]
    assert gatherer.waiting()


def test_200_ms_after_its_first_message_a_batch_is_due_once() -> None:
    gatherer = Gatherer()
    gatherer.add(message(), 1, 0, 10.0)
    gatherer.add(message(), 2, 0, 10.19)
    assert gatherer.due(10.199) == []
    assert [batch.mids for batch in gatherer.due(10.201)] == [[1, 2]]
    assert gatherer.due(20.0) == []


def test_partitions_are_gathered_apart() -> None:
    gatherer = Gatherer()
    gatherer.add(message(), 1, 0, 0.0)
    gatherer.add(message(), 2, 3, 0.0)
    assert sorted((batch.partition, batch.mids) for batch in gatherer.due(1.0)) == [(0, [1]), (3, [2])]


def test_what_is_dropped_is_not_sent() -> None:
    gatherer = Gatherer()
    filled(gatherer, 3)
    gatherer.drop()
    assert not gatherer.waiting()
    assert gatherer.due(100.0) == []
