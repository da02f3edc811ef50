"""A segment keeps its messages byte for byte, and bytes that are no segment say so."""

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest.segment import MOST_UNPACKED, BrokenSegment, Message, pack, partition, unpack

Messages = st.lists(
    st.builds(
        Message,
        payload=st.binary(max_size=50),
        kid=st.text(max_size=5),
        signature=st.binary(min_size=64, max_size=64),
        format=st.sampled_from(["native", "jws"]),
        received_us=st.integers(0, 2**60),
        sha256=st.binary(min_size=32, max_size=32),
        gateway=st.text(max_size=5),
        refused=st.none() | st.sampled_from(["malformed", "wrong-meter"]),
    ),
    max_size=5,
)


@given(Messages)
def test_what_is_packed_is_unpacked(messages: list[Message]) -> None:
    assert unpack(pack(messages)) == messages


@given(st.binary(max_size=100))
def test_other_bytes_are_no_segment(body: bytes) -> None:
    with pytest.raises(BrokenSegment):
        unpack(body)


@given(Messages, st.data())
def test_a_segment_cut_short_is_none(messages: list[Message], data: st.DataObject) -> None:
    body = pack(messages)
    with pytest.raises(BrokenSegment):
        unpack(body[: data.draw(st.integers(0, len(body) - 1))])


def test_a_segment_with_something_behind_it_is_none() -> None:
    with pytest.raises(BrokenSegment, match="unused data"):
        unpack(pack([]) + b"x")


def test_a_segment_that_would_fill_the_memory_is_none() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(MOST_UNPACKED + 1))
    assert len(bomb) < 10_000
    with pytest.raises(BrokenSegment, match="more than 67108864 bytes"):
        unpack(bomb)


def test_a_segment_that_hides_its_size_is_none() -> None:
    stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    with pytest.raises(BrokenSegment, match="does not say its size"):
        unpack(stream.compress(msgspec.msgpack.encode([])) + stream.flush())


@pytest.mark.parametrize(
    "value", [None, {}, 7, [[]], [[b"", "k", b"", "native", 1, b"short", "gw", None]], [["text", "k", b"", "native", 1, bytes(32), "gw", None]]]
)
def test_a_segment_of_something_else_is_none(value: object) -> None:
    with pytest.raises(BrokenSegment):
        unpack(zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(value)))


@pytest.mark.parametrize(("partitions", "number"), [(1, 0), (4, 2), (8, 6), (256, 0x26)])
def test_the_partition_of_a_gateway_is_the_same_for_ever(partitions: int, number: int) -> None:
    assert partition("123456789", partitions) == number  # the published check value of CRC-32 is cbf43926
