"""An MQTT 3.1.1 gateway has no user properties: it sends its message as a JWS compact string (RFC 7515, EdDSA, `kid` in the header)."""

import msgspec

from ingest.signature import decode_base64url


class Header(msgspec.Struct):
    alg: str
    kid: str = ""
    crit: object = None
    b64: bool = True


class Compact(msgspec.Struct, frozen=True):
    """The parts of a JWS: who says to have signed, what, and with which signature. `kid` and `signature` are empty where they are missing."""

    kid: str
    signature: bytes
    signed: bytes
    inner: bytes


def parse(payload: bytes) -> Compact | None:
    """The parts of a compact JWS signed with EdDSA, or None if the bytes are none."""
    parts = payload.split(b".")
    if len(parts) != 3 or not payload.isascii():
        return None
    header, inner, signature = (decode_base64url(part.decode()) for part in parts)
    if header is None or inner is None or signature is None:
        return None
    try:
        head = msgspec.json.decode(header, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if head.alg != "EdDSA" or head.crit is not None or not head.b64:
        return None
    return Compact(kid=head.kid, signature=signature, signed=parts[0] + b"." + parts[1], inner=inner)
