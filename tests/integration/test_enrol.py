"""Enrolment in the real database: all or nothing, once and for ever, and `jcredit enrol` and `key revoke` on top of it."""

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from nacl.signing import SigningKey

from ingest.enrolment import EnrolmentErrors, read
from ingest.timescale import Counts, UnknownKeyError, enrol, known, revoke

pytestmark = pytest.mark.services

PROJECT = """project = "demo"
name = "Demo"
scheme = "DEMO"
methodology = "EN-R-002"
operator = "op"
registration_applied_on = 2021-03-01
certified_from = 2021-04-01
certified_to = 2029-04-01
"""
REGISTERS = ("generation", "export", "pcs")


def key(kid: str) -> str:
    return base64.urlsafe_b64encode(bytes(SigningKey(hashlib.sha256(kid.encode()).digest()).verify_key)).decode()


def programme(homes: int) -> dict[str, str]:
    numbers = range(homes)
    return {
        "project.toml": PROJECT,
        "sites.csv": "site,lat,lon,dc_kw,ac_kw,operation_start,exports\n" + "".join(f"s-{n},39.7,140.1,5.5,4.9,2021-03-01,yes\n" for n in numbers),
        "members.csv": "member,activity,site,applied_on,consented_on,name,address\n"
        + "".join(f"mb-{n},a-{n},s-{n},2021-03-01,2021-03-01,秋田　太郎{n},秋田市\n" for n in numbers),
        "gateways.csv": "gateway,kid,public_key,site,firmware\n" + "".join(f"gw-{n},k-{n},{key(f'k-{n}')},s-{n},1.0\n" for n in numbers),
        "meters.csv": "meter,site,gateway,register,modulus_wh,verified_until\n"
        + "".join(f"m-{n}-{r[0]},s-{n},gw-{n},{r},1000000000,2029-03\n" for n in numbers for r in REGISTERS),
        "events.csv": "meter,at,kind,closing_wh,opening_wh,serial\nm-0-g,2021-06-01T09:00:00+09:00,swap,500,0,B2\n",
    }


@pytest.fixture
def connection(database: str):
    with psycopg.connect(database, autocommit=True) as open_connection:
        yield open_connection


def put(connection: psycopg.Connection, tables: dict[str, str], **options: bool) -> Counts:
    return enrol(connection, read({name: text.encode() for name, text in tables.items()}, known(connection)), **options)


def refused(connection: psycopg.Connection, tables: dict[str, str]) -> list[str]:
    with pytest.raises(EnrolmentErrors) as caught:
        put(connection, tables)
    return [str(error) for error in caught.value.errors]


def one(connection: psycopg.Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


def sizes(connection: psycopg.Connection) -> list[int]:
    tables = ("project", "site", "member", "member_person", "gateway", "meter", "meter_event", "key")
    return [one(connection, f"SELECT count(*) FROM {table}")[0] for table in tables]


def test_enrolling_twice_equals_once(connection: psycopg.Connection) -> None:
    first = put(connection, programme(3))
    stamps = connection.execute("SELECT changed_at FROM key UNION ALL SELECT changed_at FROM gateway").fetchall()
    second = put(connection, programme(3))
    assert list(first.added.values()) == sizes(connection) == [1, 3, 3, 3, 3, 9, 1, 3]
    assert set(second.added.values()) == {0}
    assert list(second.unchanged.values()) == [1, 3, 3, 3, 3, 9, 1, 3]
    assert connection.execute("SELECT changed_at FROM key UNION ALL SELECT changed_at FROM gateway").fetchall() == stamps


def test_every_value_arrives(connection: psycopg.Connection) -> None:
    put(connection, programme(1))
    assert one(connection, "SELECT k.public_key, g.gateway, s.site FROM key k JOIN gateway g ON g.id = k.gateway JOIN site s ON s.id = g.site") == (
        base64.urlsafe_b64decode(key("k-0")),
        "gw-0",
        "s-0",
    )
    assert one(connection, "SELECT register, modulus_wh, resolution_wh, verified_until, two_way, specified FROM meter WHERE meter = 'm-0-e'") == (
        "export",
        10**9,
        1,
        date(2029, 4, 1),
        False,
        None,
    )
    assert one(connection, "SELECT kind, closing_wh, opening_wh, serial, at = '2021-06-01T00:00Z' FROM meter_event") == ("swap", 500, 0, "B2", True)
    assert one(connection, "SELECT project, member, joined_on FROM member") == ("demo", "mb-0", None)
    assert one(connection, "SELECT name, address FROM member_person") == ("秋田　太郎0", "秋田市")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("project.toml", '"op"', '"other"', "project.toml:1: operator: other here, op enrolled"),
        ("sites.csv", "s-0,39.7", "s-0,39.8", "sites.csv:2: lat: 39.8 here, 39.7 enrolled"),
        ("members.csv", "mb-1,a-1", "mb-9,a-1", "members.csv:3: member: mb-9 here, mb-1 enrolled"),
        ("members.csv", "太郎1", "花子", "members.csv:3: name: another value is enrolled"),
        ("gateways.csv", "s-1,1.0", "s-1,", "gateways.csv:3: firmware: None here, 1.0 enrolled; it may be renewed but not emptied"),
        ("gateways.csv", key("k-1"), key("other"), "gateways.csv:3: public_key: another value is enrolled"),
        ("gateways.csv", "k-1,", "k-1b,", "gateways.csv:3: public_key: is the public key of k-1 already"),
        ("meters.csv", "m-0-e,s-0,gw-0,export", "m-0-e,s-0,gw-0,pcs", "meters.csv:3: register: pcs here, export enrolled"),
        ("meters.csv", "2029-03", "2028-03", "meters.csv:2: verified_until: 2028-04-01 here, 2029-04-01 enrolled; it may be renewed to a later day"),
        ("meters.csv", "2029-03", "", "meters.csv:2: verified_until: None here, 2029-04-01 enrolled; it may be renewed to a later day"),
        ("events.csv", "500", "501", "events.csv:2: closing_wh: 501 here, 500 enrolled"),
    ],
)
def test_other_values_are_an_error_that_names_row_and_column(connection: psycopg.Connection, file: str, old: str, new: str, said: str) -> None:
    tables = programme(2)
    put(connection, tables)
    before = sizes(connection)
    told = refused(connection, tables | {file: tables[file].replace(old, new, 1)})
    assert [line for line in told if line.startswith(said)], told
    assert sizes(connection) == before


LEAVER = "member,activity,site,applied_on,consented_on,left_on,name,address\nmb-1,a-1,s-1,2021-03-01,2021-03-01,{},秋田　太郎1,秋田市\n"


def test_a_leaver_is_recorded_once(connection: psycopg.Connection) -> None:
    put(connection, programme(2))
    left = put(connection, {"members.csv": LEAVER.format("2022-01-01")})
    assert (left.added["member"], left.renewed["member"], left.unchanged["member"]) == (0, 1, 0)
    again = put(connection, {"members.csv": LEAVER.format("2022-01-01")})
    assert (again.renewed["member"], again.unchanged["member"]) == (0, 1)
    for other, here in (("2022-02-01", "2022-02-01"), ("", "None")):
        told = refused(connection, {"members.csv": LEAVER.format(other)})
        assert told == [f"members.csv:2: left_on: {here} here, 2022-01-01 enrolled; it is filled once"]
    assert connection.execute("SELECT activity, left_on FROM member ORDER BY 1").fetchall() == [("a-0", None), ("a-1", date(2022, 1, 1))]


def test_a_leaver_with_another_value_beside_it_is_an_error(connection: psycopg.Connection) -> None:
    put(connection, programme(2))
    told = refused(connection, {"members.csv": LEAVER.format("2022-01-01").replace("a-1,s-1,2021-03-01", "a-1,s-1,2021-03-02")})
    assert told == ["members.csv:2: applied_on: 2021-03-02 here, 2021-03-01 enrolled; what is enrolled is never rewritten"]
    assert one(connection, "SELECT count(*) FROM member WHERE left_on IS NOT NULL") == (0,)


def test_firmware_verification_and_calibration_are_renewed(connection: psycopg.Connection) -> None:
    tables = programme(2)
    put(connection, tables)
    since = one(connection, "SELECT clock_timestamp()")[0]
    newer = {
        "gateways.csv": tables["gateways.csv"].replace("s-1,1.0", "s-1,1.1"),
        "meters.csv": "meter,site,gateway,register,modulus_wh,verified_until,calibration\n"
        "m-0-g,s-0,gw-0,generation,1000000000,2031-03,c-2029\nm-0-e,s-0,gw-0,export,1000000000,2029-03,\n",
    }
    assert put(connection, newer, dry_run=True).renewed == put(connection, newer).renewed
    again = put(connection, newer)
    assert (again.renewed["gateway"], again.unchanged["gateway"], again.renewed["meter"], again.unchanged["meter"]) == (0, 2, 0, 2)
    assert connection.execute("SELECT gateway, firmware FROM gateway ORDER BY 1").fetchall() == [("gw-0", "1.0"), ("gw-1", "1.1")]
    assert one(connection, "SELECT verified_until, calibration FROM meter WHERE meter = 'm-0-g'") == (date(2031, 4, 1), "c-2029")
    assert one(connection, "SELECT count(*) FROM meter WHERE verified_until = '2029-04-01' AND calibration IS NULL") == (5,)
    assert connection.execute("SELECT count(*) FROM key WHERE changed_at > %(since)s", {"since": since}).fetchone() == (0,)


def test_renewed_rows_are_counted_by_table(connection: psycopg.Connection) -> None:
    tables = programme(2)
    put(connection, tables)
    counts = put(connection, tables | {"meters.csv": tables["meters.csv"].replace("2029-03", "2030-03", 2)})
    assert {name: count for name, count in counts.renewed.items() if count} == {"meter": 2}
    assert list(counts.unchanged.values()) == [1, 2, 2, 2, 2, 4, 1, 2]


def test_one_conflict_keeps_out_all_the_rest(connection: psycopg.Connection) -> None:
    put(connection, programme(1))
    more = programme(5)
    assert len(refused(connection, more | {"sites.csv": more["sites.csv"].replace("s-0,39.7", "s-0,1")})) == 1
    assert sizes(connection)[:3] == [1, 1, 1]


def test_a_site_has_one_activity(connection: psycopg.Connection) -> None:
    put(connection, programme(1))
    told = refused(connection, {"members.csv": "member,activity,site,applied_on,consented_on\nmb-9,a-9,s-0,2021-03-01,2021-03-01\n"})
    assert told == ["members.csv:2: site: s-0 is the site of activity a-0 already"]


def test_a_dry_run_counts_and_leaves_nothing(connection: psycopg.Connection) -> None:
    assert put(connection, programme(2), dry_run=True).added["meter"] == 6
    assert set(sizes(connection)) == {0}


def test_two_enrolments_at_the_same_time_are_one_after_the_other(database: str) -> None:
    enrolment = read({name: text.encode() for name, text in programme(50).items()})

    def go(_: int) -> Counts:
        with psycopg.connect(database, autocommit=True) as connection:
            return enrol(connection, enrolment)

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(go, range(4)))
    assert sorted(c.added["key"] for c in counts) == [0, 0, 0, 50]


# Keys.


def test_a_new_key_or_meter_is_a_change_of_all_keys_of_its_gateway_and_of_no_other(connection: psycopg.Connection) -> None:
    put(connection, programme(2))
    for tables in (
        {"gateways.csv": f"gateway,kid,public_key,site,firmware\ngw-0,k-0b,{key('k-0b')},s-0,1.0\n"},
        {"meters.csv": "meter,site,gateway,register,modulus_wh\nm-0-c,s-0,gw-0,charge,1000\n"},
    ):
        since = one(connection, "SELECT clock_timestamp()")[0]
        put(connection, tables)
        changed = connection.execute("SELECT kid FROM key WHERE changed_at > %(since)s ORDER BY kid", {"since": since}).fetchall()
        assert changed == [("k-0",), ("k-0b",)]
        assert connection.execute("SELECT gateway FROM gateway WHERE changed_at > %(since)s", {"since": since}).fetchall() == [("gw-0",)]


def test_a_revoked_key_ends_by_the_clock_and_keeps_its_time(connection: psycopg.Connection) -> None:
    put(connection, programme(1))
    first = revoke(connection, "k-0", "the gateway was stolen")
    assert one(connection, "SELECT revoked_at, changed_at, revoked_reason FROM key") == (first.revoked_at, first.revoked_at, "the gateway was stolen")
    assert revoke(connection, "k-0", "said again") == first
    assert one(connection, "SELECT changed_at, revoked_reason FROM key") == (first.revoked_at, "the gateway was stolen")
    with pytest.raises(UnknownKeyError, match="'k-9' is enrolled"):
        revoke(connection, "k-9", "a slip")
    with pytest.raises(ValueError, match="reason is empty"):
        revoke(connection, "k-0", " ")


def test_a_key_revoked_before_reasons_were_kept_gets_its_reason_and_keeps_its_time(connection: psycopg.Connection) -> None:
    put(connection, programme(1))
    connection.execute("UPDATE key SET revoked_at = '2026-01-01 00:00+09'")
    ended = revoke(connection, "k-0", "stolen, see letter")
    assert (ended.revoked_at.isoformat(), ended.reason) == ("2025-12-31T15:00:00+00:00", "stolen, see letter")
    assert one(connection, "SELECT revoked_at, revoked_reason FROM key") == (ended.revoked_at, ended.reason)


def test_a_revoked_kid_never_returns_nor_does_its_public_key(connection: psycopg.Connection) -> None:
    tables = programme(1)
    put(connection, tables)
    revoke(connection, "k-0", "lost")
    assert "gateways.csv:2: kid: was revoked at " in refused(connection, tables)[0]
    assert "is the public key of k-0 already" in refused(connection, {"gateways.csv": tables["gateways.csv"].replace("k-0,", "k-1,")})[0]
    assert one(connection, "SELECT count(*) FROM key WHERE revoked_at IS NULL")[0] == 0


def test_a_row_that_is_enrolled_is_not_looked_for_among_all_others_also_where_tables_were_emptied(connection: psycopg.Connection) -> None:
    """The planner takes an emptied table for an empty one: an insert that looks into what it writes would read it again for each row."""
    files = {name: text.encode() for name, text in programme(3000).items()}
    enrol(connection, read(files, known(connection)), dry_run=True)
    connection.execute("VACUUM ANALYZE")
    before = rows_read(connection)
    assert enrol(connection, read(files, known(connection))).added["meter"] == 9000
    assert rows_read(connection) - before < 3000 * 3000 / 10


def rows_read(connection: psycopg.Connection) -> int:
    """Rows that scans of whole tables have read so far."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    return int(one(connection, "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables")[0])


# The command.


@pytest.fixture
def jcredit(database: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command on the fresh database, in a folder with the tables given."""

    def run(*args: str, tables: dict[str, str] | None = None, dsn: str = database) -> subprocess.CompletedProcess[str]:
        for name, text in (tables or {}).items():
            (tmp_path / name).write_text(text)
        environment = os.environ | {"JCREDIT_DSN": dsn, "COLUMNS": "100", "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(
            [sys.executable, "-m", "console.cli", *args], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_the_command_enrols_and_says_how_many(jcredit: Any, connection: psycopg.Connection) -> None:
    tables = programme(2)
    dry = jcredit("enrol", *tables, "--dry-run", tables=tables)
    assert (dry.returncode, "dry run" in dry.stdout, set(sizes(connection))) == (0, True, {0}), dry.stderr
    done = jcredit("enrol", *tables)
    assert (done.returncode, sizes(connection)) == (0, [1, 2, 2, 2, 2, 6, 1, 2]), done.stderr
    assert [line.split() for line in done.stdout.splitlines() if "meter " in line] == [["│", "meter", "│", "6", "│", "0", "│", "0", "│"]]


def test_the_command_lists_every_error_and_loads_nothing(jcredit: Any, connection: psycopg.Connection) -> None:
    put(connection, programme(1))
    tables = programme(3)
    tables["sites.csv"] = tables["sites.csv"].replace("s-0,39.7", "s-0,1").replace("s-1,39.7", "s-1,91")
    tables["gateways.csv"] += "gw-9,k-9,AAAA,s-9,\n"
    told = jcredit("enrol", *tables, tables=tables)
    assert told.returncode == 2
    assert told.stdout == ""
    assert [line.split(": ")[:2] for line in told.stderr.splitlines()] == [
        ["gateways.csv:5", "public_key"],
        ["gateways.csv:5", "site"],
        ["sites.csv:2", "lat"],
        ["sites.csv:3", "lat"],
        ["4 errors; nothing was enrolled"],
    ]
    assert sizes(connection)[:3] == [1, 1, 1]


def test_a_file_that_is_not_there_is_bad_input_and_a_database_that_is_not_there_is_no_service(jcredit: Any) -> None:
    assert jcredit("enrol", "nowhere.csv").returncode == 2
    absent = jcredit("key", "revoke", "k-0", "--reason", "x", dsn="host=127.0.0.1 port=1 dbname=x user=x")
    assert (absent.returncode, "does not answer" in absent.stderr) == (3, True), absent.stderr


def test_the_command_revokes(jcredit: Any, connection: psycopg.Connection) -> None:
    put(connection, programme(1))
    done = jcredit("key", "revoke", "k-0", "--reason", "stolen")
    assert (done.returncode, done.stdout.startswith("k-0 revoked at ")) == (0, True), done.stderr
    assert (done.stdout.endswith(": stolen\n"), done.stderr) == (True, "")
    assert one(connection, "SELECT revoked_at IS NOT NULL, revoked_reason FROM key") == (True, "stolen")
    assert jcredit("key", "revoke", "k-7", "--reason", "stolen").returncode == 2
