"""One gateway message as the wire's JSON says it (native v1), and nothing more: who sends is decided elsewhere.

Strict: UTF-8 without BOM, no unknown or repeated keys, no floats. msgspec lets a repeated key pass, so quotes are counted: a message
without escapes has exactly 18 + 20 a channel.
"""

import json
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ingest.refusal import Reason, Refused

MOST_BYTES = 256 << 10
MOST_WH = 1 << 53
MOST_STEP_S = 86_400

Whole = Annotated[int, Meta(ge=0, le=MOST_WH)]
Instant = Annotated[datetime, Meta(tz=True)]
Register = Literal["generation", "export", "pcs", "charge", "discharge", "auxiliary"]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Channel(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """Readings of one register: `values[k]` is the register at `start + k * step_s`; None was not read."""

    meter: str
    register: Register
    unit: Literal["Wh"]
    start: Instant
    step_s: Annotated[int, Meta(ge=1, le=MOST_STEP_S)]
    values: Annotated[list[Whole | None], Meta(min_length=1)]


class Telemetry(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    v: Literal[1]
    gateway: str
    seq: Whole
    prev: Hash
    sent_at: Instant
    channels: list[Channel]


class AnyChannel(msgspec.Struct, forbid_unknown_fields=True):
    meter: str
    register: Register
    unit: Literal["Wh"]
    start: Instant
    step_s: int
    values: Annotated[list[int | None], Meta(min_length=1)]


class AnyTelemetry(msgspec.Struct, forbid_unknown_fields=True):
    """The same shape with whatever numbers, to tell a number out of range from a body that is no message."""

    v: Literal[1]
    gateway: str
    seq: int
    prev: Hash
    sent_at: Instant
    channels: list[AnyChannel]


class Place(msgspec.Struct):
    """What a refused message still needs to keep its place in the chain."""

    gateway: str
    seq: Whole
    prev: Hash


_decode = msgspec.json.Decoder(Telemetry).decode
_decode_any = msgspec.json.Decoder(AnyTelemetry).decode
_decode_place = msgspec.json.Decoder(Place).decode


def read(payload: bytes) -> Telemetry:
    """The message in `payload`; Refused (malformed, out-of-range) with what is wrong and where."""
    try:
        telemetry = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _refusal(payload, error) from error
    if b"\\" in payload or payload.count(b'"') != 18 + 20 * len(telemetry.channels):
        _refuse_repeated_keys(payload)
    for channel in telemetry.channels:
        _in_range(channel)
    return telemetry


def _in_range(channel: Channel) -> None:
    start = channel.start
    if start.microsecond:
        raise Refused(Reason.OUT_OF_RANGE, f"start of {channel.meter} is not a whole second")
    if not (2000 <= start.year < 2100 and len(channel.values) * channel.step_s < 400 * 86_400):
        raise Refused(Reason.OUT_OF_RANGE, f"readings of {channel.meter} lie outside the years 2000 to 2099, or span more than 400 days")


def _refusal(payload: bytes, error: Exception) -> Refused:
    """Out of range when the shape is right and only a number is not; else malformed."""
    try:
        _decode_any(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Refused(Reason.MALFORMED, str(error))
    _refuse_repeated_keys(payload)
    return Refused(Reason.OUT_OF_RANGE, str(error))


def _refuse_repeated_keys(payload: bytes) -> None:
    def pairs(items: list[tuple[str, object]]) -> None:
        keys = [key for key, _ in items]
        if len(keys) != len(set(keys)):
            raise Refused(Reason.MALFORMED, "a key is repeated")

    json.loads(payload, object_pairs_hook=pairs)


def place(payload: bytes) -> Place | None:
    """Gateway, seq and prev of a message that is refused, if they can be read."""
    try:
        return _decode_place(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # what it passes over may be nested as deep as it likes
        return None


def read_any(payload: bytes) -> AnyTelemetry:
    """The shape of a message whose numbers are out of range; raises msgspec's error if it has not even that."""
    return _decode_any(payload)


def trust(payload: bytes) -> Telemetry:
    """A message that `read` has admitted before: decoded, not tried again."""
    return _decode(payload)
