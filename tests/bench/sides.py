"""The two chains that are measured, the bare one of the shared bench and the product: same services, each with a database and topics of its own."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psycopg
import zstandard
from kafka.admin import KafkaAdminClient, NewTopic
from psycopg.conninfo import make_conninfo

from deploy.local import kafka
from deploy.local.stack import Stack
from deploy.migrate import migrate
from ingest import enrolment, segment, timescale

ROOT = Path(__file__).parents[2]
BENCH = Path(os.environ.get("JCREDIT_BENCH", ROOT.parent / "shared" / "bench" / "chain"))
BRIDGES = 2


@dataclass(kw_only=True, slots=True)
class Side:
    """A running chain: how many messages it has committed, and its segments as (id, payloads)."""

    name: str
    dsn: str
    counted: str
    evidence: str
    group: str  # the worker's consumer group
    payloads: Callable[[bytes], list[bytes]]
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def count(self, connection: psycopg.Connection) -> int:
        row = connection.execute(self.counted).fetchone()  # type: ignore[arg-type]
        return int(row[0]) if row else 0


@contextmanager
def bare(stack: Stack, load: Path, messages: int) -> Iterator[Side]:
    """The bare chain, ready."""
    with _scratch(stack) as (dsn, suffix):
        topic = f"telemetry.v1{suffix}"
        port = stack.mqtt.rpartition(":")[2]
        decode = msgspec.msgpack.Decoder(list[tuple[bytes, str, bytes, bytes]]).decode
        side = Side(
            name="bare",
            dsn=dsn,
            counted="SELECT COALESCE(sum(messages), 0) FROM bare_evidence",
            evidence="SELECT id, body FROM bare_evidence WHERE id > %s ORDER BY id",
            group=topic,
            payloads=lambda body: [payload for payload, *_ in decode(zstandard.ZstdDecompressor().decompress(body))],
        )
        with psycopg.connect(dsn) as connection:  # the worker makes it only with its first segment
            connection.execute("CREATE TABLE bare_evidence (id bigserial PRIMARY KEY, body bytea, messages int)")
        environment = {"TOPIC": topic, "KAFKA": stack.kafka, "DSN": dsn, "MESSAGES": str(messages)}
        commands = {f"bridge-{n}": [sys.executable, str(BENCH / "bare_bridge.py"), str(load), port, stack.kafka, topic, str(n)] for n in range(BRIDGES)}
        faust = ["faust", "--datadir", str(load / f"faust{suffix}"), "-A", "bare_worker", "worker", "-l", "error", "--without-web"]
        commands["worker"] = [sys.executable, "-m", *faust]
        with _running(side, commands, environment, BENCH):
            yield side


@contextmanager
def product(stack: Stack, load: Path) -> Iterator[Side]:
    """The product, the load's gateways enrolled, ready."""
    with _scratch(stack) as (dsn, suffix):
        migrate(dsn, lambda _: None)
        files = {path.name: path.read_bytes() for path in load.iterdir() if path.suffix in (".csv", ".toml")}
        with psycopg.connect(dsn) as connection:
            timescale.enrol(connection, enrolment.read(files, timescale.known(connection)))
        side = Side(
            name="product",
            dsn=dsn,
            counted="SELECT COALESCE(sum(count), 0) FROM tally WHERE what = 'accepted'",
            evidence="SELECT segment, body FROM evidence WHERE segment > %s ORDER BY segment",
            group=f"bench{suffix}-worker",
            payloads=lambda body: [message.payload for message in segment.unpack(body)],
        )
        environment = {"JCREDIT_HOME": str(stack.home), "JCREDIT_DSN": dsn, "JCREDIT_TOPIC_SUFFIX": suffix, "JCREDIT_SHARE": f"bench{suffix}"}
        run = [sys.executable, "-m", "console.cli", "run"]
        commands = {f"bridge-{n}": [*run, "bridge", "--number", str(n), "--leave"] for n in range(BRIDGES)}
        commands["worker"] = [*run, "worker", "--number", "0"]
        with _running(side, commands, environment, ROOT):
            yield side


@contextmanager
def _scratch(stack: Stack) -> Iterator[tuple[str, str]]:
    """A database and topics that are gone afterwards."""
    mark = uuid.uuid4().hex[:8]
    names = [f"telemetry.v1.{mark}", f"telemetry.rejected.v1.{mark}"]
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka)
    admin.create_topics([NewTopic(name=name, num_partitions=4, replication_factor=1, topic_configs=kafka.TOPICS["telemetry.v1"][1]) for name in names])
    with psycopg.connect(stack.dsn, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "bench_{mark}"'.encode())
        try:
            yield make_conninfo(stack.dsn, dbname=f"bench_{mark}"), f".{mark}"
        finally:
            server.execute(f'DROP DATABASE "bench_{mark}" WITH (FORCE)'.encode())
            admin.delete_topics(names)
            admin.close()


@contextmanager
def _running(side: Side, commands: dict[str, list[str]], environment: dict[str, str], folder: Path) -> Iterator[None]:
    log = Path(environment.get("JCREDIT_HOME", str(ROOT / ".local" / "bench"))) / "log"
    log.mkdir(parents=True, exist_ok=True)
    try:
        for name, command in commands.items():
            with (log / f"bench-{side.name}-{name}.log").open("w") as out:
                env = {**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"}
                side.processes[name] = subprocess.Popen(command, env=env, cwd=folder, stdout=out, stderr=out, text=True)
        yield
    finally:
        for process in side.processes.values():
            process.terminate()
        for process in side.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
