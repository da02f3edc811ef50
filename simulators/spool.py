"""What a fleet's gateways have signed, on disk before it is sent. A chain must survive a crash: a message is made once, and read again, never made again.

One SQLite file for all gateways of a fleet. `what` names what a message is about (a day, a minute), so that asking for the same twice adds nothing. Nothing is
deleted: which messages are settled is the system's to say, and it says so in its retained ack.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from simulators.folder import Key
from simulators.wire import GENESIS, Channel, digest, sign, telemetry

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
  gateway TEXT NOT NULL, seq INTEGER NOT NULL, what TEXT NOT NULL, payload BLOB NOT NULL, kid TEXT NOT NULL, sig TEXT NOT NULL, hash TEXT NOT NULL,
  PRIMARY KEY (gateway, seq), UNIQUE (gateway, what)
) WITHOUT ROWID
"""
TAIL = "SELECT seq, hash FROM message WHERE gateway = ? ORDER BY seq DESC LIMIT 1"
INSERT = "INSERT INTO message (gateway, seq, what, payload, kid, sig, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"


Item = tuple[str, Callable[[], Sequence[Channel]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """A signed message as it travels; `hash` is the SHA-256 of its payload."""

    gateway: str
    seq: int
    payload: bytes
    kid: str
    sig: str
    hash: str


class Spool:
    """The spool of one fleet. One process at a time writes it."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(SCHEMA)

    def close(self) -> None:
        self._db.close()

    def extend(self, gateway: str, key: Key, items: Iterable[Item], *, clock: Callable[[], datetime]) -> int:
        """Sign and keep what is not there yet, in this order, in one transaction; how many were new. `clock` gives the time of signing.

        An item is a name and what makes its channels, which is asked only where the name is new; no channel, no message.
        """
        known = {what for (what,) in self._db.execute("SELECT what FROM message WHERE gateway = ?", (gateway,))}
        tail = self._db.execute(TAIL, (gateway,)).fetchone()
        seq, prev = (tail[0] + 1, tail[1]) if tail else (0, GENESIS)
        rows = []
        for what, channels in ((what, make()) for what, make in items if what not in known):
            if not channels:
                continue
            payload = telemetry(gateway=gateway, seq=seq, prev=prev, sent_at=clock(), channels=channels)
            seq, prev = seq + 1, digest(payload)
            rows.append((gateway, seq - 1, what, payload, key.kid, sign(payload, key.seed), prev))
        self._write(rows)
        return len(rows)

    def _write(self, rows: Sequence[tuple[str, int, str, bytes, str, str, str]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(INSERT, rows)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def count(self, gateway: str) -> int:
        """How many messages a gateway has made: they are numbered 0 to one less."""
        return int(self._db.execute("SELECT count(*) FROM message WHERE gateway = ?", (gateway,)).fetchone()[0])

    def message(self, gateway: str, seq: int) -> Spooled:
        """One message; KeyError if the gateway never made it."""
        row = self._db.execute("SELECT payload, kid, sig, hash FROM message WHERE gateway = ? AND seq = ?", (gateway, seq)).fetchone()
        if row is None:
            raise KeyError(f"{gateway} has no message {seq}")
        return Spooled(gateway=gateway, seq=seq, payload=row[0], kid=row[1], sig=row[2], hash=row[3])
