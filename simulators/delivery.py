"""Everything spooled reaches the end, whatever the broker does: the loop that drives lines and chains until acks cover all.

Lines come and go (back-off with chance, 0.2 to 5 s); a chain starts again from its last ack on each new line. The only way out without success is
no progress for `patience_s`, or an ack that speaks of another chain.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Event as Flag

from simulators.chain import Ack, AckError, Chain, parse_ack
from simulators.line import Acked, Confirmed, Down, Event, Line, Up
from simulators.spool import Spool

WINDOW = 512  # messages of one gateway that no ack covers yet
MOST_UNCONFIRMED = 1000  # of one line, not yet taken by the broker
GRACE_S = 1.0  # for retained acks to arrive after the subscription
BACK_OFF_S = (0.2, 5.0)
REPORT_EVERY_S = 0.1
UP_WITHIN_S = 15.0
LEAVE_WITHIN_S = 3.0
BURST = 16  # of a gateway before the next one, and before events are looked at

Progress = Callable[[int, int], object]


class PublishError(Exception):
    """What could not be delivered, why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a fleet's messages. `packets` counts repeats too; `notes` holds what was odd and did no harm."""

    messages: int
    settled: int
    packets: int
    refused: tuple[tuple[str, int, str], ...]
    seconds: float
    notes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Place:
    """A line's place in the loop: the gateways it speaks for, and how it stands."""

    client_id: str
    gateways: Sequence[str]
    line: Line | None = None
    is_up: bool = False
    ready_s: float = 0.0
    open_at_s: float = 0.0
    opened_s: float = 0.0
    tries: int = 0
    unconfirmed: int = 0
    why_down: str = "not tried yet"


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One run of the loop."""

    spool: Spool
    chains: Mapping[str, Chain]
    host: str
    port: int
    places: Sequence[_Place]
    chance: random.Random
    make_line: Callable[..., Line] = Line
    events: "SimpleQueue[Event]" = field(default_factory=SimpleQueue)
    packets: int = 0
    moved_s: float = 0.0
    notes: list[str] = field(default_factory=list)

    def run(self, *, progress: Progress, patience_s: float, stop: Flag | None) -> Sent:
        """Until all is settled or `stop` is set; PublishError when nothing has moved for `patience_s`."""
        began = self.moved_s = time.monotonic()
        reported = 0.0
        try:
            while not (self._is_done() or (stop is not None and stop.is_set())):
                now = time.monotonic()
                self._open_lines(now)
                busy = self._send(now)
                self._take_events(0.0 if busy else 0.02)
                if now - reported >= REPORT_EVERY_S:
                    progress(self._settled(), self._total())
                    reported = now
                if now - self.moved_s > patience_s:
                    raise PublishError(self._stuck(patience_s))
            progress(self._settled(), self._total())
            self._leave()
        finally:
            self._close()
        return self._sent(time.monotonic() - began)

    def _open_lines(self, now_s: float) -> None:
        for number, place in enumerate(self.places):
            if place.line is None and now_s >= place.open_at_s:
                self._open(number, place)
            elif place.line is not None and not place.is_up and now_s - place.opened_s > UP_WITHIN_S:
                self._drop(place, f"{self.host}:{self.port} took the connection and then said nothing")

    def _open(self, number: int, place: _Place) -> None:
        place.opened_s = time.monotonic()
        place.line = self.make_line(number, place.client_id, place.gateways, self.events, at=datetime.now(UTC))
        try:
            place.line.open(self.host, self.port)
        except OSError as error:
            self._drop(place, f"{self.host}:{self.port} does not answer ({error})")

    def _drop(self, place: _Place, why: str) -> None:
        line, place.line, place.is_up, place.unconfirmed, place.why_down = place.line, None, False, 0, why
        if line is not None:
            line.close()
        place.tries += 1
        longest = min(BACK_OFF_S[0] * 2**place.tries, BACK_OFF_S[1])
        place.open_at_s = time.monotonic() + self.chance.uniform(longest / 2, longest)

    def _send(self, now_s: float) -> bool:
        sent = 0
        for place in self.places:
            heard = all(self.chains[gateway].is_heard for gateway in place.gateways)
            if place.line is None or not place.is_up or (now_s < place.ready_s and not heard):
                continue
            for gateway in place.gateways:
                sent += self._send_some(place, place.line, self.chains[gateway], now_s)
        self.packets += sent
        return sent > 0

    def _send_some(self, place: _Place, line: Line, chain: Chain, now_s: float) -> int:
        chain.again_if_due(now_s)
        for count in range(BURST):
            if not chain.may_send(WINDOW) or place.unconfirmed >= MOST_UNCONFIRMED:
                return count
            if not line.send(self.spool.message(chain.gateway, chain.next_seq)):
                return count
            chain.sent()
            place.unconfirmed += 1
        return BURST

    def _take_events(self, wait_s: float) -> None:
        try:
            event = self.events.get(timeout=wait_s) if wait_s else self.events.get_nowait()
            while True:
                self._take(event)
                event = self.events.get_nowait()
        except Empty:
            return

    def _take(self, event: Event) -> None:
        match event:
            case Acked(gateway, payload):
                self._take_ack(gateway, payload)
            case Confirmed(number):
                self.places[number].unconfirmed = max(0, self.places[number].unconfirmed - 1)
            case Up(number):
                self._line_up(self.places[number])
            case Down(number, why):
                self._drop(self.places[number], why)

    def _line_up(self, place: _Place) -> None:
        now = time.monotonic()
        place.is_up, place.tries, place.ready_s = True, 0, now + GRACE_S
        for gateway in place.gateways:
            self.chains[gateway].connected(now)
        self._tell_place(place, "online")

    def _take_ack(self, gateway: str, payload: bytes) -> None:
        try:
            ack = parse_ack(payload)
        except AckError as error:
            self.notes.append(f"{gateway}: {error}")
            return
        try:
            more = self.chains[gateway].heard(ack, time.monotonic())
        except AckError as error:
            raise PublishError(str(error)) from error
        self._same_chain(gateway, ack)
        if more:
            self.moved_s = time.monotonic()

    def _same_chain(self, gateway: str, ack: Ack) -> None:
        if ack.seq < 0 or ack.hash is None:
            return
        ours = self.spool.message(gateway, ack.seq).hash
        if ack.hash != ours:
            raise PublishError(f"message {ack.seq} of {gateway} is settled as {ack.hash[:16]}…, here it is {ours[:16]}…: two folders speak for this gateway")

    def _leave(self) -> None:
        for place in self.places:
            self._tell_place(place, "offline")
        for place in self.places:
            if place.line is not None and place.is_up:
                place.line.flush(LEAVE_WITHIN_S)

    def _tell_place(self, place: _Place, state: str) -> None:
        if place.line is not None and place.is_up:
            for gateway in place.gateways:
                chain = self.chains[gateway]
                place.line.tell_status(gateway, state, at=datetime.now(UTC), spooled=chain.count - 1 - chain.settled)

    def _close(self) -> None:
        for place in self.places:
            if place.line is not None:
                place.line.close()

    def _is_done(self) -> bool:
        return all(chain.is_done for chain in self.chains.values())

    def _settled(self) -> int:
        return sum(chain.settled + 1 for chain in self.chains.values())

    def _total(self) -> int:
        return sum(chain.count for chain in self.chains.values())

    def _stuck(self, patience_s: float) -> str:
        down = next((place.why_down for place in self.places if not place.is_up), None)
        told = f"{self._settled()} of {self._total()} messages are settled and no more for {patience_s:.0f} s"
        if down is not None:
            return f"{told}: the broker is not there, {down}; start it with `jcredit up`"
        return f"{told}, although the broker is there: bridge or worker do not answer; `jcredit status` names what is down, `jcredit start` starts it"

    def _sent(self, seconds: float) -> Sent:
        refused = ((gateway, seq, why) for gateway, chain in self.chains.items() for seq, why in chain.refused.items())
        return Sent(
            messages=self._total(),
            settled=self._settled(),
            packets=self.packets,
            refused=tuple(sorted(refused)),
            seconds=seconds,
            notes=tuple(self.notes),
        )


def places(fleet_tag: str, gateways: Sequence[str], lines: int) -> tuple[_Place, ...]:
    """The gateways dealt out to that many lines, fewer if there are fewer gateways; client ids stay the same from run to run."""
    hands = [gateways[number::lines] for number in range(min(lines, len(gateways)))]
    return tuple(_Place(client_id=f"sim-{fleet_tag}-{number}", gateways=hand) for number, hand in enumerate(hands))
