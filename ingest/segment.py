"""The batch of messages that travels and is kept as one: a Kafka record and an evidence row.

A segment is MessagePack under zstd, of the messages of one partition (chosen by gateway), in the order of receipt. Each message keeps its
exact bytes, so that signature and hash can be tested again for as long as the evidence lives.
"""

import zlib
from typing import Annotated

import msgspec
import zstandard
from msgspec import Meta

MOST_MESSAGES, MOST_BYTES, LINGER_S = 256, 512 << 10, 0.2
MOST_UNPACKED = 64 << 20


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One message as it was received.

    `payload` is the body exactly as it came: the JSON itself (format native) or the JWS compact string around it (format jws); `sha256` is of the inner JSON.
    `gateway` is the one whose key signed; `refused` a reason of refusal: it keeps its place in that gateway's chain and earns nothing.
    """

    payload: bytes
    kid: str
    signature: bytes
    format: str
    received_us: int
    sha256: Annotated[bytes, Meta(min_length=32, max_length=32)]
    gateway: str
    refused: str | None = None


class BrokenSegment(Exception):
    """Bytes that are no segment."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Message]).decode
_compress = zstandard.ZstdCompressor(level=3).compress


def partition(gateway: str, partitions: int) -> int:
    """The partition of all messages of a gateway, the same on every bridge for ever."""
    return zlib.crc32(gateway.encode()) % partitions


def pack(messages: list[Message]) -> bytes:
    return _compress(_encode(messages))


def unpack(body: bytes) -> list[Message]:
    """The messages of a segment, in order; BrokenSegment if the bytes are none."""
    try:
        if not 0 <= zstandard.frame_content_size(body) <= MOST_UNPACKED:
            raise BrokenSegment(f"not a segment of messages: it does not say its size, or more than {MOST_UNPACKED} bytes")
        return _decode(zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False))
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise BrokenSegment(f"not a segment of messages: {error}") from error
