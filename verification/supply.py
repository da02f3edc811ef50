"""The rules that the supply of credits obeys, as code that can be run at any time over a copy of the ledger.

issued = held + transferred + invalidated + cancelled; never more issued than verified; each serial issued once; no (activity, period) certified
twice; the tables of blocks and certified periods say what the ledger says. A rule is a function of a Book that yields what breaks it, as
(entry, text), entry 0 where none is at fault. An entry that can not be read is a break, not a crash, and the other rules look past it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

from verification import holding, ledger
from verification.ledger import ONCE, Entry, EntryError, Kind, Span


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredBlock:
    """A row of `serial_block`."""

    span: Span
    claim: str
    entry: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Certified:
    """An activity's period, end exclusive, and the claim that had it certified."""

    activity: str
    start: date
    end: date
    claim: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """All that the rules look at, as known at one moment."""

    entries: tuple[Entry, ...]
    blocks: tuple[StoredBlock, ...] = ()
    certified: tuple[Certified, ...] = ()

    def issues(self) -> Iterator[tuple[Entry, Span]]:
        """Each block that an entry issued."""
        return ((e, span) for e in self.entries if e.kind is Kind.ISSUED for span in ledger.blocks(e.value))


@dataclass(frozen=True, kw_only=True, slots=True)
class Break:
    """A rule that does not hold: which, at what entry (0: at none), and what was seen."""

    rule: str
    entry: int
    text: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{f'entry {self.entry}: ' if self.entry else ''}{self.text} [{self.rule}]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Supply:
    """t verified and issued, and where those issued are now."""

    verified: int
    issued: int
    held: int
    transferred: int
    invalidated: int
    cancelled: int


Found = Iterator[tuple[int, str]]


def check(book: Book) -> tuple[Break, ...]:
    """Every break of every rule, in the ledger's order; empty if all hold."""
    readable = replace(book, entries=tuple(e for e in book.entries if not _unreadable(e)))
    rules = [(rule, book) for rule in OF_EACH_ENTRY] + [(rule, readable) for rule in OF_THE_SUPPLY]
    found = [Break(rule=rule.__name__.replace("_", " "), entry=entry, text=text) for rule, seen in rules for entry, text in rule(seen)]
    return tuple(sorted(found, key=lambda b: (b.entry == 0, b.entry)))


def supply(book: Book) -> Supply:
    """The totals of a book that `check` found whole; EntryError if an entry can not be read."""
    held = holding.replay(book.entries)
    return Supply(
        verified=sum(_verified(book).values()),
        issued=sum(span.tonnes for _, span in book.issues()),
        held=held.tonnes(holding.HELD),
        transferred=held.tonnes(Kind.TRANSFERRED),
        invalidated=held.tonnes(Kind.INVALIDATED),
        cancelled=held.tonnes(Kind.CANCELLED),
    )


def issuable(book: Book, claim: str) -> dict[int, int]:
    """t by fiscal year that stand approved for a claim and are verified and not yet issued; empty if there is no such approval."""
    gone, verified = _set_aside(book), _verified(book)
    if any(e.kind is Kind.ISSUED and e.claim == claim for e in book.entries):
        return {}
    approvals = [e for e in book.entries if e.kind is Kind.APPROVED and e.claim == claim and e.entry not in gone]
    years = ledger.tonnes_by_year(approvals[-1].value) if approvals else {}
    return {year: t for year, t in years.items() if 0 < t <= verified[claim, year]}


def entries_can_be_read(book: Book) -> Found:
    """Each value holds what its kind needs."""
    return ((e.entry, f"{e.kind} of {e.claim} can not be read: {why}") for e in book.entries if (why := _unreadable(e)))


def chain_is_whole(book: Book) -> Found:
    """Numbers run 1, 2, 3, …; each entry hashes to its hash and follows the hash before it."""
    number, previous = 0, ledger.FIRST_PREVIOUS
    for e in book.entries:
        if e.entry != number + 1:
            yield e.entry, f"entry {number + 1} is not there"
        if e.previous != previous:
            yield e.entry, f"{e.kind} of {e.claim} does not follow the entry before it"
        if not _unreadable(e) and e.hash != e.computed_hash():
            yield e.entry, f"{e.kind} of {e.claim} was changed after it was written"
        number, previous = e.entry, e.hash


def entered_once(book: Book) -> Found:
    """A reduction and an approval stand once a claim until a correction sets them aside; an issue always."""
    standing: dict[tuple[str, Kind], int] = {}
    kinds = {e.entry: (e.claim, e.kind) for e in book.entries}
    for e in book.entries:
        if e.kind in ONCE and (first := standing.setdefault((e.claim, e.kind), e.entry)) != e.entry:
            yield e.entry, f"{e.kind} of {e.claim} was entered before, as entry {first}"
        for gone in ledger.sets_aside(e.value) if e.kind is Kind.CORRECTED else ():
            if (e.claim, Kind.ISSUED) in standing:
                yield e.entry, f"correction of {e.claim} sets entry {gone} aside after its credits were issued"
            elif (named := kinds.get(gone)) is None or standing.pop(named, 0) != gone or named[0] != e.claim:
                yield e.entry, f"correction of {e.claim} sets entry {gone} aside, which does not stand for this claim"


def each_step_has_the_one_before(book: Book) -> Found:
    """Credits come after the approval, and that after the verification, of the same claim."""
    needs = {Kind.APPROVED: Kind.VERIFIED, Kind.ISSUED: Kind.APPROVED}
    standing: dict[int, tuple[str, Kind]] = {}
    for e in book.entries:
        if e.kind in needs and (e.claim, needs[e.kind]) not in standing.values():
            yield e.entry, f"{e.kind} of {e.claim} without a {needs[e.kind]} before it"
        if e.kind is Kind.CORRECTED:
            standing = {n: step for n, step in standing.items() if n not in ledger.sets_aside(e.value)}
        elif e.kind in ONCE:
            standing[e.entry] = (e.claim, e.kind)


def never_more_than_verified(book: Book) -> Found:
    """By claim and fiscal year: approved is no more than was verified then; issued less cancelled no more than is verified now, corrections counted."""
    now, cancelled, gone = _verified(book), holding.replay(book.entries).cancelled(), _set_aside(book)
    then: Counter[tuple[str, int]] = Counter()
    for e in (e for e in book.entries if e.entry not in gone):
        then.update(_change(e))
        if e.kind in {Kind.APPROVED, Kind.ISSUED}:
            for year, stated in ledger.tonnes_by_year(e.value).items():
                place = (e.claim, year)
                t, most = (stated, then[place]) if e.kind is Kind.APPROVED else (stated - cancelled[place], now[place])
                if t > most:
                    yield e.entry, f"{e.kind} of {e.claim}, fiscal year {year}: {t} t, but {most} t are verified"


def blocks_hold_the_tonnes(book: Book) -> Found:
    """An issue has as many serials of a vintage as it states tonnes of that fiscal year."""
    for e in book.entries:
        if e.kind is Kind.ISSUED:
            serials: Counter[int] = Counter()
            for span in ledger.blocks(e.value):
                serials[holding.vintage(span)] += span.tonnes
            stated = {year: t for year, t in ledger.tonnes_by_year(e.value).items() if t}
            if dict(serials) != stated:
                yield e.entry, f"credits issued of {e.claim}: serials by fiscal year {dict(serials)}, stated {stated}"


def each_serial_issued_once(book: Book) -> Found:
    """No serial is in two issued blocks."""
    issued = sorted(book.issues(), key=lambda i: (i[1].series, i[1].first, i[1].last))
    for (first, one), (second, other) in pairwise(issued):
        if one.series == other.series and other.first <= one.last:
            yield max(first.entry, second.entry), f"{other} of {second.claim} overlaps {one} of {first.claim}"


def supply_balances(book: Book) -> Found:
    """issued = held + transferred + invalidated + cancelled, and only credits that are there move."""
    yield from holding.replay(book.entries).wrong
    s = supply(book)
    if s.issued != (there := s.held + s.transferred + s.invalidated + s.cancelled):
        yield 0, f"{s.issued} t were issued, {there} t are held, transferred, invalidated or cancelled"


def stored_blocks_were_issued(book: Book) -> Found:
    """The table of serial blocks and the ledger say the same."""
    said = {(e.entry, str(span), e.claim) for e, span in book.issues()}
    stored = {(b.entry, str(b.span), b.claim) for b in book.blocks}
    for entry, span, claim in sorted(said ^ stored):
        yield entry, f"{span} of {claim} is in {'the ledger' if (entry, span, claim) in said else 'serial_block'} only"


def certified_once(book: Book) -> Found:
    """No activity has a day certified twice, and each certified claim has a verified reduction."""
    for one, other in pairwise(sorted(book.certified, key=lambda c: (c.activity, c.start, c.end))):
        if one.activity == other.activity and other.start < one.end:
            yield 0, f"activity {one.activity} is certified twice from {other.start}: by {one.claim} and by {other.claim}"
    verified = {e.claim for e in book.entries if e.kind is Kind.VERIFIED}
    yield from ((0, f"claim {claim} is certified without a {Kind.VERIFIED} in the ledger") for claim in sorted({c.claim for c in book.certified} - verified))


OF_EACH_ENTRY: tuple[Callable[[Book], Found], ...] = (entries_can_be_read, chain_is_whole)
OF_THE_SUPPLY: tuple[Callable[[Book], Found], ...] = (
    entered_once,
    each_step_has_the_one_before,
    never_more_than_verified,
    blocks_hold_the_tonnes,
    each_serial_issued_once,
    supply_balances,
    stored_blocks_were_issued,
    certified_once,
)


def _unreadable(e: Entry) -> str:
    """Why a value can not be read; empty if it can."""
    try:
        ledger.checked_value(e.kind, e.value)
    except EntryError as error:
        return str(error)
    return ""


def _set_aside(book: Book) -> frozenset[int]:
    return frozenset(n for e in book.entries if e.kind is Kind.CORRECTED for n in ledger.sets_aside(e.value))


def _verified(book: Book) -> Counter[tuple[str, int]]:
    """t verified by claim and fiscal year: the reductions that stand, and the differences of corrections."""
    gone, total = _set_aside(book), Counter[tuple[str, int]]()
    for e in book.entries:
        if e.entry not in gone:
            total.update(_change(e))
    return total


def _change(e: Entry) -> dict[tuple[str, int], int]:
    """What an entry adds to, or takes from, the t verified."""
    if e.kind is Kind.VERIFIED:
        return {(e.claim, year): t for year, t in ledger.tonnes_by_year(e.value).items()}
    if e.kind is Kind.CORRECTED:
        return {(e.claim, year): t for year, t in ledger.differences_by_year(e.value).items()}
    return {}
