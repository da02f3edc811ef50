"""The walk of a claim: draft, verified, signed, approved, issued; and back: returned, rejected, withdrawn, suspended.

Who operates does not verify, who verified or signed does not approve. Each step names the roles that may take it and the states that it starts from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    DRAFT = "draft"
    VERIFIED = "verified"
    SIGNED = "signed"
    APPROVED = "approved"
    ISSUED = "issued"
    RETURNED = "returned"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SUSPENDED = "suspended"


class Role(StrEnum):
    OPERATOR = "operator"
    CONFIRMER = "confirmer"
    VERIFIER = "verifier"
    REVIEWER = "reviewer"
    ADMINISTRATOR = "administrator"


class Opinion(StrEnum):
    UNMODIFIED = "unmodified"
    MODIFIED = "modified"
    ADVERSE = "adverse"
    DISCLAIMER = "disclaimer"

    @property
    def leads_to_issue(self) -> bool:
        return self in (Opinion.UNMODIFIED, Opinion.MODIFIED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step: who may take it, from which states, to which."""

    name: str
    roles: tuple[Role, ...]
    start: tuple[State, ...]
    to: State


VERIFY = Step(name="verify", roles=(Role.VERIFIER,), start=(State.DRAFT, State.RETURNED), to=State.VERIFIED)
SIGN = Step(name="sign", roles=(Role.VERIFIER, Role.REVIEWER), start=(State.VERIFIED,), to=State.SIGNED)
APPROVE = Step(name="approve", roles=(Role.ADMINISTRATOR,), start=(State.SIGNED, State.SUSPENDED), to=State.APPROVED)
RETURN = Step(
    name="return",
    roles=(Role.VERIFIER, Role.REVIEWER, Role.ADMINISTRATOR),
    start=(State.VERIFIED, State.SIGNED, State.APPROVED, State.SUSPENDED),
    to=State.RETURNED,
)
REJECT = Step(
    name="reject",
    roles=(Role.ADMINISTRATOR, Role.VERIFIER, Role.REVIEWER),
    start=(State.VERIFIED, State.SIGNED, State.APPROVED, State.SUSPENDED),
    to=State.REJECTED,
)
WITHDRAW = Step(
    name="withdraw",
    roles=(Role.OPERATOR,),
    start=(State.DRAFT, State.VERIFIED, State.RETURNED, State.SIGNED, State.APPROVED, State.SUSPENDED),
    to=State.WITHDRAWN,
)
SUSPEND = Step(name="suspend", roles=(Role.ADMINISTRATOR,), start=(State.SIGNED, State.APPROVED), to=State.SUSPENDED)
BACK: Mapping[str, Step] = {step.name: step for step in (RETURN, REJECT, WITHDRAW, SUSPEND)}
FROZEN = (State.VERIFIED, State.SIGNED, State.APPROVED, State.ISSUED, State.SUSPENDED)


class NotAllowedError(Exception):
    """A step that may not be taken: says by whom, from where, and what would be right."""


def allowed(step: Step, *, claim: str, state: str, person: str, role: str, barred: Mapping[str, str | None]) -> None:
    """Refuse a step from another state, by another role, or by somebody who did `barred` before (what they did, by name)."""
    if state not in step.start:
        raise NotAllowedError(f"claim {claim} is {state}; `{step.name}` starts from {', '.join(step.start)}")
    if role not in step.roles:
        raise NotAllowedError(f"{person} is {role}; `{step.name}` is for {' or '.join(step.roles)}")
    for what, who in barred.items():
        if who is not None and who == person:
            raise NotAllowedError(f"{person} {what} claim {claim}, so somebody else has to {step.name} it")
