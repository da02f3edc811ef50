"""A claim's walk in the database: created, stated, signed, approved, and back. Every step is one transaction that locks the claim's row first.

Signing writes `certified(activity, period)` under its exclusion constraint and the ledger's `reduction verified`; going back releases the first and
sets the second aside. After issue nothing goes back.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from verification import ledger_timescale
from verification.claim import DEFAULT_INCIDENTAL, Plan
from verification.claim_timescale import project_of, row_of
from verification.decision import signer, unsecured, verify_credential
from verification.item import checklist
from verification.methodology.en_r_002 import FactorChoice
from verification.page import Instead, Step
from verification.period import Period, fiscal_year
from verification.person_timescale import Person, Tell, acting, bind_did, find
from verification.report import canonical, sha256
from verification.statement import unsecured_statement
from verification.verify_timescale import ADD_EVENT, Verified, stored
from verification.walk import APPROVE, BACK, SIGN, NotAllowedError, Opinion, Role, State, allowed

MOST_INSTEAD_BYTES = 32 << 20
ADMINISTRATORS_NEEDED = {"DEMO": 1}  # every other scheme: two different persons

NUMBER = "SELECT count(*) FROM claim WHERE project = %s"
CREATE = """
INSERT INTO claim (claim, project, start_on, end_on, plan, approvals_needed, created_by)
VALUES (%(claim)s, %(project)s, %(start)s, %(end)s, %(plan)s, %(approvals)s, %(person)s) ON CONFLICT (claim) DO NOTHING
"""
LIST = """
SELECT claim, state, tonnes, project, start_on, end_on, round, report_sha256, verified_by, signed_by, created_by, created_at FROM claim ORDER BY number
"""
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
EVENTS = "SELECT what, person, to_char(at AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI:SS') AS at, reason FROM claim_event WHERE claim = %s ORDER BY id"
EARNING = "SELECT DISTINCT activity FROM claim_day WHERE claim = %s AND credited > 0 ORDER BY activity"
CERTIFY = "INSERT INTO certified (activity, period, claim) VALUES (%s, %s, %s)"
RELEASE = "DELETE FROM certified WHERE claim = %s"
SIGNED = """
UPDATE claim SET state = 'signed', signed_by = %(person)s, opinion = %(opinion)s, statement_sha256 = %(sha256)s WHERE claim = %(claim)s
"""
SET_STATE = "UPDATE claim SET state = %(state)s WHERE claim = %(claim)s"
APPROVERS = "SELECT DISTINCT person FROM claim_event WHERE claim = %s AND round = %s AND what = 'approval'"
ASKED = "SELECT EXISTS (SELECT FROM batch WHERE claim = %s AND attempts > 0)"


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


def create(connection: psycopg.Connection[Any], *, project: str, period: Period, person: str | None, factor: str, tell: Tell) -> str:
    """A new draft; its id. LookupError where there is no such project."""
    known = project_of(connection, project)
    who = person or known.operator
    plan = Plan(factor=FactorChoice(factor), incidental=DEFAULT_INCIDENTAL)
    with connection.transaction():
        if person is not None:
            actor = acting(connection, person, (Role.OPERATOR,), demo=not known.official, tell=tell)
            if actor.role != Role.OPERATOR:
                raise NotAllowedError(f"{person} is {actor.role}; a claim is created by an operator")
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"claim {project}"])
        claim = _new_id(connection, project, period)
        connection.execute(
            CREATE,
            {
                "claim": claim,
                "project": project,
                "start": period.start,
                "end": period.end,
                "plan": Jsonb(plan.document()),
                "approvals": ADMINISTRATORS_NEEDED.get(known.scheme, 2),
                "person": who,
            },
        )
        _event(connection, claim, 0, "created", who, detail={"plan": plan.document()})
    return claim


def _new_id(connection: psycopg.Connection[Any], project: str, period: Period) -> str:
    """`demo-fy2021-001`: project, fiscal year where the project's own id does not say it, number."""
    year = f"fy{fiscal_year(period.start)}"
    found = connection.execute(NUMBER, [project]).fetchone()
    return f"{project if year in project else f'{project}-{year}'}-{(found[0] if found else 0) + 1:03d}"


def claims(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Every claim, oldest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(LIST).fetchall()


def verified(connection: psycopg.Connection[Any], claim: str) -> Verified:
    """What was found when the claim was last frozen."""
    return stored(connection, row_of(connection, claim))


def records(connection: psycopg.Connection[Any], claim: str) -> tuple[Instead, ...]:
    """What the body did instead, of the claim's present round."""
    row = row_of(connection, claim)
    with connection.cursor(row_factory=dict_row) as cursor:
        return tuple(Instead(**r) for r in cursor.execute(INSTEAD, [claim, row["round"]]))


def steps(connection: psycopg.Connection[Any], claim: str) -> tuple[Step, ...]:
    """Every event of the claim, the first first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return tuple(Step(**r) for r in cursor.execute(EVENTS, [claim]))


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
            actor = _actor(connection, row, person or row["verified_by"], SIGN.roles, tell)
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
        actor = _actor(connection, row, person, SIGN.roles, tell)
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
        _event(connection, claim, row["round"], "signed", person, detail=detail)
    return row["tonnes"], signer(secured)


def approve(connection: psycopg.Connection[Any], claim: str, *, person: str, tell: Tell = print) -> tuple[State, int, int]:
    """One administrator's approval; (state, approvals, approvals needed). The ledger's entry is made with the last one that is needed."""
    with connection.transaction():
        row = row_of(connection, claim, lock=True)
        actor = _actor(connection, row, person, APPROVE.roles, tell)
        done = row["state"] in (State.APPROVED, State.ISSUED)
        start = State.SIGNED if done else row["state"]
        barred = {"created": row["created_by"], "verified": row["verified_by"], "signed": row["signed_by"]}
        allowed(APPROVE, claim=claim, state=start, person=person, role=actor.role, barred=barred)
        if row["opinion"] is None or not Opinion(row["opinion"]).leads_to_issue:
            raise NotAllowedError(f"claim {claim} has the opinion {row['opinion']}; only an unmodified or modified one leads to issue")
        who = {r[0] for r in connection.execute(APPROVERS, [claim, row["round"]])}
        if person not in who:
            _event(connection, claim, row["round"], "approval", person)
            who.add(person)
        if not done and len(who) >= row["approvals_needed"]:
            ledger_timescale.append(connection, kind="batch approved", claim=claim, value=_entry(row))
            connection.execute(SET_STATE, {"claim": claim, "state": State.APPROVED})
            _event(connection, claim, row["round"], "approved", person, detail={"approvers": sorted(who)})
        state = State(row_of(connection, claim)["state"])
    return state, len(who), row["approvals_needed"]


def walk_back(connection: psycopg.Connection[Any], claim: str, step: str, *, person: str, reason: str, tell: Tell = print) -> State:
    """Return, reject, withdraw or suspend a claim; the new state. What was certified is released and the ledger set aside, except on suspension."""
    if not reason.strip():
        raise ValueError(f"`{step}` needs a reason")
    taken = BACK[step]
    with connection.transaction():
        row = row_of(connection, claim, lock=True)
        actor = _actor(connection, row, person, taken.roles, tell)
        allowed(taken, claim=claim, state=row["state"], person=person, role=actor.role, barred={})
        if taken.to is not State.SUSPENDED:
            _release(connection, row, reason)
        connection.execute(SET_STATE, {"claim": claim, "state": taken.to})
        _event(connection, claim, row["round"], taken.to, person, reason=reason)
    return taken.to


def _release(connection: psycopg.Connection[Any], row: Mapping[str, Any], reason: str) -> None:
    asked = connection.execute(ASKED, [row["claim"]]).fetchone()
    if asked and asked[0]:
        raise NotAllowedError(
            f"the registry was asked to issue claim {row['claim']} and may have: `jcredit issue {row['claim']} --as PERSON` settles that; suspend it meanwhile"
        )
    connection.execute(RELEASE, [row["claim"]])
    ledger_timescale.set_aside(connection, claim=row["claim"], reason=reason)


def _actor(connection: psycopg.Connection[Any], row: Mapping[str, Any], person: str, roles: tuple[Role, ...], tell: Tell) -> Person:
    return acting(connection, person, roles, demo=not project_of(connection, row["project"]).official, tell=tell)


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
    ledger_timescale.append(connection, kind="reduction verified", claim=row["claim"], value=_entry(row) | {"statement_sha256": sha256(bare)})


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the ledger says of a claim."""
    return {
        "project": row["project"],
        "period": {"start": row["start_on"], "end_exclusive": row["end_on"]},
        "tonnes": row["tonnes_by_year"],
        "mwh": row["mwh_by_year"],
        "report_sha256": row["report_sha256"],
    }


def _event(
    connection: psycopg.Connection[Any],
    claim: str,
    round_no: int,
    what: str,
    person: str,
    *,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    values = {"claim": claim, "round": round_no, "what": what, "person": person, "reason": reason, "detail": None if detail is None else Jsonb(detail)}
    connection.execute(ADD_EVENT, values)
