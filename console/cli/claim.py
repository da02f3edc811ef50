"""`jcredit claim`, and the steps of a claim: verify, statement, sign, approve, and back; its report, its bundle, its second count."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from console.cli import place
from console.cli.build import build
from console.cli.person import DID
from console.cli.trouble import BAD_INPUT, NO, Trouble, say
from registry_client import enquiry
from registry_client.answer import AnswerError
from registry_client.http import RegistryBusyError, RegistryRefusedError, enquire
from verification import bundle_timescale, signing_timescale, verify_timescale, walk_timescale
from verification.case import RegistryAnswer
from verification.claim import Activity, Claim
from verification.claim_timescale import NoSuchClaimError, row_of
from verification.evidence import bundle as bundles
from verification.ledger import EntryError
from verification.ledger_timescale import AlreadyEnteredError, AlreadyIssuedError
from verification.methodology.en_r_002 import FactorChoice
from verification.page import render
from verification.period import Period
from verification.recompute import __main__ as second_count
from verification.signing_timescale import BadStatementError, NotDecidedError, Record
from verification.walk import NotAllowedError, Opinion

claims = typer.Typer(no_args_is_help=True, help="Claims: a project and a period whose reduction is to be certified.")

ClaimId = Annotated[str, typer.Argument(metavar="CLAIM", help="The claim's id, as `jcredit claim list` shows it.")]
As = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who does it; in scheme DEMO somebody new gets the role that the step needs.")]
Reason = Annotated[str, typer.Option(help="Why; it stays on record.")]
Instead = Annotated[list[str] | None, typer.Option(metavar="ITEM=FILE", help="What the body did where an item could not run or failed; repeat.")]

ANSWERS_NO = (NotAllowedError, NotDecidedError, AlreadyEnteredError, AlreadyIssuedError)
BAD = (NoSuchClaimError, BadStatementError, EntryError, LookupError, ValueError)


def register(app: typer.Typer) -> None:
    """Add `claim` and the steps."""
    app.add_typer(claims, name="claim")
    for command in (verify, statement, sign, approve, reject, withdraw, suspend, report, bundle, recompute):
        app.command()(command)
    app.command("return")(give_back)


@claims.command()
def create(
    project: Annotated[str, typer.Option(help="An enrolled project.")],
    start: Annotated[str, typer.Option("--from", help="First JST day, as 2021-04-01.")],
    end: Annotated[str, typer.Option("--to", help="The day after the last one.")],
    factor: Annotated[FactorChoice, typer.Option(help="The plan's choice: all-source throughout, or by elapsed years.")] = FactorChoice.ALL_SOURCE,
    person: Annotated[str | None, typer.Option("--as", help="Who operates; the project's operator if not given.")] = None,
) -> None:
    """Create a draft claim and print its id. Needs an enrolled project (`jcredit enrol`)."""
    with _trouble(), _database() as connection:
        period = Period(start=_day(start), end=_day(end))
        claim = walk_timescale.create(connection, project=project, period=period, person=person, factor=factor, tell=say)
    typer.echo(claim)


@claims.command("list")
def list_claims(as_json: Annotated[bool, typer.Option("--json", help="Print JSON: id, state, tonnes, oldest first.")] = False) -> None:
    """Every claim, oldest first."""
    with _database() as connection:
        rows = walk_timescale.claims(connection)
    if as_json:
        keep = ("state", "tonnes", "project", "report_sha256")
        found = [{"id": r["claim"], **{k: r[k] for k in keep}, "from": r["start_on"].isoformat(), "to": r["end_on"].isoformat()} for r in rows]
        typer.echo(json.dumps(found))
        return
    table = Table("id", "state", "t", "from", "to", "verified", "signed", caption="`to` is exclusive")
    table.columns[0].no_wrap = True
    for r in rows:
        tonnes = "" if r["tonnes"] is None else str(r["tonnes"])
        table.add_row(r["claim"], r["state"], tonnes, str(r["start_on"]), str(r["end_on"]), r["verified_by"] or "", r["signed_by"] or "")
    Console(markup=False, emoji=False).print(table)


def verify(claim: ClaimId, person: As) -> None:
    """Freeze a claim, verify every signature and number again, answer the 69 items. Again: the same answer. Needs the database; asks the registry."""
    with _trouble(), _progress() as told:
        found = verify_timescale.verify(place.dsn(), claim, person, build=build(), enquire=ask_registry, tell=say, progress=told)
    document = found.document()
    counts = ", ".join(f"{n} {verdict}" for verdict, n in document["verdicts"].items())
    say(f"{claim}: {counts}; {found.tonnes if found.tonnes is not None else 'no'} t; report SHA-256 {found.sha256}")
    if found.needs_person:
        say(f"a person has to decide: {', '.join(found.needs_person)}")
    typer.echo(json.dumps({"claim": claim, "tonnes": found.tonnes, "verdicts": document["verdicts"], "needs_person": list(found.needs_person)}))


def ask_registry(activities: tuple[Activity, ...], claim: Claim) -> RegistryAnswer | None:
    """The registry's answer on these activities, or None (said, and then C16 could not run) where it does not give one."""
    keys = {}
    for a in activities:
        with contextlib.suppress(enquiry.NoKeyError):
            keys[enquiry.activity_key(pcs_serial=a.site.pcs_serial, supply_point=a.site.supply_point)] = a.activity
    if not keys:
        return None
    try:
        address = place.registry()
        answer = enquire(address, tuple(sorted(keys)), (claim.period.start, claim.period.end))
    except (RegistryBusyError, RegistryRefusedError, AnswerError, OSError) as error:
        say(f"the registry gave no answer on double registration ({error}); C16 and E18 could not run")
        return None
    hits = {keys[h.activity_key]: f"{h.programme}, {h.start} to {h.end}" for h in answer.hits if h.programme != claim.project.project}
    return RegistryAnswer(answered_at=answer.answered_at, registry=address, asked=frozenset(keys[k] for k in answer.keys if k in keys), hits=hits)


def statement(
    claim: ClaimId,
    out: Annotated[Path, typer.Option(help="Where to write the unsecured credential.")],
    person: Annotated[str | None, typer.Option("--as", help="Who will sign; who verified, if not given.")] = None,
    did: Annotated[str | None, typer.Option(help=f"{DID} of the key that will sign.")] = None,
    opinion: Annotated[Opinion, typer.Option(help="The body's opinion.")] = Opinion.UNMODIFIED,
    instead: Instead = None,
) -> None:
    """Write the statement of a verified claim, to be signed elsewhere (eddsa-jcs-2022) with the body's own key."""
    with _trouble(), _database() as connection:
        content = signing_timescale.state_statement(connection, claim, person=person, did=did, opinion=opinion, instead=_records(instead), tell=say)
    _write(out, content)
    say(f"{out}: the unsecured statement of {claim}; sign it elsewhere, then `jcredit sign {claim} --as PERSON --signature FILE`")


def sign(
    claim: ClaimId,
    person: As,
    signature: Annotated[Path, typer.Option(help="The statement with its proof, made elsewhere.")],
    instead: Instead = None,
) -> None:
    """Take the body's signature. Refused while an item that failed or could not run is undecided."""
    with _trouble(), _database() as connection:
        content = _read(signature)
        tonnes, did = signing_timescale.sign(connection, claim, person=person, signature=content, instead=_records(instead), tell=say)
    say(f"{claim} is signed by {person} ({did}): {tonnes} t")


def approve(claim: ClaimId, person: As) -> None:
    """Approve a signed claim as an administrator; a second approver approves again."""
    with _trouble(), _database() as connection:
        state, approvals, needed = walk_timescale.approve(connection, claim, person=person, tell=say)
    say(f"{claim} is {state}: {approvals} of {needed} approvals")


def give_back(claim: ClaimId, person: As, reason: Reason) -> None:
    """Return a claim to its operator; it may be verified again."""
    _back(claim, "return", person, reason)


def reject(claim: ClaimId, person: As, reason: Reason) -> None:
    """Reject a claim for good."""
    _back(claim, "reject", person, reason)


def withdraw(claim: ClaimId, person: As, reason: Reason) -> None:
    """Withdraw a claim as its operator."""
    _back(claim, "withdraw", person, reason)


def suspend(claim: ClaimId, person: As, reason: Reason) -> None:
    """Suspend a signed or approved claim; approving it again goes on."""
    _back(claim, "suspend", person, reason)


def _back(claim: str, step: str, person: str, reason: str) -> None:
    with _trouble(), _database() as connection:
        state = walk_timescale.walk_back(connection, claim, step, person=person, reason=reason, tell=say)
    say(f"{claim} is {state}")


def report(
    claim: ClaimId,
    out: Annotated[Path, typer.Option(help="A folder for report.json, report.html, statement.json as it was signed, and the body's files.")],
) -> None:
    """Write a verified claim's report: canonical JSON, one HTML page in Japanese and English, the statement once it is signed, the body's files in instead/."""
    with _trouble(), _database() as connection:
        files = report_files(connection, claim)
    for name, content in files.items():
        _write(out / name, content)
    typer.echo(str(out / "report.html"))


def report_files(connection: psycopg.Connection[Any], claim: str) -> dict[str, bytes]:
    """Each file of the report's folder, by its name in there."""
    found, row = walk_timescale.verified(connection, claim), row_of(connection, claim)
    page = render(
        found.document(),
        sha256=found.sha256,
        instead=signing_timescale.records(connection, claim),
        steps=walk_timescale.steps(connection, claim),
        state=row["state"],
    )
    signed = signing_timescale.signed_statement(connection, claim)
    return {
        "report.json": found.report,
        "report.html": page.encode(),
        **({} if signed is None else {"statement.json": signed}),
        **{f"instead/{name}": content for name, content in signing_timescale.files(connection, claim).items()},
    }


def bundle(claim: ClaimId, out: Annotated[Path, typer.Option(help="The bundle's file.")]) -> None:
    """Write everything that a second count needs into one file. Needs a verified claim."""
    with _trouble(), _database() as connection, _progress() as told, connection.transaction():
        records = bundle_timescale.records(connection, claim, lambda done, total: told("messages", done, total))
        out.parent.mkdir(parents=True, exist_ok=True)
        with _whole(out) as file:
            digest = bundles.write(records, file)
    say(f"{out}: SHA-256 {digest}; `jcredit recompute {out}` counts again, on any machine")


def recompute(file: Annotated[Path, typer.Argument(help="A bundle.")]) -> None:
    """Count a bundle again by the second implementation, offline: EQUAL, or the first difference (exit 1); a broken bundle exits 2."""
    raise typer.Exit(second_count.answer(file))


def _records(instead: list[str] | None) -> list[Record]:
    """`C11=FILE` each."""
    found = []
    for text in instead or ():
        item, equals, path = text.partition("=")
        if not equals or not path:
            raise Trouble(f"--instead {text!r}: write ITEM=FILE, as C11=peers.txt")
        found.append(Record(item=item, file_name=path, content=_read(Path(path))))
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Trouble(f"{path} can not be read ({error.strerror})") from error


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _whole(path) as file:
            file.write(content)
    except OSError as error:
        raise Trouble(f"{path} can not be written ({error.strerror})") from error


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Any]:
    """A file that is there whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.close()
            Path(file.name).chmod(0o644)
            os.replace(file.name, path)  # noqa: PTH105 - atomic, and named by text
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Trouble(f"{text!r} is no day; write it as 2021-04-01") from None


@contextlib.contextmanager
def _database() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(place.dsn(), autocommit=True) as connection:
        yield connection


@contextlib.contextmanager
def _trouble() -> Iterator[None]:
    """Errors of the steps as sentences with their exit codes."""
    try:
        yield
    except ANSWERS_NO as error:
        raise Trouble(str(error), NO) from error
    except BAD as error:
        raise Trouble(str(error) if not isinstance(error, KeyError) else f"not there: {error}", BAD_INPUT) from error


class _Told:
    """Progress of stages, one bar each."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.tasks = progress, dict[str, Any]()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self.tasks:
            for task in self.tasks.values():
                self.progress.update(task, completed=self.progress.tasks[task].total)
            self.tasks[stage] = self.progress.add_task(stage, total=total)
        self.progress.update(self.tasks[stage], completed=done, total=total)


@contextlib.contextmanager
def _progress() -> Iterator[_Told]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Told(progress)
