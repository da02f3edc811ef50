"""Ed25519 over the exact bytes of a message (RFC 8032), by libsodium. What is signed is what travelled: no canonical form is needed."""

import base64
import binascii
import re

from nacl import bindings
from nacl.exceptions import CryptoError

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) of `message` was made by the key (32 bytes). Never raises on bad bytes."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except CryptoError:
        return False
    return True


def decode_base64url(text: str) -> bytes | None:
    """Bytes of base64url text, padding optional; None if it is not that."""
    if not _BASE64URL.fullmatch(text):
        return None
    try:
        return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except binascii.Error:
        return None
