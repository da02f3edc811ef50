"""Where each issued credit is now: the ledger's issues and moves played again, in order.

A credit starts as held by the operator. It may be transferred, and from either of the two be invalidated or cancelled, which ends it.
A move of credits that are not there (never issued, another claim's, used up) moves what is there and is reported.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from verification import ledger
from verification.ledger import MOVES, Entry, Kind, Span

HELD = "held"
MOVABLE = frozenset({HELD, str(Kind.TRANSFERRED)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Serials of one claim that have gone the same way."""

    span: Span
    claim: str
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """All pieces, and the moves (entry, what was wrong) that could not be made whole."""

    pieces: tuple[Piece, ...]
    wrong: tuple[tuple[int, str], ...]

    def tonnes(self, state: str) -> int:
        """t in a state."""
        return sum(p.span.tonnes for p in self.pieces if p.state == state)

    def cancelled(self) -> Counter[tuple[str, int]]:
        """t cancelled by claim and fiscal year."""
        count: Counter[tuple[str, int]] = Counter()
        for p in self.pieces:
            if p.state == Kind.CANCELLED:
                count[p.claim, vintage(p.span)] += p.span.tonnes
        return count


def replay(entries: Iterable[Entry]) -> Holding:
    """Play issues and moves in the ledger's order."""
    pieces: list[Piece] = []
    wrong: list[tuple[int, str]] = []
    for e in entries:
        if e.kind is Kind.ISSUED:
            pieces += [Piece(span=span, claim=e.claim, state=HELD) for span in ledger.blocks(e.value)]
        elif e.kind in MOVES:
            for span in ledger.blocks(e.value):
                parts = [(piece, _common(piece, span, e)) for piece in pieces]
                there = sum(common.tonnes for _, common in parts if common)
                if there != span.tonnes:
                    wrong.append((e.entry, f"{e.kind} of {e.claim}: of {span} ({span.tonnes} t) {there} t are there to move"))
                pieces = [part for piece, common in parts for part in _split(piece, common, e.kind)]
    return Holding(pieces=tuple(pieces), wrong=tuple(wrong))


def vintage(span: Span) -> int:
    """The fiscal year that a series names in its last part; 0 if it names none."""
    year = span.series.rpartition("-")[2]
    return int(year) if year.isascii() and year.isdecimal() else 0


def _common(piece: Piece, span: Span, entry: Entry) -> Span | None:
    """What an entry's span may take of a piece."""
    first, last = max(piece.span.first, span.first), min(piece.span.last, span.last)
    if piece.span.series != span.series or piece.claim != entry.claim or piece.state not in MOVABLE or first > last:
        return None
    return Span(series=span.series, first=first, last=last)


def _split(piece: Piece, common: Span | None, state: str) -> Iterator[Piece]:
    """The piece whole, or in up to three: before, moved, after."""
    if common is None:
        yield piece
        return
    if piece.span.first < common.first:
        yield replace(piece, span=replace(piece.span, last=common.first - 1))
    yield replace(piece, span=common, state=str(state))
    if common.last < piece.span.last:
        yield replace(piece, span=replace(piece.span, first=common.last + 1))
