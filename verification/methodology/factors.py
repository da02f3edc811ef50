"""Emission factors of electricity are data: year, kind, value in kg-CO2/kWh, source, and the hash of the file that they came in.

No factor is written in code and none has a default: a missing one is `MissingFactorError`, which a check turns into *could not run*. A value outside
0.2 to 1.0 kg is refused, since official tables are in kg and a table in t would be wrong a thousandfold. What one person loads a second one confirms.
"""

import csv
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from verification.methodology.en_r_002 import KINDS_NEEDED, Step, cef_kg_per_kwh

COLUMNS = ("fiscal_year", "kind", "kg_per_kwh", "source")
LOWEST_KG_PER_KWH, HIGHEST_KG_PER_KWH = Decimal("0.2"), Decimal("1.0")
FIRST_YEAR = 1990


class Kind(StrEnum):
    ALL_SOURCE = "all_source"
    MARGINAL = "marginal"


class FactorFileError(ValueError):
    """A factor file that can not be taken; `faults` names every bad row with its line and reason."""

    def __init__(self, name: str, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{name}: {fault}" for fault in self.faults))


class MissingFactorError(LookupError):
    """The table has no factor of a year and kind that a formula needs; never a default."""

    def __init__(self, fiscal_year: int, kind: str) -> None:
        self.fiscal_year, self.kind = fiscal_year, kind
        super().__init__(f"no {kind} factor of fiscal year {fiscal_year} is loaded; load the official table with `jcredit factors load FILE`")


@dataclass(frozen=True, kw_only=True, slots=True)
class Factor:
    """One factor as it was loaded; `confirmed_by` is the second person, who is not the one who loaded it."""

    fiscal_year: int
    kind: Kind
    kg_per_kwh: Decimal
    source: str
    file_sha256: str
    loaded_by: str = ""
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None

    def __post_init__(self) -> None:
        if not (self.kg_per_kwh.is_finite() and LOWEST_KG_PER_KWH <= self.kg_per_kwh <= HIGHEST_KG_PER_KWH):
            raise ValueError(f"{self.kg_per_kwh} kg/kWh is outside {LOWEST_KG_PER_KWH} to {HIGHEST_KG_PER_KWH}; is the table in t-CO2/kWh?")
        if not self.source.strip():
            raise ValueError("a factor states its source")

    @property
    def confirmed(self) -> bool:
        return self.confirmed_by is not None and self.confirmed_by != self.loaded_by


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorTable:
    """The factors in force, one a (fiscal year, kind)."""

    factors: tuple[Factor, ...]

    def find(self, fiscal_year: int, kind: str) -> Factor:
        for factor in self.factors:
            if (factor.fiscal_year, factor.kind) == (fiscal_year, kind):
                return factor
        raise MissingFactorError(fiscal_year, kind)

    def used(self, fiscal_year: int, step: Step) -> tuple[Factor, ...]:
        """The factors that this year and step take; MissingFactorError where one is not there."""
        return tuple(self.find(fiscal_year, kind) for kind in KINDS_NEEDED[step])

    def cef(self, fiscal_year: int, step: Step) -> Decimal:
        """CEF in kg/kWh of the year in which the reduction happened and its step; MissingFactorError where one is not there."""
        values = {f.kind: f.kg_per_kwh for f in self.used(fiscal_year, step)}
        return cef_kg_per_kwh(step, marginal=values.get(Kind.MARGINAL), all_source=values.get(Kind.ALL_SOURCE))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def parse(name: str, content: bytes, *, loaded_by: str = "", today: date | None = None) -> tuple[Factor, ...]:
    """The factors of a CSV file (`fiscal_year,kind,kg_per_kwh,source`); FactorFileError naming every bad row, and then nothing is taken."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FactorFileError(name, [f"not UTF-8 at byte {error.start}; save it as UTF-8"]) from error
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = [c for c in COLUMNS if c not in (rows.fieldnames or ())]
    if missing:
        raise FactorFileError(name, [f"line 1: missing column {', '.join(missing)}; needed: {','.join(COLUMNS)}"])
    digest, factors, faults = sha256(content), [], []
    for row in rows:
        try:
            factors.append(_factor(row, digest, loaded_by, today))
        except ValueError as error:
            faults.append(f"line {rows.line_num}: {error}")
    faults += _repeated(factors)
    if faults or not factors:
        raise FactorFileError(name, faults or ["no rows; a table of factors has at least one"])
    return tuple(factors)


def _factor(row: dict[str, str | None], digest: str, loaded_by: str, today: date | None) -> Factor:
    if None in row or None in row.values():
        raise ValueError(f"it has not the {len(COLUMNS)} columns of the head")
    year, kind, value, source = ((row[c] or "").strip() for c in COLUMNS)
    if kind not in tuple(Kind):
        raise ValueError(f"kind {kind!r} is not one of {', '.join(Kind)}")
    return Factor(fiscal_year=_year(year, today), kind=Kind(kind), kg_per_kwh=_decimal(value), source=source, file_sha256=digest, loaded_by=loaded_by)


def _year(text: str, today: date | None) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 4 and int(text) >= FIRST_YEAR):
        raise ValueError(f"fiscal_year {text!r} is not a year such as 2021")
    if today is not None and int(text) > today.year:
        raise ValueError(f"fiscal_year {text} has not begun; a year that is not published waits")
    return int(text)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"kg_per_kwh {text!r} is no decimal number") from None


def _repeated(factors: Iterable[Factor]) -> list[str]:
    seen: set[tuple[int, str]] = set()
    faults = []
    for f in factors:
        if (f.fiscal_year, f.kind) in seen:
            faults.append(f"fiscal year {f.fiscal_year}, {f.kind}: given twice")
        seen.add((f.fiscal_year, f.kind))
    return faults
