"""The demo's verification body and its people. It stands outside the system: its key never enters it.

The body keeps an Ed25519 seed in its own folder, readable by its owner alone, and signs the statement that the system wrote out: a W3C
verifiable credential 2.0, secured by a Data Integrity proof of cryptosuite `eddsa-jcs-2022` (https://www.w3.org/TR/vc-di-eddsa/, section 3.3):
hash = SHA-256(JCS(proof configuration)) ‖ SHA-256(JCS(document)), signed, multibase base58btc.
"""

import hashlib
import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import base58
import rfc8785
from nacl.signing import SigningKey

KEY_FILE = "body.seed"
ED25519_PUBLIC = b"\xed\x01"  # multicodec


class BodyError(Exception):
    """Something that the body can not sign, or a key that it can not use; says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who acts in the demo; `role` is what the step needs."""

    person: str
    role: str
    organisation: str


OPERATOR = Person(person="op-sato", role="operator", organisation="Demo Programme Operator")
METHODS = Person(person="op-kato", role="confirmer", organisation="Demo Programme Operator")
VERIFIER = Person(person="vb-tanaka", role="verifier", organisation="Demo Verification Body")
REVIEWER = Person(person="vb-suzuki", role="reviewer", organisation="Demo Verification Body")
ADMINISTRATOR = Person(person="sa-ito", role="administrator", organisation="Demo Scheme Administrator")
COMMITTEE = Person(person="cc-yamada", role="administrator", organisation="Demo Certification Committee")
FALLBACK = "DEMO: 審査員が原資料を目視で確認した。\nDEMO: the verifier looked at the source documents by eye."
PEOPLE = (OPERATOR, METHODS, VERIFIER, REVIEWER, ADMINISTRATOR, COMMITTEE)


def secure(document: dict[str, Any], seed: bytes, created: str) -> dict[str, Any]:
    """The document with its proof. `created` is an XML Schema time such as 2026-04-01T00:00:00Z; a document that has a proof is refused."""
    return _with_proof(document, seed, created, _method(seed))


def _with_proof(document: dict[str, Any], seed: bytes, created: str, method: str) -> dict[str, Any]:
    if "proof" in document:
        raise BodyError("the statement has a proof already: sign the unsecured one")
    if "@context" not in document:
        raise BodyError("the statement has no @context: it is no verifiable credential")
    config = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": created,
        "verificationMethod": method,
        "proofPurpose": "assertionMethod",
        "@context": document["@context"],
    }
    return document | {"proof": config | {"proofValue": "z" + base58.b58encode(_sign(config, document, seed)).decode()}}


def _sign(config: dict[str, Any], document: dict[str, Any], seed: bytes) -> bytes:
    return SigningKey(seed).sign(hash_data(config, document)).signature


def hash_data(config: dict[str, Any], document: dict[str, Any]) -> bytes:
    """The 64 bytes that are signed: the configuration's hash, then the document's (3.3.4)."""
    try:
        return hashlib.sha256(rfc8785.dumps(config)).digest() + hashlib.sha256(rfc8785.dumps(document)).digest()
    except rfc8785.CanonicalizationError as error:
        raise BodyError(f"the statement can not be written in canonical JSON: {error}") from error


def did(seed: bytes) -> str:
    """The body's name: `did:key:z6Mk…`, its public key and nothing else."""
    return f"did:key:{_multikey(seed)}"


def _method(seed: bytes) -> str:
    return f"{did(seed)}#{_multikey(seed)}"


def _multikey(seed: bytes) -> str:
    return f"z{base58.b58encode(ED25519_PUBLIC + bytes(SigningKey(seed).verify_key)).decode()}"


def key(folder: Path) -> bytes:
    """The body's seed: read from its folder, made there the first time."""
    path = folder / KEY_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(path, os.urandom(32))
    seed = path.read_bytes()
    if len(seed) != 32:
        raise BodyError(f"{path} holds {len(seed)} bytes where an Ed25519 seed has 32: put the body's key back from its backup")
    if path.stat().st_mode & 0o077:
        raise BodyError(f"{path} can be read by others than its owner: `chmod 600 {path}` and think about a new key")
    return seed


def _write_private(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    new.rename(path)


def sign_file(source: Path, out: Path, *, folder: Path, created: str) -> None:
    """Secure the statement in one file into another. A statement issued by another did:key than the body's is refused."""
    try:
        document = json.loads(source.read_bytes())
    except ValueError as error:
        raise BodyError(f"{source} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise BodyError(f"{source} holds no JSON object: give the statement that `jcredit statement ID --out F` wrote")
    seed = key(folder)
    issuer = document.get("issuer")
    name = issuer.get("id") if isinstance(issuer, dict) else issuer
    if isinstance(name, str) and name.startswith("did:key:") and name != did(seed):
        raise BodyError(f"the statement in {source} is issued by {name}, the key in {folder} is {did(seed)}: sign with the issuer's key")
    out.write_text(json.dumps(secure(document, seed, created), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def instead(folder: Path, *, item: str, did_instead: str, person: Person = VERIFIER) -> Path:
    """The body's own record of what it did where an item could not run: a file to give to `sign --instead ITEM=FILE`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{item}.txt"
    path.write_text(f"item: {item}\nby: {person.person}, {person.organisation}\nscheme: DEMO (not official)\n\n{did_instead.strip()}\n", encoding="utf-8")
    return path


def did_instead(item: str) -> str:
    """What the demo's body says it did where an item could not run, in Japanese and English."""
    return str(tomllib.loads((Path(__file__).parent / "instead.toml").read_text(encoding="utf-8")).get(item, FALLBACK))
