"""Whether a message is admitted: the refusals of contract.md in their order, against the register as it stands at receive time.

A noun: bytes and the register's view in, a segment message out. A message without a good signature raises Refused and moves nothing. One whose
signature holds, but which is refused, comes back with its reason: it keeps its place in the chain of the gateway whose key signed it.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256

import msgspec

from ingest import telemetry
from ingest.payload import jws
from ingest.refusal import Reason, Refused
from ingest.segment import Message
from ingest.signature import decode_base64url, verify

KID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Sender(msgspec.Struct, frozen=True, gc=False):
    """What the register knows of a key: its gateway, and the registers that this gateway may speak for (meter to register)."""

    kid: str
    public_key: bytes
    gateway: str
    meters: dict[str, str]
    enrolled_us: int
    revoked_us: int | None = None


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A message as MQTT gave it; `kid` and `sig` are its user properties, None where missing."""

    topic: str
    payload: bytes
    kid: str | None
    sig: str | None
    received_us: int


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """Who says to have sent it, before anything is proved."""

    kid: str
    signature: bytes
    signed: bytes
    inner: bytes
    format: str


Find = Callable[[str], Sender | None]


def admit(arrival: Arrival, find: Find) -> Message:
    """The segment message of an arrival, perhaps with a reason of refusal; Refused if its signature is not good."""
    claimed = _claimed(arrival)
    sender = find(claimed.kid) if KID.fullmatch(claimed.kid) else None  # no database is asked for what can not be one
    if sender is None:
        raise Refused(Reason.UNKNOWN_KEY, f"no key {claimed.kid!r} is enrolled")
    if sender.revoked_us is not None and arrival.received_us >= sender.revoked_us:
        raise Refused(Reason.REVOKED_KEY, f"key {claimed.kid} was revoked")
    if not verify(sender.public_key, claimed.signed, claimed.signature):
        raise Refused(Reason.BAD_SIGNATURE, f"not signed by key {claimed.kid}")
    refused = _refused(arrival, claimed, sender)
    return Message(
        payload=arrival.payload,
        kid=claimed.kid,
        signature=claimed.signature,
        format=claimed.format,
        received_us=arrival.received_us,
        sha256=sha256(claimed.inner).digest(),
        gateway=sender.gateway,
        refused=refused,
    )


def _claimed(arrival: Arrival) -> Claimed:
    """The outside of a message: size, format, key id and signature."""
    payload = arrival.payload
    if len(payload) > telemetry.MOST_BYTES:
        raise Refused(Reason.TOO_LARGE, f"{len(payload)} bytes; at most {telemetry.MOST_BYTES} are taken")
    if payload[:1] == b"{":
        return Claimed(kid=_kid(arrival.kid), signature=_signature(arrival.sig), signed=payload, inner=payload, format="native")
    compact = jws.parse(payload)
    if compact is None:
        raise Refused(Reason.UNKNOWN_FORMAT, "neither a JSON object (native v1) nor a JWS compact string with alg EdDSA")
    if len(compact.signature) != 64:
        raise Refused(Reason.NO_SIGNATURE, "the JWS carries no Ed25519 signature")
    return Claimed(kid=_kid(compact.kid), signature=compact.signature, signed=compact.signed, inner=compact.inner, format="jws")


def _kid(kid: str | None) -> str:
    if not kid:
        raise Refused(Reason.NO_SIGNATURE, "no key id: send the user property kid, or kid in the JWS header")
    return kid


def _signature(sig: str | None) -> bytes:
    raw = decode_base64url(sig) if sig else None
    if raw is None or len(raw) != 64:
        raise Refused(Reason.NO_SIGNATURE, "no signature: send the user property sig, 64 bytes as base64url")
    return raw


def _refused(arrival: Arrival, claimed: Claimed, sender: Sender) -> str | None:
    """Why a well-signed message is refused, or None. Refused is raised when it has no place in a chain."""
    try:
        message = telemetry.read(claimed.inner)
        speaks_for_itself(message.gateway, arrival.topic, sender)
        speaks_for_its_meters(message, sender.meters)
    except Refused as refusal:
        if telemetry.place(claimed.inner) is None:
            raise
        return _first_of(refusal, claimed.inner, arrival.topic, sender)
    return None


def _first_of(refusal: Refused, inner: bytes, topic: str, sender: Sender) -> str:
    """A number out of range is tried last: a wrong gateway or meter in the same message counts before it."""
    if refusal.reason is not Reason.OUT_OF_RANGE:
        return refusal.reason
    message = telemetry.read_any(inner)
    try:
        speaks_for_itself(message.gateway, topic, sender)
        speaks_for_its_meters(message, sender.meters)
    except Refused as earlier:
        return earlier.reason
    return refusal.reason


def speaks_for_itself(gateway: str, topic: str, sender: Sender) -> None:
    """The gateway of the body, of the topic and of the key are one."""
    if gateway != sender.gateway or topic.split("/")[2:3] != [gateway]:
        raise Refused(Reason.WRONG_GATEWAY, f"key {sender.kid} is of {sender.gateway}; body {gateway!r}, topic {topic!r}")


def speaks_for_its_meters(message: "telemetry.Telemetry | telemetry.AnyTelemetry", meters: Mapping[str, str]) -> None:
    """Each channel is a meter of this gateway, with the register that it is enrolled for."""
    for channel in message.channels:
        if meters.get(channel.meter) != channel.register:
            raise Refused(Reason.WRONG_METER, f"meter {channel.meter!r} with register {channel.register} is not enrolled for this gateway")
