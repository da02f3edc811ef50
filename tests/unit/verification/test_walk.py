"""Who may take which step, from where; and what a period is."""

from datetime import date
from itertools import product

import pytest

from verification.period import JST_S, Period, add_months, add_years, fiscal_year, unix
from verification.signing_timescale import Record
from verification.walk import APPROVE, BACK, SIGN, SUSPEND, VERIFY, WITHDRAW, NotAllowedError, Opinion, Role, State, Step, allowed


def may(step: Step, state: State, role: Role, **barred: str | None) -> bool:
    try:
        allowed(step, claim="c", state=state, person="p", role=role, barred=barred)
    except NotAllowedError:
        return False
    return True


@pytest.mark.parametrize(
    ("step", "roles", "states"),
    [
        (VERIFY, {Role.VERIFIER}, {State.DRAFT, State.RETURNED}),
        (SIGN, {Role.VERIFIER, Role.REVIEWER}, {State.VERIFIED}),
        (APPROVE, {Role.ADMINISTRATOR}, {State.SIGNED, State.SUSPENDED}),
        (SUSPEND, {Role.ADMINISTRATOR}, {State.SIGNED, State.APPROVED}),
        (WITHDRAW, {Role.OPERATOR}, {State.DRAFT, State.VERIFIED, State.RETURNED, State.SIGNED, State.APPROVED, State.SUSPENDED}),
    ],
)
def test_each_step_is_for_its_roles_and_states_alone(step: Step, roles: set[Role], states: set[State]) -> None:
    assert {(r, s) for r, s in product(Role, State) if may(step, s, r)} == set(product(roles, states))


def test_after_issue_nothing_goes_back() -> None:
    assert not any(may(step, State.ISSUED, role) for step in BACK.values() for role in Role)


def test_who_operates_or_verified_does_not_take_the_next_step() -> None:
    assert may(VERIFY, State.DRAFT, Role.VERIFIER, created="other")
    assert not may(VERIFY, State.DRAFT, Role.VERIFIER, created="p")
    assert not may(APPROVE, State.SIGNED, Role.ADMINISTRATOR, created="o", verified="p")


def test_a_refusal_says_who_and_what_would_be_right() -> None:
    with pytest.raises(NotAllowedError, match="p is operator; `verify` is for verifier"):
        allowed(VERIFY, claim="c", state=State.DRAFT, person="p", role=Role.OPERATOR, barred={})


def test_only_two_opinions_lead_to_issue() -> None:
    assert [o for o in Opinion if o.leads_to_issue] == [Opinion.UNMODIFIED, Opinion.MODIFIED]


def test_a_record_says_what_was_done() -> None:
    made = Record(item="C11", file_name="c11.txt", content=b"item: C11\nby: vb\nscheme: DEMO (not official)\n\nCompared with three neighbours.\n")
    assert made.reason == "Compared with three neighbours."


@pytest.mark.parametrize(("item", "content"), [("C20", b"x"), ("c11", b"x"), ("C11", b""), ("C11", b" \n ")])
def test_a_record_of_no_item_or_without_a_word_is_refused(item: str, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"no item|is empty"):
        Record(item=item, file_name="f", content=content)


def test_a_period_is_days_in_japan_its_end_exclusive() -> None:
    period = Period(start=date(2021, 4, 1), end=date(2022, 4, 1))
    assert (period.start_s, period.end_s, period.slots) == (1617202800, 1648738800, 17520)
    assert period.start_s % 86_400 == 86_400 - JST_S
    assert period.fiscal_years() == (2021,)
    with pytest.raises(ValueError, match="ends after it starts"):
        Period(start=date(2021, 4, 1), end=date(2021, 4, 1))


@pytest.mark.parametrize(("day", "year"), [(date(2022, 3, 31), 2021), (date(2022, 4, 1), 2022), (date(2022, 1, 1), 2021)])
def test_a_fiscal_year_runs_from_april(day: date, year: int) -> None:
    assert fiscal_year(day) == year


def test_months_and_years_are_of_the_calendar() -> None:
    assert add_years(date(2024, 2, 29), -2) == date(2022, 3, 1)
    assert add_months(date(2021, 1, 31), 1) == date(2021, 3, 1)
    assert add_months(date(2021, 12, 31), 2) == date(2022, 3, 1)
    assert unix(date(1970, 1, 1)) == -9 * 3600
