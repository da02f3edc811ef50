"""What is remembered of meters and their sites, within a bound: columns that detectors take, and who is compared with whom.

A site is learnt whole, so that a meter enrolled later (unknown yet) brings its site anew. Past the bound everything is forgotten and learnt again.
"""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np

from anomaly.row import DISCHARGE, EXPORT, GENERATION, REGISTERS, Ints, Meters

LIMIT = 300_000
COMPARED = (GENERATION, EXPORT, DISCHARGE)


class Enrolment(NamedTuple):
    """A meter with its site's facts, in the order that the database gives them."""

    meter: int
    site: int
    register: str
    resolution_wh: int
    two_way: bool
    lat: float
    lon: float
    dc_kw: float
    ac_kw: float
    gateway: int


class Enrolled:
    """Meters by their place in the columns, learnt a site at a time."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._clear()

    def _clear(self) -> None:
        self._place: dict[int, int] = {}
        self._partners: dict[int, tuple[int, ...]] = {}
        self._split_site: dict[int, int] = {}  # of meters whose site has several gateways
        self._columns = _empty(64)

    def unknown(self, meters: Collection[int]) -> set[int]:
        """Those of the meters that must be learnt; when they would pass the bound, all of them."""
        new = {meter for meter in meters if meter not in self._place}
        if new and len(self._place) + len(new) > self._limit:
            self._clear()
            return set(meters)
        return new

    def learn(self, enrolments: Iterable[Enrolment]) -> None:
        sites: dict[int, list[Enrolment]] = {}
        for enrolment in enrolments:
            self._put(enrolment)
            sites.setdefault(enrolment.site, []).append(enrolment)
        for members in sites.values():
            self._relate(members)

    def places(self, meters: Iterable[int]) -> Ints:
        """Where each meter stands in the table; LookupError where one was never enrolled."""
        try:
            return np.array([self._place[meter] for meter in meters], np.int64)
        except KeyError as error:
            raise LookupError(f"meter {error} has intervals but is not enrolled") from error

    def table(self) -> Meters:
        """All meters known, as columns: views, nothing is copied."""
        known = len(self._place)
        return Meters(**{name: column[:known] for name, column in self._columns.items()})

    def partners(self, meter: int) -> tuple[int, ...]:
        """The other registers of the site that this one is compared with over the same span."""
        return self._partners.get(meter, ())

    def split_site(self, meter: int) -> int | None:
        """The meter's site, if its registers arrive through several gateways."""
        return self._split_site.get(meter)

    def _put(self, e: Enrolment) -> None:
        place = self._place.setdefault(e.meter, len(self._place))
        if place >= len(self._columns["site"]):
            self._columns = {name: np.concatenate([column, column]) for name, column in self._columns.items()}
        for name, column in self._columns.items():
            column[place] = REGISTERS.index(e.register) if name == "register" else getattr(e, name)

    def _relate(self, members: list[Enrolment]) -> None:
        compared = [e.meter for e in members if REGISTERS.index(e.register) in COMPARED]
        registers = {REGISTERS.index(e.register) for e in members}
        useful = GENERATION in registers and not registers.isdisjoint((EXPORT, DISCHARGE))
        split = len({e.gateway for e in members}) > 1
        for meter in compared if useful else ():
            self._partners[meter] = tuple(other for other in compared if other != meter)
            if split:
                self._split_site[meter] = members[0].site


def _empty(size: int) -> dict[str, Any]:
    kinds = {"site": np.int64, "register": np.int64, "resolution_wh": np.int64, "two_way": np.bool_}
    return {name: np.zeros(size, kinds.get(name, np.float64)) for name in Meters.__slots__}
