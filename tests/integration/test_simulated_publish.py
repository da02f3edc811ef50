"""Publishing through the real broker, over a wire that is cut: a small worker in the test settles and acks."""

import base64
import hashlib
import json
import select
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import VerifyKey
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from simulators import fleet, folder, gateway
from simulators.folder import Fleet
from simulators.wire import GENESIS, public_key

pytestmark = pytest.mark.services


class Settler:
    """What bridge and worker do together: verify, keep the chain, ack (retained). On two connections, so that acks never wait behind telemetry."""

    def __init__(self, address: tuple[str, int], fleet: Fleet) -> None:
        self._keys = {name: VerifyKey(public_key(key.seed)) for name, key in fleet.keys().items()}
        self.messages: dict[str, list[dict[str, Any]]] = {name: [] for name in fleet.gateways}
        self.kept: dict[str, list[str]] = {name: [] for name in fleet.gateways}
        self.packets = 0
        self.is_deaf = False
        self._acks = self._client(address)
        self._telemetry = self._client(address)
        ready = threading.Event()
        self._telemetry.on_message = self._take
        self._telemetry.on_subscribe = lambda *_: ready.set()
        self._telemetry.subscribe([(f"jcredit/v1/{name}/telemetry", 1) for name in fleet.gateways])
        assert ready.wait(5)

    def _client(self, address: tuple[str, int]) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect(*address)
        client.loop_start()
        return client

    def _take(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if self.is_deaf:
            return
        self.packets += 1
        told = json.loads(message.payload)
        name, properties = told["gateway"], dict(message.properties.UserProperty)  # type: ignore[union-attr]
        self._keys[name].verify(bytes(message.payload), base64.urlsafe_b64decode(properties["sig"] + "=="))
        kept = self.kept[name]
        if told["seq"] == len(kept) and told["prev"] == (kept[-1] if kept else GENESIS):
            kept.append(hashlib.sha256(message.payload).hexdigest())
            self.messages[name].append(told)
        if kept:
            ack = {"v": 1, "seq": len(kept) - 1, "hash": kept[-1], "refused": [], "every_s": 1}
            self._acks.publish(f"jcredit/v1/{name}/ack", json.dumps(ack), qos=1, retain=True)

    def close(self) -> None:
        for name in self.kept:
            for leaf in ("ack", "status"):
                self._acks.publish(f"jcredit/v1/{name}/{leaf}", b"", qos=1, retain=True).wait_for_publish(5)
        for client in (self._telemetry, self._acks):
            client.disconnect()
            client.loop_stop()


class Cable:
    """A wire to the broker that can be cut: connections end, and none is taken until it is mended."""

    def __init__(self, far: tuple[str, int]) -> None:
        self._far, self._is_whole, self._is_over = far, True, False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._is_over:
            near, _ = self._listener.accept()
            if not self._is_whole or self._is_over:
                near.close()
                continue
            pair = (near, socket.create_connection(self._far))
            self._pairs.append(pair)
            threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        try:
            while True:
                for source in select.select([near, far], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    other[source].sendall(data)
        except (OSError, ValueError):
            return
        finally:
            near.close()
            far.close()

    def cut(self) -> None:
        self._is_whole = False
        for near, far in self._pairs:
            for end in (near, far):
                end.close() if end.fileno() < 0 else end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def mend(self) -> None:
        self._is_whole = True

    def close(self) -> None:
        self._is_over = True
        self.cut()
        socket.create_connection(self._listener.getsockname()).close()
        self._listener.close()


@pytest.fixture
def own_fleet(tmp_path: Path) -> Fleet:
    """A tiny fleet, two homes and three days, under gateway names that nobody else on the broker has."""
    tiny, tag = fleet.build(tmp_path / "tiny", members=2, days=3, seed=1), uuid.uuid4().hex[:8]
    named = {name: f"t-{tag}-{name}" for name in tiny.gateways}
    folder.write_keys(tiny.folder / "keys.json", {named[name]: key for name, key in tiny.keys().items()})
    own = replace(tiny, gateways={named[name]: meters for name, meters in tiny.gateways.items()}, live_gateway=named[tiny.live_gateway])
    folder.save(own, built_from=folder.built_from(tiny.folder) or {})
    return own


@pytest.fixture
def broker(stack: Any) -> tuple[str, int]:
    host, port = stack.mqtt.split(":")
    return host, int(port)


@pytest.fixture
def settler(broker: tuple[str, int], own_fleet: Fleet) -> Iterator[Settler]:
    settler = Settler(broker, own_fleet)
    yield settler
    settler.close()


@pytest.fixture
def cable(broker: tuple[str, int]) -> Iterator[Cable]:
    cable = Cable(broker)
    yield cable
    cable.close()


def test_everything_arrives_once_and_a_second_run_sends_nothing(own_fleet: Fleet, settler: Settler, broker: tuple[str, int]) -> None:
    mqtt = f"{broker[0]}:{broker[1]}"
    seen: list[tuple[int, int]] = []
    sent = gateway.publish(own_fleet.folder, mqtt, progress=lambda settled, total: seen.append((settled, total)), patience_s=20)
    assert (sent.settled, sent.packets, settler.packets, seen[-1]) == (6, 6, 6, (6, 6))
    assert gateway.publish(own_fleet.folder, mqtt, patience_s=20).packets == 0
    assert settler.packets == 6


def test_the_live_gateway_adds_minutes_of_now(own_fleet: Fleet, settler: Settler, broker: tuple[str, int]) -> None:
    mqtt = f"{broker[0]}:{broker[1]}"
    sent = gateway.publish(own_fleet.folder, mqtt, live=True, patience_s=20)
    assert sent.settled == 11
    last = settler.messages[own_fleet.live_gateway][-1]
    assert (last["seq"], last["channels"][0]["step_s"], len(last["channels"][0]["values"])) == (7, 60, 1)
    assert last["channels"][0]["start"] <= last["sent_at"]
    before = settler.packets
    gateway.live(own_fleet.folder, mqtt, messages=2, readings_each=15, in_real_time=False, patience_s=20)
    assert settler.packets - before == 2


def test_it_goes_on_after_the_wire_was_cut_while_the_system_was_deaf(own_fleet: Fleet, settler: Settler, cable: Cable) -> None:
    settler.is_deaf = True  # the broker takes everything and nobody keeps it, as when it crashes
    result: list[Any] = []
    run = threading.Thread(target=lambda: result.append(gateway.publish(own_fleet.folder, cable.address, patience_s=30)))
    run.start()
    run.join(2)
    assert run.is_alive()
    cable.cut()
    settler.is_deaf = False
    run.join(0.5)
    cable.mend()
    run.join(30)
    assert result
    assert result[0].settled == 6
    assert result[0].packets > 6
    assert [len(kept) for kept in settler.kept.values()] == [3, 3]
