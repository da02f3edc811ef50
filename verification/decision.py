"""What the body and the administrator decide, and the signature that says so.

A statement is a W3C verifiable credential 2.0. The system writes it unsecured; the body signs it elsewhere, with a key that never comes here, by the
cryptosuite `eddsa-jcs-2022`; what comes back must be the same statement byte for byte, under a `did:key`.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import base58

from ingest import signature
from verification.report import canonical

CREDENTIALS_V2 = "https://www.w3.org/ns/credentials/v2"
ED25519_PUBLIC = b"\xed\x01"  # multicodec
METHOD = re.compile(r"did:key:(z6Mk[1-9A-HJ-NP-Za-km-z]{44})#(z6Mk[1-9A-HJ-NP-Za-km-z]{44})")
DID_KEY = re.compile(r"did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}")
PROOF_VALUE = re.compile(r"z[1-9A-HJ-NP-Za-km-z]{64,90}")
XML_TIME = re.compile(r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def verify_credential(document: dict[str, Any]) -> bool:
    """Whether the credential's proof (`eddsa-jcs-2022`, `did:key`) holds over all of it. False, never an error, for whatever else comes.

    The verification method must be the DID's own key, and an issuer that is a DID must be that DID. An issuer of another kind of URL is not tied to
    the key by the document: who it is, the caller has to know.
    """
    try:
        return _verify(document)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return False


def signer(document: Mapping[str, Any]) -> str:
    """The DID that the proof names; of a credential that `verify_credential` accepted."""
    return str(document["proof"]["verificationMethod"]).partition("#")[0]


def unsecured(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without its proof."""
    return {key: value for key, value in document.items() if key != "proof"}


def _verify(document: dict[str, Any]) -> bool:
    proof = document["proof"]
    if not (isinstance(document, dict) and isinstance(proof, dict) and _is_credential(document) and _well_formed(proof)):
        return False
    did, key = _key(proof["verificationMethod"])
    if str(_issuer(document)).startswith("did:") and _issuer(document) != did:
        return False
    body = unsecured(document)
    if "@context" in proof:
        if not _begins_with(document["@context"], proof["@context"]):
            return False
        body["@context"] = proof["@context"]
    config = {name: value for name, value in proof.items() if name != "proofValue"}
    hash_data = hashlib.sha256(canonical(config)).digest() + hashlib.sha256(canonical(body)).digest()
    return signature.verify(key, hash_data, base58.b58decode(proof["proofValue"][1:]))


def _is_credential(document: Mapping[str, Any]) -> bool:
    kinds = document["type"]
    return "VerifiableCredential" in (kinds if isinstance(kinds, list) else [kinds]) and bool(document["@context"]) and bool(document["issuer"])


def _well_formed(proof: Mapping[str, Any]) -> bool:
    return (
        (proof["type"], proof["cryptosuite"], proof["proofPurpose"]) == ("DataIntegrityProof", "eddsa-jcs-2022", "assertionMethod")
        and bool(PROOF_VALUE.fullmatch(proof["proofValue"]))
        and ("created" not in proof or _is_time(proof["created"]))
    )


def _is_time(text: str) -> bool:
    return bool(XML_TIME.fullmatch(text)) and datetime.fromisoformat(text) is not None


def _key(method: str) -> tuple[str, bytes]:
    """DID and public key of a verification method; ValueError unless the key is the DID's own Ed25519 key."""
    found = METHOD.fullmatch(method)
    if found is None or found[1] != found[2]:
        raise ValueError("the verification method is no Ed25519 key of its did:key")
    multikey = base58.b58decode(found[1][1:])
    if len(multikey) != 34 or not multikey.startswith(ED25519_PUBLIC):
        raise ValueError("the did:key is no Ed25519 key")
    return f"did:key:{found[1]}", multikey[2:]


def _issuer(document: Mapping[str, Any]) -> object:
    issuer = document["issuer"]
    return issuer["id"] if isinstance(issuer, dict) else issuer


def _begins_with(whole: object, part: object) -> bool:
    """Data Integrity: the document's contexts begin with the proof's, in the same order."""
    wholes, parts = ([value] if not isinstance(value, list) else value for value in (whole, part))
    return bool(parts) and wholes[: len(parts)] == parts
