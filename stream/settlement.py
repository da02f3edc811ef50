"""What of a gateway's chain is settled, and the ack that says so.

A message is settled when it and all before it are committed, or refused for good. The first message with a sequence number is the one that counts; the same
bytes again are a repeat, other bytes are a conflict. Nothing else waits for a gap: readings beyond it are used, only the ack stands still.
"""

from dataclasses import dataclass, field

import msgspec

NOTHING = -1
GENESIS = bytes(32)
MOST_REFUSED = 20
QUIET_S, LOOK_EVERY_S = 3.0, 0.5


@dataclass(slots=True)
class Chain:
    """Where a gateway's chain stands: settled up to and with `seq`, whose hash is `hash`; `beyond` are those past a gap."""

    seq: int = NOTHING
    hash: bytes = GENESIS
    beyond: dict[int, bytes] = field(default_factory=dict)
    refused: list[tuple[int, str]] = field(default_factory=list)

    def known(self, seq: int) -> bool:
        """Whether a message with this number has been taken already."""
        return seq <= self.seq or seq in self.beyond

    def take(self, seq: int, digest: bytes, refused: str | None) -> None:
        """Take the first message with this number, and settle as far as the chain is whole."""
        if refused is not None:
            self.refused = [*self.refused, (seq, refused)][-MOST_REFUSED:]
        if seq != self.seq + 1:
            self.beyond[seq] = digest
            return
        self.seq, self.hash = seq, digest
        while self.beyond and (following := self.beyond.pop(self.seq + 1, None)) is not None:
            self.seq, self.hash = self.seq + 1, following


def ack(chain: Chain, every_s: float) -> bytes:
    """The retained message that tells a gateway what it need not keep any longer."""
    refused = [{"seq": seq, "reason": reason} for seq, reason in chain.refused if seq <= chain.seq]
    return msgspec.json.encode({"v": 1, "seq": chain.seq, "hash": chain.hash.hex(), "refused": refused, "every_s": every_s})


class AckTimes:
    """Which gateways are to be told now: when one has fallen quiet, and every `every_s` while it goes on sending. A repeat is always answered."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._waiting: dict[str, tuple[float, float]] = {}  # heard first and last since it was told
        self._looked_s = float("-inf")

    def heard(self, gateways: set[str], now_s: float) -> None:
        """Messages of these were committed."""
        for gateway in gateways:
            first_s, _ = self._waiting.get(gateway, (now_s, now_s))
            self._waiting[gateway] = (first_s, now_s)

    def due(self, now_s: float) -> list[str]:
        """Those to be told now, twice a second at most; each is taken as told."""
        if now_s - self._looked_s < LOOK_EVERY_S:
            return []
        self._looked_s = now_s
        due = [gateway for gateway, (first_s, last_s) in self._waiting.items() if now_s >= min(first_s + self._every_s, last_s + QUIET_S)]
        for gateway in due:
            del self._waiting[gateway]
        return due
