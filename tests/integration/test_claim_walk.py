"""A claim from signed messages to the ledger, on a real database: frozen, stated, signed elsewhere, approved, and walked back."""

import asyncio
import base64
import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from anomaly.timescale import SlotTests
from console.cli import app
from ingest.enrolment import read
from ingest.segment import Message, pack
from ingest.timescale import enrol, known
from simulators import body, fleet
from simulators.gateway import spool_year
from simulators.spool import Spool
from stream.timescale import Spot, Store
from stream.work import Worker
from verification import bundle_timescale, factors_timescale, person_timescale, signing_timescale, walk_timescale
from verification.case import RegistryAnswer
from verification.claim import Activity, Claim
from verification.claim_timescale import NoSuchClaimError
from verification.evidence import bundle
from verification.period import Period
from verification.recompute.__main__ import answer
from verification.signing_timescale import BadStatementError, NotDecidedError, Record
from verification.verify_timescale import Verified, verify
from verification.walk import NotAllowedError, Opinion, State

pytestmark = pytest.mark.services

DAYS = 30
PERIOD = Period(start=date(2021, 4, 1), end=date(2021, 5, 1))
JST = timezone(timedelta(hours=9))
SEED = bytes(range(32))
FACTORS = b"fiscal_year,kind,kg_per_kwh,source\n2021,all_source,0.434,official table of FY2021\n"


@dataclass(frozen=True)
class World:
    """An enrolled fleet whose month is in the database."""

    dsn: str
    project: str
    messages: tuple[Message, ...]


def hush(_: str) -> None:
    """Nobody has to be told."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, tuple[Message, ...]]:
    folder = tmp_path_factory.mktemp("fleet")
    made = fleet.build(folder, members=6, days=DAYS, seed=1)
    spool = Spool(folder / "spool.sqlite")
    spool_year(made, spool, clock=lambda: datetime.now(JST))
    found = [spool.message(g, n) for g in made.gateways for n in range(spool.count(g))]
    now = int(time.time() * 1e6) + 3_600_000_000
    messages = tuple(
        Message(
            payload=m.payload,
            kid=m.kid,
            signature=base64.urlsafe_b64decode(m.sig + "=="),
            format="native",
            received_us=now,
            sha256=bytes.fromhex(m.hash),
            gateway=m.gateway,
        )
        for m in found
    )
    return made, messages


@pytest.fixture
def world(database: str, built: tuple[Any, tuple[Message, ...]]) -> World:
    made, messages = built
    with psycopg.connect(database, autocommit=True) as connection:
        enrol(connection, read({str(p): p.read_bytes() for p in made.tables}, known(connection)), dry_run=False)
        factors_timescale.load(connection, "factors.csv", FACTORS, person="op", today=date(2026, 11, 22))
        factors_timescale.confirm(connection, person="second")
        project = connection.execute("SELECT project FROM project").fetchone()
    assert project is not None
    asyncio.run(store(database, list(messages)))
    return World(dsn=database, project=project[0], messages=messages)


async def store(dsn: str, messages: list[Message], topic: uuid.UUID | None = None) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        worker, topic = Worker(SlotTests()), topic or uuid.uuid4()
        for n in range(0, len(messages), 256):
            await worker.take(Store(connection), Spot(topic_id=topic, partition=0, offset=n), pack(messages[n : n + 256]))


def says_no_hits(activities: tuple[Activity, ...], _claim: Claim) -> RegistryAnswer:
    now = datetime.now(UTC) + timedelta(seconds=5)
    return RegistryAnswer(answered_at=now, registry="test", asked=frozenset(a.activity for a in activities), hits={})


def draft(world: World, period: Period = PERIOD) -> str:
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        return walk_timescale.create(connection, project=world.project, period=period, person=None, factor="all_source", tell=hush)


def verified(world: World, claim: str, person: str = "vb") -> Verified:
    return verify(world.dsn, claim, person, build="test", enquire=says_no_hits, tell=hush)


def records(items: tuple[str, ...]) -> list[Record]:
    return [Record(item=i, file_name=f"{i}.txt", content=f"looked at {i} by hand".encode()) for i in items]


def signature(world: World, claim: str, opinion: Opinion = Opinion.UNMODIFIED, seed: bytes = SEED) -> bytes:
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        content = signing_timescale.state_statement(connection, claim, person=None, did=None, opinion=opinion, tell=hush)
    return json.dumps(body.secure(json.loads(content), seed, "2026-11-22T00:00:00Z")).encode()


def signed(world: World, claim: str) -> None:
    found = verified(world, claim)
    secured = signature(world, claim)
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        signing_timescale.sign(connection, claim, person="vb", signature=secured, instead=records(found.needs_person), tell=hush)


def state_of(world: World, claim: str) -> str:
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        return next(row["state"] for row in walk_timescale.claims(connection) if row["claim"] == claim)


def test_twelve_checks_run_and_the_second_count_is_equal(world: World, tmp_path: Path) -> None:
    claim = draft(world)
    found = verified(world, claim)
    verdicts = {item["id"]: item["verdict"] for item in found.document()["items"]}
    assert {"C01", "C05", "C06", "C07", "C08", "C09", "C10", "C13", "C14", "C16", "C17", "C18"} <= {i for i, v in verdicts.items() if v == "pass"}
    path = tmp_path / "claim.jcb"
    with psycopg.connect(world.dsn, autocommit=True) as connection, connection.transaction(), path.open("wb") as file:
        bundle.write(bundle_timescale.records(connection, claim), file)
    assert answer(path) == 0


def test_a_frozen_claim_gives_the_same_answer_whatever_arrives_later(world: World) -> None:
    claim = draft(world)
    first = verified(world, claim)
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute("UPDATE interval SET state = 3")
        connection.execute("UPDATE member SET left_on = '2021-04-02'")
    assert verified(world, claim).report == first.report
    assert verified(world, draft(world)).report != first.report


def test_a_lost_byte_of_evidence_fails_c01(world: World) -> None:
    claim = draft(world)
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute("UPDATE evidence SET body = overlay(body PLACING '\\x00' FROM 100) WHERE segment = (SELECT min(segment) FROM evidence)")
    verdicts = {item["id"]: item["verdict"] for item in verified(world, claim).document()["items"]}
    assert (verdicts["C01"], verdicts["C18"]) == ("fail", "fail")


def test_the_walk_to_the_ledger(world: World) -> None:
    claim = draft(world)
    found = verified(world, claim)
    secured = signature(world, claim)
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        with pytest.raises(NotDecidedError) as caught:
            signing_timescale.sign(connection, claim, person="vb", signature=secured, tell=hush)
        assert caught.value.items == found.needs_person
        signing_timescale.sign(connection, claim, person="vb", signature=secured, instead=records(found.needs_person), tell=hush)
        signing_timescale.sign(connection, claim, person="vb", signature=secured, tell=hush)
        with pytest.raises(NotAllowedError, match="vb is verifier"):
            walk_timescale.approve(connection, claim, person="vb", tell=hush)
        assert walk_timescale.approve(connection, claim, person="sa", tell=hush) == (State.APPROVED, 1, 1)
        assert walk_timescale.approve(connection, claim, person="sa", tell=hush) == (State.APPROVED, 1, 1)
        assert walk_timescale.approve(connection, claim, person="second-sa", tell=hush) == (State.APPROVED, 2, 1)
        kinds = [r[0] for r in connection.execute("SELECT kind FROM ledger ORDER BY entry")]
        certified = connection.execute("SELECT count(*) FROM certified").fetchone()
    assert kinds == ["reduction verified", "batch approved"]
    assert certified == (5,)  # the sixth plant was not measured in April


def test_the_report_is_one_folder_with_the_signed_statement_and_the_bodys_files(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JCREDIT_DSN", world.dsn)
    claim = draft(world)
    found = verified(world, claim)
    out = tmp_path / "report"
    assert CliRunner().invoke(app, ["report", claim, "--out", str(out)]).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]
    secured = signature(world, claim)
    own = [*records(found.needs_person), *(Record(item="C11", file_name="../peers 表.txt", content=text) for text in (b"one way", b"another way"))]
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        signing_timescale.sign(connection, claim, person="vb", signature=secured, instead=own, tell=hush)

    assert CliRunner().invoke(app, ["report", claim, "--out", str(out)]).stdout == f"{out / 'report.html'}\n"
    assert (out / "report.json").read_bytes() == found.report
    assert json.loads((out / "statement.json").read_bytes()) == json.loads(secured)
    named = {path.name: path.read_bytes() for path in (out / "instead").iterdir()}
    assert {f"{item}.txt": f"looked at {item} by hand".encode() for item in found.needs_person}.items() <= named.items()
    assert sorted(content for name, content in named.items() if "peers" in name) == [b"another way", b"one way"]
    assert "C11-peers_表.txt" in named
    assert len(named) == len(found.needs_person) + 2


def test_what_was_signed_must_be_the_statement_byte_for_byte(world: World) -> None:
    claim = draft(world)
    found = verified(world, claim)
    statement = json.loads(signature(world, claim))
    del statement["proof"]
    statement["credentialSubject"]["tonnes"] = 1_000_000
    forged = json.dumps(body.secure(statement, SEED, "2026-11-22T00:00:00Z")).encode()
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        with pytest.raises(BadStatementError, match="byte for byte"):
            signing_timescale.sign(connection, claim, person="vb", signature=forged, instead=records(found.needs_person), tell=hush)
        with pytest.raises(BadStatementError, match="no JSON"):
            signing_timescale.sign(connection, claim, person="vb", signature=b"\x00", tell=hush)
        with pytest.raises(BadStatementError, match="proof"):
            signing_timescale.sign(connection, claim, person="vb", signature=json.dumps(statement).encode(), tell=hush)
    assert state_of(world, claim) == "verified"


def test_a_person_signs_with_one_key(world: World) -> None:
    claim = draft(world)
    found = verified(world, claim)
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        other = signature(world, claim, seed=bytes(32))
        person_timescale.bind_did(connection, "vb", body.did(SEED))
        with pytest.raises(BadStatementError, match="but the key of vb is"):
            signing_timescale.sign(connection, claim, person="vb", signature=other, instead=records(found.needs_person), tell=hush)


def test_an_adverse_opinion_may_be_signed_and_never_leads_to_issue(world: World) -> None:
    claim = draft(world)
    verified(world, claim)
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        signing_timescale.sign(connection, claim, person="vb", signature=signature(world, claim, Opinion.ADVERSE), tell=hush)
        with pytest.raises(NotAllowedError, match="adverse"):
            walk_timescale.approve(connection, claim, person="sa", tell=hush)
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (0,)


def test_nothing_is_certified_twice_and_a_returned_claim_frees_its_period(world: World) -> None:
    first, second = draft(world), draft(world, Period(start=date(2021, 4, 20), end=date(2021, 5, 1)))
    signed(world, first)
    found = verified(world, second)
    assert "C16" in found.needs_person
    secured = signature(world, second)
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        with pytest.raises(NotAllowedError, match="twice"):
            signing_timescale.sign(connection, second, person="vb", signature=secured, instead=records(found.needs_person), tell=hush)
        assert walk_timescale.walk_back(connection, first, "return", person="sa", reason="a meter was read wrong", tell=hush) is State.RETURNED
        signing_timescale.sign(connection, second, person="vb", signature=secured, instead=records(found.needs_person), tell=hush)
        kinds = [r[0] for r in connection.execute("SELECT kind FROM ledger ORDER BY entry")]
    assert kinds == ["reduction verified", "corrected", "reduction verified"]
    again = verified(world, first)
    assert "C16" in again.needs_person
    assert again.document()["round"] == 2


def test_the_same_person_does_not_create_and_verify(world: World) -> None:
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        claim = walk_timescale.create(connection, project=world.project, period=PERIOD, person="op-sato", factor="all_source", tell=hush)
        with pytest.raises(NotAllowedError, match="op-sato is operator"):
            verified(world, claim, "op-sato")
        with pytest.raises(NoSuchClaimError):
            verified(world, "nothing-001")
        for step, person in (("suspend", "sa"), ("return", "sa")):
            with pytest.raises(NotAllowedError, match="is draft"):
                walk_timescale.walk_back(connection, claim, step, person=person, reason="r", tell=hush)
        with pytest.raises(ValueError, match="needs a reason"):
            walk_timescale.walk_back(connection, claim, "withdraw", person="op-sato", reason=" ", tell=hush)


def test_another_scheme_knows_nobody_unasked_and_wants_two_administrators(world: World) -> None:
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute("UPDATE project SET scheme = 'J-Credit'")
        claim = draft(world)
        with pytest.raises(NotAllowedError, match="jcredit person add vb --role verifier"):
            verified(world, claim)
        for person, role in (("vb", "verifier"), ("a1", "administrator"), ("a2", "administrator")):
            person_timescale.add(connection, person, role, did=body.did(SEED) if person == "vb" else None)
        signed(world, claim)
        assert walk_timescale.approve(connection, claim, person="a1", tell=hush) == (State.SIGNED, 1, 2)
        assert walk_timescale.approve(connection, claim, person="a1", tell=hush) == (State.SIGNED, 1, 2)
        assert walk_timescale.approve(connection, claim, person="a2", tell=hush) == (State.APPROVED, 2, 2)


def test_a_suspended_claim_goes_on_when_it_is_approved_again(world: World) -> None:
    claim = draft(world)
    signed(world, claim)
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        walk_timescale.approve(connection, claim, person="sa", tell=hush)
        assert walk_timescale.walk_back(connection, claim, "suspend", person="sa", reason="a letter came", tell=hush) is State.SUSPENDED
        assert walk_timescale.approve(connection, claim, person="sa", tell=hush)[0] is State.APPROVED
        what = [s.what for s in walk_timescale.steps(connection, claim)]
    assert what == ["created", "verified", "signed", "approval", "approved", "suspended", "approved"]


def test_factors_are_confirmed_by_another_and_the_newest_file_is_in_force(world: World) -> None:
    newer = FACTORS.replace(b"0.434", b"0.435")
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        factors_timescale.load(connection, "newer.csv", newer, person="op", today=date(2026, 11, 22))
        factors_timescale.load(connection, "again.csv", newer, person="other", today=date(2026, 11, 22))
        (factor,) = factors_timescale.table(connection).factors
        assert (str(factor.kg_per_kwh), factor.loaded_by, factor.confirmed) == ("0.435", "op", False)
        with pytest.raises(NotAllowedError, match="second person"):
            factors_timescale.confirm(connection, person="op")
        assert [f.name for f in factors_timescale.confirm(connection, person="second")] == ["newer.csv"]
        assert factors_timescale.table(connection).factors[0].confirmed
