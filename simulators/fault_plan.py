"""Which simulated home has which fault, when, and the label that says so. Six homes of the first seventeen; the others are clean.

A place in the year is a share of the days, so that a short fleet has the same faults; one of fewer than eight days has none. The measured plants have no
fault put in; a label says what of them is simulated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from simulators import fault
from simulators.fault import NOT_READ, Readings
from simulators.folder import SLOT, SLOTS_A_DAY, Resend
from simulators.household import HomeMeter, Household
from simulators.wire import Channel

FEWEST_DAYS = 8
SPIKE_WH, NIGHT_WH, EXPORT_WH, CREEP_WH, OTHER_WH = 30_000, 300, 4_000, 20, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is wrong with a meter from `start` to `end` (exclusive)."""

    site: str
    meter: str
    kind: str
    start: datetime
    end: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Bench:
    """A home on the bench: its readings so far, what was done to them, and the calendar."""

    home: Household
    start: datetime
    days: int
    registers: Mapping[str, Readings]
    labels: tuple[Label, ...] = ()
    resends: tuple[Resend, ...] = ()

    def edge(self, share: float, hour: float) -> int:
        """The edge at this hour of the day that lies at this share of the fleet's days."""
        return int(share * self.days) * SLOTS_A_DAY + int(hour * 2)

    def at(self, edge: int) -> datetime:
        return self.start + edge * SLOT

    def meter(self, register: str) -> HomeMeter:
        return next(m for m in self.home.meters if m.register == register)

    def changed(self, register: str, readings: Readings, *, kind: str, edges: range, detail: str) -> "Bench":
        """The bench after a fault: new readings of one meter, and the label over the half hours that end at these edges."""
        meter = self.meter(register).meter
        label = Label(site=self.home.site, meter=meter, kind=kind, start=self.at(edges.start - 1), end=self.at(edges.stop - 1), detail=detail)
        return replace(self, registers={**self.registers, meter: readings}, labels=(*self.labels, label))

    def read(self, register: str) -> tuple[Readings, int]:
        meter = self.meter(register)
        return self.registers[meter.meter], meter.modulus_wh


def injected(
    home: Household, registers: Mapping[str, Readings], *, start: datetime, days: int
) -> tuple[Mapping[str, Readings], tuple[Label, ...], tuple[Resend, ...]]:
    """The home's readings with the faults that are planned for it, their labels, and what is sent again with other values."""
    bench = Bench(home, start, days, registers)
    if home.measured is not None:
        return registers, (_measured_label(bench),), ()
    for step in PLAN.get(home.number, ()) if days >= FEWEST_DAYS else ():
        bench = step(bench)
    return bench.registers, bench.labels, bench.resends


def night_booked(bench: Bench) -> Bench:
    """Generation in the dark: 300 Wh a half hour from 01:00 to 03:00."""
    readings, modulus = bench.read("generation")
    first = bench.edge(0.25, 1.5)
    edges = range(first, first + 4)
    new = fault.booked_nightly(readings, edges=edges, energy_wh=NIGHT_WH, modulus_wh=modulus)
    return bench.changed("generation", new, kind="night-generation", edges=edges, detail=f"{NIGHT_WH} Wh booked in each half hour of the night")


def spike(bench: Bench) -> Bench:
    """30 kWh in one half hour at noon, far above the rating."""
    readings, modulus = bench.read("generation")
    edge = bench.edge(0.5, 12)
    new = fault.booked(readings, edge=edge, energy_wh=SPIKE_WH, modulus_wh=modulus)
    return bench.changed("generation", new, kind="above-rating", edges=range(edge, edge + 1), detail=f"{SPIKE_WH} Wh booked in one half hour")


def glitch(bench: Bench) -> Bench:
    """The register reads 0 once and is right again."""
    readings, _ = bench.read("generation")
    edge = bench.edge(0.3, 10)
    return bench.changed("generation", fault.glitched(readings, edge=edge), kind="register-glitch", edges=range(edge, edge + 2), detail="one reading is 0")


def creep(bench: Bench) -> Bench:
    """The register falls a little at night, although the meter is not two-way."""
    readings, modulus = bench.read("generation")
    first = bench.edge(0.6, 0.5)
    edges = range(first, first + 4)
    new = fault.crept_back(readings, edges=edges, energy_wh=CREEP_WH, modulus_wh=modulus)
    return bench.changed("generation", new, kind="negative", edges=edges, detail=f"the register falls by {CREEP_WH} Wh in each half hour")


def unrecorded_reset(bench: Bench) -> Bench:
    """The register counts anew from 0, and no event says so."""
    readings, modulus = bench.read("generation")
    edge = bench.edge(0.45, 9)
    new = fault.reset(readings, edge=edge, modulus_wh=modulus)
    return bench.changed("generation", new, kind="register-reset", edges=range(edge, edge + 1), detail="the register restarts at 0 without a record")


def gap_then_lump(bench: Bench) -> Bench:
    """Generation was not read for five hours of daylight; the next reading brings all of it."""
    readings, _ = bench.read("generation")
    first = bench.edge(0.4, 10)
    edges = range(first, first + 10)
    covered = range(edges.start, edges.stop + 1)
    return bench.changed("generation", fault.unread(readings, edges=edges), kind="gap", edges=covered, detail="edges of generation not read, then a lump")


def export_above(bench: Bench) -> Bench:
    """More exported than generated, for four hours."""
    readings, modulus = bench.read("export")
    first = bench.edge(0.55, 10)
    edges = range(first, first + 8)
    new = fault.booked_nightly(readings, edges=edges, energy_wh=EXPORT_WH, modulus_wh=modulus)
    return bench.changed("export", new, kind="export-above-generation", edges=edges, detail=f"{EXPORT_WH} Wh too much in each half hour")


def silent(bench: Bench) -> Bench:
    """The gateway says nothing for a week, and what it missed is lost."""
    first = bench.edge(0.35, 0)
    edges = range(first, first + min(7, bench.days // 4) * SLOTS_A_DAY)
    covered = range(edges.start, edges.stop + 1)
    for meter in bench.home.meters:
        new = fault.unread(bench.registers[meter.meter], edges=edges)
        bench = bench.changed(meter.register, new, kind="silent", edges=covered, detail="no message of the gateway")
    return bench


def told_twice(bench: Bench) -> Bench:
    """Two readings come again a day later, 500 Wh higher."""
    readings, modulus = bench.read("generation")
    meter, edge = bench.meter("generation"), bench.edge(0.7, 11)
    values = tuple(int((value + OTHER_WH) % modulus) for value in readings[edge : edge + 2] if value != NOT_READ)
    channel = Channel(meter=meter.meter, register=meter.register, start=bench.at(edge), step_s=1800, values=values)
    resend = Resend(gateway=bench.home.gateway, with_day=edge // SLOTS_A_DAY + 1, channel=channel)
    edges = range(edge, edge + 3)
    again = bench.changed("generation", readings, kind="other-value", edges=edges, detail=f"two readings sent again a day later, {OTHER_WH} Wh higher")
    return replace(again, resends=(*again.resends, resend))


def _measured_label(bench: Bench) -> Label:
    export = bench.meter("export").meter
    end = bench.start + timedelta(days=bench.days)
    return Label(site=bench.home.site, meter=export, kind="simulated-export", start=bench.start, end=end, detail="measured generation less a simulated load")


PLAN: Mapping[int, tuple[Callable[[Bench], Bench], ...]] = {
    3: (night_booked, spike),
    5: (glitch, creep),
    8: (unrecorded_reset,),
    11: (gap_then_lump,),
    14: (export_above,),
    17: (silent, told_twice),
}
