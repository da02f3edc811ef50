"""A claim's statement and its signature in the database: what the body states, what it did instead, and the signature that it made elsewhere.

Signing writes `certified(activity, period)` under its exclusion constraint and the ledger's `reduction verified`, in the transaction that takes the
signature; the rest of a claim's walk is in `walk_timescale`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.range import Range

from verification import ledger_timescale
from verification.claim_timescale import project_of, row_of
from verification.decision import signer, unsecured, verify_credential
from verification.item import checklist
from verification.page import Instead
from verification.person_timescale import Person, Tell, bind_did, find
from verification.report import canonical, sha256
from verification.statement import unsecured_statement
from verification.verify_timescale import stored
from verification.walk import SIGN, NotAllowedError, Opinion, State, allowed
from verification.walk_timescale import actor_of, entry_of, event

MOST_INSTEAD_BYTES = 32 << 20
MOST_NAME = 60
STRANGE = re.compile(r"[^\w.-]")

ADD_STATEMENT = """
INSERT INTO statement (claim, round, sha256, content) VALUES (%(claim)s, %(round)s, %(sha256)s, %(content)s) ON CONFLICT DO NOTHING
"""
STATEMENT = "SELECT content, secured FROM statement WHERE claim = %(claim)s AND round = %(round)s AND sha256 = %(sha256)s"
SECURED = "UPDATE statement SET secured = %(secured)s WHERE claim = %(claim)s AND round = %(round)s AND sha256 = %(sha256)s"
ADD_INSTEAD = """
INSERT INTO instead (claim, round, item, person, reason, file_name, sha256, content)
VALUES (%(claim)s, %(round)s, %(item)s, %(person)s, %(reason)s, %(file_name)s, %(sha256)s, %(content)s) ON CONFLICT DO NOTHING
"""
INSTEAD = "SELECT item, person, reason, file_name, sha256 FROM instead WHERE claim = %s AND round = %s ORDER BY item, at"
INSTEAD_FILES = """
SELECT item, file_name, sha256, content FROM instead JOIN claim USING (claim, round) WHERE claim = %s ORDER BY item, instead.at, sha256
"""
SECURED_OF = """
SELECT s.secured FROM claim c JOIN statement s ON s.claim = c.claim AND s.round = c.round AND s.sha256 = c.statement_sha256
WHERE c.claim = %s AND s.secured IS NOT NULL
"""
EARNING = "SELECT DISTINCT activity FROM claim_day WHERE claim = %s AND credited > 0 ORDER BY activity"
CERTIFY = "INSERT INTO certified (activity, period, claim) VALUES (%s, %s, %s)"
SIGNED = """
UPDATE claim SET state = 'signed', signed_by = %(person)s, opinion = %(opinion)s, statement_sha256 = %(sha256)s WHERE claim = %(claim)s
"""


class NotDecidedError(Exception):
    """Items that failed or could not run and that nobody decided: `items`."""

    def __init__(self, claim: str, items: Sequence[str]) -> None:
        self.items = tuple(items)
        super().__init__(
            f"claim {claim} can not be signed while {len(self.items)} items are undecided: {', '.join(self.items)}; "
            "record what the body did with `--instead ITEM=FILE` for each, or return the claim"
        )


class BadStatementError(ValueError):
    """A signature file that is not the body's signature over this claim's statement; says which part is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A file of the body for one item: its first line says what was done."""

    item: str
    file_name: str
    content: bytes

    def __post_init__(self) -> None:
        if self.item not in checklist():
            raise ValueError(f"{self.item!r} is no item of the checklist (E01 to E50, C01 to C19)")
        if len(self.content) > MOST_INSTEAD_BYTES:
            raise ValueError(f"{self.file_name} has {len(self.content)} bytes; at most {MOST_INSTEAD_BYTES} are kept")
        if not self.reason:
            raise ValueError(f"{self.file_name} is empty: its first line says what the body did instead")

    @property
    def reason(self) -> str:
        """The first line that says something beside the head of the form (item, by, scheme)."""
        lines = [line.strip() for line in self.content.decode("utf-8", "replace").splitlines() if line.strip()]
        said = [line for line in lines if not line.startswith(("item:", "by:", "scheme:"))]
        return (said or lines or [""])[0][:500]


def state_statement(
    connection: psycopg.Connection[Any],
    claim: str,
    *,
    person: str | None,
    did: str | None,
    opinion: Opinion = Opinion.UNMODIFIED,
    instead: Sequence[Record] = (),
    tell: Tell = print,
) -> bytes:
    """Write the unsecured statement of a verified claim, keep it, and give its canonical bytes. Records given here stand in it."""
    with connection.transaction():
        row = row_of(connection, claim, lock=True)
        if row["state"] != State.VERIFIED:
            raise NotAllowedError(f"claim {claim} is {row['state']}; a statement is written of a verified claim that is not signed")
        if instead:
            actor = actor_of(connection, row, person or row["verified_by"], SIGN.roles, tell)
            _keep(connection, row, actor.person, instead)
        body = find(connection, person or row["verified_by"])
        found = stored(connection, row)
        content = canonical(
            unsecured_statement(
                found.document(),
                report_sha256=found.sha256,
                frozen_at=row["frozen_at"],
                body=person or row["verified_by"],
                did=did or (body.did if body else None),
                opinion=opinion,
                instead=records(connection, claim),
            )
        )
        connection.execute(ADD_STATEMENT, {"claim": claim, "round": row["round"], "sha256": sha256(content), "content": content})
    return content


def sign(
    connection: psycopg.Connection[Any], claim: str, *, person: str, signature: bytes, instead: Sequence[Record] = (), tell: Tell = print
) -> tuple[int | None, str]:
    """Take a signature made elsewhere over the claim's statement; (t, the signing DID). The same signature again changes nothing."""
    secured = _credential(signature)
    bare = canonical(unsecured(secured))
    with connection.transaction():
        row = row_of(connection, claim, lock=True)
        if row["statement_sha256"] == sha256(bare) and row["state"] in (State.SIGNED, State.APPROVED, State.ISSUED):
            return row["tonnes"], signer(secured)
        actor = actor_of(connection, row, person, SIGN.roles, tell)
        allowed(SIGN, claim=claim, state=row["state"], person=person, role=actor.role, barred={"created": row["created_by"]})
        statement = _statement(connection, row, secured, bare)
        _own_key(connection, actor, signer(secured), row, tell)
        _keep(connection, row, person, instead)
        opinion = Opinion(statement["credentialSubject"]["opinion"])
        if opinion.leads_to_issue:
            _decided(connection, row)
            _certify(connection, row, bare)
        connection.execute(SIGNED, {"claim": claim, "person": person, "opinion": opinion, "sha256": sha256(bare)})
        connection.execute(SECURED, {"claim": claim, "round": row["round"], "sha256": sha256(bare), "secured": canonical(secured)})
        detail = {"did": signer(secured), "statement_sha256": sha256(bare), "opinion": opinion, "instead": [r.item for r in instead]}
        event(connection, claim, row["round"], "signed", person, detail=detail)
    return row["tonnes"], signer(secured)


def records(connection: psycopg.Connection[Any], claim: str) -> tuple[Instead, ...]:
    """What the body did instead, of the claim's present round."""
    row = row_of(connection, claim)
    with connection.cursor(row_factory=dict_row) as cursor:
        return tuple(Instead(**r) for r in cursor.execute(INSTEAD, [claim, row["round"]]))


def signed_statement(connection: psycopg.Connection[Any], claim: str) -> bytes | None:
    """The statement of the claim's present round as the body signed it, canonical; None before it is signed."""
    found = connection.execute(SECURED_OF, [claim]).fetchone()
    return None if found is None else bytes(found[0])


def files(connection: psycopg.Connection[Any], claim: str) -> dict[str, bytes]:
    """The body's own files of the present round by a name that says the item and that any folder can hold: `C11-peers.txt`."""
    found: dict[str, bytes] = {}
    for item, file_name, digest, content in connection.execute(INSTEAD_FILES, [claim]):
        plain = STRANGE.sub("_", file_name)[-MOST_NAME:]
        name = plain if plain.startswith(item) else f"{item}-{plain}"
        found[name if name not in found else f"{item}-{digest[:8]}-{plain}"] = bytes(content)
    return found


def _credential(signature: bytes) -> dict[str, Any]:
    try:
        document = json.loads(signature)
    except (ValueError, RecursionError) as error:
        raise BadStatementError(f"the signature file is no JSON: {error}") from error
    if not isinstance(document, dict) or not verify_credential(document):
        raise BadStatementError("the signature file is no credential whose eddsa-jcs-2022 proof by a did:key holds; sign the statement again")
    return document


def _statement(connection: psycopg.Connection[Any], row: Mapping[str, Any], secured: Mapping[str, Any], bare: bytes) -> dict[str, Any]:
    """The statement that was signed, which must be one that this system wrote of the claim's present report."""
    asked = {"claim": row["claim"], "round": row["round"], "sha256": sha256(bare)}
    found = connection.execute(STATEMENT, asked).fetchone()
    if found is None or bytes(found[0]) != bare:
        raise BadStatementError(
            f"what was signed is not a statement of claim {row['claim']} as it stands, byte for byte; "
            f"write it again with `jcredit statement {row['claim']} --out F` and sign that"
        )
    return unsecured(secured)


def _own_key(connection: psycopg.Connection[Any], actor: Person, did: str, row: Mapping[str, Any], tell: Tell) -> None:
    """The key that signed is the person's; in DEMO a person without one gets it at first use."""
    if actor.did is None and not project_of(connection, row["project"]).official:
        bind_did(connection, actor.person, did)
        tell(f"{actor.person} had no key on record: {did} from now on (scheme DEMO)")
    elif actor.did != did:
        stored_key = actor.did or f"none; `jcredit person add {actor.person} --role {actor.role} --did DID` enters it"
        raise BadStatementError(f"signed by {did}, but the key of {actor.person} is {stored_key}")


def _keep(connection: psycopg.Connection[Any], row: Mapping[str, Any], person: str, instead: Sequence[Record]) -> None:
    for r in instead:
        connection.execute(
            ADD_INSTEAD,
            {
                "claim": row["claim"],
                "round": row["round"],
                "item": r.item,
                "person": person,
                "reason": r.reason,
                "file_name": PurePath(r.file_name).name,
                "sha256": sha256(r.content),
                "content": r.content,
            },
        )


def _decided(connection: psycopg.Connection[Any], row: Mapping[str, Any]) -> None:
    """Every item that blocks has the body's own record, and the tonnes can be said."""
    done = {r.item for r in records(connection, row["claim"])}
    undecided = [item for item in stored(connection, row).needs_person if item not in done]
    if undecided:
        raise NotDecidedError(row["claim"], undecided)
    if row["tonnes"] is None or any(t is None or t < 0 for t in row["tonnes_by_year"].values()):
        raise NotAllowedError(f"claim {row['claim']} has no tonnes that could be certified ({row['tonnes_by_year']}); load the missing factors and return it")


def _certify(connection: psycopg.Connection[Any], row: Mapping[str, Any], bare: bytes) -> None:
    """Enter the reduction: no (activity, period) twice, and the ledger's entry."""
    period = Range(row["start_on"], row["end_on"], "[)")
    try:
        with connection.cursor() as cursor:
            cursor.executemany(CERTIFY, [(activity, period, row["claim"]) for (activity,) in connection.execute(EARNING, [row["claim"]]).fetchall()])
    except psycopg.errors.ExclusionViolation as error:
        raise NotAllowedError(f"claim {row['claim']} would certify an activity's period twice: {error.diag.message_detail}") from error
    ledger_timescale.append(connection, kind="reduction verified", claim=row["claim"], value=entry_of(row) | {"statement_sha256": sha256(bare)})
