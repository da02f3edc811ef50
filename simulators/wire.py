"""What a simulated gateway says: native v1 telemetry, its signature, its topics. Written from the design's page alone, nothing of the pipeline.

A payload is signed as the exact bytes that travel, so no canonical form is needed. The chain is in the payload: `seq` counts from 0, `prev` is the
SHA-256 of the payload before it (64 zeros for the first). Values are register readings in Wh; `None` was not read.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from nacl.signing import SigningKey

JST = timezone(timedelta(hours=9))
GENESIS = "0" * 64
REGISTERS = ("generation", "export", "pcs", "charge", "discharge", "auxiliary")
LARGEST = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Readings of one meter's register at `start`, `start + step_s`, …: cumulative Wh, None where it was not read."""

    meter: str
    register: str
    start: datetime
    step_s: int
    values: tuple[int | None, ...]

    def __post_init__(self) -> None:
        if self.register not in REGISTERS:
            raise ValueError(f"register {self.register!r} of {self.meter} is none of {', '.join(REGISTERS)}")
        if self.start.tzinfo is None:
            raise ValueError(f"readings of {self.meter} start at {self.start}, which names no time zone")
        bad = [value for value in self.values if value is not None and not 0 <= value <= LARGEST]
        if bad:
            raise ValueError(f"register of {self.meter} reads {bad[0]}: a register is 0 to 2^53 Wh")


def telemetry(*, gateway: str, seq: int, prev: str, sent_at: datetime, channels: Sequence[Channel]) -> bytes:
    """The payload of one message, UTF-8 JSON without a blank. `sent_at` is the true time of signing."""
    body = {"v": 1, "gateway": gateway, "seq": seq, "prev": prev, "sent_at": stamp(sent_at), "channels": [_channel(c) for c in channels]}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _channel(channel: Channel) -> dict[str, object]:
    return {
        "meter": channel.meter,
        "register": channel.register,
        "unit": "Wh",
        "start": stamp(channel.start),
        "step_s": channel.step_s,
        "values": channel.values,
    }


def status(*, gateway: str, state: str, at: datetime, version: str, spooled: int) -> bytes:
    """The retained word of a gateway about itself; `offline` is its last will."""
    body = {"v": 1, "gateway": gateway, "state": state, "at": stamp(at), "version": version, "spooled": spooled, "clock_offset_ms": 0}
    return json.dumps(body, separators=(",", ":")).encode()


def stamp(at: datetime) -> str:
    """A time as the wire writes it: JST, whole seconds, cut and never rounded up (ahead of the receiver's clock is a fault)."""
    return at.astimezone(JST).isoformat(timespec="seconds")


def digest(payload: bytes) -> str:
    """What the next message gives as `prev`."""
    return hashlib.sha256(payload).hexdigest()


def sign(payload: bytes, seed: bytes) -> str:
    """Ed25519 over the exact bytes, base64url without padding: the user property `sig`."""
    return base64url(_key(seed).sign(payload).signature)


def public_key(seed: bytes) -> bytes:
    """The 32 bytes that are enrolled for a key's seed."""
    return bytes(_key(seed).verify_key)


@lru_cache(maxsize=4096)
def _key(seed: bytes) -> SigningKey:
    return SigningKey(seed)


def base64url(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def telemetry_topic(gateway: str) -> str:
    """Where a gateway's messages go."""
    return f"jcredit/v1/{gateway}/telemetry"


def status_topic(gateway: str) -> str:
    """Where a gateway's own state stands, retained."""
    return f"jcredit/v1/{gateway}/status"


def ack_topic(gateway: str) -> str:
    """Where the system names the last message up to which all are settled, retained."""
    return f"jcredit/v1/{gateway}/ack"
