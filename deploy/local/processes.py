"""The product's own processes on the stack, kept up by supervisord: two bridges, a worker, jobs, the console, the registry simulator.

Each is `python -m console.cli run …` with $JCREDIT_HOME set; one that ends is started again under its own number, which is what the broker's
sessions need. `start` and `stop` may be said at any time. If the keeper itself was killed, what it left running is ended before a new one starts:
two bridges of one number would throw each other off the broker.
"""

import contextlib
import hashlib
import os
import shlex
import signal
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from deploy.local import MissingError, ports, service
from deploy.local.service import DIED, RUNNING, STOPPED, Program
from deploy.local.stack import Stack, load

KEEPER = "supervisord"
ROOT = Path(__file__).parents[2]
COMMANDS = {
    "bridge-0": ("bridge", "--number", "0"),
    "bridge-1": ("bridge", "--number", "1"),
    "worker-0": ("worker", "--number", "0"),
    "jobs": ("jobs",),
    "console": ("console",),
    "registry": ("registry",),
}
STATES = {"RUNNING": RUNNING, "STARTING": "starting", "STOPPING": "stopping", "STOPPED": STOPPED, "BACKOFF": DIED, "EXITED": DIED, "FATAL": DIED}
STOP_WAIT_S = 15
SOCKET_PATH_LIMIT = 100  # of 108 that the kernel has room for; supervisor adds its pid to it


def start(home: Path, names: Sequence[str] | None = None, *, patience_s: float = 60) -> None:
    """Start these (all, if none is named) and wait until they are ready; raises MissingError naming the first that is not."""
    wanted = _known(names)
    home = home.resolve()
    held = load(home)
    _keep(home)
    with _keeper(home) as keeper:
        _renew(keeper)
        for name in wanted:
            with contextlib.suppress(xmlrpc.client.Fault):  # started already
                keeper.startProcess(name, False)
    _wait(held, wanted, patience_s)


def stop(home: Path, names: Sequence[str] | None = None) -> list[str]:
    """Stop these and wait until they have ended; with no names all of them, and their keeper. The names of what was stopped."""
    home = home.resolve()
    wanted = _known(names)
    stopped = [name for name, state in states(home).items() if name in wanted and state != STOPPED]
    if names is None:
        service.stop(home, KEEPER, patience_s=STOP_WAIT_S + 10)
        _end_strays(home)
    elif service.state(home, KEEPER) == RUNNING:
        with _keeper(home) as keeper:
            for name in stopped:
                with contextlib.suppress(xmlrpc.client.Fault):  # ended by itself meanwhile
                    keeper.stopProcess(name, True)
    return stopped


def states(home: Path) -> dict[str, str]:
    """Each process: running, starting, stopping, stopped or died."""
    home = home.resolve()
    kept = service.state(home, KEEPER)
    if kept != RUNNING:
        return dict.fromkeys(COMMANDS, kept)
    return {name: STATES.get(str(info["statename"]), DIED) for name, info in _infos(home).items()}


def pids(home: Path) -> dict[str, int]:
    """The pid of each process that runs."""
    home = home.resolve()
    if service.state(home, KEEPER) != RUNNING:
        return {}
    return {name: int(info["pid"]) for name, info in _infos(home).items() if info["pid"]}


def configuration(home: Path) -> str:
    """supervisord's configuration for this home."""
    logs = home / "log"
    head: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": _socket(home), "chmod": "0700"},
        "supervisord": {
            "logfile": logs / "processes.log",
            "logfile_maxbytes": "10MB",
            "logfile_backups": 1,
            "pidfile": home / "run" / "supervisord.pid",
            "nodaemon": "true",
            "silent": "true",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        },
        "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
    }
    each: dict[str, dict[str, object]] = {
        f"program:{name}": {
            "command": shlex.join([sys.executable, "-m", "console.cli", "run", *arguments]),
            "directory": ROOT,
            "autostart": "false",
            "autorestart": "true",
            "startsecs": 1,
            "startretries": 100_000,  # a broker that is away for an hour comes back
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": STOP_WAIT_S,
            "redirect_stderr": "true",
            "stdout_logfile": logs / f"{name}.log",
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": 2,
        }
        for name, arguments in COMMANDS.items()
    }
    return "".join(
        f"[{section}]\n" + "".join(f"{key}={str(value).replace('%', '%%')}\n" for key, value in keys.items()) + "\n" for section, keys in (head | each).items()
    )


def _known(names: Sequence[str] | None) -> list[str]:
    wanted = list(COMMANDS if names is None else names)
    if unknown := [name for name in wanted if name not in COMMANDS]:
        raise ValueError(f"there is no process {', '.join(unknown)}; there are {', '.join(COMMANDS)}")
    return wanted


def _keep(home: Path) -> None:
    """Have a keeper running, with the configuration of this checkout."""
    file = home / "run" / "supervisord.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(configuration(home))
    if service.state(home, KEEPER) == RUNNING:
        return
    _end_strays(home)
    _socket(home).unlink(missing_ok=True)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(file)]
    service.start(home, Program(name=KEEPER, command=command, env={**os.environ, "JCREDIT_HOME": str(home), "PYTHONUNBUFFERED": "1"}))
    until = time.monotonic() + 15
    while not _answers(home):
        if service.state(home, KEEPER) != RUNNING or time.monotonic() > until:
            raise MissingError(f"the keeper of the processes does not start; the end of {home}/log/{KEEPER}.log says:\n{service.tail(home, KEEPER)}")
        time.sleep(0.1)


def _renew(keeper: Any) -> None:
    """Take over what changed in the configuration; what did not change runs on."""
    ((added, changed, removed),) = keeper.reloadConfig()
    for name in [*changed, *removed]:
        with contextlib.suppress(xmlrpc.client.Fault):
            keeper.stopProcessGroup(name)
        keeper.removeProcessGroup(name)
    for name in [*added, *changed]:
        keeper.addProcessGroup(name)


def _wait(held: Stack, names: Sequence[str], patience_s: float) -> None:
    until = time.monotonic() + patience_s
    waiting = list(names)
    while waiting:
        found = states(held.home)
        waiting = [name for name in waiting if found[name] != RUNNING or not _serves(name, held)]
        if waiting and time.monotonic() > until:
            name = waiting[0]
            raise MissingError(
                f"{name} is not ready after {patience_s:.0f} s ({found[name]}); the end of {held.home}/log/{name}.log says:\n{service.tail(held.home, name)}"
            )
        if waiting:
            time.sleep(0.2)


def _serves(name: str, held: Stack) -> bool:
    """The two that serve HTTP accept a connection; the others have written their pid when their work began."""
    address = {"console": held.console, "registry": held.registry}.get(name)
    if address is not None:
        return ports.answers(int(address.rpartition(":")[2]))
    mark = held.home / "run" / f"{name}.ready"
    return mark.exists() and mark.read_text() == str(pids(held.home).get(name))


def _infos(home: Path) -> dict[str, dict[str, Any]]:
    with _keeper(home) as keeper:
        held = {str(info["name"]): dict(info) for info in keeper.getAllProcessInfo()}
    return {name: held.get(name, {"statename": "STOPPED", "pid": 0}) for name in COMMANDS}


def _answers(home: Path) -> bool:
    try:
        with _keeper(home) as keeper:
            return bool(keeper.getState()["statename"] == "RUNNING")
    except OSError:
        return False


@contextlib.contextmanager
def _keeper(home: Path) -> Iterator[Any]:
    transport = SupervisorTransport(None, None, f"unix://{_socket(home)}")
    try:
        yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
    finally:
        transport.close()


def _socket(home: Path) -> Path:
    """Beside the home's other run files, or, where that path is too long for a socket, in a folder of ours for temporary files."""
    beside = home / "run" / "supervisor.sock"
    if len(str(beside)) <= SOCKET_PATH_LIMIT - 10:
        return beside
    folder = Path(tempfile.gettempdir()) / f"jcredit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise MissingError(f"{folder} is somebody else's, and {home} is too long a path for a socket: name a shorter home in $JCREDIT_HOME")
    return folder / f"{hashlib.sha256(str(home).encode()).hexdigest()[:12]}.sock"


def _end_strays(home: Path) -> None:
    """End what a killed keeper of this home left running: supervisord writes its own socket into the environment of all that it starts."""
    for send, wait_s in ((signal.SIGTERM, STOP_WAIT_S), (signal.SIGKILL, 5)):
        for pid in _strays(home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, send)
        _until(lambda: not _strays(home), wait_s)


def _strays(home: Path) -> list[int]:
    mark = f"SUPERVISOR_SERVER_URL=unix://{_socket(home)}".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return [pid for pid in found if pid != os.getpid()]


def _until(true: Callable[[], bool], patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while not true() and time.monotonic() < until:
        time.sleep(0.1)
