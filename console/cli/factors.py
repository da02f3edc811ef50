"""`jcredit factors`: emission factors of electricity, loaded by one person and confirmed by another."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from console.cli import place
from console.cli.trouble import NO, Trouble, say
from verification import factors_timescale
from verification.methodology.factors import FactorFileError
from verification.period import JST
from verification.person_timescale import acting
from verification.walk import NotAllowedError, Role

OPERATOR = "operator"
factors = typer.Typer(no_args_is_help=True, help="Emission factors of electricity: loaded by one person, confirmed by another.")


def register(app: typer.Typer) -> None:
    """Add `factors load`, `factors confirm` and `factors list`."""
    app.add_typer(factors, name="factors")


@factors.command()
def load(
    file: Annotated[Path, typer.Argument(help="CSV: fiscal_year,kind,kg_per_kwh,source; kind all_source or marginal, kg-CO2/kWh.")],
    person: Annotated[str, typer.Option("--as", help="Who loads it.")] = OPERATOR,
) -> None:
    """Load an official table, all rows or none. A second person then confirms it."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Trouble(f"{file} can not be read ({error.strerror})") from error
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        _may(connection, person, (Role.OPERATOR, Role.CONFIRMER, Role.ADMINISTRATOR))
        try:
            found = factors_timescale.load(connection, file.name, content, person=person, today=datetime.now(JST).date())
        except FactorFileError as error:
            raise Trouble(str(error)) from error
    say(f"{len(found)} factors of {file.name} (SHA-256 {found[0].file_sha256[:16]}…) are in force; next, somebody else: `jcredit factors confirm --as PERSON`")


@factors.command()
def confirm(person: Annotated[str, typer.Option("--as", help="The second person: not the one who loaded.")]) -> None:
    """Confirm, against the official table, what somebody else loaded."""
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        _may(connection, person, (Role.CONFIRMER, Role.OPERATOR, Role.VERIFIER, Role.REVIEWER, Role.ADMINISTRATOR))
        try:
            confirmed = factors_timescale.confirm(connection, person=person)
        except NotAllowedError as error:
            raise Trouble(str(error), NO) from error
    for f in confirmed:
        say(f"{f.name} (SHA-256 {f.sha256[:16]}…), loaded by {f.loaded_by}, is confirmed by {person}")
    if not confirmed:
        say("nothing waits for confirmation")


@factors.command("list")
def list_factors(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The factors in force."""
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        found = factors_timescale.table(connection).factors
    if as_json:
        rows = [
            {
                "fiscal_year": f.fiscal_year,
                "kind": f.kind,
                "kg_per_kwh": str(f.kg_per_kwh),
                "source": f.source,
                "file_sha256": f.file_sha256,
                "loaded_by": f.loaded_by,
                "confirmed_by": f.confirmed_by,
            }
            for f in found
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table("fiscal year", "kind", "kg-CO2/kWh", "source", "loaded by", "confirmed by")
    for f in found:
        table.add_row(str(f.fiscal_year), f.kind, str(f.kg_per_kwh), f.source, f.loaded_by, f.confirmed_by or "not confirmed")
    Console(markup=False, emoji=False).print(table)


def _may(connection: psycopg.Connection[Any], person: str, roles: tuple[Role, ...]) -> None:
    """Factors belong to no project: a person is made up at first use only where every project is of the scheme DEMO."""
    try:
        actor = acting(connection, person, roles, demo=factors_timescale.only_demo(connection), tell=say)
    except NotAllowedError as error:
        raise Trouble(str(error), NO) from error
    if actor.role not in roles:
        raise Trouble(f"{person} is {actor.role}; this is for {' or '.join(roles)}", NO)
