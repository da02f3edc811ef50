"""A batch asks for one claim's credits, in bytes that do not change; an answer is believed only if it is the answer to them."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from registry_client.answer import (
    Answer,
    DifferentBlockError,
    ReplayedAnswerError,
    SpelledBlock,
    UnreadableAnswerError,
    WrongCountError,
    WrongSeriesError,
    blocks_of,
    same_blocks,
)
from registry_client.issuance import Approved, State, Vintage, batch_of
from registry_client.serial import Kind, SerialError

APPROVED = Approved(
    claim="demo-fy2021-001",
    project="demo-fy2021",
    project_name="Demo",
    operator="operator-1",
    scheme="DEMO",
    methodology="EN-R-002",
    start=date(2021, 4, 1),
    end=date(2023, 4, 1),
    vintages=(Vintage(fiscal_year=2021, tonnes=17, energy_wh=41_234_567), Vintage(fiscal_year=2022, tonnes=3, energy_wh=8_000_000)),
    report_sha256="a" * 64,
    statement_sha256="b" * 64,
)
BATCH = batch_of(APPROVED)
FIRST = SpelledBlock(first="DEMO-JC-2021-000000001", last="DEMO-JC-2021-000000017", tonnes=17)
SECOND = SpelledBlock(first="DEMO-JC-2022-000000004", last="DEMO-JC-2022-000000006", tonnes=3)


def answer(*blocks: SpelledBlock, **other: Any) -> Answer:
    return replace(Answer(key=BATCH.id, request_sha256=BATCH.request_sha256, blocks=blocks), **other)


def test_the_request_has_the_fields_of_the_form() -> None:
    asked = json.loads(BATCH.request)

    assert (asked["claim"], asked["account"], asked["tonnes"], asked["start"], asked["end"]) == (
        "demo-fy2021-001",
        "operator-1",
        20,
        "2021-04-01",
        "2023-04-01",
    )
    assert asked["vintages"][0] == {"fiscal_year": 2021, "tonnes": 17, "energy_wh": 41_234_567, "energy_mwh": "41.234567"}
    assert (asked["report_sha256"], asked["statement_sha256"]) == ("a" * 64, "b" * 64)


def test_the_same_claim_makes_the_same_key_and_bytes() -> None:
    assert batch_of(APPROVED) == BATCH
    assert BATCH.id == "batch-demo-fy2021-001"


def test_a_year_without_a_whole_tonne_is_not_asked_for() -> None:
    batch = batch_of(replace(APPROVED, vintages=(APPROVED.vintages[0], Vintage(fiscal_year=2022, tonnes=0, energy_wh=5))))

    assert [v["fiscal_year"] for v in json.loads(batch.request)["vintages"]] == [2021]


def test_nothing_to_issue_is_no_batch() -> None:
    with pytest.raises(ValueError, match="nothing to issue"):
        batch_of(replace(APPROVED, vintages=()))


def test_a_scheme_that_no_serial_can_name_is_refused_before_it_is_sent() -> None:
    with pytest.raises(SerialError):
        batch_of(replace(APPROVED, scheme="j-credit"))


def test_a_batch_says_the_next_step() -> None:
    assert "again" in BATCH.next_step
    assert "ledger" in replace(BATCH, state=State.ISSUED).next_step


def test_blocks_come_in_the_order_of_their_series() -> None:
    assert [str(b) for b in blocks_of(BATCH, answer(SECOND, FIRST))] == [
        "DEMO-JC-2021-000000001 to DEMO-JC-2021-000000017",
        "DEMO-JC-2022-000000004 to DEMO-JC-2022-000000006",
    ]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (answer(FIRST, SECOND, key="batch-other"), ReplayedAnswerError),
        (answer(FIRST, SECOND, request_sha256="c" * 64), ReplayedAnswerError),
        (answer(FIRST), WrongSeriesError),
        (answer(), WrongSeriesError),
        (answer(FIRST, FIRST), WrongSeriesError),
        (answer(FIRST, SECOND, SECOND), WrongSeriesError),
        (answer(FIRST, replace(SECOND, first="DEMO-JCL-2022-000000004", last="DEMO-JCL-2022-000000006")), WrongSeriesError),
        (answer(FIRST, replace(SECOND, last="DEMO-JC-2022-000000007", tonnes=4)), WrongCountError),
        (answer(FIRST, replace(SECOND, last="DEMO-JC-2022-000000007")), WrongCountError),
        (answer(FIRST, replace(SECOND, last="DEMO-JC-2022-000000005", tonnes=2)), WrongCountError),
        (answer(FIRST, replace(SECOND, first="4", last="6")), UnreadableAnswerError),
        (answer(FIRST, replace(SECOND, first=SECOND.last, last=SECOND.first)), UnreadableAnswerError),
    ],
)
def test_an_answer_that_can_not_be_right_is_refused_by_name(given: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        blocks_of(BATCH, given)


def test_two_answers_for_one_key_must_be_the_same() -> None:
    one = blocks_of(BATCH, answer(FIRST, SECOND))
    moved = replace(FIRST, first="DEMO-JC-2021-000000018", last="DEMO-JC-2021-000000034")
    other = blocks_of(BATCH, answer(moved, SECOND))

    same_blocks(BATCH, one, one)
    with pytest.raises(DifferentBlockError, match="000000034"):
        same_blocks(BATCH, other, one)


def test_the_kind_is_in_request_and_serial() -> None:
    batch = batch_of(APPROVED, kind=Kind.JCL)

    assert json.loads(batch.request)["kind"] == "JCL"
    with pytest.raises(WrongSeriesError):
        blocks_of(batch, answer(FIRST, SECOND, key=batch.id, request_sha256=batch.request_sha256))
