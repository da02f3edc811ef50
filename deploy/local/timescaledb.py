"""PostgreSQL 17 with TimescaleDB from Debian trixie's packages: set up once, started durable, on 127.0.0.1 only.

Postgres refuses root: `user` is whom it runs as. Nothing that was committed may be lost by kill -9, so fsync, full page writes and synchronous commit
stay on. Debian's build is the Apache edition (no compression, no continuous aggregates): the schema works without them.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from deploy.local import MissingError, debian
from deploy.local.service import Program

NAME = "timescaledb"
PACKAGES = ("postgresql-17", "postgresql-17-timescaledb")
SUITE = "trixie"
CHILDREN_S = 5
BIN = Path("usr/lib/postgresql/17/bin")
ALSO = re.compile(r"postgresql-client-17")
STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT)  # fast, then immediate: either keeps all that was committed
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "timescaledb.max_background_workers": "4",
    "max_worker_processes": "12",
    "max_connections": "100",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "effective_cache_size": "4GB",
    "maintenance_work_mem": "256MB",
    "work_mem": "32MB",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "wal_compression": "lz4",
    "random_page_cost": "1.1",
    "jit": "off",  # its library is 26 MB that no query here needs
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def fetch(home: Path, place: Path, say: Callable[[str], None]) -> Path:
    """The folder with Postgres and TimescaleDB, ready to run."""
    if not Path("/usr/share/zoneinfo/UTC").exists():
        raise MissingError("/usr/share/zoneinfo is not on this machine, without which Postgres knows no time zone: `apt-get install tzdata`")
    return debian.unpack(home, place, NAME, packages=PACKAGES, suite=SUITE, also=ALSO, say=say)


def prepare(programs: Path, data: Path, user: tuple[int, int] | None) -> None:
    """Make the data folder if there is none yet; it appears only when it is whole. What a killed server left is cleared away."""
    if (data / "PG_VERSION").exists():
        _clear_away(data)
        return
    part = data.with_name(data.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    if user:
        os.chown(part, *user)
    command = [str(programs / BIN / "initdb"), "-D", str(part), "--username=jcredit", "--auth=trust", "--encoding=UTF8"]
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums"]
    uid, gid = user or (None, None)
    done = subprocess.run(command, capture_output=True, text=True, user=uid, group=gid, extra_groups=[] if user else None, cwd="/", env=_env(), umask=0o077)
    if done.returncode != 0:
        raise MissingError(f"initdb could not make the database in {part}: {done.stderr.strip()[-400:]}")
    part.rename(data)


def program(programs: Path, data: Path, port: int, user: tuple[int, int] | None) -> Program:
    """How Postgres is started."""
    settings = [part for key, value in {"port": str(port), **SETTINGS}.items() for part in ("-c", f"{key}={value}")]
    command = [str(programs / BIN / "postgres"), "-D", str(data), *settings]
    return Program(name=NAME, command=command, env=_env(), user=user)


def is_ready(dsn: str) -> bool:
    """True once the database `jcredit` is there and answers; it is made here when the server answers without it."""
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError as error:
        if 'database "jcredit" does not exist' in str(error):
            with psycopg.connect(dsn, dbname="postgres", autocommit=True, connect_timeout=2) as connection:
                connection.execute("CREATE DATABASE jcredit")
            return True
        return False
    return True


def _clear_away(data: Path) -> None:
    """After a killed server: wait for its children, end those too busy to notice (a new server would refuse to start beside them), drop its lock.

    The lock names a pid, which may be somebody else's by now: a server of this data has it as its working folder.
    """
    lock = data / "postmaster.pid"
    if not lock.exists() or int((lock.read_text().split() or ["0"])[0]) in _inside(data):
        return
    until = time.monotonic() + CHILDREN_S
    while (left := _inside(data)) and time.monotonic() < until + CHILDREN_S:
        for pid in left if time.monotonic() > until else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    lock.unlink(missing_ok=True)


def _inside(data: Path) -> list[int]:
    """The processes whose working folder is the data folder."""
    found = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if cwd.readlink() == data:
                found.append(int(cwd.parent.name))
    return found


def _env() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
