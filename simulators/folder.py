"""A fleet on disk: what `fleet.build` writes, and the gateways and the tests read.

`fleet.json` is written last: a folder without it is no fleet. `registers.npz` holds a column a meter: int64 Wh at every half-hour edge from `start`, 48
a day and the final one, `NOT_READ` where there is no reading. `keys.json` (0600) holds the gateways' Ed25519 seeds. `labels.csv` says what is wrong on
purpose, and where.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from simulators.fault import NOT_READ, Readings
from simulators.wire import JST, Channel

SLOT = timedelta(minutes=30)
SLOTS_A_DAY = 48
TABLES = ("project.toml", "members.csv", "sites.csv", "gateways.csv", "meters.csv")


class FleetError(Exception):
    """A folder that holds no fleet, or another one than asked for; says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterWire:
    """A meter as its gateway knows it."""

    meter: str
    register: str
    modulus_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """Readings that a gateway sends once more, with the day of this number, and with other values."""

    gateway: str
    with_day: int
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A built fleet. `start` is midnight JST; `live_gateway` is the one that can also speak of now."""

    folder: Path
    start: datetime
    days: int
    gateways: Mapping[str, tuple[MeterWire, ...]]
    resends: tuple[Resend, ...]
    live_gateway: str

    @property
    def tables(self) -> tuple[Path, ...]:
        """The enrolment files, for `jcredit enrol`."""
        return tuple(self.folder / "enrolment" / name for name in TABLES)

    @property
    def labels(self) -> Path:
        """What is wrong on purpose: site, meter, kind, start, end, detail."""
        return self.folder / "labels.csv"

    def registers(self) -> dict[str, Readings]:
        """Every meter's readings at the half-hour edges."""
        with np.load(self.folder / "registers.npz") as columns:
            return {name: columns[name] for name in columns.files}

    def keys(self) -> dict[str, "Key"]:
        """Every gateway's signing key."""
        return read_keys(self.folder / "keys.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A gateway's key: its name and its secret seed."""

    kid: str
    seed: bytes


def load(folder: Path) -> Fleet:
    """The fleet in a folder, or FleetError."""
    told = folder / "fleet.json"
    try:
        value = json.loads(told.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FleetError(f"{folder} holds no fleet: build one with `python -m simulators fleet --out {folder}`") from None
    except ValueError as error:
        raise FleetError(f"{told} can not be read ({error}): delete the folder and build the fleet again") from error
    return Fleet(
        folder=folder,
        start=datetime.fromisoformat(value["start"]),
        days=value["days"],
        gateways={gateway: tuple(MeterWire(**meter) for meter in meters) for gateway, meters in value["gateways"].items()},
        resends=tuple(_resend(item) for item in value["resends"]),
        live_gateway=value["live_gateway"],
    )


def save(fleet: Fleet, *, built_from: Mapping[str, object]) -> None:
    """Write `fleet.json`; with it the folder is a fleet."""
    value = {
        "built_from": dict(built_from),
        "start": fleet.start.isoformat(),
        "days": fleet.days,
        "live_gateway": fleet.live_gateway,
        "gateways": {g: [{"meter": m.meter, "register": m.register, "modulus_wh": m.modulus_wh} for m in ms] for g, ms in fleet.gateways.items()},
        "resends": [_told(resend) for resend in fleet.resends],
    }
    write_whole(fleet.folder / "fleet.json", json.dumps(value, indent=1).encode())


def built_from(folder: Path) -> dict[str, object] | None:
    """What the fleet in a folder was built from; None if there is none."""
    path = folder / "fleet.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["built_from"]) if path.exists() else None


def _told(resend: Resend) -> dict[str, object]:
    c = resend.channel
    channel = {"meter": c.meter, "register": c.register, "start": c.start.isoformat(), "step_s": c.step_s, "values": list(c.values)}
    return {"gateway": resend.gateway, "with_day": resend.with_day, "channel": channel}


def _resend(item: dict[str, object]) -> Resend:
    channel = dict(item["channel"])  # type: ignore[call-overload]
    channel |= {"start": datetime.fromisoformat(channel["start"]), "values": tuple(channel["values"])}
    return Resend(gateway=str(item["gateway"]), with_day=int(str(item["with_day"])), channel=Channel(**channel))


def day_channels(fleet: Fleet, registers: Mapping[str, Readings], gateway: str, day: int) -> tuple[Channel, ...]:
    """What a gateway says of one day: 48 readings of each meter, 00:00 to 23:30 JST, on the last day the midnight after it too. Nothing read: no channel."""
    edges = slice(day * SLOTS_A_DAY, (day + 1) * SLOTS_A_DAY + (day == fleet.days - 1))
    start = (fleet.start + day * timedelta(days=1)).astimezone(JST)
    told = [_channel(meter, start, registers[meter.meter][edges]) for meter in fleet.gateways[gateway]]
    again = [resend.channel for resend in fleet.resends if (resend.gateway, resend.with_day) == (gateway, day)]
    return tuple(channel for channel in [*told, *again] if any(value is not None for value in channel.values))


def _channel(meter: MeterWire, start: datetime, readings: Readings) -> Channel:
    values = tuple(None if value == NOT_READ else value for value in readings.tolist())
    return Channel(meter=meter.meter, register=meter.register, start=start, step_s=int(SLOT.total_seconds()), values=values)


def read_keys(path: Path) -> dict[str, Key]:
    """Keys by gateway; none if the file is not there."""
    if not path.exists():
        return {}
    told = json.loads(path.read_text(encoding="utf-8"))
    return {gateway: Key(kid=key["kid"], seed=base64.b64decode(key["seed"])) for gateway, key in told.items()}


def write_keys(path: Path, keys: Mapping[str, Key]) -> None:
    """All keys, readable by their owner alone."""
    told = {gateway: {"kid": key.kid, "seed": base64.b64encode(key.seed).decode()} for gateway, key in keys.items()}
    write_whole(path, json.dumps(told, indent=1).encode(), mode=0o600)


def write_whole(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """A file that is there whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
