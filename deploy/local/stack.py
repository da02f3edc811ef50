"""The local stack: `up`, `down`, `load`, `states`. Everything lies under one folder, the home (`.local`, or what $JCREDIT_HOME names).

`up` may be said at any time: it fetches what is not there, starts what does not run, and changes nothing else; a service that was killed comes back
with its data. `down` stops only the processes that `up` started. Two `up` at once wait for each other.
"""

import contextlib
import os
import platform
import pwd
import resource
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from deploy.local import MissingError, kafka, mosquitto, ports, service, timescaledb
from deploy.local.lock import alone
from deploy.local.service import RUNNING, Program

SERVICES = (mosquitto.NAME, kafka.NAME, timescaledb.NAME)
PORTS_OF = {mosquitto.NAME: ("mqtt",), kafka.NAME: ("kafka", "controller"), timescaledb.NAME: ("timescaledb",)}
PATIENCE_S = 90
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Where everything is: `mqtt` and `kafka` as host:port, `dsn` for libpq, `console` and `registry` as URLs."""

    home: Path
    mqtt: str
    kafka: str
    dsn: str
    console: str
    registry: str


def load(home: Path) -> Stack:
    """The stack of this home, whether or not it runs."""
    file = home / "stack.toml"
    try:
        held = tomllib.loads(file.read_text())
        return Stack(home=home, **{key: str(held[key]) for key in ("mqtt", "kafka", "dsn", "console", "registry")})
    except FileNotFoundError as error:
        raise MissingError(f"there is no stack in {home}: make one with `jcredit up`") from error
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise MissingError(f"{file} can not be read ({error}): remove it and run `jcredit up`") from error


def up(home: Path, say: Say) -> Stack:
    """Fetch, set up and start whatever is not there yet; returns when all three services answer."""
    home = home.resolve()
    os.umask(0o022)
    _raise_file_limit()
    _need_linux()
    with alone(home, say):
        place, user = _place(home, say)
        programs = _fetch(home, place, say)
        stopped = [name for name in SERVICES if service.state(home, name) != RUNNING]
        chosen = _choose_ports(home, stopped)
        for name in stopped:
            say(f"{name}: starting" + (" again, it had died" if service.state(home, name) == service.DIED else ""))
            service.start(home, _program(name, home, place, programs[name], chosen, user, say))
        stack = load(home)
        wait_until_ready(stack)
        return stack


def wait_until_ready(stack: Stack) -> None:
    """Return when all three services answer, the database and the topics included; one that ended instead is named with the end of its log."""
    until = time.monotonic() + PATIENCE_S
    waiting = list(SERVICES)
    while waiting:
        waiting = [name for name in waiting if not _is_ready(name, stack)]
        if ended := [name for name in waiting if service.state(stack.home, name) == service.DIED]:
            raise MissingError(f"{ended[0]} ended while starting; the end of {stack.home}/log/{ended[0]}.log says:\n{service.tail(stack.home, ended[0])}")
        if waiting and time.monotonic() > until:
            raise MissingError(f"{', '.join(waiting)} did not answer in {PATIENCE_S} s; see {stack.home}/log, then `jcredit down` and `jcredit up`")
        if waiting:
            time.sleep(0.2)


def down(home: Path) -> list[str]:
    """Stop what `up` started and nothing else; the names of what was stopped. Kafka goes first: it takes longest to put its house in order."""
    home = home.resolve()
    stopped = [name for name in (kafka.NAME, mosquitto.NAME) if service.stop(home, name)]
    if service.stop(home, timescaledb.NAME, signals=timescaledb.STOP_SIGNALS):
        stopped.append(timescaledb.NAME)
    return stopped


def states(home: Path) -> dict[str, str]:
    """Each service: `running`, `stopped` or `died`."""
    return {name: service.state(home.resolve(), name) for name in SERVICES}


def _fetch(home: Path, place: Path, say: Say) -> dict[str, Path]:
    """Where each service's programs are. Homes may share these two folders by link: one fetches, the others wait and find it done."""
    with alone(place / "programs", say), alone(home / "cache", say):
        return {
            timescaledb.NAME: timescaledb.fetch(home, place, say),
            mosquitto.NAME: mosquitto.fetch(home, place, say),
            kafka.NAME: kafka.fetch(home, place, say),
        }


def _need_linux() -> None:
    if platform.system() != "Linux":
        raise MissingError("the local stack needs Linux (Debian's programs): use Docker with `deploy/compose.yaml`")


def _program(name: str, home: Path, place: Path, programs: Path, chosen: dict[str, int], user: tuple[int, int] | None, say: Say) -> Program:
    if name == mosquitto.NAME:
        data = place / "data" / mosquitto.NAME
        mosquitto.prepare(data, chosen["mqtt"], user)
        return mosquitto.program(programs, data, user)
    if name == kafka.NAME:
        data = home / "data" / kafka.NAME
        kafka.prepare(home, programs, data, chosen, say)
        return kafka.program(home, programs, data, say)
    data = place / "data" / timescaledb.NAME
    timescaledb.prepare(programs, data, user)
    return timescaledb.program(programs, data, chosen["timescaledb"], user)


def _is_ready(name: str, stack: Stack) -> bool:
    if name == mosquitto.NAME:
        return ports.answers(int(stack.mqtt.rpartition(":")[2]))
    return kafka.is_ready(stack.kafka) if name == kafka.NAME else timescaledb.is_ready(stack.dsn)


def _choose_ports(home: Path, stopped: list[str]) -> dict[str, int]:
    """Ports of running services stay; `console` and `registry` belong to processes that may be running, so only a stopped product moves them."""
    file = home / "stack.toml"
    ours = {port for name, its in PORTS_OF.items() if name not in stopped for port in its}
    if service.state(home, "supervisord") == RUNNING:
        ours |= {"console", "registry"}
    chosen = ports.choose(ports.read(file), ours=ours, patience_s=5)
    ports.write(file, chosen)
    return chosen


def _place(home: Path, say: Say) -> tuple[Path, tuple[int, int] | None]:
    """Where Postgres and Mosquitto live, and as whom: they must not be root, and the user they are must reach their folder."""
    if os.geteuid() != 0:
        return home, None
    user = _unprivileged()
    if all(folder.stat().st_mode & 0o001 for folder in (home, *home.parents)):
        return home, user
    place = Path("/var/tmp") / f"jcredit-{sha256(str(home).encode()).hexdigest()[:12]}"
    place.mkdir(mode=0o755, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != 0:
        raise MissingError(
            f"{home} can not be reached by an unprivileged user, and {place}, where its database would live instead, is somebody else's: move the checkout"
        )
    link = home / "place"  # for who looks for it
    if not link.is_symlink():
        link.symlink_to(place)
    say(f"{home} can not be reached by an unprivileged user: the database and the broker live in {place}")
    return place, user


def _unprivileged() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise MissingError("Postgres refuses to run as root, and this machine has neither a user `postgres` nor `nobody`: run as an ordinary user")


def _raise_file_limit() -> None:
    """A broker with many gateways needs many files open; children inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
