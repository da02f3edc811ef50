"""The half hours of a whole segment at once: the ordinary rows of thousands of registers in one numpy pass.

Ordinary is what needs no judgement: each edge later than the last one, not below it, and under the cap. Such a row is the same
that `interval.intervals` gives (a test compares them). Every other register is named in `odd`, and goes through that function with its neighbours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.interval import CAP_MARGIN, HALF_HOUR_S, LOOK_AHEAD_S, Register, Row, State

NEVER = -1
ALWAYS = 1 << 62
COLUMNS = ("meter", "end_at", "register_wh", "start_at", "energy_wh", "state", "opening")


@dataclass(slots=True)
class Tail:
    """The last edge of a register and up to when (Unix s) its rows need judgement; `at` NEVER: no edge yet."""

    at: int = NEVER
    register_wh: int = 0
    odd_until: int = NEVER


@dataclass(frozen=True, kw_only=True, slots=True)
class Ordinary:
    """Rows of `interval`, one an element; `opening` are those that nothing runs to."""

    meter: NDArray[np.int64]
    end_at: NDArray[np.int64]
    register_wh: NDArray[np.int64]
    start_at: NDArray[np.int64]
    energy_wh: NDArray[np.int64]
    state: NDArray[np.int8]
    opening: NDArray[np.bool_]
    odd: dict[int, list[tuple[int, int]]]  # meter → its new edges (at, register_wh), in order of arrival


def halfhours(meter: list[int], at: list[int], wh: list[int], tails: dict[int, Tail], registers: dict[int, Register]) -> Ordinary:
    """Rows for the new edges of a segment, given in order of arrival, and which meters must be judged apart."""
    m, a, w = np.array(meter, np.int64), np.array(at, np.int64), np.array(wh, np.int64)
    order = np.lexsort((a, m))
    m, a, w = m[order], a[order], w[order]
    first, starts, group = _groups(m)
    mine = [tails[k] for k in m[starts].tolist()]
    known = np.array([(t.at, t.register_wh, t.odd_until) for t in mine], np.int64).reshape(-1, 3)
    caps = np.array([_cap(registers[k]) for k in m[starts].tolist()], np.float64).reshape(-1, 2)
    before_a, before_w = np.roll(a, 1), np.roll(w, 1)
    before_a[starts], before_w[starts] = known[:, 0], known[:, 1]
    opening = first & (before_a == NEVER)
    span, rise = a - before_a, w - before_w
    odd = (span <= 0) | (rise < 0) | (rise > caps[group, 0] * span + caps[group, 1]) | (a <= known[group, 2])
    odd = np.logical_or.reduceat(odd & ~opening, starts)[group] if len(m) else odd
    good = ~odd
    return Ordinary(
        meter=m[good],
        end_at=a[good],
        register_wh=w[good],
        start_at=before_a[good],
        energy_wh=rise[good],
        state=_states(opening, span)[good],
        opening=opening[good],
        odd=_arrivals(meter, at, wh, set(m[odd].tolist())),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Rows that stand already, in order of (meter, end); `plain`: believed, without code and without conflict."""

    meter: NDArray[np.int64]
    end_at: NDArray[np.int64]
    register_wh: NDArray[np.int64]
    plain: NDArray[np.bool_]


def among(news: dict[int, list[tuple[int, int]]], stored: Stored, registers: dict[int, Register]) -> tuple[Ordinary, NDArray[np.bool_]]:
    """Rows for edges that arrive late, among the rows that stand around them, and which of those are fresh.

    `stored` holds, for each meter, the rows from the last one at or before its new edges to the first one at or after them. What needs
    judgement is left in `odd`. An edge that was read again with the same value is no new one.
    """
    flat = [(k, at, wh) for k, pairs in news.items() for at, wh in pairs]
    fresh = np.array(flat, np.int64).reshape(-1, 3)
    m = np.concatenate([stored.meter, fresh[:, 0]])
    a = np.concatenate([stored.end_at, fresh[:, 1]])
    w = np.concatenate([stored.register_wh, fresh[:, 2]])
    new = np.arange(len(m)) >= len(stored.meter)
    plain = np.concatenate([stored.plain, np.ones(len(fresh), np.bool_)])
    order = np.lexsort((new, a, m))
    m, a, w, new, plain = m[order], a[order], w[order], new[order], plain[order]
    again = np.zeros(len(m), np.bool_)
    again[1:] = (m[1:] == m[:-1]) & (a[1:] == a[:-1]) & (w[1:] == w[:-1]) & new[1:]
    m, a, w, new, plain = m[~again], a[~again], w[~again], new[~again], plain[~again]
    first, starts, group = _groups(m)
    caps = np.array([(*_cap(registers[k]), _needs_judgement(registers[k])) for k in m[starts].tolist()], np.float64).reshape(-1, 3)
    before_a, before_w, before_new = np.roll(a, 1), np.roll(w, 1), np.roll(new, 1)
    span, rise = a - before_a, w - before_w
    odd = ~plain | (caps[group, 2] > 0) | (~first & ((span <= 0) | (rise < 0) | (rise > caps[group, 0] * span + caps[group, 1])))
    odd |= (first & new)[starts][group] & (span > HALF_HOUR_S)  # a new opening: the one before was never looked at for a fall after a gap
    odd = np.logical_or.reduceat(odd, starts)[group] if len(m) else odd
    opening = first & new
    write = (new | (~first & before_new)) & ~odd
    rows = Ordinary(
        meter=m[write],
        end_at=a[write],
        register_wh=w[write],
        start_at=np.where(opening, NEVER, before_a)[write],
        energy_wh=np.where(opening, 0, rise)[write],
        state=_states(opening, span)[write],
        opening=opening[write],
        odd={k: news[k] for k in np.unique(m[odd]).tolist()},
    )
    return rows, new[write]


def _needs_judgement(register: Register) -> bool:
    return register.two_way or bool(register.events)


def only(rows: Ordinary, pick: NDArray[np.bool_]) -> Ordinary:
    """Those of the rows."""
    return Ordinary(**{name: getattr(rows, name)[pick] for name in COLUMNS}, odd={})


def joined(one: Ordinary, other: Ordinary) -> Ordinary:
    """The rows of both."""
    return Ordinary(**{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in COLUMNS}, odd={})


def _groups(m: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Of meters in order: whether an element is the first of its meter, where those are, and the number of each element's meter."""
    first = np.ones(len(m), np.bool_)
    first[1:] = m[1:] != m[:-1]
    return first, np.flatnonzero(first), np.cumsum(first) - 1


def _states(opening: NDArray[np.bool_], span: NDArray[np.int64]) -> NDArray[np.int8]:
    return np.where(opening, State.OPENING, np.where(span == HALF_HOUR_S, State.CREDITED, State.SPREAD)).astype(np.int8)


def _cap(register: Register) -> tuple[float, float]:
    return register.rated_w * CAP_MARGIN / 3600, register.resolution_wh


def _arrivals(meter: list[int], at: list[int], wh: list[int], odd: set[int]) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {k: [] for k in odd}
    for k, instant, value in zip(meter, at, wh, strict=True) if odd else ():
        if k in odd:
            found[k].append((instant, value))
    return found


def tails_after(ordinary: Ordinary, tails: dict[int, Tail]) -> None:
    """Move the tails to the last ordinary row of each meter."""
    m = ordinary.meter
    last = np.ones(len(m), np.bool_)
    last[:-1] = m[1:] != m[:-1]
    columns = (m, ordinary.end_at, ordinary.register_wh, ordinary.opening)
    for k, at, wh, opening in zip(*(column[last].tolist() for column in columns), strict=True):
        tail = tails[k]
        if at > tail.at:
            tail.at, tail.register_wh = at, wh
            tail.odd_until = tail.odd_until if opening else NEVER


def tail_of(rows: list[Row], register: Register) -> Tail:
    """The tail after judged rows: odd for ever while the last edge is not believed, is the first, or a record lies ahead; for a day after a leap.

    The first may be in conflict, which no row of its own says.
    """
    if not rows:
        return Tail(odd_until=ALWAYS if register.events else NEVER)
    last = rows[-1]
    ahead = any(event.at >= last.end for event in register.events)
    if ahead or last.state in (State.OPENING, State.UNTRUE) or (last.state is State.HELD and last.code != "above-cap"):
        return Tail(last.end, last.register_wh, ALWAYS)
    leaps = [row.end for row in rows if row.state is State.HELD and row.code == "above-cap"]
    return Tail(last.end, last.register_wh, leaps[-1] + LOOK_AHEAD_S if leaps else NEVER)
