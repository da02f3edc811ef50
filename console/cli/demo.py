"""`jcredit demo`: the main job on the real services, from nothing to a serial block. Said again, it goes on where it stopped and issues nothing twice.

The people, the homes and their gateways are simulated and stand outside the product: they use it as anybody would. Scheme DEMO: nothing here is official.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from console.cli import claim as steps
from console.cli import enrol, factors, place, stack
from console.cli.issuance import issued
from console.cli.trouble import NO_SERVICE, Trouble, say
from deploy.local import processes
from simulators import body
from verification import factors_timescale, person_timescale, walk_timescale
from verification.claim_timescale import row_of

PROJECT, START, END = "demo-fy2021", "2021-04-01", "2022-04-01"
FACTORS = "fiscal_year,kind,kg_per_kwh,source\n2021,all_source,0.434,all-source factor FY2021 as published (0.000434 t-CO2/kWh)\n"
ENDED = ("rejected", "withdrawn")
INTERVALS = "SELECT count(*) FILTER (WHERE state IN (1, 2)), count(*) FILTER (WHERE state = 3) FROM interval"
FLAGS = "SELECT code, level, count(*), sum(energy_at_stake_wh) FROM flag GROUP BY code, level ORDER BY code, level"


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo() -> None:
    """Set everything up, send a fiscal year of a programme, verify, sign, approve and issue it. Needs nothing; under 3 minutes after the set-up."""
    where = stack.ready()
    began = time.monotonic()
    _stage("starting the product's processes", lambda: _start(where.home))
    folder = where.home / "demo"
    fleet = _stage("simulating the homes of a programme", lambda: _fleet(folder / "fleet"))
    _stage("enrolling them", lambda: enrol.enrol([*fleet.tables]))
    _people(folder / "body")
    sent = _publish(fleet, where.mqtt)
    claim = _claim()
    _walk(claim, folder)
    report = folder / "report"
    steps.report(claim, report)
    _summary(claim, sent, report)
    say(f"done in {time.monotonic() - began:.0f} s")


def _stage(what: str, do: Callable[[], Any]) -> Any:
    with Console(stderr=True).status(what):
        began = time.monotonic()
        done = do()
    say(f"{what}: {time.monotonic() - began:.1f} s")
    return done


def _start(home: Path) -> None:
    with stack.services():
        processes.start(home)


def _fleet(folder: Path) -> Any:
    from simulators import fleet  # pvlib and pandas take seconds to load

    return fleet.build(folder)


def _people(key: Path) -> None:
    """The demo's people and their roles, the factor table, and its confirmation by a second person."""
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        for person in body.PEOPLE:
            did = body.did(body.key(key)) if person is body.VERIFIER else None
            person_timescale.add(connection, person.person, person.role, organisation=person.organisation, did=did)
    table = key.parent / "factors.csv"
    table.write_text(FACTORS)
    factors.load(table, body.OPERATOR.person)
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        factors_timescale.confirm(connection, person=body.METHODS.person)


def _publish(fleet: Any, mqtt: str) -> Any:
    """A year of messages, a day each, until all are settled; and a handful of now from the gateway that is live at one minute."""
    from simulators import gateway

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("messages settled", total=None)
        try:
            sent = gateway.publish(fleet.folder, mqtt, progress=lambda done, total: bar.update(task, completed=done, total=total))
            gateway.live(fleet.folder, mqtt, in_real_time=False)
        except gateway.PublishError as error:
            raise Trouble(str(error), NO_SERVICE) from error
    return sent


def _claim() -> str:
    """The claim of the year: the one that is there, else a new one."""
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        found = [row for row in walk_timescale.claims(connection) if row["project"] == PROJECT and row["state"] not in ENDED]
    if not found:
        steps.create(PROJECT, START, END, person=body.OPERATOR.person)
        return _claim()
    return str(found[-1]["claim"])


def _state(claim: str) -> str:
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        return str(row_of(connection, claim)["state"])


def _walk(claim: str, folder: Path) -> None:
    """Each step by the person whose it is; steps that are done are passed over."""
    taken: tuple[tuple[tuple[str, ...], Callable[[], object]], ...] = (
        (("draft", "returned"), lambda: steps.verify(claim, body.VERIFIER.person)),
        (("verified",), lambda: _sign(claim, folder)),
        (("signed",), lambda: steps.approve(claim, body.ADMINISTRATOR.person)),
        (("approved",), lambda: issued(claim, body.ADMINISTRATOR.person)),
    )
    for states, step in taken:
        if _state(claim) in states:
            step()


def _sign(claim: str, folder: Path) -> None:
    """The body records what it did where an item could not run, and signs the statement with the key that only it has."""
    bare, secured = folder / "statement.json", folder / "statement.signed.json"
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        undecided = walk_timescale.verified(connection, claim).needs_person
    own = folder / "body"
    instead = [f"{item}={body.instead(own, item=item, did_instead=body.did_instead(item))}" for item in undecided]
    steps.statement(claim, bare, person=body.VERIFIER.person, did=body.did(body.key(own)), instead=instead)
    body.sign_file(bare, secured, folder=own, created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    steps.sign(claim, body.VERIFIER.person, secured, instead=instead)


def _summary(claim: str, sent: Any, report: Path) -> None:
    """What was done, in one screen."""
    where = place.stack()
    with psycopg.connect(where.dsn, autocommit=True) as connection:
        earning, held = connection.execute(INTERVALS).fetchone() or (0, 0)
        flags = connection.execute(FLAGS).fetchall()
        found = walk_timescale.verified(connection, claim)
    counts = stack.counts(where.dsn) or {}
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("messages", f"{sent.messages:,} of the year sent and settled; stored {counts['accepted']:,}, repeated {counts['repeated']:,}")
    refused = ", ".join(f"{count} {reason}" for reason, count in counts["refused"].items())
    table.add_row("", f"conflicting {counts['conflicting']:,}; refused: {refused or 'none'}")
    table.add_row("intervals", f"{earning:,} that count by their registers, {held:,} held")
    for code, level, count, stake in flags:
        table.add_row("flag" if level == "hold" else "warning", f"{code}: {count:,} half hours, {int(stake) / 1000:,.1f} kWh at stake")
    verdicts = found.document()["verdicts"]
    table.add_row("69 items", ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in verdicts.items()))
    for block in issued(claim, body.ADMINISTRATOR.person):
        table.add_row("serial block", f"{block.first} to {block.last}, both ends included: {block.tonnes} t-CO2 (scheme DEMO, not official)")
    totals = found.document()["totals"]
    mwh = ", ".join(f"{value} MWh in FY{year}" for year, value in totals["mwh_by_year"].items())
    table.add_row("energy", f"{mwh} of self-consumption credited")
    table.add_row("report", f"{report}")
    table.add_row("look further", f"{where.console} (a token: `jcredit token --role operator --person {body.OPERATOR.person}`)")
    table.add_row("", "jcredit status · jcredit claim list · jcredit ledger serials · jcredit rebuild --check · jcredit bundle " + claim + " --out FILE")
    Console().print(table)
