"""Words and languages of the console."""

import re
import string
from importlib.resources import files

import pytest

from console.web.language import Language, Speech, chosen, words

USED = re.compile(r"""\bt\("([^"]+)"[,)]""")


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "expected"),
    [
        (None, None, None, "ja"),
        (None, None, "en-GB,en;q=0.9,ja;q=0.8", "en"),
        (None, None, "fr;q=1.0, ja;q=0.5, en;q=0.4", "ja"),
        (None, None, "ja;q=0, en", "en"),
        (None, None, "en;q=0.1, ja;q=nonsense", "en"),
        (None, None, "de", "ja"),
        (None, "en", "ja", "en"),
        ("ja", "en", "en", "ja"),
        ("<script>", "xx", "en", "en"),
    ],
)
def test_the_address_wins_over_the_cookie_and_the_cookie_over_the_browser(query: str | None, cookie: str | None, accept: str | None, expected: str) -> None:
    assert chosen(query, cookie, accept) == expected


def test_every_text_is_there_in_both_languages_with_the_same_places() -> None:
    places = {key: [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in texts] for key, texts in words().items()}
    assert all(ja and en for ja, en in words().values())
    assert [key for key, (ja, en) in places.items() if ja != en] == []


def test_templates_use_only_words_that_there_are() -> None:
    used = {key for file in files("console.web").joinpath("templates").iterdir() for key in USED.findall(file.read_text(encoding="utf-8"))}
    assert len(used) > 100
    assert used - set(words()) == set()


def test_words_made_of_a_state_are_all_there() -> None:
    from console.web.fleet_timescale import STANDINGS
    from verification.item import Verdict
    from verification.ledger import Kind
    from verification.walk import BACK, Opinion, State

    made = [f"state.{s}" for s in State] + [f"verdict.{v}" for v in Verdict] + [f"kind.{k}" for k in Kind] + [f"opinion.{o}" for o in Opinion]
    made += [f"back.{b}" for b in BACK] + [f"standing.{s}" for s in STANDINGS] + [f"interval.{n}" for n in range(5)]
    assert [key for key in made if key not in words()] == []


def test_an_unknown_word_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Speech(language=Language.JA)("no.such.word")
