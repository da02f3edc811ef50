"""From an approved claim to serial blocks, on the real database and a registry in its own process that may be killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import psycopg
import pytest
import typer
from psycopg.types.json import Jsonb
from typer.testing import CliRunner

from console.cli import issuance as issuance_cli
from console.cli import ledger as ledger_cli
from console.cli.trouble import Trouble
from registry_client import app, timescale
from registry_client import http as edge
from registry_client.answer import AnswerError, DifferentBlockError, OverlappingBlockError, ReplayedAnswerError, WrongCountError
from registry_client.http import RegistryBusyError
from registry_client.issuance import Batch, State
from registry_client.serial import Block, Kind, parse
from registry_client.timescale import IssuedBlock, NoClaimError, NotIssuableError
from verification import ledger_timescale
from verification.ledger_timescale import AlreadyEnteredError, AlreadyIssuedError
from verification.walk import NotAllowedError

pytestmark = pytest.mark.services

SERVE = "import sys; from pathlib import Path; from simulators.registry import run; run('127.0.0.1', int(sys.argv[1]), Path(sys.argv[2]))"
FIRST = IssuedBlock(first="DEMO-JC-2021-000000001", last="DEMO-JC-2021-000000017", tonnes=17, claim="c-1")


class RegistryProcess:
    """The simulator in a process of its own."""

    def __init__(self, path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.path, self.url = path, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", SERVE, str(self.port), str(self.path)], stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                httpx.get(f"{self.url}/healthz", trust_env=False).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the registry simulator did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def switch(self, fault: str, **other: Any) -> None:
        httpx.post(f"{self.url}/faults", json={"fault": fault, **other}, trust_env=False).raise_for_status()

    def holdings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/accounts/operator-1/holdings", trust_env=False).json()["blocks"]
        return found


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    one = RegistryProcess(tmp_path / "registry.sqlite")
    yield one
    one.kill()


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A fresh database with a project, an operator, an administrator and a verifier."""
    with psycopg.connect(database, autocommit=True) as made:
        made.execute(
            "INSERT INTO project (project, name, scheme, methodology, operator, registration_applied_on, certified_from, certified_to)"
            " VALUES ('demo-fy2021', 'Demo', 'DEMO', 'EN-R-002', 'operator-1', '2021-03-01', '2021-04-01', '2029-04-01')"
        )
        made.execute("INSERT INTO person (person, role) VALUES ('olga', 'operator'), ('ada', 'administrator'), ('vera', 'verifier')")
        yield made


def approved(connection: psycopg.Connection[Any], claim: str = "c-1", tonnes: dict[str, int] | None = None, state: str = "approved") -> None:
    """A claim that was signed and approved, as the verification leaves it."""
    years = {"2021": 17} if tonnes is None else tonnes
    with connection.transaction():
        connection.execute(
            "INSERT INTO claim (claim, project, start_on, end_on, plan, state, approvals_needed, created_by, tonnes, tonnes_by_year, mwh_by_year,"
            " report_sha256, statement_sha256) VALUES (%s, 'demo-fy2021', '2021-04-01', '2023-04-01', '{}', %s, 1, 'olga', %s, %s, %s, %s, %s)",
            (claim, state, sum(years.values()), Jsonb(years), Jsonb(dict.fromkeys(years, "41.234567")), "a" * 64, "b" * 64),
        )
        for kind in ("reduction verified", "batch approved"):
            ledger_timescale.append(connection, kind=kind, claim=claim, value={"tonnes": years})


def issue(connection: psycopg.Connection[Any], registry: RegistryProcess, claim: str = "c-1", person: str = "olga") -> tuple[IssuedBlock, ...]:
    return app.issue(connection.info.dsn, registry.url, claim, person, timeout_s=5, pause=lambda _: None)


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def written(connection: psycopg.Connection[Any]) -> tuple[int, int, str]:
    """Issue entries, blocks, and the state of c-1."""
    return (
        one(connection, "SELECT count(*) FROM ledger WHERE kind = 'credits issued'"),
        one(connection, "SELECT count(*) FROM serial_block"),
        one(connection, "SELECT state FROM claim WHERE claim = 'c-1'"),
    )


def test_an_approved_claim_gets_its_block_and_the_ledger_is_whole(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)

    assert issue(connection, registry) == (FIRST,)
    assert written(connection) == (1, 1, "issued")
    assert ledger_timescale.check(connection) == ()
    assert one(connection, "SELECT array_agg(value->>'kind' ORDER BY id)::text FROM outbox WHERE topic = 'ledger.v1'") == (
        '{"reduction verified","batch approved","credits issued"}'
    )
    assert connection.execute("SELECT what, person FROM claim_event").fetchall() == [("issued", "olga")]
    assert connection.execute("SELECT id, state, attempts, trouble FROM batch").fetchall() == [("batch-c-1", "issued", 1, None)]


def test_issuing_again_gives_the_same_block_without_the_registry(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    issue(connection, registry)
    registry.kill()

    assert issue(connection, registry) == (FIRST,)
    assert written(connection) == (1, 1, "issued")


def test_a_claim_over_two_years_gets_a_block_a_vintage_and_none_for_a_year_without_a_tonne(
    connection: psycopg.Connection[Any], registry: RegistryProcess
) -> None:
    approved(connection, tonnes={"2021": 17, "2022": 3, "2023": 0})

    assert [(b.first, b.last, b.tonnes) for b in issue(connection, registry)] == [
        ("DEMO-JC-2021-000000001", "DEMO-JC-2021-000000017", 17),
        ("DEMO-JC-2022-000000001", "DEMO-JC-2022-000000003", 3),
    ]
    assert ledger_timescale.check(connection) == ()


def test_a_hundred_requests_at_once_give_one_block(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    with ThreadPoolExecutor(25) as pool:  # the database has 100 connections for everyone
        found = list(pool.map(lambda _: issue(connection, registry), range(100)))

    assert set(found) == {(FIRST,)}
    assert written(connection) == (1, 1, "issued")
    assert len(registry.holdings()) == 1


def test_many_claims_at_once_make_one_whole_chain(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    claims = [f"c-{n}" for n in range(1, 21)]
    for claim in claims:
        approved(connection, claim, {"2021": 2})
    with ThreadPoolExecutor(20) as pool:
        blocks = [b for found in pool.map(lambda claim: issue(connection, registry, claim), claims) for b in found]

    assert sorted(n for b in blocks for n in (parse(b.first).number, parse(b.last).number)) == list(range(1, 41))
    assert ledger_timescale.check(connection) == ()


def lines_of_issue(nth: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace that ends this process, unannounced, at the nth line run of the code that issues."""
    files = {module.__file__ for module in (app, timescale, ledger_timescale)}
    left = [nth]

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def killed_at(nth: int, dsn: str, url: str, claim: str) -> bool:
    """Issue in a child process that is killed at its nth line; whether it was, before it came to its end."""
    child = os.fork()
    if child == 0:
        sys.settrace(lines_of_issue(nth))
        try:
            app.issue(dsn, url, claim, "olga")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_killed_at_any_line_and_run_again_it_issues_once(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    killed, states = 0, Counter[str]()
    for nth in range(1, 1000):
        claim = f"c-{nth}"
        approved(connection, claim, {"2021": 2})
        if not killed_at(nth, connection.info.dsn, registry.url, claim):
            break
        killed += 1
        states[one(connection, f"SELECT state FROM claim WHERE claim = '{claim}'")] += 1
        assert ledger_timescale.check(connection) == (), f"killed at line {nth}: half written"
        before = timescale.serials(connection, claim)
        after = issue(connection, registry, claim)
        assert before in ((), after), f"killed at line {nth}: another block"

    held = registry.holdings()
    assert killed > 40, "the kills reached the code that issues"
    assert states["approved"] > 20, "some came before the write"
    assert states["issued"] > 0, "some came after it"
    assert len(held) == killed + 1
    assert [parse(b["first"]).number for b in held] == list(range(1, 2 * len(held), 2))
    assert ledger_timescale.check(connection) == ()


@pytest.mark.parametrize(("fault", "error"), [("wrong-count", WrongCountError), ("replayed-answer", ReplayedAnswerError), ("other-block", DifferentBlockError)])
def test_an_answer_that_can_not_be_right_writes_nothing(
    connection: psycopg.Connection[Any], registry: RegistryProcess, fault: str, error: type[AnswerError]
) -> None:
    approved(connection)
    registry.switch(fault)

    with pytest.raises(error):
        issue(connection, registry)
    assert written(connection) == (0, 0, "approved")
    assert one(connection, "SELECT trouble FROM batch").startswith(error.__name__)
    assert issue(connection, registry) == (FIRST,)


@pytest.mark.parametrize("fault", ["429", "500", "lost-answer"])
def test_a_registry_that_stays_away_leaves_a_batch_that_can_be_sent_again(connection: psycopg.Connection[Any], registry: RegistryProcess, fault: str) -> None:
    approved(connection)
    registry.switch(fault, times=6, seconds=1)

    with pytest.raises(RegistryBusyError):
        issue(connection, registry)
    assert written(connection) == (0, 0, "approved")
    assert issue(connection, registry) == (FIRST,)
    assert connection.execute("SELECT state, attempts, trouble FROM batch").fetchall() == [("issued", 2, None)]


def test_a_slow_registry_is_no_open_transaction(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    registry.switch("timeout", seconds=2)
    asking = threading.Thread(target=lambda: issue(connection, registry))
    asking.start()
    until = time.monotonic() + 10
    while not one(connection, "SELECT count(*) FROM batch") and time.monotonic() < until:
        time.sleep(0.02)
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '1s'")
        connection.execute("SELECT * FROM claim FOR UPDATE")
    asking.join()

    assert written(connection) == (1, 1, "issued")


def test_an_old_backup_asks_for_the_same_block(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    batch = timescale.request(connection, claim="c-1", person="olga", kind=Kind.JC)
    issue(connection, registry)
    with connection.transaction():  # the database as it was before the batch was made
        connection.execute("SET LOCAL session_replication_role = replica")
        for table, trigger in (("serial_block", "serial_block_keeps"), ("batch", "batch_stays"), ("ledger", "ledger_keeps")):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}".encode())
        connection.execute("DELETE FROM serial_block")
        connection.execute("DELETE FROM batch")
        connection.execute("DELETE FROM ledger WHERE kind = 'credits issued'")
        connection.execute("UPDATE claim SET state = 'approved'")

    assert issue(connection, registry) == (FIRST,)
    assert len(registry.holdings()) == 1
    assert timescale.request(connection, claim="c-1", person="olga", kind=Kind.JC).request == batch.request


def test_the_same_key_with_another_block_is_refused_after_the_write(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    issue(connection, registry)
    batch = timescale.request(connection, claim="c-1", person="olga", kind=Kind.JC)
    other = Block(first=parse("DEMO-JC-2021-000000018"), last=parse("DEMO-JC-2021-000000034"))

    assert batch.state is State.ISSUED
    with pytest.raises(DifferentBlockError):
        timescale.write(connection, batch=batch, blocks=[other], person="olga")


def test_serials_of_another_claim_are_refused_by_the_database(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    approved(connection, "c-2", {"2021": 3})
    issue(connection, registry)
    batch: Batch = timescale.request(connection, claim="c-2", person="olga", kind=Kind.JC)

    with pytest.raises(OverlappingBlockError):
        timescale.write(connection, batch=batch, blocks=[Block(first=parse("DEMO-JC-2021-000000017"), last=parse("DEMO-JC-2021-000000019"))], person="olga")
    assert written(connection) == (1, 1, "issued")


def test_only_an_approved_claim_is_issued(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    for state in ("draft", "verified", "signed", "returned", "rejected", "withdrawn", "suspended"):
        approved(connection, f"c-{state}", state=state)
        with pytest.raises(NotIssuableError, match=f"is {state}, not approved"):
            issue(connection, registry, f"c-{state}")

    assert registry.holdings() == []
    assert one(connection, "SELECT count(*) FROM batch") == 0


def test_who_asks_for_no_claim_or_has_another_role_is_told_so(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)

    with pytest.raises(NoClaimError):
        issue(connection, registry, "c-9")
    with pytest.raises(NotIssuableError, match="vera is verifier"):
        issue(connection, registry, person="vera")
    assert one(connection, "SELECT count(*) FROM batch") == 0


def test_somebody_unknown_is_added_under_demo_and_refused_elsewhere(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    connection.execute("UPDATE project SET scheme = 'JCREDIT'")
    with pytest.raises(NotAllowedError, match="not known"):
        issue(connection, registry, person="nora")
    connection.execute("UPDATE project SET scheme = 'DEMO'")
    heard: list[str] = []

    assert app.issue(connection.info.dsn, registry.url, "c-1", "nora", tell=heard.append) == (FIRST,)
    assert heard == ["nora was not known: added as administrator (scheme DEMO)"]


def test_a_claim_that_says_more_than_the_ledger_is_not_asked_for(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    connection.execute("""UPDATE claim SET tonnes_by_year = '{"2021": 18}'""")

    with pytest.raises(NotIssuableError, match="the ledger has"):
        issue(connection, registry)
    assert registry.holdings() == []


def test_a_claim_of_nothing_is_not_asked_for(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection, tonnes={"2021": 0})

    with pytest.raises(NotIssuableError, match="comes to 0 t: there is nothing to issue; `jcredit return`"):
        issue(connection, registry)
    assert registry.holdings() == []
    assert one(connection, "SELECT count(*) FROM batch") == 0


def test_once_the_registry_was_asked_a_claim_does_not_go_back(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    timescale.request(connection, claim="c-1", person="olga", kind=Kind.JC)

    with pytest.raises(psycopg.errors.RestrictViolation, match="the registry was asked for its credits"):
        connection.execute("UPDATE claim SET state = 'returned'")
    with pytest.raises(AlreadyIssuedError):
        ledger_timescale.set_aside(connection, claim="c-1", reason="returned")
    connection.execute("UPDATE claim SET state = 'suspended'")
    connection.execute("UPDATE claim SET state = 'approved'")
    assert issue(connection, registry) == (FIRST,)
    with pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE claim SET state = 'approved'")


def test_an_entry_made_twice_is_one_and_a_different_one_is_refused(connection: psycopg.Connection[Any]) -> None:
    approved(connection)
    again = ledger_timescale.append(connection, kind="batch approved", claim="c-1", value={"tonnes": {"2021": 17}})

    assert again == 2
    with pytest.raises(AlreadyEnteredError, match="stands as entry 2"):
        ledger_timescale.append(connection, kind="batch approved", claim="c-1", value={"tonnes": {"2021": 16}})
    assert one(connection, "SELECT count(*) FROM ledger") == one(connection, "SELECT count(*) FROM outbox") == 2


def test_a_claim_set_aside_is_entered_anew(connection: psycopg.Connection[Any], registry: RegistryProcess) -> None:
    approved(connection)
    assert ledger_timescale.set_aside(connection, claim="c-1", reason="returned to the operator") == 3
    assert ledger_timescale.set_aside(connection, claim="c-1", reason="again") == 0
    for kind in ("reduction verified", "batch approved"):
        ledger_timescale.append(connection, kind=kind, claim="c-1", value={"tonnes": {"2021": 16}})
    connection.execute("""UPDATE claim SET tonnes_by_year = '{"2021": 16}'""")

    assert [b.tonnes for b in issue(connection, registry)] == [16]
    assert ledger_timescale.check(connection) == ()


def test_a_transaction_that_rolls_back_leaves_no_entry_and_no_hole(connection: psycopg.Connection[Any]) -> None:
    approved(connection)
    moved = {"blocks": [{"first": FIRST.first, "last": FIRST.last, "tonnes": 17}]}
    with connection.transaction(force_rollback=True):
        assert ledger_timescale.append(connection, kind="transferred", claim="c-1", value=moved) == 3
    approved(connection, "c-2")

    assert [e.entry for e in ledger_timescale.entries(connection)] == [1, 2, 3, 4]


@pytest.mark.parametrize("role", ["origin", "replica"])
def test_the_database_refuses_to_change_what_was_written(connection: psycopg.Connection[Any], registry: RegistryProcess, role: str) -> None:
    approved(connection)
    approved(connection, "c-2")
    issue(connection, registry)
    connection.execute(f"SET session_replication_role = {role}".encode())

    for table in ("ledger", "serial_block", "batch"):
        for change in ("UPDATE {} SET claim = 'c-2'", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(change.format(table).encode())
    assert written(connection) == (1, 1, "issued")
    assert ledger_timescale.check(connection) == ()


def test_an_entry_that_does_not_follow_is_refused_by_the_database(connection: psycopg.Connection[Any]) -> None:
    approved(connection)

    with pytest.raises(psycopg.errors.RestrictViolation, match="entry 4 does not follow entry 2"):
        connection.execute("INSERT INTO ledger SELECT entry + 2, kind, claim, round + 1, value, at, previous, sha256(hash) FROM ledger WHERE entry = 2")
    with pytest.raises(psycopg.errors.RestrictViolation, match="entry 3 does not follow entry 2"):
        connection.execute("INSERT INTO ledger SELECT entry + 1, kind, claim, round + 1, value, at, previous, sha256(hash) FROM ledger WHERE entry = 2")


@pytest.mark.parametrize(
    ("forgery", "broken"),
    [
        ("""UPDATE ledger SET value = jsonb_set(value, '{tonnes,2021}', '18') WHERE entry = 1""", "entry 1: "),
        ("UPDATE ledger SET at = at - interval '1 day' WHERE entry = 2", "entry 2: "),
        ("DELETE FROM ledger WHERE entry = 2", "entry 3: entry 2 is not there"),
        ("DELETE FROM serial_block", "entry 3: "),
        ("UPDATE serial_block SET claim = 'c-2'", "entry 3: "),
    ],
)
def test_a_forged_row_is_named_by_ledger_check(connection: psycopg.Connection[Any], registry: RegistryProcess, forgery: str, broken: str) -> None:
    approved(connection)
    connection.execute(
        "INSERT INTO claim (claim, project, start_on, end_on, plan, approvals_needed, created_by)"
        " VALUES ('c-2', 'demo-fy2021', '2021-04-01', '2022-04-01', '{}', 1, 'olga')"
    )
    issue(connection, registry)
    with connection.transaction():
        for table in ("ledger", "serial_block"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_keeps".encode())
        connection.execute(forgery.encode())

    with pytest.raises(Trouble, match=f"the ledger is broken at {broken}") as trouble:
        ledger_cli.verdict(ledger_timescale.book(connection))
    assert trouble.value.code == 1


def test_a_registry_killed_again_and_again_never_uses_a_number_twice(registry: RegistryProcess, connection: psycopg.Connection[Any]) -> None:
    claims = [f"c-{n}" for n in range(1, 31)]
    for claim in claims:
        approved(connection, claim, {"2021": 2})
    stop = threading.Event()

    def keep_killing() -> None:
        while not stop.wait(0.4):
            registry.kill()
            registry.start()

    def until_issued(claim: str) -> tuple[IssuedBlock, ...]:
        while True:
            try:
                return app.issue(connection.info.dsn, registry.url, claim, "olga", timeout_s=5, pause=lambda _: time.sleep(0.1))
            except RegistryBusyError:
                continue

    killer = threading.Thread(target=keep_killing)
    killer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            blocks = [b for found in pool.map(until_issued, claims) for b in found]
    finally:
        stop.set()
        killer.join()

    assert sorted(parse(b.first).number for b in blocks) == list(range(1, 61, 2))
    assert sorted((b["first"], b["last"]) for b in registry.holdings()) == sorted((b.first, b.last) for b in blocks)
    assert ledger_timescale.check(connection) == ()


@pytest.fixture
def command(connection: psycopg.Connection[Any], registry: RegistryProcess, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`jcredit` with the nouns of this stage, on the test's database and registry."""
    monkeypatch.setenv("JCREDIT_DSN", connection.info.dsn)
    monkeypatch.setenv("JCREDIT_REGISTRY", registry.url)
    jcredit = typer.Typer()
    issuance_cli.register(jcredit)
    ledger_cli.register(jcredit)
    return lambda *words: CliRunner().invoke(jcredit, words)


def test_the_command_issues_lists_and_checks(connection: psycopg.Connection[Any], command: Callable[..., Any]) -> None:
    approved(connection)
    approved(connection, "c-2", {"2021": 3})
    row = {"first": FIRST.first, "last": FIRST.last, "tonnes": 17, "claim": "c-1"}

    assert json.loads(command("issue", "c-1", "--as", "ada", "--json").stdout) == [row]
    assert command("issue", "c-2", "--as", "ada").stdout == "DEMO-JC-2021-000000018 to DEMO-JC-2021-000000020  3 t\n"
    assert [b["claim"] for b in json.loads(command("ledger", "serials", "--json").stdout)] == ["c-1", "c-2"]
    assert command("ledger", "check").stdout == (
        "6 entries, every rule holds: 20 t verified, 20 t issued = 20 held + 0 transferred + 0 invalidated + 0 cancelled\n"
    )


@pytest.mark.parametrize(("words", "code"), [(("c-9", "--as", "ada"), 2), (("c-1", "--as", "vera"), 1), (("c-0", "--as", "ada"), 1)])
def test_the_command_says_no_with_the_contracts_code(
    connection: psycopg.Connection[Any], command: Callable[..., Any], words: tuple[str, ...], code: int
) -> None:
    approved(connection)
    approved(connection, "c-0", {"2021": 0})
    trouble = command("issue", *words).exception

    assert isinstance(trouble, Trouble)
    assert trouble.code == code


def test_a_registry_that_is_not_there_ends_with_code_three(
    connection: psycopg.Connection[Any], registry: RegistryProcess, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "PAUSES_S", (0.0,))
    approved(connection)
    registry.kill()
    trouble = command("issue", "c-1", "--as", "ada").exception

    assert isinstance(trouble, Trouble)
    assert trouble.code == 3
