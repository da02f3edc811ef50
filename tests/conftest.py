"""The real services for tests marked `services`; where they can not be had the tests fail, they are never skipped.

`stack` is the one that $JCREDIT_STACK names (path of a `stack.toml`), else containers where a Docker engine answers, else a local stack of the tests' own
in `.local/test`, left running for the next run (`make test` stops it). Nothing here touches the stack that `jcredit up` made for people: $JCREDIT_HOME is set
for every command that a test runs. `database` is a fresh migrated database, `topics` fresh topics; both are gone afterwards.
"""

import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from kafka.admin import KafkaAdminClient, NewTopic
from psycopg.conninfo import make_conninfo

from deploy.local import kafka, ports
from deploy.local import stack as local
from deploy.local.stack import Stack
from deploy.migrate import migrate
from tests import scratch

ROOT = Path(__file__).parent.parent
HOME = "JCREDIT_HOME"
SETTINGS = ROOT / "deploy" / "mosquitto"
CREATE_DATABASE = 'CREATE DATABASE "{}"'
DROP_DATABASE = 'DROP DATABASE IF EXISTS "{}" WITH (FORCE)'


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Names of two fresh topics with the product's settings, four partitions each."""

    telemetry: str
    rejected: str


def pytest_configure() -> None:
    os.environ[HOME] = str(scratch.home("test"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Running services: `.mqtt` and `.kafka` as host:port, `.dsn`, `.home` the folder with `stack.toml`."""
    for found in _stacks(tmp_path_factory):
        os.environ[HOME] = str(found.home)
        yield found


def _stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The one stack, and its end."""
    if named := os.environ.get("JCREDIT_STACK"):
        yield local.load(Path(named).resolve().parent)
    elif _docker_answers():
        yield from _containers(tmp_path_factory.mktemp("stack"))
    else:
        yield scratch.up("test", _say)


@pytest.fixture
def database(stack: Stack) -> Iterator[str]:
    """DSN of a fresh migrated database, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(stack.dsn, autocommit=True) as server:
        server.execute(CREATE_DATABASE.format(name))
        try:
            dsn = make_conninfo(stack.dsn, dbname=name)
            migrate(dsn, lambda message: None)
            yield dsn
        finally:
            server.execute(DROP_DATABASE.format(name))


@pytest.fixture
def topics(stack: Stack) -> Iterator[Topics]:
    """Fresh topics for telemetry and for what was refused, deleted afterwards."""
    mark = uuid.uuid4().hex[:8]
    made = Topics(telemetry=f"telemetry.v1.{mark}", rejected=f"telemetry.rejected.v1.{mark}")
    settings = kafka.TOPICS["telemetry.v1"][1]
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka)
    try:
        admin.create_topics([NewTopic(name=name, num_partitions=4, replication_factor=1, topic_configs=settings) for name in (made.telemetry, made.rejected)])
        yield made
        admin.delete_topics([made.telemetry, made.rejected])
    finally:
        admin.close()


def _docker_answers() -> bool:
    from testcontainers.core.docker_client import DockerClient

    try:
        DockerClient().client.ping()
    except Exception:  # whatever keeps it from answering, there is no engine to use
        return False
    return True


def _containers(home: Path) -> Iterator[Stack]:
    """The services of compose.yaml from their official images, on ports of this machine."""
    from testcontainers.core.container import DockerContainer

    chosen = ports.choose({}, ours=())
    port, controller = chosen["kafka"], chosen["controller"]
    broker = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:{controller}",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@localhost:{controller}",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_MESSAGE_MAX_BYTES": str(kafka.LARGEST_BYTES),
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    containers = [
        DockerContainer("timescale/timescaledb:2.19.3-pg17")
        .with_envs(POSTGRES_USER="jcredit", POSTGRES_DB="jcredit", POSTGRES_HOST_AUTH_METHOD="trust")
        .with_bind_ports(5432, ("127.0.0.1", chosen["timescaledb"])),
        DockerContainer("apache/kafka:4.1.0").with_envs(**broker).with_bind_ports(port, ("127.0.0.1", port)),
        DockerContainer("eclipse-mosquitto:2")
        .with_command("sh -c 'cat /settings/mosquitto.conf /settings/container.conf > /tmp/m.conf && exec mosquitto -c /tmp/m.conf'")
        .with_volume_mapping(str(SETTINGS), "/settings", "ro")
        .with_bind_ports(1883, ("127.0.0.1", chosen["mqtt"])),
    ]
    started = []
    try:
        for container in containers:
            started.append(container)
            container.start()
        ports.write(home / "stack.toml", chosen)
        found = local.load(home)
        local.wait_until_ready(found)
        yield found
    finally:
        for container in started:
            container.stop()


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")
