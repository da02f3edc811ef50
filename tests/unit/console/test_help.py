"""What a person is shown of DIDs is what stands there: between two colons rich would see the name of a picture."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner

from console.cli import app, person
from verification.person_timescale import Person
from verification.walk import Role

DID = "did:key:z6MkehRgf7yJbgaGfYsdoAsKdBPE3dj2CYhowQdcjqSJgvVd"


def words(command: object, *before: str) -> Iterator[tuple[str, ...]]:
    yield before
    for name, inner in getattr(command, "commands", {}).items():
        yield from words(inner, *before, name)


@pytest.mark.parametrize("command", words(typer.main.get_command(app)), ids=" ".join)
def test_help_of_each_command_has_no_picture_in_it(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.stdout
    assert [character for character in shown.stdout if character >= "\U0001f000"] == []


@pytest.mark.parametrize("command", [("statement",), ("person", "add")])
def test_help_says_what_a_did_looks_like(command: tuple[str, ...]) -> None:
    assert "did:key:z6Mk…" in CliRunner().invoke(app, [*command, "--help"]).stdout


def test_the_list_of_people_shows_dids_and_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    known = Person(person="vb", role=Role.VERIFIER, organisation="[red] & Co", did=DID, added_at=datetime(2026, 11, 22, tzinfo=UTC))
    monkeypatch.setattr(person.psycopg, "connect", lambda *_, **__: Nothing())
    monkeypatch.setattr(person.place, "dsn", lambda: "")
    monkeypatch.setattr(person.person_timescale, "people", lambda _: (known,))
    monkeypatch.setenv("COLUMNS", "160")
    shown = CliRunner().invoke(app, ["person", "list"]).stdout
    assert DID in shown
    assert "[red] & Co" in shown
