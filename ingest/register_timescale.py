"""A bridge's view of the register: who may send now. A bounded cache over the database, asked every two seconds what has changed.

A revocation reaches every bridge within five seconds: one that has not been able to ask for that long admits nothing until it can.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Any

import psycopg

from ingest.admission import Sender

MOST_SENDERS = 200_000
ASK_EVERY_S, STALE_S, UNKNOWN_S = 2.0, 5.0, 2.0

SENDERS = """
SELECT k.kid, k.public_key, g.gateway, COALESCE(m.meters, '{}'),
  (extract(epoch FROM k.enrolled_at) * 1e6)::bigint, (extract(epoch FROM k.revoked_at) * 1e6)::bigint
FROM key k JOIN gateway g ON g.id = k.gateway
LEFT JOIN LATERAL (SELECT array_agg(meter || '=' || register) AS meters FROM meter WHERE meter.gateway = g.id) m ON true
"""
ONE = SENDERS + "WHERE k.kid = %(kid)s"
NEWEST = SENDERS + "ORDER BY k.enrolled_at DESC LIMIT %(most)s"
CHANGED = SENDERS + "WHERE k.changed_at > %(since)s - INTERVAL '60 s'"
CLOCK = "SELECT now()"


class RegisterAway(Exception):
    """The register can not be asked; try again, and admit nothing meanwhile."""


class RegisterView:
    """`find` a sender by key id. Ask `refresh` in every turn; `fresh` says whether the view may still be used."""

    def __init__(self, dsn: str) -> None:
        self._dsn, self._connection = dsn, None
        self._senders: OrderedDict[str, Sender] = OrderedDict()
        self._unknown: dict[str, float] = {}
        self._asked_s = float("-inf")
        self._now_s = 0.0
        self._since = self._clock()  # by the database: all that changed before it has been taken over, however long ago that was
        self._ask(NEWEST, {"most": MOST_SENDERS})

    _connection: psycopg.Connection | None

    def find(self, kid: str) -> Sender | None:
        """The sender with this key id; None if the register has none. RegisterAway if that can not be told."""
        sender = self._senders.get(kid)
        if sender is not None or self._unknown.get(kid, float("-inf")) > self._now_s - UNKNOWN_S:
            return sender
        self._ask(ONE, {"kid": kid})
        if kid not in self._senders:
            self._remember_unknown(kid)
        return self._senders.get(kid)

    def refresh(self, now_s: float) -> None:
        """Take over what has changed, every two seconds; a register that does not answer is asked again in the next turn."""
        self._now_s = now_s
        if now_s - self._asked_s >= ASK_EVERY_S:
            try:
                clock = self._clock()
                self._ask(CHANGED, {"since": self._since})
            except RegisterAway:
                return
            self._asked_s, self._since = now_s, clock

    def fresh(self, now_s: float) -> bool:
        return now_s - self._asked_s < STALE_S

    def _remember_unknown(self, kid: str) -> None:
        if len(self._unknown) > 10_000:
            self._unknown.clear()
        self._unknown[kid] = self._now_s

    def _ask(self, query: str, values: dict[str, object]) -> None:
        for kid, public_key, gateway, meters, enrolled_us, revoked_us in self._rows(query, values):
            pairs = dict(pair.split("=", 1) for pair in meters)
            self._put(Sender(kid, bytes(public_key), gateway, pairs, enrolled_us, revoked_us))

    def _clock(self) -> datetime:
        return self._rows(CLOCK, {})[0][0]  # type: ignore[no-any-return]

    def _rows(self, query: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=2, tcp_user_timeout=4000, options="-c statement_timeout=4000")
            return self._connection.execute(query, values).fetchall()
        except psycopg.Error as error:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            raise RegisterAway(f"the register can not be asked: {error}") from error

    def _put(self, sender: Sender) -> None:
        self._senders[sender.kid] = sender
        self._senders.move_to_end(sender.kid)
        self._unknown.pop(sender.kid, None)
        if len(self._senders) > MOST_SENDERS:
            self._senders.popitem(last=False)
