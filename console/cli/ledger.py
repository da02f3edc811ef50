"""`jcredit ledger`: the blocks that were issued, and whether the ledger holds together."""

import json
from dataclasses import asdict
from typing import Annotated

import psycopg
import typer

from console.cli import place
from console.cli.trouble import NO, Trouble, say
from registry_client import timescale
from verification import ledger_timescale, supply


def register(app: typer.Typer) -> None:
    """Add the commands of the ledger."""
    ledger = typer.Typer(no_args_is_help=True, help="Issued serial blocks, and the rules that the supply of credits obeys.")
    ledger.command()(serials)
    ledger.command()(check)
    app.add_typer(ledger, name="ledger")


def serials(as_json: Annotated[bool, typer.Option("--json", help="Print JSON: first, last, tonnes, claim.")] = False) -> None:
    """List the issued blocks, oldest first; a block holds both its ends."""
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        blocks = timescale.serials(connection)
    if as_json:
        typer.echo(json.dumps([asdict(b) for b in blocks]))
        return
    for b in blocks:
        typer.echo(f"{b.first} to {b.last}  {b.tonnes} t  {b.claim}")
    say(f"{len(blocks)} blocks, {sum(b.tonnes for b in blocks)} t; a block holds both its ends")


def check() -> None:
    """Read the whole ledger again; exit 1 names the first break."""
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        book = ledger_timescale.book(connection)
    typer.echo(verdict(book))


def verdict(book: supply.Book) -> str:
    """What a whole ledger comes to; Trouble naming the first break otherwise."""
    if breaks := supply.check(book):
        more = f"; {len(breaks) - 1} more" if len(breaks) > 1 else ""
        raise Trouble(f"the ledger is broken at {breaks[0]}{more}", NO)
    s = supply.supply(book)
    used = f"{s.held} held + {s.transferred} transferred + {s.invalidated} invalidated + {s.cancelled} cancelled"
    return f"{len(book.entries)} entries, every rule holds: {s.verified} t verified, {s.issued} t issued = {used}"
