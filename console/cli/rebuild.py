"""`jcredit rebuild --check`: is what we say derived from what we kept?"""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from console.cli import place
from console.cli.trouble import BAD_INPUT, NO, Trouble

SCHEMA = place.ROOT / "deploy" / "migrations" / "0002_stream.sql"


def register(app: typer.Typer) -> None:
    app.command()(rebuild)


def rebuild(check: Annotated[bool, typer.Option("--check", help="compare, and change nothing")] = False) -> None:
    """Make messages, intervals and flags again from evidence in an empty schema, and compare. Exit 1 names the first difference."""
    from anomaly.timescale import SlotTests
    from stream import rebuild_timescale

    if not check:
        raise Trouble("say `jcredit rebuild --check`: putting the rebuilt state in force is not built yet", BAD_INPUT)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("segments from evidence", total=None)
        difference = asyncio.run(
            rebuild_timescale.check(place.dsn(), SCHEMA.read_text(), SlotTests(), lambda done, total: bar.update(task, completed=done, total=total))
        )
    if difference:
        raise Trouble(f"not equal: {difference}", NO)
    typer.echo("EQUAL: messages, intervals, flags, conflicts and counts made again from evidence are those in force")
