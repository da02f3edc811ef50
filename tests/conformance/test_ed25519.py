"""Ed25519 as RFC 8032 verifies: the vectors of its section 7.1, and what section 5.1.7 refuses."""

import hashlib

import pytest

from ingest.signature import verify

L = 2**252 + 27742317777372353535851937790883648493
VECTORS = {  # RFC 8032, 7.1: public key, message, signature
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "TEST SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_a_published_vector_verifies(name: str) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS[name])
    assert verify(key, message, signature) is True


@pytest.mark.parametrize("name", VECTORS)
def test_the_vector_of_another_message_or_key_does_not(name: str) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS[name])
    assert verify(key, message + b"\0", signature) is False
    for other in VECTORS.keys() - {name}:
        assert verify(bytes.fromhex(VECTORS[other][0]), message, signature) is False


@pytest.mark.parametrize("name", VECTORS)
def test_s_beyond_the_order_of_the_group_is_refused(name: str) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS[name])
    forged = int.from_bytes(signature[32:], "little") + L
    assert verify(key, message, signature[:32] + forged.to_bytes(32, "little")) is False


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS["TEST 3"])
    assert verify((key * 2)[:size], message, signature) is False


@pytest.mark.parametrize("size", [0, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS["TEST 3"])
    assert verify(key, message, (signature * 2)[:size]) is False


def test_a_key_that_is_no_point_is_refused() -> None:
    _, message, signature = map(bytes.fromhex, VECTORS["TEST 3"])
    assert verify(b"\2" + bytes(31), message, signature) is False
