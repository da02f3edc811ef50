"""A small programme on a stack of its own, so that a test may break the stack: its fleet, its load, ways to kill, and what the database holds of it.

All fleets here have the same registers under other names (`prefix`), so that what became of one can be compared with what became of another.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from anomaly.timescale import SlotTests
from console.cli.rebuild import SCHEMA
from deploy.local import processes, service
from deploy.local.stack import Stack
from ingest import enrolment, timescale
from simulators import fleet as fleets
from simulators import gateway
from simulators.delivery import Sent
from simulators.folder import Fleet
from simulators.spool import Spool
from stream import rebuild_timescale

MEMBERS, DAYS = 8, 80
ACK_EVERY_S = 1.0  # so that a repeat, which is what ends a gateway's doubt, is not waited for long
PROCESSES = ("bridge-0", "bridge-1", "worker-0", "jobs")
PATIENCE_S = 120.0
MESSAGES = """
SELECT g.gateway, m.seq, encode(m.hash, 'hex'), m.refused FROM message m JOIN gateway g ON g.id = m.gateway WHERE g.gateway LIKE %(like)s
"""
COMMITTED = "SELECT count(*) FROM message m JOIN gateway g ON g.id = m.gateway WHERE g.gateway LIKE %(like)s"
INTERVALS = """
SELECT regexp_replace(m.meter, %(prefix)s, ''), count(*), sum(i.energy_wh)::bigint, count(*) FILTER (WHERE i.state = 3),
  md5(string_agg(ROW(extract(epoch FROM i.end_at), i.register_wh, extract(epoch FROM i.start_at), i.energy_wh, i.state, i.code, i.rule_set)::text,
    ' ' ORDER BY i.end_at))
FROM interval i JOIN meter m ON m.id = i.meter WHERE m.meter LIKE %(like)s GROUP BY m.meter
"""
FLAGS = """
SELECT regexp_replace(m.meter, %(prefix)s, ''), extract(epoch FROM f.end_at)::bigint, f.code, f.level, f.observed, f.bound, f.energy_at_stake_wh
FROM flag f JOIN meter m ON m.id = f.meter WHERE m.meter LIKE %(like)s ORDER BY 1, 2, 3
"""
COUNTED = ("accepted", "conflicting", "refused")
TALLY = "SELECT what, sum(count)::bigint FROM tally GROUP BY what"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What the database made of a fleet: per meter its rows, energy, held rows and their digest; and its flags."""

    intervals: dict[str, tuple[Any, ...]]
    flags: list[tuple[Any, ...]]


def enrolled(stack: Stack, folder: Path, prefix: str) -> Fleet:
    """A fleet of fresh names and keys, enrolled, every message of it signed and spooled."""
    fleet = fleets.build(folder / prefix, members=MEMBERS, days=DAYS, prefix=prefix)
    files = {path.name: path.read_bytes() for path in fleet.tables}
    with psycopg.connect(stack.dsn, autocommit=True) as connection:
        timescale.enrol(connection, enrolment.read(files, timescale.known(connection)))
    with contextlib.closing(Spool(fleet.folder / "spool.db")) as spool:
        gateway.spool_year(fleet, spool, clock=gateway._now)
    return fleet


def made(fleet: Fleet) -> set[tuple[str, int, str, None]]:
    """Every message that the fleet made, as the database should hold it: gateway, seq, hash, not refused."""
    with contextlib.closing(Spool(fleet.folder / "spool.db")) as spool:
        return {(g, seq, spool.message(g, seq).hash, None) for g in fleet.gateways for seq in range(spool.count(g))}


def stored(dsn: str, prefix: str) -> list[tuple[Any, ...]]:
    return _rows(dsn, MESSAGES, like=f"gw-{prefix}%")


def outcome(dsn: str, prefix: str) -> Outcome:
    values = {"like": f"m-{prefix}%", "prefix": prefix}
    return Outcome(intervals={meter: tuple(rest) for meter, *rest in _rows(dsn, INTERVALS, **values)}, flags=_rows(dsn, FLAGS, **values))


def tally(dsn: str) -> dict[str, int]:
    return dict.fromkeys(COUNTED, 0) | dict(_rows(dsn, TALLY))


def counted_once(stack: Stack, fleet: Fleet, prefix: str, before: dict[str, int]) -> None:
    """Exactly the messages that were made are stored, each once and under its hash, and the counts say the same."""
    sent, held, after = made(fleet), stored(stack.dsn, prefix), tally(stack.dsn)
    assert (len(held), set(held)) == (len(sent), sent)
    assert {what: after[what] - before[what] for what in COUNTED} == {"accepted": len(sent), "conflicting": 0, "refused": 0}


def difference(dsn: str) -> str | None:
    """What `jcredit rebuild --check` finds."""
    return asyncio.run(rebuild_timescale.check(dsn, SCHEMA.read_text(), SlotTests()))


def _rows(dsn: str, query: str, **values: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode(), values).fetchall()


class Load:
    """A fleet that is sending, in a thread, until all of it is settled; with `pause_s` between handfuls it lasts longer, until `hurry`."""

    def __init__(self, stack: Stack, fleet: Fleet, prefix: str, *, pause_s: float = 0.0) -> None:
        self._stack, self._fleet, self._prefix, self._pause_s = stack, fleet, prefix, pause_s
        self._total = len(made(fleet))
        self._sent: Sent | None = None
        self._error: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hurry()
        self._stop.set()
        self._thread.join(30)

    def _publish(self) -> None:
        try:
            self._sent = gateway.publish(
                self._fleet.folder, self._stack.mqtt, progress=lambda *_: wait_s(self._pause_s), stop=self._stop, patience_s=PATIENCE_S, every_s=ACK_EVERY_S
            )
        except Exception as error:
            self._error = error

    def reach(self, share: float) -> None:
        """Wait until this share of the messages is committed."""
        with psycopg.connect(self._stack.dsn, autocommit=True) as connection:
            wait(lambda: self._committed(connection) >= share * self._total, f"{share:.0%} of {self._total} messages to be committed")

    def moves(self) -> None:
        """Wait until more is committed than now."""
        with psycopg.connect(self._stack.dsn, autocommit=True) as connection:
            now = self._committed(connection)
            assert now < self._total, "the load was over too early"
            wait(lambda: self._committed(connection) > now, f"more than {now} messages to be committed")

    def _committed(self, connection: psycopg.Connection) -> int:
        row = connection.execute(COMMITTED, {"like": f"gw-{self._prefix}%"}).fetchone()
        return int(row[0]) if row else 0

    def hurry(self) -> None:
        """No more pauses."""
        self._pause_s = 0

    def settled(self) -> Sent:
        """Wait until the gateways have heard that all is settled."""
        self.hurry()
        self._thread.join(2 * PATIENCE_S)
        if self._error is not None:
            raise self._error
        assert self._sent is not None, "the gateways are still sending"
        assert self._sent.settled == self._sent.messages == self._total
        return self._sent


def start(stack: Stack, names: tuple[str, ...] = PROCESSES) -> None:
    """The product under its keeper."""
    with set_to("JCREDIT_ACK_EVERY_S", str(ACK_EVERY_S)):
        processes.start(stack.home, names, patience_s=90)


@contextlib.contextmanager
def set_to(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.__setitem__(name, before)


@contextlib.contextmanager
def second_worker(stack: Stack) -> Iterator[None]:
    """A worker with number 1 beside the keeper's, from when it has partitions."""
    mark, log = stack.home / "run" / "worker-1.ready", stack.home / "log" / "worker-1.log"
    mark.unlink(missing_ok=True)
    environment = {**os.environ, "JCREDIT_HOME": str(stack.home), "JCREDIT_ACK_EVERY_S": str(ACK_EVERY_S)}
    command = [sys.executable, "-m", "console.cli", "run", "worker", "--number", "1"]
    with log.open("ab") as out, subprocess.Popen(command, cwd=processes.ROOT, env=environment, stdout=out, stderr=out) as process:
        try:
            wait(mark.exists, f"the second worker, see {log}")
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def kill_processes(stack: Stack, *names: str) -> None:
    """kill -9; their keeper starts them again."""
    pids = processes.pids(stack.home)
    for name in names:
        os.kill(pids[name], signal.SIGKILL)


def kill_service(stack: Stack, name: str) -> None:
    """kill -9 of the service and all its children at once; it stays down."""
    parent = service.pid(stack.home, name)
    assert parent is not None, f"{name} does not run"
    for pid in [parent, *_children(parent)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait(lambda: service.state(stack.home, name) == service.DIED, f"{name} to be dead")


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def wait(true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    until = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > until:
            raise AssertionError(f"waited {patience_s:.0f} s for {what}")
        time.sleep(0.01)


def wait_s(seconds: float) -> None:
    time.sleep(seconds)
