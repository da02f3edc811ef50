"""An enquiry asks by hashed keys and believes a dated answer to its own question only."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from registry_client import enquiry
from registry_client.answer import ReplayedAnswerError, UnreadableAnswerError
from registry_client.enquiry import Answer, Hit, NoKeyError

KEY = enquiry.activity_key(pcs_serial="PCS-1", supply_point="03-0011-1111")
PERIOD = (date(2021, 4, 1), date(2022, 4, 1))
ASKED = enquiry.question((KEY,), PERIOD)
ANSWER = Answer(
    enquiry="enquiry-000001",
    answered_at=datetime(2022, 6, 1, tzinfo=UTC),
    question_sha256=hashlib.sha256(ASKED).hexdigest(),
    keys=(KEY,),
    start=PERIOD[0],
    end=PERIOD[1],
    hits=(),
)
HIT = Hit(activity_key=KEY, programme="other-club", start=date(2022, 3, 31), end=date(2023, 4, 1))


def test_a_key_is_the_same_however_the_numbers_are_typed() -> None:
    assert enquiry.activity_key(pcs_serial=" pcs-１ ", supply_point="03-0011-1111\n") == KEY
    assert hashlib.sha256(b'["PCS-1","03-0011-1111"]').hexdigest() == KEY


def test_where_one_number_ends_is_part_of_the_key() -> None:
    assert enquiry.activity_key(pcs_serial="PCS-10", supply_point="3-0011-1111") != enquiry.activity_key(pcs_serial="PCS-1", supply_point="03-0011-1111")


@pytest.mark.parametrize(("pcs_serial", "supply_point"), [(None, "03"), ("PCS", None), ("", "03"), ("PCS", "  ")])
def test_without_both_numbers_there_is_no_key(pcs_serial: str | None, supply_point: str | None) -> None:
    with pytest.raises(NoKeyError):
        enquiry.activity_key(pcs_serial=pcs_serial, supply_point=supply_point)


def test_the_question_does_not_depend_on_the_order_of_keys() -> None:
    assert enquiry.question(("b" * 64, KEY, KEY), PERIOD) == enquiry.question((KEY, "b" * 64), PERIOD)


def test_an_empty_question_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one activity"):
        enquiry.question((), PERIOD)
    with pytest.raises(ValueError, match="with a day in it"):
        enquiry.question((KEY,), (PERIOD[0], PERIOD[0]))


def test_an_answer_to_the_question_is_believed() -> None:
    assert enquiry.believed(replace(ANSWER, hits=(HIT,)), ASKED).hits == (HIT,)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (replace(ANSWER, question_sha256="0" * 64), ReplayedAnswerError),
        (replace(ANSWER, hits=(replace(HIT, activity_key="b" * 64),)), UnreadableAnswerError),
        (replace(ANSWER, hits=(replace(HIT, start=PERIOD[1]),)), UnreadableAnswerError),
        (replace(ANSWER, hits=(replace(HIT, start=date(2020, 4, 1), end=PERIOD[0]),)), UnreadableAnswerError),
        (replace(ANSWER, answered_at=datetime(2022, 6, 1)), UnreadableAnswerError),  # noqa: DTZ001 that is the fault
    ],
)
def test_an_answer_that_is_not_to_the_question_is_refused(answer: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        enquiry.believed(answer, ASKED)


def test_an_answer_goes_on_in_plain_values() -> None:
    value = replace(ANSWER, hits=(HIT,)).as_value()

    assert (value["answered_at"], value["keys"], value["start"], value["end"]) == ("2022-06-01T00:00:00+00:00", [KEY], "2021-04-01", "2022-04-01")
    assert value["hits"] == [{"activity_key": KEY, "programme": "other-club", "start": "2022-03-31", "end": "2023-04-01"}]
