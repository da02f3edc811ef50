"""The bridge on the real broker, Kafka and database: what is signed arrives once it is safe, what is not is kept with its reason, nothing is lost."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from nacl.signing import SigningKey
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.local.stack import Stack
from ingest.app import Bridge
from ingest.enrolment import read
from ingest.kafka import Sender
from ingest.refusal import Refused
from ingest.register_timescale import RegisterAway, RegisterView
from ingest.segment import Message, partition, unpack
from ingest.timescale import enrol, revoke

pytestmark = pytest.mark.services

ROOT = Path(__file__).parent.parent.parent
ONE_BRIDGE = """
import sys
from ingest.app import Bridge
from ingest.kafka import Sender
from ingest.register_timescale import RegisterView
mqtt, client_id, subscription, kafka, telemetry, rejected, dsn = sys.argv[1:]
bridge = Bridge(mqtt=mqtt, client_id=client_id, sender=Sender(kafka, telemetry, rejected), register=RegisterView(dsn), subscription=subscription)
bridge.run(lambda: False, lambda: print("ready", flush=True))
"""
LATE_KEY = """
INSERT INTO key (kid, gateway, public_key, changed_at) SELECT 'k-late', id, decode(repeat('ab', 32), 'hex'), now() - INTERVAL '1 h' FROM gateway
"""


@dataclass(frozen=True)
class Gateway:
    """A gateway of this test alone: its name can not be guessed, since every bridge on the broker hears it."""

    name: str
    key: SigningKey

    @property
    def kid(self) -> str:
        return f"k-{self.name}"

    @property
    def topic(self) -> str:
        return f"jcredit/v1/{self.name}/telemetry"

    def body(self, seq: int, **fields: Any) -> bytes:
        channel = {"meter": f"{self.name}-g", "register": "generation", "unit": "Wh", "start": "2021-04-01T00:00:00Z", "step_s": 1800, "values": [seq]}
        told = {"v": 1, "gateway": self.name, "seq": seq, "prev": "0" * 64, "sent_at": "2021-04-01T00:00:00Z", "channels": [channel]}
        return json.dumps(told | fields).encode()

    def jws(self, inner: bytes, header: bytes | None = None) -> bytes:
        head = header or json.dumps({"alg": "EdDSA", "kid": self.kid}).encode()
        signed = base64url(head) + b"." + base64url(inner)
        return signed + b"." + base64url(self.key.sign(signed).signature)


def base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


@pytest.fixture
def gateway(database: str) -> Gateway:
    """A fresh gateway, enrolled."""
    name = f"gw-{uuid.uuid4().hex}"
    one = Gateway(name, SigningKey(hashlib.sha256(name.encode()).digest()))
    project = 'project = "p"\nname = "P"\nscheme = "DEMO"\nmethodology = "EN-R-002"\noperator = "o"\nregistration_applied_on = 2021-03-01\n'
    tables = {
        "project.toml": project + "certified_from = 2021-04-01\ncertified_to = 2029-04-01\n",
        "sites.csv": "site,lat,lon,dc_kw,ac_kw,operation_start,exports\ns-1,39.7,140.1,4,4,2021-03-01,yes\n",
        "gateways.csv": f"gateway,kid,public_key,site\n{name},{one.kid},{base64url(bytes(one.key.verify_key)).decode()},s-1\n",
        "meters.csv": f"meter,site,gateway,register,modulus_wh\n{name}-g,s-1,{name},generation,1000000000\n",
    }
    with psycopg.connect(database, autocommit=True) as connection:
        enrol(connection, read({file: text.encode() for file, text in tables.items()}))
    return one


class Publisher:
    """A client that publishes and knows what the broker has taken."""

    def __init__(self, address: str, gateway: Gateway) -> None:
        self._gateway = gateway
        host, _, port = address.rpartition(":")
        self._client = paho.Client(CallbackAPIVersion.VERSION2, f"test-{uuid.uuid4().hex}", protocol=paho.MQTTv5)
        self._client.connect(host, int(port))
        self._client.loop_start()

    def signed(self, payload: bytes, *, qos: int = 1, topic: str | None = None) -> None:
        self.raw(payload, self._gateway.kid, base64url(self._gateway.key.sign(payload).signature).decode(), qos=qos, topic=topic)

    def raw(self, payload: bytes, kid: str | None = None, sig: str | None = None, *, qos: int = 1, topic: str | None = None) -> None:
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = [(name, value) for name, value in (("kid", kid), ("sig", sig)) if value is not None]
        self._client.publish(topic or self._gateway.topic, payload, qos=qos, properties=properties).wait_for_publish(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def publisher(stack: Stack, gateway: Gateway) -> Iterator[Publisher]:
    one = Publisher(stack.mqtt, gateway)
    yield one
    one.close()


class Heard:
    """All that Kafka has of a topic, from its beginning."""

    def __init__(self, address: str, topic: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=50)
        self._consumer.assign([TopicPartition(topic, number) for number in range(4)])
        self._consumer.seek_to_beginning()
        self.records: list[Any] = []

    def until(self, enough: Callable[[list[Any]], bool], patience_s: float = 20.0) -> list[Any]:
        """The records so far, as soon as they are enough; an AssertionError if that does not come."""
        end = time.monotonic() + patience_s
        while not enough(self.records):
            assert time.monotonic() < end, f"after {patience_s} s there are {len(self.records)} records, and not what was waited for"
            for records in self._consumer.poll(timeout_ms=100).values():
                self.records += records
        return self.records

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def segments(stack: Stack, topics: Any) -> Iterator[Heard]:
    one = Heard(stack.kafka, topics.telemetry)
    yield one
    one.close()


@pytest.fixture
def rejections(stack: Stack, topics: Any) -> Iterator[Heard]:
    one = Heard(stack.kafka, topics.rejected)
    yield one
    one.close()


def messages_of(records: list[Any]) -> list[Message]:
    return [message for record in records for message in unpack(record.value)]


def rejected_from(records: list[Any], origin: str) -> list[tuple[str, bytes]]:
    """Reason and value of each, in order of receipt."""
    mine = [(dict(record.headers), record.value) for record in records]
    mine = [(headers, value) for headers, value in mine if headers["origin"].decode() == origin]
    return [(headers["reason"].decode(), value) for headers, value in sorted(mine, key=lambda one: int(one[0]["received_us"]))]


class Running:
    """A bridge in a thread."""

    def __init__(self, bridge: Bridge) -> None:
        self._stop, self._ready, self.leaving = threading.Event(), threading.Event(), True
        self.error: BaseException | None = None
        self.session = bridge._session
        self._thread = threading.Thread(target=self._run, args=(bridge,), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        time.sleep(0.3)  # the broker's answer to the subscription

    def _run(self, bridge: Bridge) -> None:
        try:
            bridge.run(self._stop.is_set, self._ready.set, leaving=lambda: self.leaving)
        except BaseException as error:
            self.error = error

    def end(self, *, leaving: bool = True) -> None:
        self.leaving = leaving
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def ended(self) -> bool:
        self._thread.join(20)
        return not self._thread.is_alive()


@dataclass(frozen=True)
class Share:
    """A subscription of this test's own, and a client id."""

    client_id: str = field(default_factory=lambda: f"test-bridge-{uuid.uuid4().hex}")
    subscription: str = field(default_factory=lambda: f"$share/test{uuid.uuid4().hex}/jcredit/v1/+/telemetry")


@pytest.fixture
def share() -> Share:
    return Share()


@pytest.fixture
def bridge(stack: Stack, topics: Any, database: str, gateway: Gateway, share: Share) -> Iterator[Running]:
    """A running bridge that is taken away for good at the end."""
    sender = Sender(stack.kafka, topics.telemetry, topics.rejected)
    one = Running(Bridge(mqtt=stack.mqtt, client_id=share.client_id, sender=sender, register=RegisterView(database), subscription=share.subscription))
    yield one
    one.end()
    assert one.error is None


def test_what_is_signed_arrives_byte_for_byte_in_the_partition_of_its_gateway(bridge: Running, publisher: Publisher, gateway: Gateway, segments: Heard) -> None:
    before_us = time.time_ns() // 1000
    native, compact, refused = gateway.body(0), gateway.jws(gateway.body(1)), gateway.body(2, channels=[{"meter": "no"}])
    publisher.signed(native)
    publisher.raw(compact)
    publisher.signed(refused)
    records = segments.until(lambda records: len(messages_of(records)) == 3)
    found = messages_of(records)
    assert [(m.payload, m.format, m.refused, m.gateway, m.kid) for m in found] == [
        (native, "native", None, gateway.name, gateway.kid),
        (compact, "jws", None, gateway.name, gateway.kid),
        (refused, "native", "malformed", gateway.name, gateway.kid),
    ]
    assert [m.sha256 for m in found] == [hashlib.sha256(inner).digest() for inner in (native, gateway.body(1), refused)]
    assert before_us <= found[0].received_us <= found[1].received_us <= found[2].received_us <= time.time_ns() // 1000
    assert {record.partition for record in records} == {partition(gateway.name, 4)}


def test_what_has_no_good_signature_is_kept_with_reason_and_origin(
    bridge: Running, publisher: Publisher, gateway: Gateway, segments: Heard, rejections: Heard
) -> None:
    body, sig = gateway.body(0), base64url(bytes(64)).decode()
    sent = [
        ("too-large", b"{" + b" " * (256 << 10), None, None),
        ("unknown-format", b"\xff\x00", None, None),
        ("unknown-format", gateway.jws(body, b'{"alg":"none"}'), None, None),
        ("unknown-format", gateway.jws(body, b'{"alg":"EdDSA","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"), None, None),
        ("no-signature", body, None, None),
        ("no-signature", body, gateway.kid, "?"),
        ("unknown-key", body, "k-nobody", sig),
        ("unknown-key", gateway.jws(body, b'{"alg":"EdDSA","kid":"\\u0000"}'), None, None),
        ("bad-signature", body, gateway.kid, sig),
    ]
    for _, payload, kid, signature in sent:
        publisher.raw(payload, kid, signature)
    nul = b'{"\\u0000":1}'
    publisher.signed(nul)
    records = rejections.until(lambda records: len(rejected_from(records, gateway.topic)) == 10)
    expected = [*((reason, payload) for reason, payload, _, _ in sent), ("malformed", nul)]
    assert rejected_from(records, gateway.topic) == expected
    details = [dict(record.headers)["detail"] for record in records if dict(record.headers)["origin"].decode() == gateway.topic]
    assert all(detail and b"\0" not in detail for detail in details)
    publisher.signed(gateway.body(1))
    (after,) = messages_of(segments.until(lambda records: bool(records)))
    assert after.payload == gateway.body(1)


def test_a_message_at_qos_0_does_not_break_the_connection(bridge: Running, publisher: Publisher, gateway: Gateway, segments: Heard) -> None:
    for seq in range(6):
        publisher.signed(gateway.body(seq), qos=seq % 2)
    found = messages_of(segments.until(lambda records: len(messages_of(records)) >= 6))
    assert [json.loads(m.payload)["seq"] for m in found] == list(range(6))
    time.sleep(0.5)
    assert (bridge.session.connected, bridge.session.generation) == (True, 1)


def test_a_revocation_reaches_the_bridge_within_five_seconds(
    bridge: Running, publisher: Publisher, gateway: Gateway, database: str, segments: Heard, rejections: Heard
) -> None:
    publisher.signed(gateway.body(0))
    segments.until(lambda records: len(messages_of(records)) == 1)
    with psycopg.connect(database, autocommit=True) as connection:
        revoked_at = revoke(connection, gateway.kid, "stolen").revoked_at.timestamp()
    seq = 1
    while time.time() < revoked_at + 6:
        publisher.signed(gateway.body(seq))
        seq += 1
        time.sleep(0.2)
    refused = rejected_from(rejections.until(lambda records: bool(rejected_from(records, gateway.topic)), 5), gateway.topic)
    assert {reason for reason, _ in refused} == {"revoked-key"}
    last = gateway.body(seq - 1)
    assert rejections.until(lambda records: any(record.value == last for record in records), 5), "the last one, six seconds after, is refused"
    refused_count = len(rejected_from(rejections.records, gateway.topic))
    admitted = messages_of(segments.until(lambda records: len(messages_of(records)) == seq - refused_count, 5))
    assert max(m.received_us for m in admitted) / 1e6 < revoked_at + 5


def test_a_bridge_killed_in_the_middle_loses_nothing(
    stack: Stack, topics: Any, database: str, gateway: Gateway, publisher: Publisher, share: Share, segments: Heard
) -> None:
    command = [sys.executable, "-c", ONE_BRIDGE, stack.mqtt, share.client_id, share.subscription, stack.kafka, topics.telemetry, topics.rejected, database]

    def started() -> subprocess.Popen[str]:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    process = started()
    time.sleep(0.5)
    try:
        for seq in range(600):
            publisher.signed(gateway.body(seq))
            if seq in (100, 300):
                process.send_signal(signal.SIGKILL)
                process.wait()
            if seq in (200, 400):
                process = started()
        found = messages_of(segments.until(lambda records: len({m.payload for m in messages_of(records)}) == 600, 30))
    finally:
        process.kill()
        process.wait()
        Running(Bridge(mqtt=stack.mqtt, client_id=share.client_id, sender=Said(), register=RegisterView(database), subscription=share.subscription)).end()  # type: ignore[arg-type]
    assert {json.loads(m.payload)["seq"] for m in found} == set(range(600))


class Told:
    """A confirmation that comes when somebody says so."""

    def __init__(self, sender: "Said") -> None:
        self._sender = sender

    def done(self) -> bool:
        if self._sender.failing:
            raise KafkaError("Kafka did not take a record")
        return self._sender.confirming


class Said:
    """Kafka as the bridge sees it: takes records, and confirms them when it is told to."""

    partitions = 4

    def __init__(self, *, confirming: bool = True) -> None:
        self.confirming, self.failing = confirming, False
        self.sent: list[Message] = []
        self.refused: list[str] = []

    def segment(self, messages: list[Message], partition: int) -> Told:
        self.sent += messages
        return Told(self)

    def rejected(self, value: bytes, refusal: Refused, topic: str, received_us: int) -> Told:
        self.refused.append(refusal.reason)
        return Told(self)

    def close(self) -> None:
        """Nothing is open."""


def mine(sender: Said, gateway: Gateway) -> list[int]:
    return [json.loads(message.payload)["seq"] for message in list(sender.sent) if message.gateway == gateway.name]


def wait_for(happened: Callable[[], bool], patience_s: float = 15.0) -> None:
    end = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < end, f"did not happen within {patience_s} s"
        time.sleep(0.02)


def test_mqtt_is_acknowledged_only_after_kafka_has_confirmed(stack: Stack, database: str, gateway: Gateway, publisher: Publisher, share: Share) -> None:
    def running(sender: Said) -> Running:
        view = RegisterView(database)
        return Running(Bridge(mqtt=stack.mqtt, client_id=share.client_id, sender=sender, register=view, subscription=share.subscription))  # type: ignore[arg-type]

    silent = Said(confirming=False)
    first = running(silent)
    for seq in range(5):
        publisher.signed(gateway.body(seq))
    wait_for(lambda: len(mine(silent, gateway)) == 5)
    silent.failing = True
    assert first.ended()
    assert isinstance(first.error, KafkaError)

    second_sender = Said()
    second = running(second_sender)
    wait_for(lambda: len(mine(second_sender, gateway)) == 5)
    assert mine(second_sender, gateway) == [0, 1, 2, 3, 4]
    time.sleep(0.5)
    second.end(leaving=False)
    assert second.error is None

    third_sender = Said()
    third = running(third_sender)
    publisher.signed(gateway.body(5))
    wait_for(lambda: 5 in mine(third_sender, gateway))
    assert mine(third_sender, gateway) == [5], "what Kafka had confirmed came again"
    third.end()


def test_a_bridge_that_is_taken_away_drains_first(stack: Stack, database: str, gateway: Gateway, publisher: Publisher, share: Share) -> None:
    sender = Said()
    running = Running(
        Bridge(mqtt=stack.mqtt, client_id=share.client_id, sender=sender, register=RegisterView(database), subscription=share.subscription)  # type: ignore[arg-type]
    )
    for seq in range(300):
        publisher.signed(gateway.body(seq))
    running.end(leaving=True)
    assert running.error is None
    assert mine(sender, gateway) == list(range(300))


def test_a_view_that_can_not_ask_for_five_seconds_admits_nothing(database: str, stack: Stack, gateway: Gateway) -> None:
    view = RegisterView(database)
    view.refresh(100.0)
    assert view.fresh(104.9)
    with psycopg.connect(stack.dsn, autocommit=True) as server:
        name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    view.refresh(103.0)
    assert view.fresh(104.9)
    assert not view.fresh(105.0)
    with pytest.raises(RegisterAway):
        view.find("k-never-seen")
    known = view.find(gateway.kid)
    assert known is not None
    assert known.meters == {f"{gateway.name}-g": "generation"}


def test_a_view_takes_over_what_changed_while_it_could_not_ask(database: str, gateway: Gateway) -> None:
    view = RegisterView(database)
    with psycopg.connect(database, autocommit=True) as connection:
        revoke(connection, gateway.kid, "stolen")
        connection.execute("UPDATE key SET changed_at = changed_at - INTERVAL '30 min'")
        (long_ago,) = connection.execute("SELECT now() - INTERVAL '1 h'").fetchone() or (None,)
    view._since = long_ago
    view.refresh(3600.0)
    sender = view.find(gateway.kid)
    assert sender is not None
    assert sender.revoked_us is not None


def test_an_unknown_key_is_asked_for_again_after_two_seconds(database: str, gateway: Gateway) -> None:
    view = RegisterView(database)
    view.refresh(100.0)
    assert view.find("k-late") is None
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(LATE_KEY)
    view.refresh(101.0)
    assert view.find("k-late") is None
    view.refresh(102.1)
    late = view.find("k-late")
    assert late is not None
    assert late.gateway == gateway.name
