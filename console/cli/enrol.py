"""`jcredit enrol FILE…` and `jcredit key revoke KID`: who may send, from which site, about which meter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from console.cli.place import dsn
from console.cli.trouble import NO_SERVICE, Trouble
from ingest.enrolment import BadRow, Enrolment, EnrolmentErrors, read
from ingest.timescale import Counts, UnknownKeyError, known, refused
from ingest.timescale import enrol as write
from ingest.timescale import revoke as end_key

Files = Annotated[
    list[Path], typer.Argument(help="project.toml, members.csv, sites.csv, gateways.csv, meters.csv, events.csv: any of them", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be enrolled, and enrol nothing")]
Kid = Annotated[str, typer.Argument(help="the key's id", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="why it is revoked, in one line", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add `enrol` and `key revoke`."""
    app.command()(enrol)
    keys = typer.Typer(no_args_is_help=True, help="The keys that gateways sign with.")
    keys.command()(revoke)
    app.add_typer(keys, name="key")


def enrol(files: Files, dry_run: DryRun = False) -> None:
    """Enrol projects, members, sites, gateways with their keys, meters and meter events: all of the files or nothing.

    Needs the database (`jcredit up`). What is enrolled already and has equal values is unchanged; other values are an error, except a day on which a
    member left, a gateway's firmware, a meter's verification and calibration, which may be renewed.
    """
    contents = {str(file): content_of(file) for file in files}
    with psycopg.connect(dsn(), autocommit=True) as connection, Console(stderr=True).status("reading and writing the enrolment"):
        try:
            counts = write(connection, judged(connection, contents), dry_run=dry_run)
        except EnrolmentErrors as error:
            raise Trouble(listed(error.errors)) from error
        except psycopg.errors.UndefinedTable as error:
            raise Trouble("the database has no enrolment tables yet: run `jcredit up`, which makes them", NO_SERVICE) from error
    Console().print(shown(counts, dry_run=dry_run))


def revoke(kid: Kid, reason: Reason) -> None:
    """Revoke a key: bridges refuse what it signs within 5 seconds, and it never comes back."""
    try:
        with psycopg.connect(dsn(), autocommit=True) as connection:
            revocation = end_key(connection, kid, reason)
    except (UnknownKeyError, ValueError) as error:
        raise Trouble(str(error)) from error
    typer.echo(f"{revocation.kid} revoked at {revocation.revoked_at.isoformat()}: {revocation.reason}")


def content_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Trouble(f"{file} can not be read ({error.strerror}); nothing was enrolled") from error


def judged(connection: psycopg.Connection, contents: dict[str, bytes]) -> Enrolment:
    """The enrolment; or every error, those that only the database can see of the other rows included."""
    try:
        return read(contents, known(connection))
    except EnrolmentErrors as error:
        raise EnrolmentErrors([*error.errors, *refused(connection, error.sound)]) from error


def listed(errors: Sequence[BadRow]) -> str:
    return "\n".join([*map(str, errors), f"{len(errors)} error{'s' if len(errors) > 1 else ''}; nothing was enrolled"])


def shown(counts: Counts, *, dry_run: bool) -> Table:
    table = Table("table", title="would be enrolled (dry run)" if dry_run else "enrolled", title_justify="left")
    table.add_column("added", justify="right")
    table.add_column("renewed", justify="right")
    table.add_column("unchanged", justify="right")
    for name, added in counts.added.items():
        table.add_row(name, f"{added:,}", f"{counts.renewed[name]:,}", f"{counts.unchanged[name]:,}")
    return table
