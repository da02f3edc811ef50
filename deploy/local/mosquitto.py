"""Mosquitto from the host's own Debian release: one listener on 127.0.0.1, what it holds kept on disk.

Its PUBACK is no promise of ours (a crash loses what came since the last save): gateways keep a message until the worker's `ack` covers it.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from deploy.local import debian, ports, sources
from deploy.local.service import Program

NAME = "mosquitto"
SETTINGS = Path(__file__).parent.parent / "mosquitto" / "mosquitto.conf"


def fetch(home: Path, place: Path, say: Callable[[str], None]) -> Path:
    """The folder with Mosquitto, ready to run."""
    return debian.unpack(home, place, NAME, packages=(NAME,), suite=sources.release(), also=re.compile("-"), say=say)


def prepare(data: Path, port: int, user: tuple[int, int] | None) -> None:
    """Write the configuration: the settings that the container has too, and this machine's address and folder."""
    data.mkdir(parents=True, exist_ok=True)
    if user:
        os.chown(data, *user)
    here = [f"listener {port} {ports.HOST}", f"persistence_location {data}/"]
    (data / "mosquitto.conf").write_text("\n".join([SETTINGS.read_text(), *here]) + "\n")


def program(programs: Path, data: Path, user: tuple[int, int] | None) -> Program:
    """How Mosquitto is started; SIGTERM lets it save what it holds."""
    command = [str(programs / "usr/sbin/mosquitto"), "-c", str(data / "mosquitto.conf")]
    return Program(name=NAME, command=command, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, user=user)
