"""The loop against a small broker and system in memory: what they lose goes again, and nothing else."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Flag

import pytest

from simulators import folder, gateway
from simulators.chain import Chain
from simulators.delivery import Delivery, PublishError, Sent, places
from simulators.line import Acked, Confirmed, Down, Event, Up
from simulators.spool import Spool, Spooled


class System:
    """Broker and worker in one: keeps retained acks, settles in order, and fails as it is told."""

    def __init__(self) -> None:
        self.settled: dict[str, Spooled] = {}
        self.arrived: list[tuple[str, int]] = []
        self.statuses: list[tuple[str, str]] = []
        self.refuses_connections = 0
        self.breaks_after = -1
        self.loses: set[tuple[str, int]] = set()
        self.every_s = 60.0

    def take(self, message: Spooled) -> bytes | None:
        """The ack for the message's gateway, or None when the message is lost on the way."""
        place = (message.gateway, message.seq)
        self.arrived.append(place)
        if place in self.loses:
            self.loses.discard(place)
            return None
        last = self.settled.get(message.gateway)
        if message.seq == (last.seq + 1 if last else 0):
            self.settled[message.gateway] = message
        return self.ack(message.gateway)

    def ack(self, name: str) -> bytes:
        last = self.settled.get(name)
        return json.dumps({"v": 1, "seq": last.seq if last else -1, "hash": last.hash if last else None, "refused": [], "every_s": self.every_s}).encode()


class MemoryLine:
    """A line to that system."""

    def __init__(self, system: System, number: int, _client_id: str, gateways: Sequence[str], events: "SimpleQueue[Event]", *, at: datetime) -> None:
        assert at.tzinfo is not None
        self.system, self.number, self.gateways, self.events, self.is_broken = system, number, gateways, events, False

    def open(self, _host: str, _port: int) -> None:
        if self.system.refuses_connections:
            self.system.refuses_connections -= 1
            raise ConnectionRefusedError("nobody there")
        self.events.put(Up(self.number))
        for name in self.gateways:
            self.events.put(Acked(name, self.system.ack(name)))

    def send(self, message: Spooled) -> bool:
        if self.is_broken:
            return False
        ack = self.system.take(message)
        self.events.put(Confirmed(self.number))
        if len(self.system.arrived) == self.system.breaks_after:
            self.is_broken = True
            self.events.put(Down(self.number, "connection lost"))
        elif ack is not None:
            self.events.put(Acked(message.gateway, ack))
        return True

    def tell_status(self, name: str, state: str, *, at: datetime, spooled: int) -> None:
        self.system.statuses.append((name, state))

    def flush(self, timeout_s: float) -> None:
        assert timeout_s > 0

    def close(self) -> None:
        self.is_broken = True


@pytest.fixture
def spool(fleet_folder: Path) -> Spool:
    spool = Spool(fleet_folder / "spool.db")
    gateway.spool_year(folder.load(fleet_folder), spool, clock=lambda: datetime.now(UTC))
    return spool


def deliver(spool: Spool, system: System, *, patience_s: float = 5.0, stop: Flag | None = None) -> Sent:
    names = ("gw-0001", "gw-0002")
    chance = random.Random(1)
    run = Delivery(
        spool=spool,
        chains={name: Chain(gateway=name, count=spool.count(name), chance=chance) for name in names},
        host="127.0.0.1",
        port=1,
        places=places("test", names, 4),
        chance=chance,
        make_line=lambda *args, **named: MemoryLine(system, *args, **named),  # type: ignore[arg-type]
    )
    return run.run(progress=lambda _settled, _total: None, patience_s=patience_s, stop=stop)


def test_all_is_settled_and_sent_once(spool: Spool) -> None:
    system = System()
    sent = deliver(spool, system)
    assert (sent.messages, sent.settled, sent.packets, sent.refused) == (6, 6, 6, ())
    assert sorted(system.arrived) == [(name, seq) for name in ("gw-0001", "gw-0002") for seq in range(3)]


def test_a_second_run_sends_nothing(spool: Spool) -> None:
    system = System()
    deliver(spool, system)
    assert deliver(spool, system).packets == 0


def test_a_run_goes_on_after_the_ack_of_an_earlier_one(spool: Spool) -> None:
    system = System()
    for seq in (0, 1):
        system.take(spool.message("gw-0001", seq))
    system.arrived.clear()
    deliver(spool, system)
    assert [seq for name, seq in system.arrived if name == "gw-0001"] == [2]


def test_what_a_broken_connection_took_goes_again(spool: Spool) -> None:
    system = System()
    system.breaks_after, system.loses = 2, {("gw-0001", 1)}
    sent = deliver(spool, system)
    assert sent.settled == 6
    assert system.arrived.count(("gw-0001", 1)) == 2


def test_what_the_broker_took_and_lost_goes_again_when_no_ack_comes(spool: Spool) -> None:
    system = System()
    system.loses, system.every_s = {("gw-0002", 2)}, 0.05
    assert deliver(spool, system).settled == 6
    assert system.arrived.count(("gw-0002", 2)) == 2


def test_a_broker_that_is_away_at_first_is_waited_for(spool: Spool) -> None:
    system = System()
    system.refuses_connections = 3
    assert deliver(spool, system).settled == 6


def test_without_progress_it_ends_with_a_sentence(spool: Spool) -> None:
    system = System()
    system.refuses_connections = 1_000_000
    with pytest.raises(PublishError, match=r"0 of 6 messages are settled .* the broker is not there, 127\.0\.0\.1:1 does not answer"):
        deliver(spool, system, patience_s=0.3)


def test_without_acks_bridge_and_worker_are_named(spool: Spool) -> None:
    system = System()
    system.loses = {(name, 0) for name in ("gw-0001", "gw-0002")}
    with pytest.raises(PublishError, match="bridge or worker do not answer"):
        deliver(spool, system, patience_s=0.3)


def test_an_ack_for_another_chain_stops_everything(spool: Spool) -> None:
    system = System()
    system.settled["gw-0001"] = Spooled(gateway="gw-0001", seq=1, payload=b"", kid="", sig="", hash="f" * 64)
    with pytest.raises(PublishError, match="two folders speak for this gateway"):
        deliver(spool, system)


def test_stopped_it_says_how_far_it_came(spool: Spool) -> None:
    stop = Flag()
    stop.set()
    assert deliver(spool, System(), stop=stop).settled == 0


def test_gateways_are_online_while_it_runs_and_offline_after(spool: Spool) -> None:
    system = System()
    deliver(spool, system)
    assert set(system.statuses[:2]) == {("gw-0001", "online"), ("gw-0002", "online")}
    assert set(system.statuses[-2:]) == {("gw-0001", "offline"), ("gw-0002", "offline")}


def test_an_address_that_is_none_is_refused(fleet_folder: Path) -> None:
    with pytest.raises(PublishError, match="give host:port"):
        gateway.publish(fleet_folder, "localhost")


def test_a_folder_without_a_fleet_is_named(tmp_path: Path) -> None:
    with pytest.raises(folder.FleetError, match="holds no fleet"):
        gateway.publish(tmp_path, "127.0.0.1:1")


def test_two_processes_never_speak_for_one_fleet(fleet_folder: Path) -> None:
    with gateway._own(fleet_folder), pytest.raises(PublishError, match="another process speaks"):
        gateway.publish(fleet_folder, "127.0.0.1:1")


@pytest.mark.parametrize(("messages", "readings"), [(0, 1), (1, 0), (1, 16)])
def test_a_live_message_has_one_to_fifteen_readings(fleet_folder: Path, messages: int, readings: int) -> None:
    with pytest.raises(PublishError, match="1 to 15 readings"):
        gateway.live(fleet_folder, "127.0.0.1:1", messages=messages, readings_each=readings)
