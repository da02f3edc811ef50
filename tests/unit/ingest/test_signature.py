"""Signatures are over the exact bytes; bad bytes are an answer, not an error. The vectors of RFC 8032 are in tests/conformance."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ingest.signature import decode_base64url, verify

KEY = SigningKey(bytes(range(32)))
PUBLIC = bytes(KEY.verify_key)
MESSAGE = b'{"v":1}'
SIGNATURE = KEY.sign(MESSAGE).signature


def test_the_signature_of_these_bytes_holds() -> None:
    assert verify(PUBLIC, MESSAGE, SIGNATURE)


@given(st.integers(0, 511))
def test_no_bit_of_a_signature_may_change(bit: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify(PUBLIC, MESSAGE, bytes(changed))


@given(st.integers(0, 8 * len(MESSAGE) - 1))
def test_no_bit_of_a_message_may_change(bit: int) -> None:
    changed = bytearray(MESSAGE)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify(PUBLIC, bytes(changed), SIGNATURE)


@given(st.binary(max_size=70), st.binary(max_size=40), st.binary(max_size=70))
def test_bad_bytes_do_not_verify_and_do_not_raise(key: bytes, message: bytes, signature: bytes) -> None:
    assert not verify(key, message, signature)
    assert not verify(PUBLIC, message, signature)
    assert not verify(key, MESSAGE, SIGNATURE)


@pytest.mark.parametrize("key", [bytes(32), b"\1" + bytes(31), bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")])
def test_a_small_order_key_signs_nothing(key: bytes) -> None:
    assert not verify(key, MESSAGE, bytes(64))
    assert not verify(key, MESSAGE, b"\1" + bytes(63))


@given(st.binary(max_size=100))
def test_base64url_with_and_without_padding(raw: bytes) -> None:
    padded = base64.urlsafe_b64encode(raw).decode()
    assert decode_base64url(padded) == raw
    assert decode_base64url(padded.rstrip("=")) == raw


@pytest.mark.parametrize("text", ["A", "AAAAA", "a+b/", "AAAA\n", " AAAA", "AA=A", "AA===", "ÄÄÄÄ", "AA\0A"])
def test_what_is_no_base64url_is_none(text: str) -> None:
    assert decode_base64url(text) is None
