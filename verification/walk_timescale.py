"""A claim's walk in the database: created, approved, and back. Every step is one transaction that locks the claim's row first.

Going back releases what signing (`signing_timescale`) certified and sets the ledger's entry aside. After issue nothing goes back.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from verification import ledger_timescale
from verification.claim import DEFAULT_INCIDENTAL, Plan
from verification.claim_timescale import project_of, row_of
from verification.methodology.en_r_002 import FactorChoice
from verification.page import Step
from verification.period import Period, fiscal_year
from verification.person_timescale import Person, Tell, acting
from verification.verify_timescale import ADD_EVENT, Verified, stored
from verification.walk import APPROVE, BACK, NotAllowedError, Opinion, Role, State, allowed

ADMINISTRATORS_NEEDED = {"DEMO": 1}  # every other scheme: two different persons

NUMBER = "SELECT count(*) FROM claim WHERE project = %s"
CREATE = """
INSERT INTO claim (claim, project, start_on, end_on, plan, approvals_needed, created_by)
VALUES (%(claim)s, %(project)s, %(start)s, %(end)s, %(plan)s, %(approvals)s, %(person)s) ON CONFLICT (claim) DO NOTHING
"""
LIST = """
SELECT claim, state, tonnes, project, start_on, end_on, round, report_sha256, verified_by, signed_by, created_by, created_at FROM claim ORDER BY number
"""
EVENTS = "SELECT what, person, to_char(at AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI:SS') AS at, reason FROM claim_event WHERE claim = %s ORDER BY id"
RELEASE = "DELETE FROM certified WHERE claim = %s"
SET_STATE = "UPDATE claim SET state = %(state)s WHERE claim = %(claim)s"
APPROVERS = "SELECT DISTINCT person FROM claim_event WHERE claim = %s AND round = %s AND what = 'approval'"
ASKED = "SELECT EXISTS (SELECT FROM batch WHERE claim = %s AND attempts > 0)"


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
        event(connection, claim, 0, "created", who, detail={"plan": plan.document()})
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


def steps(connection: psycopg.Connection[Any], claim: str) -> tuple[Step, ...]:
    """Every event of the claim, the first first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return tuple(Step(**r) for r in cursor.execute(EVENTS, [claim]))


def approve(connection: psycopg.Connection[Any], claim: str, *, person: str, tell: Tell = print) -> tuple[State, int, int]:
    """One administrator's approval; (state, approvals, approvals needed). The ledger's entry is made with the last one that is needed."""
    with connection.transaction():
        row = row_of(connection, claim, lock=True)
        actor = actor_of(connection, row, person, APPROVE.roles, tell)
        done = row["state"] in (State.APPROVED, State.ISSUED)
        start = State.SIGNED if done else row["state"]
        barred = {"created": row["created_by"], "verified": row["verified_by"], "signed": row["signed_by"]}
        allowed(APPROVE, claim=claim, state=start, person=person, role=actor.role, barred=barred)
        if row["opinion"] is None or not Opinion(row["opinion"]).leads_to_issue:
            raise NotAllowedError(f"claim {claim} has the opinion {row['opinion']}; only an unmodified or modified one leads to issue")
        who = {r[0] for r in connection.execute(APPROVERS, [claim, row["round"]])}
        if person not in who:
            event(connection, claim, row["round"], "approval", person)
            who.add(person)
        if not done and len(who) >= row["approvals_needed"]:
            ledger_timescale.append(connection, kind="batch approved", claim=claim, value=entry_of(row))
            connection.execute(SET_STATE, {"claim": claim, "state": State.APPROVED})
            event(connection, claim, row["round"], "approved", person, detail={"approvers": sorted(who)})
        state = State(row_of(connection, claim)["state"])
    return state, len(who), row["approvals_needed"]


def walk_back(connection: psycopg.Connection[Any], claim: str, step: str, *, person: str, reason: str, tell: Tell = print) -> State:
    """Return, reject, withdraw or suspend a claim; the new state. What was certified is released and the ledger set aside, except on suspension."""
    if not reason.strip():
        raise ValueError(f"`{step}` needs a reason")
    taken = BACK[step]
    with connection.transaction():
        row = row_of(connection, claim, lock=True)
        actor = actor_of(connection, row, person, taken.roles, tell)
        allowed(taken, claim=claim, state=row["state"], person=person, role=actor.role, barred={})
        if taken.to is not State.SUSPENDED:
            _release(connection, row, reason)
        connection.execute(SET_STATE, {"claim": claim, "state": taken.to})
        event(connection, claim, row["round"], taken.to, person, reason=reason)
    return taken.to


def _release(connection: psycopg.Connection[Any], row: Mapping[str, Any], reason: str) -> None:
    asked = connection.execute(ASKED, [row["claim"]]).fetchone()
    if asked and asked[0]:
        raise NotAllowedError(
            f"the registry was asked to issue claim {row['claim']} and may have: `jcredit issue {row['claim']} --as PERSON` settles that; suspend it meanwhile"
        )
    connection.execute(RELEASE, [row["claim"]])
    ledger_timescale.set_aside(connection, claim=row["claim"], reason=reason)


def actor_of(connection: psycopg.Connection[Any], row: Mapping[str, Any], person: str, roles: tuple[Role, ...], tell: Tell) -> Person:
    """Who takes a step of this claim; in scheme DEMO somebody new gets the first of the roles."""
    return acting(connection, person, roles, demo=not project_of(connection, row["project"]).official, tell=tell)


def entry_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the ledger says of a claim."""
    return {
        "project": row["project"],
        "period": {"start": row["start_on"], "end_exclusive": row["end_on"]},
        "tonnes": row["tonnes_by_year"],
        "mwh": row["mwh_by_year"],
        "report_sha256": row["report_sha256"],
    }


def event(
    connection: psycopg.Connection[Any],
    claim: str,
    round_no: int,
    what: str,
    person: str,
    *,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Put on record who did what, and why."""
    values = {"claim": claim, "round": round_no, "what": what, "person": person, "reason": reason, "detail": None if detail is None else Jsonb(detail)}
    connection.execute(ADD_EVENT, values)
