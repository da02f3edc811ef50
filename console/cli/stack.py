"""`jcredit up`, `down`, `status`, `start`, `stop`: the services of the local stack, and the product's own processes on them."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from console.cli.place import home
from console.cli.trouble import NO_SERVICE, Trouble, say
from deploy.local import MissingError, processes, stack
from deploy.local.service import RUNNING
from deploy.local.stack import Stack
from deploy.migrate import MigrationError, migrate

COUNTS = "SELECT what, reason, sum(count)::bigint FROM tally GROUP BY what, reason ORDER BY what, reason"
KINDS = ("accepted", "repeated", "conflicting")


def register(app: typer.Typer) -> None:
    """Add the commands of the stack."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(start)
    app.command()(stop)


def up() -> None:
    """Fetch, set up and start Mosquitto, Kafka and TimescaleDB, and bring the database to this checkout's schema. May be said again at any time."""
    for name, address in _addresses(ready()).items():
        typer.echo(f"{name:9} {address}")


def down() -> None:
    """Stop the product's processes and the services that `up` started, and nothing else. The data stays."""
    with services():
        stopped = [*processes.stop(home()), *stack.down(home())]
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing of this stack was running")


def start(names: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(processes.COMMANDS)}; all if none is named")] = None) -> None:
    """Start the bridges, the worker, the jobs, the console and the registry simulator (and the stack, if it is not up), and wait until they are ready."""
    where = ready()
    began = time.monotonic()
    with services():
        processes.start(where.home, names or None)
    say(f"ready in {time.monotonic() - began:.1f} s: {', '.join(names or processes.COMMANDS)}")
    typer.echo(f"console   {where.console}")


def stop(names: Annotated[list[str] | None, typer.Argument(help="of those that `start` knows; all if none is named")] = None) -> None:
    """Stop the product's processes; the services stay up."""
    with services():
        stopped = processes.stop(home(), names or None)
    say(f"stopped: {', '.join(stopped)}" if stopped else "none of them was running")


def status(as_json: Annotated[bool, typer.Option("--json", help="for a program: addresses, states and counts")] = False) -> None:
    """Say where everything is, what runs, what died, and how many messages came. Exit code 3 if a service is not there."""
    with services():
        where = stack.load(home())
        states = stack.states(where.home) | processes.states(where.home)
    counted = counts(where.dsn) if states["timescaledb"] == RUNNING else None
    if as_json:
        typer.echo(json.dumps({**_addresses(where), "services": {name: {"state": state} for name, state in states.items()}, "messages": counted}, indent=1))
    else:
        _show(where, states, counted)
    down = {name: states[name] for name in stack.SERVICES if states[name] != RUNNING}
    if down:
        told = ", ".join(f"{name} {'died' if state == 'died' else 'is stopped'}" for name, state in down.items())
        raise Trouble(f"{told}: `jcredit up` brings it back with its data; its log is in {where.home}/log", NO_SERVICE)


def ready() -> Stack:
    """The stack, up and migrated: what every command that needs the services may call first."""
    with services():
        where = stack.up(home(), say)
        migrate(where.dsn, say)
    return where


@contextlib.contextmanager
def services() -> Iterator[None]:
    """Turn what the stack can not do into a sentence and exit code 3."""
    try:
        yield
    except (MissingError, MigrationError) as error:
        raise Trouble(str(error), NO_SERVICE) from error
    except ValueError as error:
        raise Trouble(str(error)) from error


def counts(dsn: str) -> dict[str, Any] | None:
    """Messages by what became of them, `refused` by reason; None while the database has not been migrated."""
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            rows = connection.execute(COUNTS).fetchall()
    except psycopg.errors.UndefinedTable:
        return None
    held = {kind: sum(count for what, _, count in rows if what == kind) for kind in KINDS}
    return {**held, "refused": {reason: count for what, reason, count in rows if what == "refused"}}


def _addresses(where: Stack) -> dict[str, str]:
    return {name: getattr(where, name) for name in ("mqtt", "kafka", "dsn", "console", "registry")}


def _show(where: Stack, states: Mapping[str, str], counted: Mapping[str, Any] | None) -> None:
    address = _addresses(where) | {"mosquitto": where.mqtt, "timescaledb": where.dsn}
    table = Table("service", "state", "where", title=f"stack in {_short(where.home)}", title_justify="left")
    for name, state in states.items():
        colour = {"running": "green", "died": "bold red"}.get(state, "yellow")
        table.add_row(name, f"[{colour}]{state}[/]", address.get(name, ""))
    console = Console()
    console.print(table)
    if counted is None:
        console.print("messages: not known (the database does not run, or is not migrated)")
        return
    refused = ", ".join(f"{reason} {count:,}" for reason, count in counted["refused"].items()) or "none"
    console.print("messages: " + ", ".join(f"{kind} {counted[kind]:,}" for kind in KINDS) + f"; refused: {refused}")


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
