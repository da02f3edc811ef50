"""A claim: a project, a period, its activities with their meters, and every interval of those meters as known at one moment.

The claim is a value: what arrives after it was read never changes it. It holds what is judged (intervals, flags, conflicts) and what it is judged by
(windows, ratings, records of swaps). Which half hours earn is `disposition`'s business; how much, `reduction`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verification.methodology.en_r_002 import FactorChoice, Incidental, Treatment
from verification.period import Period, add_years

TERM_YEARS = 8  # of a crediting window; longer only with a recorded extension
FORMULA = ("generation", "export", "charge", "discharge", "auxiliary")
PCS_INFLUENCE = Decimal("0.0065")  # published plan: 3.1 kg of 479 kg, rounded up


class Register(StrEnum):
    GENERATION = "generation"
    EXPORT = "export"
    PCS = "pcs"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    AUXILIARY = "auxiliary"


class State(IntEnum):
    """Of an interval row, as the stream writes it."""

    OPENING = 0
    CREDITED = 1
    SPREAD = 2
    HELD = 3
    UNTRUE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    project: str
    name: str
    scheme: str
    methodology: str
    operator: str
    registration_applied_on: date
    certified: Period
    area: str | None = None

    @property
    def official(self) -> bool:
        return self.scheme != "DEMO"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the operator's plan chose. All-source throughout is the choice that needs no marginal factor; the report states it."""

    factor: FactorChoice = FactorChoice.ALL_SOURCE
    incidental: tuple[Incidental, ...] = ()

    def document(self) -> dict[str, Any]:
        """As it is stored and reported."""
        items = [
            {"item": i.item, "treatment": i.treatment, "influence": None if i.influence is None else str(i.influence), "basis": i.basis}
            for i in self.incidental
        ]
        return {"factor": self.factor, "incidental": items}


def plan_of(document: Mapping[str, Any]) -> Plan:
    """The plan in a stored document; ValueError for what no plan can say."""
    items = tuple(
        Incidental(item=i["item"], treatment=Treatment(i["treatment"]), influence=None if i["influence"] is None else Decimal(i["influence"]), basis=i["basis"])
        for i in document["incidental"]
    )
    return Plan(factor=FactorChoice(document["factor"]), incidental=items)


DEFAULT_INCIDENTAL = (
    Incidental(
        item="PCS",
        treatment=Treatment.DEDUCTED,
        influence=PCS_INFLUENCE,
        basis="published plan example, 3.1 kg of 479 kg, rounded up; deducted, not omitted",
    ),
    Incidental(item="battery", treatment=Treatment.MONITORED, influence=None, basis="charged - discharged of the metered battery is deducted as loss"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Meter:
    """`number` is the meter's id in the tables; `verified_until` is exclusive."""

    number: int
    meter: str
    register: Register
    gateway: str
    modulus_wh: int
    resolution_wh: int = 1
    serial: str | None = None
    specified: bool | None = None
    verified_until: date | None = None
    calibration: str | None = None
    two_way: bool = False

    @property
    def in_formula(self) -> bool:
        return self.register in FORMULA


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    site: str
    lat: float
    lon: float
    dc_kw: float
    ac_kw: float
    operation_start: date
    exports: bool
    region: str | None = None
    pcs_maker: str | None = None
    pcs_model: str | None = None
    pcs_serial: str | None = None
    supply_point: str | None = None
    battery: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """A member's site with its meters."""

    activity: str
    member: str
    site: Site
    applied_on: date
    consented_on: date
    joined_on: date | None = None
    left_on: date | None = None
    meters: tuple[Meter, ...] = ()

    @property
    def formula_meters(self) -> tuple[Meter, ...]:
        return tuple(m for m in self.meters if m.in_formula)

    def has(self, register: Register) -> bool:
        return any(m.register is register for m in self.meters)

    def window(self, project: Project) -> Period | None:
        """The member's crediting window: from the project's registration application or the day its monitoring is possible, for the term; None if empty.

        Monitoring is possible from the first operation, and from the day of joining where one is recorded. The project's certified period and a
        day of leaving cut it.
        """
        start = max(project.registration_applied_on, self.site.operation_start, self.joined_on or date.min)
        end = min(add_years(start, TERM_YEARS), self.left_on or date.max)
        return Period(start=start, end=end).meet(project.certified) if start < end else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Interval rows of one meter, by rising `end_s`; columns of equal length. Instants are Unix s, `start_s` -1 where there is none; energies Wh."""

    start_s: NDArray[np.int64]
    end_s: NDArray[np.int64]
    register_wh: NDArray[np.int64]
    energy_wh: NDArray[np.int64]
    state: NDArray[np.int8]

    def __post_init__(self) -> None:
        if len({len(c) for c in (self.start_s, self.end_s, self.register_wh, self.energy_wh, self.state)}) != 1:
            raise ValueError("columns of a series have one length")
        if np.any(np.diff(self.end_s) <= 0):
            raise ValueError("rows of a series rise in time")

    def __len__(self) -> int:
        return len(self.end_s)

    def true_edges(self) -> "Series":
        """Without the rows that were read but can not be true."""
        keep = self.state != State.UNTRUE
        return Series(
            start_s=self.start_s[keep],
            end_s=self.end_s[keep],
            register_wh=self.register_wh[keep],
            energy_wh=self.energy_wh[keep],
            state=self.state[keep],
        )


EMPTY = Series(
    start_s=np.zeros(0, np.int64),
    end_s=np.zeros(0, np.int64),
    register_wh=np.zeros(0, np.int64),
    energy_wh=np.zeros(0, np.int64),
    state=np.zeros(0, np.int8),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """A stored flag; the detectors made it, and they are not run again here."""

    meter: int
    start_s: int
    end_s: int
    code: str
    level: str
    observed: float
    bound: float
    energy_at_stake_wh: int
    rule_set: str

    @property
    def holds(self) -> bool:
        return self.level == "hold"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A recorded swap or reset of a register at `at_s`."""

    meter: int
    at_s: int
    kind: str
    closing_wh: int | None
    opening_wh: int | None
    serial: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """A second value for one (meter, instant); the first stayed."""

    meter: int
    at_s: int
    first_wh: int | None
    other_wh: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    claim: str
    project: Project
    period: Period
    plan: Plan
    activities: tuple[Activity, ...]
    series: Mapping[int, Series] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    events: tuple[Event, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    frozen_at: datetime | None = None
    created_by: str = ""
    _flags_by_meter: Mapping[int, tuple[Flag, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[int, list[Flag]] = {}
        for flag in self.flags:
            found.setdefault(flag.meter, []).append(flag)
        object.__setattr__(self, "_flags_by_meter", {meter: tuple(flags) for meter, flags in found.items()})

    def series_of(self, meter: Meter) -> Series:
        """The meter's rows; empty where it was silent."""
        return self.series.get(meter.number, EMPTY)

    def flags_of(self, meter: Meter) -> tuple[Flag, ...]:
        return self._flags_by_meter.get(meter.number, ())

    def meters(self) -> tuple[tuple[Activity, Meter], ...]:
        return tuple((activity, meter) for activity in self.activities for meter in activity.meters)
