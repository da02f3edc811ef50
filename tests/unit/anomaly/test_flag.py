"""A flag is a sentence with numbers, the same in Japanese and English."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from anomaly.flag import EFFECTS, REASONS, Code, Flag, Level, sentences

NIGHT = Flag(
    code=Code.NIGHT,
    level=Level.HOLD,
    where="m-000123-g",
    start=datetime(2021, 6, 20, 14, 30, tzinfo=UTC),
    end=datetime(2021, 6, 20, 15, 0, tzinfo=UTC),
    observed=1196,
    bound=24.72,
    energy_at_stake_wh=1196,
    rule_set="slot-1",
)


def test_english_gives_place_time_reason_bound_stake_effect_and_rule_set():
    assert sentences(NIGHT)[1] == (
        "m-000123-g 2021-06-20 23:30–2021-06-21 00:00 JST: 1,196 Wh generated with the sun below the horizon throughout; "
        "noise explains up to 24.7 Wh. At stake: 1,196 Wh; the interval earns nothing until a person releases it. Rule set slot-1."
    )


def test_japanese_gives_the_same():
    assert sentences(NIGHT)[0] == (
        "m-000123-g 2021-06-20 23:30–2021-06-21 00:00 JST：区間全体で太陽が地平線下にあるのに発電 1,196 Wh（上限 24.7 Wh）。"
        "対象電力量 1,196 Wh。解除されるまでこの区間はクレジットの対象外。規則 slot-1。"
    )


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize("level", list(Level))
def test_every_code_and_level_makes_two_sentences_with_its_numbers(code, level):
    for text in sentences(replace(NIGHT, code=code, level=level)):
        assert "1,196 Wh" in text
        assert "24.7 Wh" in text
        assert "{" not in text


def test_nothing_is_without_words():
    assert set(REASONS) == set(Code)
    assert set(EFFECTS) == set(Level)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": datetime(2021, 6, 20, 14, 30)},  # noqa: DTZ001
        {"end": NIGHT.start},
        {"energy_at_stake_wh": -1},
    ],
)
def test_a_flag_that_can_not_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"aware and ends after it starts|never below zero"):
        replace(NIGHT, **wrong)
