"""`eddsa-jcs-2022` as the W3C recommendation's own example has it (vc-di-eddsa, B.2), and each way in which a credential can be wrong."""

import copy
import hashlib
from typing import Any

import base58
import pytest
from nacl.signing import SigningKey

from verification.decision import verify_credential
from verification.report import canonical

CONTEXT = ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"]
SEED = bytes(range(32))
OWN = "z" + base58.b58encode(b"\xed\x01" + bytes(SigningKey(SEED).verify_key)).decode()
OWN_DID = f"did:key:{OWN}"
DID = "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
W3C: dict[str, Any] = {
    "@context": CONTEXT,
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"},
    "proof": {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": "2023-02-24T23:36:38Z",
        "verificationMethod": f"{DID}#{DID[8:]}",
        "proofPurpose": "assertionMethod",
        "@context": CONTEXT,
        "proofValue": "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX",
    },
}


def secured(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The document with a proof of our own key, its options changed (None leaves one out)."""
    body = {k: v for k, v in document.items() if k != "proof"}
    options = {k: v for k, v in {**W3C["proof"], "verificationMethod": f"{OWN_DID}#{OWN}", **changes}.items() if v is not None and k != "proofValue"}
    signed = SigningKey(SEED).sign(hashlib.sha256(canonical(options)).digest() + hashlib.sha256(canonical(body)).digest())
    return {**body, "proof": {**options, "proofValue": "z" + base58.b58encode(signed.signature).decode()}}


def test_the_recommendations_example_holds() -> None:
    assert verify_credential(W3C)


def test_a_credential_of_our_own_key_holds() -> None:
    assert verify_credential(secured(W3C))


def test_an_issuer_that_is_the_key_itself_holds() -> None:
    assert verify_credential(secured({**W3C, "issuer": OWN_DID}))
    assert verify_credential(secured({**W3C, "issuer": {"id": OWN_DID, "name": "body"}}))


def test_an_issuer_that_is_another_did_does_not_hold() -> None:
    assert not verify_credential(secured({**W3C, "issuer": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"}))


def test_without_a_context_in_the_proof_it_holds_too() -> None:
    assert verify_credential(secured(W3C, **{"@context": None}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "Ed25519Signature2020"),
        ("cryptosuite", "eddsa-rdfc-2022"),
        ("proofPurpose", "authentication"),
        ("created", "yesterday"),
        ("created", "2023-13-41T00:00:00Z"),
        ("created", 5),
        ("verificationMethod", OWN_DID),
        ("verificationMethod", f"{OWN_DID}#z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"),
        ("verificationMethod", f"did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK#{OWN}"),
        ("verificationMethod", "did:web:body.example#key-1"),
        ("verificationMethod", None),
        ("@context", ["https://www.w3.org/ns/credentials/examples/v2"]),
        ("@context", []),
    ],
)
def test_a_proof_signed_with_other_options_does_not_hold(name: str, value: object) -> None:
    assert not verify_credential(secured(W3C, **{name: value}))


@pytest.mark.parametrize("field", ["id", "name", "issuer", "validFrom", "credentialSubject", "type", "@context"])
def test_a_changed_field_is_seen(field: str) -> None:
    changed = copy.deepcopy(W3C)
    changed[field] = "something else"
    assert not verify_credential(changed)


def test_an_added_field_is_seen() -> None:
    assert not verify_credential({**W3C, "extra": 1})


def test_a_changed_signature_is_seen() -> None:
    changed = copy.deepcopy(W3C)
    changed["proof"]["proofValue"] = W3C["proof"]["proofValue"][:-1] + "Y"
    assert not verify_credential(changed)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "",
        5,
        {},
        {"proof": None},
        {"proof": []},
        {"proof": {}},
        {**W3C, "proof": "z"},
        {**W3C, "type": 5},
        {**W3C, "type": None},
        {**W3C, "issuer": {}},
    ],
)
def test_malformed_documents_are_false_not_errors(document: Any) -> None:
    assert not verify_credential(document)


def test_hostile_values_are_false_not_errors() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert not verify_credential({**W3C, "deep": deep})
    assert not verify_credential({**W3C, "number": 1 << 80})
    assert not verify_credential({**W3C, "number": float("nan")})
    assert not verify_credential({**W3C, 5: "key"})
    assert not verify_credential({**W3C, "text": "\ud800"})
    assert not verify_credential({**W3C, "proof": {**W3C["proof"], "proofValue": "z" + "1" * 88}})
