"""What one gateway has yet to hear about: which message goes next, and when it goes again. No clock, no network: time is an argument.

A message is kept until an ack covers it. The gateway sends again from the first that is not covered when it connects, and when no ack has come for
`2 x every_s`, after a random delay, so that a country of gateways does not come back in one moment.
"""

import json
import random
from dataclasses import dataclass, field

FIRST_EVERY_S = 60.0


class AckError(Exception):
    """An ack that can not be read, or that speaks of another chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The system's word: everything up to `seq` (-1: nothing) is settled, `hash` is that message's; these were refused for good."""

    seq: int
    hash: str | None
    refused: tuple[tuple[int, str], ...]
    every_s: float


def parse_ack(payload: bytes) -> Ack:
    """An ack as the design's wire writes it, or AckError."""
    try:
        told = json.loads(payload)
        refused = tuple((int(item["seq"]), str(item["reason"])) for item in told.get("refused", ()))
        ack = Ack(seq=int(told["seq"]), hash=told.get("hash"), refused=refused, every_s=float(told.get("every_s", FIRST_EVERY_S)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise AckError(f"not an ack ({error!r}): {payload[:80]!r}") from error
    if ack.seq < -1 or not 0 < ack.every_s < 86_400:
        raise AckError(f"not an ack: seq {ack.seq}, every_s {ack.every_s}")
    return ack


@dataclass(slots=True, kw_only=True)
class Chain:
    """One gateway's messages 0 … count-1: those up to `settled` are done with, those before `next_seq` are under way."""

    gateway: str
    count: int
    chance: random.Random
    settled: int = -1
    next_seq: int = 0
    every_s: float = FIRST_EVERY_S
    waits_since_s: float = 0.0
    delay_s: float = 0.0
    is_heard: bool = False
    refused: dict[int, str] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return self.settled >= self.count - 1

    def may_send(self, window: int) -> bool:
        """There is a message to send, and not too many are under way."""
        return self.next_seq < self.count and self.next_seq - self.settled <= window

    def sent(self) -> None:
        self.next_seq += 1

    def connected(self, now_s: float) -> None:
        """A connection is new: whatever no ack covers goes again."""
        self.next_seq = self.settled + 1
        self._wait(now_s)

    def heard(self, ack: Ack, now_s: float) -> bool:
        """An ack came; True if it settled more. An older one changes nothing."""
        self.is_heard = True
        if ack.seq >= self.count:
            raise AckError(f"the system has settled message {ack.seq} of {self.gateway}, which has made {self.count}: its chain lives in another folder")
        self.every_s = ack.every_s
        self.refused |= dict(ack.refused)
        self._wait(now_s)
        more = ack.seq > self.settled
        self.settled = max(self.settled, ack.seq)
        self.next_seq = max(self.next_seq, self.settled + 1)
        return more

    def again_if_due(self, now_s: float) -> bool:
        """No ack for too long: start again from the first message that is not covered."""
        if self.is_done or now_s - self.waits_since_s < 2 * self.every_s + self.delay_s:
            return False
        self.connected(now_s)
        return True

    def _wait(self, now_s: float) -> None:
        self.waits_since_s = now_s
        self.delay_s = self.chance.uniform(0, self.every_s)
