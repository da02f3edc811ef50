"""The bridge: MQTT in, Kafka out. A message is acknowledged only after Kafka has confirmed the segment that carries it.

Kill it at any line: what was not acknowledged stays in the broker's session of this client id and comes again, and a gateway sends again whatever
the worker's `ack` does not cover. What Kafka got twice counts once, downstream.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ingest.admission import Arrival, admit
from ingest.gather import Batch, Gatherer
from ingest.kafka import Confirmation, Sender
from ingest.mqtt import SUBSCRIPTION, Session
from ingest.refusal import Refused
from ingest.register_timescale import RegisterAway, RegisterView
from ingest.segment import partition

RECONNECT_MOST_S = 5.0
QUIET_S = 0.5


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that Kafka has not confirmed, and the MQTT messages of which connection wait for it."""

    confirmation: Confirmation
    mids: list[int]
    generation: int


class Bridge:
    """One bridge; `run` it until `stopping` says so."""

    def __init__(self, *, mqtt: str, client_id: str, sender: Sender, register: RegisterView, subscription: str = SUBSCRIPTION) -> None:
        self._session = Session(mqtt, client_id, self._arrived, subscription)
        self._sender, self._register, self._gatherer = sender, register, Gatherer()
        self._waiting: deque[Waiting] = deque()
        self._arrivals: deque[tuple[int, Arrival]] = deque()
        self._heard_s = 0.0
        self.counted = 0

    def run(self, stopping: Callable[[], bool], ready: Callable[[], None] = lambda: None, *, leaving: Callable[[], bool] = lambda: False) -> None:
        """Work until told to stop; `leaving` says then whether this bridge is taken away for good (it drains first)."""
        self._connect(stopping)
        ready()
        while not stopping():
            if not self._session.connected and self._session_lost():
                self._connect(stopping)
            self._turn()
        self._end(for_good=leaving())

    def _turn(self) -> None:
        self._register.refresh(time.monotonic())
        admitting = self._register.fresh(time.monotonic())  # the question itself may have taken seconds
        try:
            self._session.turn(0.02, reading=admitting and not self._arrivals)
        except ConnectionError:
            return
        if admitting:
            self._admit_all()
        for batch in self._gatherer.due(time.monotonic()):
            self._send(batch)
        self._acknowledge()

    def _arrived(self, mid: int, topic: str, payload: bytes, kid: str | None, sig: str | None) -> None:
        self._heard_s = time.monotonic()
        self._arrivals.append((mid, Arrival(topic, payload, kid, sig, time.time_ns() // 1000)))

    def _admit_all(self) -> None:
        while self._arrivals:
            try:
                self._admit(*self._arrivals[0])
            except RegisterAway:
                return
            self._arrivals.popleft()

    def _admit(self, mid: int, arrival: Arrival) -> None:
        try:
            message = admit(arrival, self._register.find)
        except Refused as refusal:
            confirmation = self._sender.rejected(arrival.payload, refusal, arrival.topic, arrival.received_us)
            self._waiting.append(Waiting(confirmation, [mid], self._session.generation))
            return
        self.counted += 1
        full = self._gatherer.add(message, mid, partition(message.gateway, self._sender.partitions), time.monotonic())
        if full is not None:
            self._send(full)

    def _send(self, batch: Batch) -> None:
        confirmation = self._sender.segment(batch.messages, batch.partition)
        self._waiting.append(Waiting(confirmation, batch.mids, self._session.generation))

    def _acknowledge(self) -> None:
        while self._waiting and self._waiting[0].confirmation.done():
            first = self._waiting.popleft()
            if first.generation == self._session.generation:
                self._session.acknowledge(first.mids)

    def _session_lost(self) -> bool:
        """What was read and not sent belongs to the lost connection: the broker sends it again."""
        try:
            self._session.turn(0.0)
        except ConnectionError:
            self._arrivals.clear()
            self._gatherer.drop()
            return True
        return False

    def _connect(self, stopping: Callable[[], bool]) -> None:
        pause = 0.1
        while not stopping():
            try:
                self._session.connect()
            except OSError:
                time.sleep(pause)
                pause = min(2 * pause, RECONNECT_MOST_S)
                continue
            return

    def _end(self, *, for_good: bool) -> None:
        if for_good:
            self._session.unsubscribe()
        self._heard_s = time.monotonic()
        until = self._heard_s + 10
        while self._draining(for_good=for_good) and time.monotonic() < until:
            self._turn()
        self._session.leave(for_good=for_good)
        self._sender.close()

    def _draining(self, *, for_good: bool) -> bool:
        """Whether anything is on its way to Kafka; a session that ends for good takes along what the broker still had for it, so wait for that too."""
        under_way = bool(self._waiting or self._arrivals or self._gatherer.waiting())
        return under_way or (for_good and time.monotonic() - self._heard_s < QUIET_S)
