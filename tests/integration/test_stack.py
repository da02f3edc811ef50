"""The local stack on a home of its own: it comes up, comes back with its data when a service is killed, and stops only what it started.

Programs come out of the checkout's cache where they are there, so that this takes half a minute and no network.
"""

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer
from paho.mqtt.enums import CallbackAPIVersion
from psycopg.conninfo import make_conninfo

from deploy import migrate as migration
from deploy.local import MissingError, kafka, service
from deploy.local import stack as local
from deploy.local.stack import Stack

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in a folder that no unprivileged user may enter, as /root is."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    cache = ROOT / ".local" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(cache)
    if (jars := ROOT / ".local" / "programs" / "kafka").exists():
        (home / "programs").mkdir()
        (home / "programs" / "kafka").symlink_to(jars)
    yield home
    local.down(home)
    if (home / "place").is_symlink():
        shutil.rmtree((home / "place").readlink())


@pytest.fixture
def own(home: Path) -> Stack:
    """The stack of that home, up."""
    return local.up(home, _say)


def test_up_starts_all_three_and_says_where_they_are(own: Stack) -> None:
    assert local.states(own.home) == {"mosquitto": "running", "kafka": "running", "timescaledb": "running"}
    assert local.load(own.home) == own
    with psycopg.connect(own.dsn) as connection:
        durable = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')"
        assert connection.execute(durable).fetchone() == ("on", "on", "on")


def test_no_server_runs_as_root(own: Stack) -> None:
    owners = {name: Path(f"/proc/{service.pid(own.home, name)}").stat().st_uid for name in ("mosquitto", "timescaledb")}
    assert 0 not in owners.values(), owners


def test_up_again_changes_nothing(own: Stack) -> None:
    before = {name: service.pid(own.home, name) for name in local.SERVICES}
    said: list[str] = []
    assert local.up(own.home, said.append) == own
    assert {name: service.pid(own.home, name) for name in local.SERVICES} == before
    assert [line for line in said if "fetch" in line or "starting" in line] == []


def test_killed_services_are_named_and_come_back_with_their_data(own: Stack) -> None:
    with psycopg.connect(own.dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES (7) ON CONFLICT DO NOTHING")
    producer = KafkaProducer(bootstrap_servers=own.kafka, acks="all")
    sent = producer.send("ledger.v1", b"kept").get(timeout=20)
    producer.close()

    busy = threading.Thread(target=_keep_a_backend_busy, args=(own.dsn,))
    busy.start()
    time.sleep(0.5)
    for name in local.SERVICES:
        os.kill(service.pid(own.home, name) or 0, signal.SIGKILL)
    _until(lambda: set(local.states(own.home).values()) == {"died"})
    assert local.up(own.home, _say) == own
    busy.join()

    with psycopg.connect(own.dsn) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(7,)]
    consumer = KafkaConsumer("ledger.v1", bootstrap_servers=own.kafka, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    assert (sent.offset, b"kept") in ((record.offset, record.value) for record in consumer)
    consumer.close()


def test_what_the_broker_saved_is_there_after_down_and_up(own: Stack) -> None:
    _publish_retained(own, "kept/by/the/broker", b"7")
    assert set(local.down(own.home)) == set(local.SERVICES)
    assert set(local.states(own.home).values()) == {"stopped"}
    again = local.up(own.home, _say)
    assert again == own
    assert _retained(again, "kept/by/the/broker") == b"7"


def test_the_products_topics_are_there_and_no_other_can_appear_by_itself(own: Stack) -> None:
    consumer = KafkaConsumer(bootstrap_servers=own.kafka)
    assert {name: len(consumer.partitions_for_topic(name) or ()) for name in kafka.TOPICS} == {name: count for name, (count, _) in kafka.TOPICS.items()}
    assert consumer.partitions_for_topic("not.made.by.anybody") in (None, set())
    consumer.close()


def test_a_service_that_can_not_start_is_named_with_its_last_words(own: Stack) -> None:
    local.down(own.home)
    data = (own.home / "place" if (own.home / "place").exists() else own.home) / "data" / "timescaledb"
    hidden = data.with_name("hidden")
    (data / "global").rename(hidden)
    try:
        with pytest.raises(MissingError, match=r"(?s)^timescaledb ended while starting.*global"):
            local.up(own.home, _say)
    finally:
        hidden.rename(data / "global")


def test_migrations_are_applied_once_and_an_edited_one_is_refused(stack: Stack, database: str, tmp_path: Path) -> None:
    assert migration.migrate(database, _say) == []
    for file in migration.FOLDER.glob("*.sql"):
        shutil.copy(file, tmp_path)
    edited = tmp_path / "0001_enrolment.sql"
    edited.write_text(edited.read_text() + "-- an afterthought\n")
    with pytest.raises(migration.MigrationError, match=r"0001_enrolment\.sql changed"):
        migration.migrate(database, _say, tmp_path)


def test_a_migration_that_fails_leaves_nothing_and_says_the_line(database: str, tmp_path: Path) -> None:
    for file in migration.FOLDER.glob("*.sql"):
        shutil.copy(file, tmp_path)
    (tmp_path / "9999_bad.sql").write_text("CREATE TABLE half (x int);\nSELECT nothing_of_the_name;\n")
    with pytest.raises(migration.MigrationError, match=r"9999_bad\.sql:2 could not be applied, and nothing of it was"):
        migration.migrate(database, _say, tmp_path)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)


def test_two_migrations_at_once_apply_each_file_once(stack: Stack) -> None:
    name = f"test_twice_{os.getpid()}"
    dsn = make_conninfo(stack.dsn, dbname=name)
    applied: list[str] = []
    with psycopg.connect(stack.dsn, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload,unused-ignore]
        try:
            both = [threading.Thread(target=lambda: applied.extend(migration.migrate(dsn, _say))) for _ in range(2)]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join()
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload,unused-ignore]
    assert sorted(applied) == [file.name for file in migration.read(migration.FOLDER)]


def _keep_a_backend_busy(dsn: str) -> None:
    """A child that computes without waiting for anything does not notice that its server is gone."""
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(dsn) as connection:
        connection.execute("SELECT count(*) FROM generate_series(1, 2000000000)")


def _publish_retained(own: Stack, topic: str, value: bytes) -> None:
    client = _client(own)
    client.publish(topic, value, qos=1, retain=True).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def _retained(own: Stack, topic: str) -> bytes | None:
    got: list[bytes] = []
    client = _client(own)
    client.on_message = lambda _client, _data, message: got.append(bytes(message.payload))
    client.subscribe(topic, qos=1)
    _until(lambda: bool(got))
    client.disconnect()
    client.loop_stop()
    return got[0] if got else None


def _client(own: Stack) -> mqtt.Client:
    host, _, port = own.mqtt.rpartition(":")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect(host, int(port))
    client.loop_start()
    return client


def _until(true: object, patience_s: float = 10) -> None:
    until = time.monotonic() + patience_s
    while callable(true) and not true() and time.monotonic() < until:
        time.sleep(0.05)


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")
