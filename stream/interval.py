"""Half-hour intervals from a cumulative register, as one pure function of the set of readings.

An interval runs between two half-hour edges that were both read *and can be true*. Three rules say what can be true:

* **The mark.** A reading below the last believed one (the mark) is not believed, and the row runs on to the next reading at or above
  it. One rule covers a wake-up zero, a glitch, a reset that recovers, and a roll-back that is counted again (only what lies above the
  mark counts). As long as nothing reaches the mark again, every row is held; a recorded reset or swap sets a new mark.
* **The cap.** A rise of more than the rating allows over its span is held. If the register falls back within a day to where it could
  have been, the high reading was the glitch and is not believed; of generation also after a gap, where the cap is too wide to tell.
  After more than a day, one reading alone is not believed against a day below the mark: the row is held.
* **Safe has a sign.** Generation that comes back to its mark by counting has lost energy, which is safe. Export and battery registers
  that do so are held: less of them would issue more.

Rollover is accepted at the registered modulus only, never guessed. Nothing is ever cut, shared out or filled in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

HALF_HOUR_S = 1800
LOOK_AHEAD_S = 86_400
CAP_MARGIN = 1.25  # registered ratings are rough: up to 20 % off (bench/anomaly/README.md)
RULE_SET = "registers-1"


class State(IntEnum):
    OPENING = 0  # nothing to run from
    CREDITED = 1
    SPREAD = 2  # over edges that were not read, or were not true
    HELD = 3
    UNTRUE = 4  # read, but can not be true: no interval ends here


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A recorded swap or reset at `at` (Unix s): readings up to it are of the old register, later ones of the new."""

    at: int
    kind: str
    closing_wh: int | None = None
    opening_wh: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """What is enrolled of a register. `safe_low`: counting less of it never issues more (generation)."""

    rated_w: float
    modulus_wh: int
    resolution_wh: int = 1
    two_way: bool = False
    safe_low: bool = True
    events: tuple[Event, ...] = ()

    def cap_wh(self, span_s: int) -> float:
        """The most that can be counted in `span_s` seconds."""
        return self.rated_w * CAP_MARGIN * span_s / 3600 + self.resolution_wh


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The interval that ends at the edge `end` (Unix s); `start` is None where none does (opening, untrue)."""

    end: int
    register_wh: int
    start: int | None
    energy_wh: int | None
    state: State
    code: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """Rows written by one transaction, as columns of equal length; instants are Unix s, -1 is none. `conflicts`: (meter, at, first, other)."""

    meter: NDArray[np.int32]
    end_at: NDArray[np.int64]
    start_at: NDArray[np.int64]
    register_wh: NDArray[np.int64]
    energy_wh: NDArray[np.int64]
    state: NDArray[np.int8]
    code: NDArray[np.object_]
    fresh: NDArray[np.bool_]  # never written before
    conflicts: tuple[tuple[int, int, int, int], ...] = field(default=())


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """A register read at a half-hour edge. `other_device`: it names another serial than the reading before."""

    at: int
    register_wh: int
    conflicted: bool = False
    other_device: bool = False


def intervals(edges: Sequence[Edge], register: Register) -> list[Row]:
    """The rows of edges in strictly rising order of time, one an edge.

    The first is the meter's first reading ever, or else a believed one that later rows may run from; its own row says opening.
    """
    return _Walk(edges, register).rows()


class _Walk:
    """One pass over the edges; `mark` is the place of the last believed one."""

    def __init__(self, edges: Sequence[Edge], register: Register) -> None:
        self.edges, self.register = edges, register
        self.out: list[Row | None] = [None] * len(edges)

    def rows(self) -> list[Row]:
        if not self.edges:
            return []
        mark, place = 0, 1
        first = self.edges[0]
        self.out[0] = Row(end=first.at, register_wh=first.register_wh, start=None, energy_wh=None, state=State.OPENING)
        while place < len(self.edges):
            mark = self.step(mark, place)
            place = mark + 1 if mark >= place else len(self.edges)
        return [row for row in self.out if row is not None]

    def step(self, mark: int, place: int) -> int:
        """Judge the edge at `place`, perhaps with those after it; the place of the new mark, or the old one when no later edge is believed."""
        a, b = self.edges[mark], self.edges[place]
        event = self.event_between(a.at, b.at)
        if event is not None:
            return self.seam(mark, place, event)
        if b.other_device:
            return self.put(mark, place, State.HELD, max(0, b.register_wh), "swap-unrecorded")
        rise = b.register_wh - a.register_wh
        if self.register.two_way and abs(rise) <= self.register.cap_wh(b.at - a.at):
            return self.put(mark, place, None, rise)
        return self.fell(mark, place) if rise < 0 else self.rose(mark, place)

    def rose(self, mark: int, place: int, code: str = "") -> int:
        """A glitch if the register falls back from a height within a day, else counted, or held above the cap."""
        a, b = self.edges[mark], self.edges[place]
        rise, span_s = b.register_wh - a.register_wh, b.at - a.at
        high = rise > self.register.cap_wh(span_s)
        back = self.fall_back(mark, place) if high or (self.register.safe_low and span_s > HALF_HOUR_S) else None
        if back is not None:
            for untrue in range(place, back):
                self.untrue(untrue, "glitch-high")
            return self.put(mark, back, None, self.edges[back].register_wh - a.register_wh, code)
        if high:
            return self.put(mark, place, State.HELD, rise, "above-cap")
        if self.register.safe_low and span_s > LOOK_AHEAD_S and self.lone(mark, place):
            return self.put(mark, place, State.HELD, rise, "register-fell")
        return self.put(mark, place, None, rise, code)

    def lone(self, mark: int, place: int) -> bool:
        """Whether all that was read in the day after lies below the mark: then one reading alone speaks for the whole rise."""
        a, b = self.edges[mark], self.edges[place]
        for later in range(place + 1, len(self.edges)):
            edge = self.edges[later]
            if edge.at > b.at + LOOK_AHEAD_S or self.event_between(b.at, edge.at) or edge.other_device:
                return later > place + 1
            if edge.register_wh >= a.register_wh or self.rolled(b, edge):
                return False
        return place + 1 < len(self.edges)

    def fall_back(self, mark: int, place: int) -> int | None:
        """The next edge within a day that is lower and could follow the mark; of export and battery only the first that is lower."""
        a, high = self.edges[mark], self.edges[place]
        for later in range(place + 1, len(self.edges)):
            edge = self.edges[later]
            if edge.at > high.at + LOOK_AHEAD_S or self.event_between(high.at, edge.at) or edge.other_device:
                return None
            if edge.register_wh < high.register_wh:
                if 0 <= edge.register_wh - a.register_wh <= self.register.cap_wh(edge.at - a.at):
                    return later
                if not self.register.safe_low:
                    return None
        return None

    def fell(self, mark: int, place: int) -> int:
        """Below the mark: a rollover at the modulus, or not believed until the mark is reached again."""
        a, b = self.edges[mark], self.edges[place]
        back = self.reaches_mark(mark, place)
        regained = back is not None and self.edges[back].at <= b.at + LOOK_AHEAD_S and self.jumped(back)  # it had never turned
        if self.rolled(a, b) and not self.doubted(mark) and not regained:
            return self.put(mark, place, None, b.register_wh + self.register.modulus_wh - a.register_wh, "rollover")
        return self.fallen(mark, place) if back is None else self.recovered(mark, place, back)

    def rolled(self, a: Edge, b: Edge) -> bool:
        """Whether the register may have turned over at its modulus, which no day can count through."""
        modulus_wh = self.register.modulus_wh
        turned = b.register_wh + modulus_wh - a.register_wh
        inside = b.register_wh < a.register_wh < modulus_wh and modulus_wh > self.register.cap_wh(LOOK_AHEAD_S)
        return inside and turned <= self.register.cap_wh(b.at - a.at)

    def reaches_mark(self, mark: int, place: int) -> int | None:
        """The next edge at or above the mark, before any record or other device."""
        a = self.edges[mark]
        for later in range(place + 1, len(self.edges)):
            edge = self.edges[later]
            if edge.other_device or self.event_between(a.at, edge.at):
                return None
            if edge.register_wh >= a.register_wh:
                return later
        return None

    def doubted(self, mark: int) -> bool:
        """The register leapt to this mark, was held, and fell from it at once: nothing confirms the height, and nothing is counted from it."""
        row = self.out[mark]
        return row is not None and row.code in ("above-cap", "register-fell")

    def jumped(self, place: int) -> bool:
        """The register came here by a jump, not by counting: it had never lost its count."""
        before, here = self.edges[place - 1], self.edges[place]
        return here.register_wh - before.register_wh > self.register.cap_wh(here.at - before.at)

    def recovered(self, mark: int, place: int, back: int) -> int:
        a, b = self.edges[mark], self.edges[back]
        for untrue in range(place, back):
            self.untrue(untrue, "below-mark")
        rise = b.register_wh - a.register_wh
        counted = not self.register.safe_low and not self.jumped(back)
        if self.doubted(mark) or (counted and rise <= self.register.cap_wh(b.at - a.at)):
            return self.put(mark, back, State.HELD, rise, "register-fell")
        return self.rose(mark, back, "recovered")

    def fallen(self, mark: int, place: int) -> int:
        """No edge reaches the mark before the end or the next record: every row held, then the record decides."""
        upto = place
        while upto < len(self.edges) and not self.edges[upto].other_device and not self.event_between(self.edges[mark].at, self.edges[upto].at):
            rise = self.edges[upto].register_wh - self.edges[upto - 1].register_wh
            self.put(upto - 1, upto, State.HELD, max(0, rise), "register-fell")
            upto += 1
        return mark if upto == len(self.edges) else self.after_fallen(mark, upto)

    def after_fallen(self, mark: int, place: int) -> int:
        event = self.event_between(self.edges[mark].at, self.edges[place].at)
        opening = event.opening_wh if event and event.opening_wh is not None else None
        rise = self.edges[place].register_wh - opening if opening is not None else 0
        return self.put(place - 1, place, State.HELD, max(0, rise), event.kind if event else "swap-unrecorded")

    def seam(self, mark: int, place: int, event: Event) -> int:
        """Across a recorded swap or reset: what the old register still counted, and what the new one has."""
        a, b = self.edges[mark], self.edges[place]
        opening = event.opening_wh if event.opening_wh is not None else (0 if event.kind == "reset" else None)
        if event.closing_wh is None or opening is None or self.records_between(a.at, b.at) > 1:
            return self.put(mark, place, State.HELD, max(0, b.register_wh - (opening or 0)), f"{event.kind}-incomplete")
        old, new = event.closing_wh - a.register_wh, b.register_wh - opening
        if min(old, new) < 0 or old + new > self.register.cap_wh(b.at - a.at):
            return self.put(mark, place, State.HELD, max(0, old + new), f"{event.kind}-implausible")
        return self.put(mark, place, None, old + new, event.kind)

    def event_between(self, after: int, upto: int) -> Event | None:
        """The last record at or after `after` and before `upto`."""
        return next((e for e in reversed(self.register.events) if after <= e.at < upto), None)

    def records_between(self, after: int, upto: int) -> int:
        return sum(after <= e.at < upto for e in self.register.events)

    def untrue(self, place: int, code: str) -> None:
        edge = self.edges[place]
        self.out[place] = Row(end=edge.at, register_wh=edge.register_wh, start=None, energy_wh=None, state=State.UNTRUE, code=code)

    def put(self, start: int, end: int, state: State | None, energy_wh: int, code: str = "") -> int:
        """Write the row between two edges (`state` None: as its span and edges say); the place of its end."""
        a, b = self.edges[start], self.edges[end]
        if a.conflicted or b.conflicted:
            state, code = State.HELD, "conflict"
        if state is None:
            state = State.CREDITED if b.at - a.at == HALF_HOUR_S else State.SPREAD
        self.out[end] = Row(end=b.at, register_wh=b.register_wh, start=a.at, energy_wh=energy_wh, state=state, code=code)
        return end
