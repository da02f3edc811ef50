"""`jcredit token`: what lets a person into the console and its API, shown once."""

from typing import Annotated

import psycopg
import typer

from console.cli import place
from console.cli.trouble import NO_SERVICE, Trouble, say
from console.web import token_timescale
from console.web.token_timescale import DESKS, NoTokenError
from verification.walk import Role


def register(app: typer.Typer) -> None:
    """Add `token`."""
    app.command()(token)


def token(
    role: Annotated[str, typer.Option(help=f"The desk that the person sits at: {', '.join(DESKS)}.", show_default=False)],
    person: Annotated[str, typer.Option(help="Whose token it is; steps are recorded under this name.", show_default=False)],
    days: Annotated[int, typer.Option(help="How long it is good.", min=1, max=token_timescale.DAYS_MOST)] = 30,
) -> None:
    """Make a token to sign in with at the console, or for `Authorization: Bearer`. It is shown once: only its hash is kept. Needs the database."""
    if role not in DESKS:
        raise Trouble(f"there is no desk for {role!r}; there are {', '.join(DESKS)}")
    try:
        with psycopg.connect(place.dsn(), autocommit=True) as connection:
            secret = token_timescale.make(connection, person=person, role=Role(role), days=days)
    except NoTokenError as error:
        raise Trouble(str(error)) from error
    except psycopg.errors.UndefinedTable as error:
        raise Trouble("the database has no tables for tokens yet: run `jcredit up`, which makes them", NO_SERVICE) from error
    typer.echo(secret)
    say(f"for {person} as {role}, good for {days} days; it is not shown again")
