"""`jcredit person`: who may act, in which role, with which key."""

import json
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from console.cli import place
from console.cli.trouble import NO, Trouble, say
from verification import person_timescale
from verification.walk import NotAllowedError, Role

DID = "did[not bold]:[/]key:z6Mk…"  # for help: rich would make a picture of what stands between two colons

people = typer.Typer(no_args_is_help=True, help="Who may act: operators, verifiers, reviewers, administrators.")


def register(app: typer.Typer) -> None:
    """Add `person add` and `person list`."""
    app.add_typer(people, name="person")


@people.command()
def add(
    person: Annotated[str, typer.Argument(help="A name that stands in reports, as vb-tanaka.")],
    role: Annotated[Role, typer.Option(help="What the person may do; one role each.")],
    organisation: Annotated[str | None, typer.Option(help="Whom the person works for.")] = None,
    did: Annotated[str | None, typer.Option(help=f"{DID} of the key that signs for the person; the key itself never comes here.")] = None,
) -> None:
    """Add a person, once. The same again changes nothing."""
    try:
        with psycopg.connect(place.dsn(), autocommit=True) as connection:
            stored = person_timescale.add(connection, person, role, organisation=organisation, did=did)
    except NotAllowedError as error:
        raise Trouble(str(error), NO) from error
    except ValueError as error:
        raise Trouble(str(error)) from error
    say(f"{stored.person} is {stored.role}{f' of {stored.organisation}' if stored.organisation else ''}")


@people.command("list")
def list_people(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Everybody who may act."""
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        found = person_timescale.people(connection)
    if as_json:
        typer.echo(json.dumps([{"person": p.person, "role": p.role, "organisation": p.organisation, "did": p.did} for p in found], ensure_ascii=False))
        return
    table = Table("person", "role", "organisation", "did")
    for p in found:
        table.add_row(p.person, p.role, p.organisation or "", p.did or "")
    Console(markup=False, emoji=False).print(table)  # a DID has :key: in it
