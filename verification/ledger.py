"""The ledger: what became of each reduction, entry after entry.

An entry is never changed. Each carries the SHA-256 of the one before it, so an edit, a hole or another order is found by reading it again
(a tail that was cut off is not: the evidence log sees that). Kinds in ONCE are entered once a claim, unless a `corrected` entry has
set them aside since, which only happens before issue. The rules that the supply obeys are in `supply`.

What a `value` holds, besides what its writer likes to add: `tonnes`, t by fiscal year, for a reduction, a batch and an issue; `blocks`, each
`first`, `last`, `tonnes`, for an issue and for what moves credits; `reason`, and `sets_aside` (entry numbers) or `tonnes` (differences), for a correction.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import rfc8785

FIRST_PREVIOUS = bytes(32)  # what the first entry follows
LARGEST = 2**53 - 1  # of a whole number in RFC 8785


class Kind(StrEnum):
    """What an entry records."""

    VERIFIED = "reduction verified"
    APPROVED = "batch approved"
    ISSUED = "credits issued"
    TRANSFERRED = "transferred"
    INVALIDATED = "invalidated"
    CANCELLED = "cancelled"
    CORRECTED = "corrected"


ONCE = frozenset({Kind.VERIFIED, Kind.APPROVED, Kind.ISSUED})
MOVES = frozenset({Kind.TRANSFERRED, Kind.INVALIDATED, Kind.CANCELLED})


class EntryError(ValueError):
    """A value that no entry of its kind may have; the message names what is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry as it stands in the ledger. `round` says how often its claim had been set aside before it."""

    entry: int
    kind: Kind
    claim: str
    round: int
    value: Mapping[str, Any]
    at: datetime
    previous: bytes
    hash: bytes

    def computed_hash(self) -> bytes:
        """What `hash` must be, from all else."""
        return entry_hash(entry=self.entry, kind=self.kind, claim=self.claim, round=self.round, value=self.value, at=self.at, previous=self.previous)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Consecutive serials of one series, inclusive at both ends."""

    series: str
    first: int
    last: int

    @property
    def tonnes(self) -> int:
        """One serial is one t."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        """The way a block is read aloud."""
        return f"{self.series}-{self.first:09d} to {self.last:09d}"


def entry_hash(*, entry: int, kind: str, claim: str, round: int, value: Mapping[str, Any], at: datetime, previous: bytes) -> bytes:  # noqa: A002 the ledger's word
    """SHA-256 of the entry's RFC 8785 JSON, the hash of the one before it included."""
    document = {
        "entry": entry,
        "kind": str(kind),
        "claim": claim,
        "round": round,
        "value": plain(value),
        "at": at.astimezone(UTC).isoformat(),
        "previous": previous.hex(),
    }
    return hashlib.sha256(rfc8785.dumps(document)).digest()


def checked_value(kind: Kind, value: Mapping[str, Any]) -> dict[str, Any]:
    """The value as it may be entered, in JSON's own types; EntryError if something that its kind needs is missing or can not be."""
    clean: dict[str, Any] = plain(value)
    if kind in ONCE:
        tonnes_by_year(clean)
    if kind is Kind.ISSUED or kind in MOVES:
        blocks(clean)
    if kind is Kind.CORRECTED:
        _correction(clean)
    return clean


def tonnes_by_year(value: Mapping[str, Any]) -> dict[int, int]:
    """t by fiscal year of a reduction, batch or issue: whole, none below 0."""
    years = _whole_by_year(value)
    if any(t < 0 for t in years.values()):
        raise EntryError(f"tonnes {value.get('tonnes')!r} must not be below 0")
    return years


def differences_by_year(value: Mapping[str, Any]) -> dict[int, int]:
    """t by fiscal year that a correction adds or takes away; empty if it only sets entries aside."""
    return _whole_by_year(value) if "tonnes" in value else {}


def blocks(value: Mapping[str, Any]) -> tuple[Span, ...]:
    """The serial blocks that a value names, at least one, each with as many serials as it says tonnes."""
    found = value.get("blocks")
    if not isinstance(found, list) or not found:
        raise EntryError(f"blocks {found!r} must be a list of at least one serial block")
    return tuple(_span(block) for block in found)


def sets_aside(value: Mapping[str, Any]) -> frozenset[int]:
    """The entries that a correction sets aside."""
    found = value.get("sets_aside", [])
    if not isinstance(found, list) or not all(isinstance(n, int) and n > 0 for n in found):
        raise EntryError(f"sets_aside {found!r} must be a list of entry numbers")
    return frozenset(found)


def plain(value: Any) -> Any:
    """The value in strings, whole numbers, lists and maps; Decimal and dates become text. Floats are refused: no number here is approximate."""
    match value:
        case None | bool() | str():
            return value
        case int() if abs(value) <= LARGEST:
            return value
        case Decimal():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {str(k): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
    raise EntryError(f"{value!r} ({type(value).__name__}) can not stand in the ledger: use whole numbers, Decimal or text")


def _whole_by_year(value: Mapping[str, Any]) -> dict[int, int]:
    found = value.get("tonnes")
    if not isinstance(found, Mapping) or not found:
        raise EntryError(f"tonnes {found!r} must be whole t by fiscal year, as in {{'2021': 17}}")
    for year, t in found.items():
        if not (isinstance(year, str) and year.isascii() and year.isdecimal() and len(year) == 4) or not isinstance(t, int) or isinstance(t, bool):
            raise EntryError(f"tonnes {year!r}: {t!r} must be a fiscal year of four digits and whole t")
    return {int(year): t for year, t in found.items()}


def _span(block: object) -> Span:
    match block:
        case {"first": str(first), "last": str(last), "tonnes": int(tonnes)}:
            (series, start), (other, end) = _serial(first), _serial(last)
            span = Span(series=series, first=start, last=end)
            if series != other or span.tonnes != tonnes or tonnes < 1:
                raise EntryError(f"block {first} to {last} must hold {tonnes} serials of one series, both ends included")
            return span
    raise EntryError(f"block {block!r} must have first, last and tonnes")


def _serial(serial: str) -> tuple[str, int]:
    series, _, number = serial.rpartition("-")
    if not series or not (number.isascii() and number.isdecimal()):
        raise EntryError(f"serial {serial!r} must end in its number")
    return series, int(number)


def _correction(value: Mapping[str, Any]) -> None:
    if not isinstance(value.get("reason"), str) or not value["reason"].strip():
        raise EntryError("a correction must state its reason")
    if not sets_aside(value) and not differences_by_year(value):
        raise EntryError("a correction must name the entries that it sets aside, or the difference in tonnes")
