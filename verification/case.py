"""All that the 69 items are judged on, gathered at one moment: the claim, what became of it, and the evidence around it.

A part that is None was not seen; an item that needs it answers *could not run*.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from verification.claim import Activity, Claim, Meter
from verification.disposition import Disposition, Fate, dispose
from verification.evidence.provenance import Provenance
from verification.methodology.factors import FactorTable
from verification.period import Period
from verification.reduction import Member, Reduction, reduce


@dataclass(frozen=True, kw_only=True, slots=True)
class Certified:
    """An activity's period that another claim has had certified in this system."""

    activity: str
    period: Period
    claim: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryAnswer:
    """The registry's answer to the enquiry: when it was given, for which activities, and what it found (activity to its words)."""

    answered_at: datetime
    registry: str
    asked: frozenset[str]
    hits: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalculation:
    """What the second implementation found: `differences` is empty where every number is equal."""

    members: int
    intervals: int
    differences: tuple[str, ...]
    on_trust: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """A gateway of the claim's sites: its keys' fingerprints and its firmware."""

    gateway: str
    site: str
    kids: tuple[str, ...]
    fingerprints: tuple[str, ...]
    firmware: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A claim with its disposition and reduction, and the evidence that the items ask for."""

    claim: Claim
    dispositions: tuple[Disposition, ...]
    reduction: Reduction
    factors: FactorTable
    enrolled_activities: frozenset[str]
    provenance: Provenance | None = None
    recalculation: Recalculation | None = None
    registry: RegistryAnswer | None = None
    certified: tuple[Certified, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    addresses: frozenset[str] = frozenset()  # members whose address is on record; the address itself stays in the register
    rule_sets: tuple[str, ...] = ()
    build: str = "not known"
    last_certified_end: date | None = None
    operators: tuple[str, ...] = field(default=())

    def disposition_of(self, activity: Activity) -> Disposition:
        return self.dispositions[self.claim.activities.index(activity)]

    def member_of(self, activity: Activity) -> Member:
        return self.reduction.members[self.claim.activities.index(activity)]

    def earning(self) -> tuple[tuple[Activity, Disposition], ...]:
        """Activities with at least one credited half hour."""
        return tuple((d.activity, d) for d in self.dispositions if d.count(Fate.CREDITED))

    def earning_meters(self) -> tuple[tuple[Activity, Disposition, Meter], ...]:
        return tuple((a, d, m) for a, d in self.earning() for m in a.formula_meters)

    def stake_t(self, energy_wh: int | None = None) -> Decimal | None:
        """So much energy in t by the claim's own mean, or the whole claim's t."""
        if energy_wh is None:
            return None if self.reduction.tonnes is None else Decimal(self.reduction.tonnes)
        per_wh = self.reduction.kg_per_wh()
        return None if per_wh is None else (abs(energy_wh) * per_wh / 1000).quantize(Decimal("0.000001"))


def make_case(claim: Claim, factors: FactorTable, *, enrolled_activities: frozenset[str], **evidence: object) -> Case:
    """The case of a claim: its disposition and reduction worked out, the evidence put beside them."""
    dispositions = dispose(claim)
    return Case(
        claim=claim,
        dispositions=dispositions,
        reduction=reduce(claim, dispositions, factors),
        factors=factors,
        enrolled_activities=enrolled_activities,
        **evidence,  # type: ignore[arg-type]
    )
