"""Who said it: every message behind a claim, verified again from its stored bytes.

The `message` table says which occurrence of a (gateway, seq) counts; the bytes say whether it may. A message counts against the claim when its bytes
are not there, hash to something else, are not signed by the key that it names, or that key was not the gateway's, not yet enrolled or already revoked
when the message was received. `sent_at` and its lead over receive time are kept for the clock's check.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import msgspec

from ingest import signature
from ingest.payload import jws
from ingest.segment import BrokenSegment, Message, unpack

CLOCK_LIMIT_S = 5  # sent_at may not be further ahead of receive time than this
MOST_FAULTS_KEPT = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A gateway's key as it stands in the register; instants are Unix µs."""

    kid: str
    gateway: str
    public_key: bytes
    enrolled_us: int
    revoked_us: int | None = None

    def held_at(self, at_us: int) -> bool:
        return self.enrolled_us <= at_us and (self.revoked_us is None or at_us < self.revoked_us)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """A row of `message`: which occurrence counts, and by which bytes."""

    gateway: str
    seq: int
    hash: bytes
    segment: int
    place: int
    refused: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One message that can not be believed, and why."""

    gateway: str
    seq: int
    segment: int
    why: str

    def __str__(self) -> str:
        return f"message {self.gateway}/{self.seq} in segment {self.segment}: {self.why}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What the messages showed. `tested` counts those that carry readings; `refused` those that earn nothing."""

    tested: int
    refused: int
    faults: tuple[Fault, ...]
    fault_count: int
    ahead: tuple[Fault, ...]
    by_gateway: Mapping[str, int]
    segments: tuple[int, ...]


class Head(msgspec.Struct):
    """What of a message's JSON is asked here."""

    gateway: str
    seq: int
    sent_at: datetime


_head = msgspec.json.Decoder(Head).decode


class Examination:
    """Takes segment after segment and ends in a `Provenance`; memory does not grow with the number of messages."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = {key.kid: key for key in keys}
        self.tested = self.refused = self.fault_count = 0
        self.faults: list[Fault] = []
        self.ahead: list[Fault] = []
        self.by_gateway: dict[str, int] = {}
        self.segments: list[int] = []

    def take(self, segment: int, body: bytes | None, counted: Iterable[Counted]) -> None:
        """Examine the messages of one segment that count for the claim."""
        self.segments.append(segment)
        messages = _messages(body)
        for row in counted:
            message = messages[row.place] if 0 <= row.place < len(messages) else None
            self._examine(row, message)

    def result(self) -> Provenance:
        return Provenance(
            tested=self.tested,
            refused=self.refused,
            faults=tuple(self.faults),
            fault_count=self.fault_count,
            ahead=tuple(self.ahead),
            by_gateway=dict(self.by_gateway),
            segments=tuple(sorted(self.segments)),
        )

    def _examine(self, row: Counted, message: Message | None) -> None:
        if row.refused is not None:
            self.refused += 1
            return
        self.tested += 1
        self.by_gateway[row.gateway] = self.by_gateway.get(row.gateway, 0) + 1
        why = "its bytes are not in evidence" if message is None else self._why_not(row, message)
        if why:
            self.fault_count += 1
            if len(self.faults) < MOST_FAULTS_KEPT:
                self.faults.append(Fault(gateway=row.gateway, seq=row.seq, segment=row.segment, why=why))

    def _why_not(self, row: Counted, message: Message) -> str | None:
        signed, inner = signed_and_inner(message)
        if inner is None or signed is None:
            return f"format {message.format} can not be read"
        if sha256(inner).digest() != row.hash:
            return "its bytes hash to something else than was counted"
        key = self.keys.get(message.kid)
        if key is None or key.gateway != row.gateway:
            return f"key {message.kid} is not a key of this gateway"
        if not key.held_at(message.received_us):
            return f"key {message.kid} was not enrolled, or was revoked, when it was received"
        if not signature.verify(key.public_key, signed, message.signature):
            return f"the signature is not of key {message.kid}"
        return self._head_fault(row, message, inner)

    def _head_fault(self, row: Counted, message: Message, inner: bytes) -> str | None:
        try:
            head = _head(inner)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return f"can not be read: {error}"
        if (head.gateway, head.seq) != (row.gateway, row.seq):
            return f"says gateway {head.gateway}, seq {head.seq}"
        lead_s = head.sent_at.timestamp() - message.received_us / 1e6
        if lead_s > CLOCK_LIMIT_S and len(self.ahead) < MOST_FAULTS_KEPT:
            self.ahead.append(Fault(gateway=row.gateway, seq=row.seq, segment=row.segment, why=f"sent_at is {lead_s:.0f} s ahead of receive time"))
        return None


def signed_and_inner(message: Message) -> tuple[bytes | None, bytes | None]:
    """The bytes that the signature is over, and the message's JSON."""
    if message.format == "native":
        return message.payload, message.payload
    compact = jws.parse(message.payload) if message.format == "jws" else None
    return (compact.signed, compact.inner) if compact else (None, None)


def _messages(body: bytes | None) -> list[Message]:
    try:
        return unpack(body) if body is not None else []
    except BrokenSegment:
        return []
