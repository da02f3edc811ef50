"""Apache Kafka from its official jars by Maven: broker and controller in one process (KRaft), one copy of everything, topics made by hand only."""

import base64
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from deploy.local import MissingError, java
from deploy.local.ports import HOST, answers
from deploy.local.service import Program

NAME = "kafka"
HERE = Path(__file__).parent
LARGEST_BYTES = 8 * 1024 * 1024
MONTH_MS = 30 * 24 * 3600 * 1000
TOPICS = {  # name: partitions, settings
    "telemetry.v1": (4, {"retention.ms": str(MONTH_MS), "max.message.bytes": str(LARGEST_BYTES)}),
    "telemetry.rejected.v1": (4, {"retention.ms": str(MONTH_MS), "max.message.bytes": str(LARGEST_BYTES)}),
    "anomaly.v1": (4, {}),
    "ledger.v1": (1, {"retention.ms": "-1"}),
}


def fetch(home: Path, place: Path, say: Callable[[str], None]) -> Path:
    """The folder with Kafka's jars."""
    target = home / "programs" / "kafka"
    pom = HERE / "pom.xml"
    if (target / "pom.xml").exists() and (target / "pom.xml").read_bytes() == pom.read_bytes():
        return target
    started = time.monotonic()
    maven = java.maven(home, place, java.java(home, say), say)
    say("kafka: fetching the official jars by Maven, 43 MB, about 20 s")
    part = target.with_name("kafka.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    command = [*maven, "-q", "-B", "-f", str(pom), f"-Dmaven.repo.local={home / 'cache' / 'm2'}", f"-DoutputDirectory={part}", "dependency:copy-dependencies"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=part)
    if done.returncode != 0 or not list(part.glob("kafka_2.13-*.jar")):
        why = next((line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line), done.stderr.strip()[-300:])
        raise MissingError(
            f"Maven could not fetch Kafka's jars ({why[:400]}): see that Maven's repository is reachable and run `jcredit up` again, which goes on from here"
        )
    shutil.copy(pom, part / "pom.xml")
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    say(f"kafka: {len(list(target.glob('*.jar')))} jars ready in {time.monotonic() - started:.0f} s")
    return target


def prepare(home: Path, jars: Path, data: Path, ports: Mapping[str, int], say: Callable[[str], None]) -> None:
    """Write the properties for these ports, and format the folder if it is new."""
    data.mkdir(parents=True, exist_ok=True)
    settings = (HERE / "kafka.properties").read_text().format(host=HOST, port=ports["kafka"], controller=ports["controller"], data=data / "log")
    (data / "kafka.properties").write_text(settings)
    if (data / "log" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(b"\x01" + uuid.uuid4().bytes[1:]).decode().rstrip("=")  # never begins with a dash
    command = [str(java.java(home, say)), "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(data / "kafka.properties")]
    done = subprocess.run([*command, "--ignore-formatted"], capture_output=True, text=True)
    if done.returncode != 0:
        raise MissingError(f"Kafka could not format {data}: {(done.stderr or done.stdout).strip()[-400:]}")


def program(home: Path, jars: Path, data: Path, say: Callable[[str], None]) -> Program:
    """How Kafka is started."""
    options = ["-Xms256m", "-Xmx640m", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"]
    command = [str(java.java(home, say)), *options, "-cp", f"{jars}/*", "kafka.Kafka", str(data / "kafka.properties")]
    return Program(name=NAME, command=command, env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"})


def is_ready(address: str) -> bool:
    """True once the broker answers and has the product's topics; they are made here when it answers without them."""
    if not answers(int(address.rpartition(":")[2])):  # asked first: the client waits longer and longer between its own tries
        return False
    try:
        admin = KafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5000)
    except KafkaError:
        return False
    try:
        lacking = sorted(set(TOPICS) - set(admin.list_topics()))
        for name in lacking:
            partitions, settings = TOPICS[name]
            admin.create_topics([NewTopic(name=name, num_partitions=partitions, replication_factor=1, topic_configs=settings)])
    except TopicAlreadyExistsError:
        return False  # somebody makes them at this moment: look again
    except KafkaError:
        return False
    finally:
        admin.close()
    return not lacking
