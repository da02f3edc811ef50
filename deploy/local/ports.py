"""Addresses on 127.0.0.1: chosen once, kept in `stack.toml`, chosen again only where somebody else has taken one while we were down."""

import json
import random
import socket
import time
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

HOST = "127.0.0.1"
NAMES = ("mqtt", "kafka", "controller", "timescaledb", "console", "registry")
LOWEST, HIGHEST = 20_000, 32_000  # below the range that the kernel hands out to clients, which would take ours while we are down


def read(file: Path) -> dict[str, int]:
    """The ports that were chosen; empty if none were yet."""
    if not file.exists():
        return {}
    held = tomllib.loads(file.read_text())
    return {name: int(port) for name, port in held.get("ports", {}).items() if name in NAMES}


def choose(kept: Mapping[str, int], *, ours: Collection[str], patience_s: float = 0) -> dict[str, int]:
    """A port a name: the kept one if it is ours already (a running service of ours holds it) or free within `patience_s`, else a new one.

    A service that was killed this moment may hold its port a little longer, while its last threads end.
    """
    until = time.monotonic() + patience_s
    while any(name not in ours and not is_free(port) for name, port in kept.items()) and time.monotonic() < until:
        time.sleep(0.05)
    chosen = {name: port for name, port in kept.items() if name in ours or is_free(port)}
    for name in NAMES:
        if name not in chosen:
            chosen[name] = _new(taken=chosen.values())
    return {name: chosen[name] for name in NAMES}


def write(file: Path, ports: Mapping[str, int]) -> None:
    """Write `stack.toml`: the addresses for people and programs, and the bare ports for the next start. Whole or not at all."""
    addresses = {
        "mqtt": f"{HOST}:{ports['mqtt']}",
        "kafka": f"{HOST}:{ports['kafka']}",
        "dsn": f"host={HOST} port={ports['timescaledb']} dbname=jcredit user=jcredit",
        "console": f"http://{HOST}:{ports['console']}",
        "registry": f"http://{HOST}:{ports['registry']}",
    }
    lines = ["# Written by `jcredit up`. Everything listens on this machine only.", *(f"{name} = {json.dumps(value)}" for name, value in addresses.items())]
    lines += ["", "[ports]", *(f"{name} = {ports[name]}" for name in NAMES)]
    part = file.with_suffix(".part")
    part.write_text("\n".join(lines) + "\n")
    part.replace(file)


def is_free(port: int) -> bool:
    """True if a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """True if somebody accepts a connection there."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _new(*, taken: Collection[int]) -> int:
    while True:
        port = random.SystemRandom().randint(LOWEST, HIGHEST)
        if port not in taken and is_free(port):
            return port
