"""Serial numbers of credits, and blocks of them.

One credit is 1 t-CO2 and has one serial, which explains itself: scheme, kind (JC, JCL), vintage (the fiscal year of the reduction) and number, as in
DEMO-JC-2021-000000001. A block is inclusive at both ends, of one series; it holds `last - first + 1` credits. Parsing is strict: one spelling a serial.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

LARGEST = 999_999_999
SERIAL = re.compile(r"([A-Z][A-Z0-9]{0,15})-(JCL|JC)-(2[0-9]{3})-([0-9]{9})", re.ASCII)
SCHEME = re.compile(r"[A-Z][A-Z0-9]{0,15}", re.ASCII)


class Kind(StrEnum):
    """The scheme's codes of a credit."""

    JC = "JC"
    JCL = "JCL"


class SerialError(ValueError):
    """A text that is no serial, or a pair that is no block; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Series:
    """What serials share that are numbered together."""

    scheme: str
    kind: Kind
    vintage: int

    def __post_init__(self) -> None:
        """Refuse what could not be read back."""
        if not SCHEME.fullmatch(self.scheme) or not 2000 <= self.vintage <= 2999:
            raise SerialError(f"series of scheme {self.scheme!r}, vintage {self.vintage}: a scheme is 1 to 16 of A-Z and 0-9, a vintage a year from 2000")

    def __str__(self) -> str:
        """The serial up to its number."""
        return f"{self.scheme}-{self.kind}-{self.vintage}"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Serial:
    """The number of one credit."""

    series: Series
    number: int

    def __post_init__(self) -> None:
        """Refuse a number that has no nine digits."""
        if not 1 <= self.number <= LARGEST:
            raise SerialError(f"number {self.number} of series {self.series} must be 1 to {LARGEST}")

    def __str__(self) -> str:
        """The one spelling of the serial."""
        return f"{self.series}-{self.number:09d}"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Block:
    """Consecutive serials, `first` and `last` both in it."""

    first: Serial
    last: Serial

    def __post_init__(self) -> None:
        """Refuse ends that hold nothing between them."""
        if self.first.series != self.last.series or self.last.number < self.first.number:
            raise SerialError(f"{self.first} to {self.last} is no block: both ends are in it, of one series, the first not after the last")

    @property
    def tonnes(self) -> int:
        """How many credits it holds, 1 t each."""
        return self.last.number - self.first.number + 1

    def overlaps(self, other: "Block") -> bool:
        """Whether a serial is in both."""
        return self.first.series == other.first.series and self.first.number <= other.last.number and other.first.number <= self.last.number

    def __contains__(self, serial: Serial) -> bool:
        """Whether a serial is in the block."""
        return self.first.series == serial.series and self.first.number <= serial.number <= self.last.number

    def __str__(self) -> str:
        """Both ends."""
        return f"{self.first} to {self.last}"


def parse(text: str) -> Serial:
    """The serial that a text spells exactly; SerialError for anything else."""
    found = SERIAL.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise SerialError(f"{text!r} is no serial: it must read like DEMO-JC-2021-000000001")
    scheme, kind, vintage, number = found.groups()
    return Serial(series=Series(scheme=scheme, kind=Kind(kind), vintage=int(vintage)), number=int(number))


def block(first: str, last: str) -> Block:
    """The block between two spelled serials, both in it."""
    return Block(first=parse(first), last=parse(last))
