"""The numbers of /metrics, counted in the database. Intervals are counted at most once a minute: it is the one count that reads a large table."""

import time
from collections.abc import Callable
from typing import Any

import psycopg

from console.web.metrics import Family

MESSAGES = "SELECT what, reason, sum(count) FROM tally GROUP BY what, reason ORDER BY what, reason"
INTERVALS = "SELECT state, count(*) FROM interval GROUP BY state ORDER BY state"
WAITING = "SELECT count(*), COALESCE(extract(epoch FROM now() - min(made_at)), 0) FROM outbox WHERE sent_at IS NULL"
UNREAD = "SELECT passed_over, count(*) FROM unread GROUP BY passed_over"
CLAIMS = "SELECT state, count(*) FROM claim GROUP BY state ORDER BY state"
FLAGS = "SELECT code, level, count(*) FROM flag GROUP BY code, level ORDER BY code, level"
STATES = ("opening", "credited", "spread", "held", "untrue")
KEPT_S = 60.0

Connection = psycopg.Connection[Any]


class Metrics:
    """Counts when asked; the count of intervals is kept for a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._intervals: tuple[float, Family] | None = None

    def families(self, connection: Connection) -> tuple[Family, ...]:
        waiting, oldest_s = _rows(connection, WAITING)[0]
        unread = dict(_rows(connection, UNREAD))
        return (
            Family(
                name="jcredit_messages_total",
                kind="counter",
                text="Messages by kind, and by reason where refused.",
                samples=tuple(({"kind": what, "reason": reason}, count) for what, reason, count in _rows(connection, MESSAGES)),
            ),
            self._counted(connection),
            _gauge("jcredit_flags", "Flags by code and level.", *(({"code": c, "level": level}, n) for c, level, n in _rows(connection, FLAGS))),
            _gauge("jcredit_outbox_unsent", "Rows of the outbox that Kafka does not have yet.", ({}, waiting)),
            _gauge("jcredit_outbox_oldest_unsent_seconds", "Age of the oldest unsent row of the outbox; 0 if there is none.", ({}, oldest_s)),
            _gauge(
                "jcredit_unread_segments",
                "Segments that ended a worker; passed_over ones need a person.",
                *(({"passed_over": str(over).lower()}, unread.get(over, 0)) for over in (False, True)),
            ),
            _gauge("jcredit_claims", "Claims by state.", *(({"state": state}, n) for state, n in _rows(connection, CLAIMS))),
        )

    def _counted(self, connection: Connection) -> Family:
        if self._intervals is None or self._clock() - self._intervals[0] > KEPT_S:
            counts = dict(_rows(connection, INTERVALS))
            samples = (({"state": name}, counts.get(number, 0)) for number, name in enumerate(STATES))
            self._intervals = (self._clock(), _gauge("jcredit_intervals", "Interval rows by state, counted at most once a minute.", *samples))
        return self._intervals[1]


def _gauge(name: str, text: str, *samples: tuple[dict[str, str], float]) -> Family:
    return Family(name=name, kind="gauge", text=text, samples=samples)


def _rows(connection: Connection, query: Any) -> list[Any]:
    return connection.execute(query).fetchall()
