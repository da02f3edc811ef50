"""A programme of simulated homes under a shared sky, with two measured plants among them, written to a folder.

The fleet is a function of members, days and seed; its keys are not: they are made once and kept, so that a second demo speaks with the first one's keys.
Homes differ in region, size, age, meters and habits; every sixth has a battery, every eighth a PCS meter, six have labelled faults (`fault_plan`).
"""

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from simulators.enrolment import DEMO, write_project, write_table
from simulators.fault import Readings
from simulators.fault_plan import Label, injected
from simulators.folder import Fleet, FleetError, Key, MeterWire, Resend, built_from, load, read_keys, save, write_keys, write_whole
from simulators.home import Energies, flows, load_wh, register_wh
from simulators.household import Household, households
from simulators.registration import tables
from simulators.replay import measured, not_read_where_unknown
from simulators.sky import REGIONS, Column, Weather, power_w, weather
from simulators.wire import JST

START = datetime(2021, 4, 1, tzinfo=JST)
REVISION = 1  # of the generator: raise it when the same seed gives other registers
MAX_DAYS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """One home's meters, read."""

    registers: Mapping[str, Readings]
    labels: tuple[Label, ...]
    resends: tuple[Resend, ...]


def build(out: Path, *, members: int = 24, days: int = 365, seed: int = 1, prefix: str = "", say: Callable[[str], object] = lambda _: None) -> Fleet:
    """The fleet in `out`: built there, or taken as it is when it was built from the same numbers. Another fleet there is left alone (FleetError).

    Two fleets that differ in `prefix` alone have other names and keys, and the same registers.
    """
    if members < 1 or not 1 <= days <= MAX_DAYS:
        raise FleetError(f"a fleet has at least 1 member and 1 to {MAX_DAYS} days, not {members} and {days}")
    wanted: dict[str, object] = {"revision": REVISION, "members": members, "days": days, "seed": seed} | ({"prefix": prefix} if prefix else {})
    there = built_from(out)
    if there == wanted:
        say(f"the fleet of {members} members and {days} days is in {out} already")
        return load(out)
    if there is not None:
        raise FleetError(f"{out} holds another fleet ({there}): its meters may have spoken already, so choose another folder")
    return _build(out, members=members, days=days, seed=seed, prefix=prefix, wanted=wanted, say=say)


def _build(out: Path, *, members: int, days: int, seed: int, prefix: str, wanted: dict[str, object], say: Callable[[str], object]) -> Fleet:
    homes = households(members, seed, prefix)
    say(f"simulating {len(homes)} homes for {days} days under the sky of {len(REGIONS)} regions")
    skies = {r.name: weather(r, start=START, days=days, rng=np.random.default_rng([seed, 1, n])) for n, r in enumerate(REGIONS)}
    made = [_meters(home, skies[home.region.name], days=days, seed=seed) for home in homes]
    out.mkdir(parents=True, exist_ok=True)
    keys = _kept_keys(out / "keys.json", homes)
    _write_tables(out / "enrolment", homes, keys)
    _write_registers(out / "registers.npz", made)
    _write_labels(out / "labels.csv", [label for one in made for label in one.labels])
    fleet = Fleet(
        folder=out,
        start=START,
        days=days,
        gateways={h.gateway: tuple(MeterWire(meter=m.meter, register=m.register, modulus_wh=m.modulus_wh) for m in h.meters) for h in homes},
        resends=tuple(resend for one in made for resend in one.resends),
        live_gateway=homes[0].gateway,
    )
    save(fleet, built_from=wanted)
    say(f"{len(homes)} homes, {sum(len(h.meters) for h in homes)} meters, {sum(len(one.labels) for one in made)} labels in {out}")
    return fleet


def _meters(home: Household, sky: Weather, *, days: int, seed: int) -> _Made:
    """A home's registers as they are read, faults and all."""
    registers, labels, resends = injected(home, _clean(home, sky, days=days, seed=seed), start=START, days=days)
    return _Made(registers=registers, labels=labels, resends=resends)


def _clean(home: Household, sky: Weather, *, days: int, seed: int) -> dict[str, Readings]:
    rng = np.random.default_rng([seed, 3, home.number])
    used = load_wh(start=START, days=days, yearly_kwh=home.yearly_kwh, rng=rng)
    if home.measured is None:
        energies = energies_by_register(home, generated_wh(power_w(home.plant, sky, rng=rng)), used)
        return _read_out(home, energies)
    real = measured(home.measured, start=START, days=days)
    registers = _read_out(home, energies_by_register(home, real.energy_wh, used))
    return {meter: not_read_where_unknown(readings, real) for meter, readings in registers.items()}


def generated_wh(mean_w: Column) -> Energies:
    """Half-hour energies of a mean power, whole Wh."""
    return np.rint(mean_w / 2).astype(np.int64)


def energies_by_register(home: Household, generated: Energies, used: Energies) -> dict[str, Energies]:
    """What runs through each register of a home; the PCS's own meter shows half a percent more than the meter behind it."""
    through = dict(flows(generated, used, home.battery))
    return through | {"pcs": np.rint(generated * 1.005).astype(np.int64)}


def _read_out(home: Household, energies: Mapping[str, Energies]) -> dict[str, Readings]:
    return {m.meter: register_wh(energies[m.register], opening_wh=m.opening_wh, modulus_wh=m.modulus_wh, resolution_wh=m.resolution_wh) for m in home.meters}


def _kept_keys(path: Path, homes: Sequence[Household]) -> dict[str, Key]:
    """Keys that were made before stay; the missing ones are made."""
    keys = read_keys(path)
    new = {h.gateway: Key(kid=f"{h.gateway}-k1", seed=os.urandom(32)) for h in homes if h.gateway not in keys}
    if new:
        write_keys(path, keys | new)
    return keys | new


def _write_tables(folder: Path, homes: Sequence[Household], keys: Mapping[str, Key]) -> None:
    folder.mkdir(exist_ok=True)
    write_project(folder / "project.toml", DEMO)
    for name, rows in tables(homes, keys).items():
        write_table(folder / name, rows)


def _write_registers(path: Path, made: Sequence[_Made]) -> None:
    columns = {meter: readings for one in made for meter, readings in one.registers.items()}
    file = io.BytesIO()
    np.savez_compressed(file, **columns)  # type: ignore[arg-type]
    write_whole(path, file.getvalue())


def _write_labels(path: Path, labels: Sequence[Label]) -> None:
    file = io.StringIO()
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["site", "meter", "kind", "start", "end", "detail"])
    out.writerows([label.site, label.meter, label.kind, label.start.isoformat(), label.end.isoformat(), label.detail] for label in labels)
    write_whole(path, file.getvalue().encode())
