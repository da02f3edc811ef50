"""One long-running program: started in its own session, remembered by pid and start time, stopped only if it is still that process.

The record (`run/<name>.json`) outlives the command that wrote it. A pid that the kernel has given to somebody else has another start time, and a
record of another boot has another boot id, so neither is ever signalled. A record whose process is gone means: it died.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNNING, STOPPED, DIED = "running", "stopped", "died"
LOG_KEPT_BYTES = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How a program is started; `user` is a (uid, gid) to run as, or None for our own."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    user: tuple[int, int] | None = None


def start(home: Path, program: Program) -> None:
    """Start the program with its output appended to `log/<name>.log`, and remember it."""
    log = _log(home, program.name)
    uid, gid = program.user or (None, None)
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(program.command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(program.env),
            cwd="/",
            user=uid,
            group=gid,
            extra_groups=[] if uid is not None else None,
            start_new_session=True,
            umask=0o022,
        )
    record = {"pid": process.pid, "start": _start_ticks(process.pid), "boot": _boot()}
    _record(home, program.name).write_text(json.dumps(record))


def state(home: Path, name: str) -> str:
    """`running`, `stopped` (never started, or stopped by us) or `died` (started by us and gone)."""
    if not _record(home, name).exists():
        return STOPPED
    return DIED if pid(home, name) is None else RUNNING


def pid(home: Path, name: str) -> int | None:
    """The pid of the program if the process that we started still lives."""
    try:
        record = json.loads(_record(home, name).read_text())
    except (FileNotFoundError, ValueError):
        return None
    alive = record["boot"] == _boot() and record["start"] is not None and _start_ticks(record["pid"]) == record["start"]
    return int(record["pid"]) if alive else None


def stop(home: Path, name: str, *, signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGKILL), patience_s: float = 30) -> bool:
    """Stop it if it is still the process that we started; each signal is given `patience_s` to work. True if there was one to stop."""
    found = pid(home, name)
    for each in signals:
        if pid(home, name) is None:
            break
        os.kill(found or 0, each)
        _wait_gone(home, name, patience_s)
    if pid(home, name) is None:
        _record(home, name).unlink(missing_ok=True)
    return found is not None


def tail(home: Path, name: str, lines: int = 8) -> str:
    """The last lines of its log, for an error message."""
    path = home / "log" / f"{name}.log"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def _wait_gone(home: Path, name: str, patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while pid(home, name) is not None and time.monotonic() < until:
        time.sleep(0.05)


def _log(home: Path, name: str) -> Path:
    path = home / "log" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_KEPT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


def _record(home: Path, name: str) -> Path:
    path = home / "run" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_ticks(process: int) -> int | None:
    """When the process started, in ticks since boot; None if there is none, or only its corpse."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
