"""`jcredit issue`: the credits of an approved claim, asked of the registry once."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from console.cli import place
from console.cli.trouble import BAD_INPUT, NO, NO_SERVICE, Trouble, say
from registry_client import app as registry_client
from registry_client.answer import AnswerError
from registry_client.http import RegistryBusyError, RegistryRefusedError
from registry_client.serial import Kind
from registry_client.timescale import IssuedBlock, NoClaimError, NotIssuableError
from verification.walk import NotAllowedError

CODES: tuple[tuple[type[Exception], int], ...] = (
    (NoClaimError, BAD_INPUT),
    (NotIssuableError, NO),
    (NotAllowedError, NO),
    (AnswerError, NO),
    (RegistryRefusedError, NO),
    (RegistryBusyError, NO_SERVICE),
)


def register(app: typer.Typer) -> None:
    """Add the commands of issuance."""
    app.command()(issue)


def issue(
    claim: Annotated[str, typer.Argument(help="An approved claim, as `jcredit claim list` shows it.")],
    person: Annotated[str, typer.Option("--as", help="Who asks: an operator or an administrator.")],
    kind: Annotated[Kind, typer.Option(help="The scheme's code of the credits.")] = Kind.JC,
    as_json: Annotated[bool, typer.Option("--json", help="Print the blocks as JSON.")] = False,
) -> None:
    """Ask the registry for an approved claim's credits and enter them in the ledger; again is harmless. Needs the registry (`jcredit start`)."""
    blocks = issued(claim, person, kind)
    if as_json:
        typer.echo(json.dumps([asdict(b) for b in blocks]))
        return
    for b in blocks:
        typer.echo(f"{b.first} to {b.last}  {b.tonnes} t")
    say(f"{claim}: {sum(b.tonnes for b in blocks)} t issued; a block holds both its ends")


def issued(claim: str, person: str, kind: Kind = Kind.JC) -> tuple[IssuedBlock, ...]:
    """The blocks of a claim, issued now if they were not; Trouble with its exit code otherwise."""
    try:
        return registry_client.issue(place.dsn(), place.registry(), claim, person, kind=kind, tell=say)
    except tuple(error for error, _ in CODES) as error:
        code = next(code for kind_of, code in CODES if isinstance(error, kind_of))
        raise Trouble(str(error), code) from error
