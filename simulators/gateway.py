"""Simulated gateways: they sign the fleet's readings, keep them on disk, and send them until the system has settled each one.

`publish` sends a simulated year, a day a message; `live` speaks of now, a minute a reading. Both may be killed and run again at any time: what was signed
is read from the spool and not made again, and what the retained ack covers is not sent again. One process at a time speaks for a fleet (a lock in its folder).

The gateways of a fleet share a few MQTT 5 connections, so only a gateway that has one to itself (`live`) leaves a last will.
"""

import contextlib
import fcntl
import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event

from simulators.chain import FIRST_EVERY_S, Chain
from simulators.delivery import Delivery, Progress, PublishError, Sent, places
from simulators.folder import Fleet, day_channels, load
from simulators.live import live_items
from simulators.spool import Spool
from simulators.wire import sign, telemetry

LINES = 4
PATIENCE_S = 300.0
LIVE_MESSAGES = 5
__all__ = ["PublishError", "Sent", "live", "publish", "sign", "telemetry"]


def publish(
    fleet_dir: Path,
    mqtt: str,
    *,
    progress: Progress = lambda _settled, _total: None,
    live: bool = False,
    stop: Event | None = None,
    lines: int = LINES,
    patience_s: float = PATIENCE_S,
    every_s: float = FIRST_EVERY_S,
) -> Sent:
    """Send the fleet's year to the broker at "host:port" and return when acks cover all of it.

    With `live`, the live gateway adds five messages of a minute each about now. `every_s`: how often gateways take acks to come until an ack says how often.
    Raises PublishError when nothing moves for `patience_s`, and FleetError when the folder holds no fleet. `stop`, once set, ends it early with what is
    settled so far.
    """
    fleet = load(fleet_dir)
    with _own(fleet_dir), contextlib.closing(Spool(fleet_dir / "spool.db")) as spool:
        spool_year(fleet, spool, clock=_now)
        if live:
            _spool_live(fleet, spool, messages=LIVE_MESSAGES, readings_each=1)
        return _deliver(fleet, spool, tuple(fleet.gateways), mqtt, lines=lines, progress=progress, stop=stop, patience_s=patience_s, every_s=every_s)


def live(
    fleet_dir: Path,
    mqtt: str,
    *,
    messages: int = LIVE_MESSAGES,
    readings_each: int = 1,
    in_real_time: bool = True,
    progress: Progress = lambda _settled, _total: None,
    stop: Event | None = None,
    patience_s: float = PATIENCE_S,
) -> Sent:
    """Messages of `readings_each` (1 to 15) one-minute readings of now from the live gateway.

    In real time one message goes as soon as its minutes have passed; otherwise all go at once, about the minutes just past.
    """
    if not 1 <= readings_each <= 15 or messages < 1:
        raise PublishError(f"a live message has 1 to 15 readings and there is at least one, not {messages} of {readings_each}")
    fleet = load(fleet_dir)
    with _own(fleet_dir), contextlib.closing(Spool(fleet_dir / "spool.db")) as spool:
        rounds = [1] * messages if in_real_time else [messages]
        for number, count in enumerate(rounds):
            if number and _stopped_within(readings_each * 60, stop):
                break
            _spool_live(fleet, spool, messages=count, readings_each=readings_each)
            sent = _deliver(fleet, spool, (fleet.live_gateway,), mqtt, lines=1, progress=progress, stop=stop, patience_s=patience_s)
        return sent


def spool_year(fleet: Fleet, spool: Spool, *, clock: Callable[[], datetime]) -> int:
    """Sign and keep every day of every gateway that is not kept yet; how many were new. A day without a reading has no message."""
    registers, keys = fleet.registers(), fleet.keys()
    new = 0
    for gateway in fleet.gateways:
        days = [(f"day:{day}", partial(day_channels, fleet, registers, gateway, day)) for day in range(fleet.days)]
        new += spool.extend(gateway, keys[gateway], days, clock=clock)
    return new


def _spool_live(fleet: Fleet, spool: Spool, *, messages: int, readings_each: int) -> None:
    items = live_items(fleet, fleet.registers(), now=_now(), messages=messages, readings_each=readings_each)
    spool.extend(fleet.live_gateway, fleet.keys()[fleet.live_gateway], items, clock=_now)


def _deliver(
    fleet: Fleet,
    spool: Spool,
    gateways: Sequence[str],
    mqtt: str,
    *,
    lines: int,
    progress: Progress,
    stop: Event | None,
    patience_s: float,
    every_s: float = FIRST_EVERY_S,
) -> Sent:
    host, port = _address(mqtt)
    chance = random.Random()
    chains = {g: Chain(gateway=g, count=spool.count(g), chance=chance, every_s=every_s) for g in gateways}
    run = Delivery(spool=spool, chains=chains, host=host, port=port, places=places(_tag(fleet), gateways, lines), chance=chance)
    return run.run(progress=progress, patience_s=patience_s, stop=stop)


def _address(mqtt: str) -> tuple[str, int]:
    host, _, port = mqtt.rpartition(":")
    if not host or not port.isdecimal():
        raise PublishError(f"{mqtt!r} is no broker's address: give host:port, as `jcredit status` shows it")
    return host, int(port)


def _tag(fleet: Fleet) -> str:
    """A few letters that are the same for this folder and differ between folders, for client ids."""
    return hashlib.sha256(str(fleet.folder.resolve()).encode()).hexdigest()[:8]


@contextlib.contextmanager
def _own(folder: Path) -> Iterator[None]:
    with (folder / "publish.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PublishError(f"another process speaks for the fleet in {folder}: let it finish, or stop it") from None
        yield


def _stopped_within(seconds: float, stop: Event | None) -> bool:
    if stop is None:
        time.sleep(seconds)
        return False
    return stop.wait(seconds)


def _now() -> datetime:
    return datetime.now(UTC)
