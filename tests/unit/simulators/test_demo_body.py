import json
import stat
from pathlib import Path
from typing import Any

import base58
import pytest

from simulators import body
from simulators.body import BodyError

# https://www.w3.org/TR/vc-di-eddsa/, appendix B.2 (representation eddsa-jcs-2022), keys of B.1
SECRET = "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq"
PUBLIC = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
CREATED = "2023-02-24T23:36:38Z"
DOCUMENT: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"},
}
BY_DID_KEY = "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX"


@pytest.fixture
def seed() -> bytes:
    return bytes(base58.b58decode(SECRET[1:])[2:])


def test_the_w3c_vector_is_reproduced(seed: bytes) -> None:
    assert body.secure(DOCUMENT, seed, CREATED) == DOCUMENT | {
        "proof": {
            "type": "DataIntegrityProof",
            "cryptosuite": "eddsa-jcs-2022",
            "created": CREATED,
            "verificationMethod": f"did:key:{PUBLIC}#{PUBLIC}",
            "proofPurpose": "assertionMethod",
            "@context": DOCUMENT["@context"],
            "proofValue": BY_DID_KEY,
        }
    }


def test_the_did_is_the_key(seed: bytes) -> None:
    assert body.did(seed) == f"did:key:{PUBLIC}"


@pytest.mark.parametrize(("document", "why"), [(DOCUMENT | {"proof": {}}, "has a proof already"), ({"id": "x"}, "no @context")])
def test_what_can_not_be_secured_is_refused(seed: bytes, document: dict[str, Any], why: str) -> None:
    with pytest.raises(BodyError, match=why):
        body.secure(document, seed, CREATED)


def test_a_number_that_canonical_json_can_not_hold_is_refused(seed: bytes) -> None:
    with pytest.raises(BodyError, match="canonical JSON"):
        body.secure(DOCUMENT | {"tonnes": 2**60}, seed, CREATED)


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = body.key(tmp_path / "body")
    assert body.key(tmp_path / "body") == first
    assert stat.S_IMODE((tmp_path / "body" / body.KEY_FILE).stat().st_mode) == 0o600


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    body.key(tmp_path)
    (tmp_path / body.KEY_FILE).chmod(0o644)
    with pytest.raises(BodyError, match="can be read by others"):
        body.key(tmp_path)


def test_half_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / body.KEY_FILE).write_bytes(b"half")
    with pytest.raises(BodyError, match="holds 4 bytes"):
        body.key(tmp_path)


def test_a_file_is_signed(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(DOCUMENT | {"name": "検証"}))
    body.sign_file(tmp_path / "in.json", tmp_path / "out.json", folder=tmp_path / "key", created=CREATED)
    seed = body.key(tmp_path / "key")
    assert json.loads((tmp_path / "out.json").read_bytes()) == body.secure(DOCUMENT | {"name": "検証"}, seed, CREATED)


def test_a_statement_of_another_issuer_is_not_signed(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(DOCUMENT | {"issuer": {"id": f"did:key:{PUBLIC}"}}))
    with pytest.raises(BodyError, match="sign with the issuer's key"):
        body.sign_file(tmp_path / "in.json", tmp_path / "out.json", folder=tmp_path / "key", created=CREATED)
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("text", ["[]", "{"])
def test_a_file_that_is_no_statement_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "in.json").write_text(text)
    with pytest.raises(BodyError, match="JSON"):
        body.sign_file(tmp_path / "in.json", tmp_path / "out.json", folder=tmp_path / "key", created=CREATED)


def test_what_the_body_did_instead_is_a_file_that_names_item_and_person(tmp_path: Path) -> None:
    path = body.instead(tmp_path, item="C11", did_instead="Compared the meters' photographs with the register.")
    told = path.read_text(encoding="utf-8")
    assert path.name == "C11.txt"
    assert "item: C11" in told
    assert "vb-tanaka" in told
    assert "Compared the meters' photographs" in told


def test_the_people_of_the_demo_keep_their_roles_apart() -> None:
    people = {person.person: person.role for person in body.PEOPLE}
    assert len(people) == len(body.PEOPLE)
    assert {"operator", "verifier", "reviewer", "administrator"} <= set(people.values())
