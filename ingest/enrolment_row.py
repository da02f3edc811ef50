"""Cells and rows of the enrolment tables: a model a table, its fields the columns of the contract.

Nothing is guessed: a cell is in the one form that the contract names, or it is refused with a sentence that says what would have been right. Ids carry
no personal data, since topics and logs show them; only `name` and `address` of a member may, and messages never repeat those two.

Left to others: files, and whether rows agree with each other (`ingest.enrolment`) and with the database (`ingest.timescale`).
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, TypeVar

from nacl.bindings import crypto_core_ed25519_is_valid_point
from pydantic import ConfigDict, PlainValidator, TypeAdapter
from pydantic.dataclasses import dataclass as model

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})")
WHOLE = re.compile(r"[0-9]{1,16}")
NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")
BASE64URL = re.compile(r"[A-Za-z0-9_-]{43}=?")
YEARS = range(1970, 2201)
MAX_WH = 2**53  # what a reading on the wire may be
MAX_TEXT = 500
MAX_KW = 10_000_000
REGISTERS = ("generation", "export", "pcs", "charge", "discharge", "auxiliary")
UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")  # controls and marks that turn text around

Moment = TypeVar("Moment", date, datetime)


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row that can not be enrolled, and why. `line` is where it begins in the file (1 is the header); `column` may be empty."""

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.column, self.reason) if part)


class EnrolmentErrors(ValueError):
    """Rows that can not be enrolled: `errors`, by file and line. `sound` is the rest, for whoever looks further before answering."""

    def __init__(self, errors: Sequence[BadRow], *, sound: "Enrolment | None" = None) -> None:
        self.errors = tuple(sorted(errors, key=lambda e: (e.file, e.line, e.column)))
        self.sound = sound or Enrolment()
        super().__init__("\n".join(map(str, self.errors)))


# Cells: text in, value out, or a ValueError that says what would have been right.


def shown(cell: str) -> str:
    """A hostile value, fit for a terminal."""
    return repr(cell if len(cell) <= 70 else cell[:67] + "...")


def identifier(cell: str) -> str:
    if not ID.fullmatch(cell):
        raise ValueError(f"{shown(cell)} is no id: write 1 to 64 of A-Z a-z 0-9 . _ - and nothing personal")
    return cell


def text(cell: str) -> str:
    if len(cell) > MAX_TEXT or UNSHOWN.search(cell):
        raise ValueError(f"must be one line of at most {MAX_TEXT} characters, without control characters")
    return cell


def moment(parse: Callable[[str], Moment], cell: str) -> Moment:
    try:
        value = parse(cell)
    except ValueError:
        raise ValueError(f"{shown(cell)} is not in the calendar") from None
    if value.year not in YEARS:
        raise ValueError(f"{shown(cell)} is not between {YEARS[0]} and {YEARS[-1]}")
    return value


def day(cell: str) -> date:
    if not DAY.fullmatch(cell):
        raise ValueError(f"{shown(cell)} is no date: write YYYY-MM-DD")
    return moment(date.fromisoformat, cell)


def instant(cell: str) -> datetime:
    if not INSTANT.fullmatch(cell):
        raise ValueError(f"{shown(cell)} is no instant: write date, time and offset, as 2021-04-01T09:00:00+09:00")
    return moment(datetime.fromisoformat, cell).astimezone(UTC)


def expiry(cell: str) -> date:
    """A verification holds to the end of the stated month: the first day of the next, exclusive."""
    stated = day(f"{cell}-01" if MONTH.fullmatch(cell) else cell)
    return date(stated.year + stated.month // 12, stated.month % 12 + 1, 1)


def yes(cell: str) -> bool:
    return one_of("yes", "no")(cell) == "yes"


def public_key(cell: str) -> bytes:
    """32 bytes that are a canonical point of the main subgroup: for a small-order point anybody can sign."""
    key = base64.urlsafe_b64decode(cell.rstrip("=") + "=") if BASE64URL.fullmatch(cell) else b""
    if base64.urlsafe_b64encode(key).decode() != cell.rstrip("=") + "=":
        raise ValueError(f"{shown(cell)} must be the base64url of 32 bytes")
    if not crypto_core_ed25519_is_valid_point(key):
        raise ValueError(f"{shown(cell)} is no Ed25519 public key: not a point of the main subgroup, or one of small order")
    return key


def whole(low: int, high: int) -> Callable[[str], int]:
    def read_whole(cell: str) -> int:
        if not WHOLE.fullmatch(cell) or not low <= int(cell) <= high:
            raise ValueError(f"{shown(cell)} must be a whole number from {low} to {high}")
        return int(cell)

    return read_whole


def number(low: float, high: float) -> Callable[[str], float]:
    def read_number(cell: str) -> float:
        if not NUMBER.fullmatch(cell) or not low <= float(cell) <= high:
            raise ValueError(f"{shown(cell)} must be a number from {low:g} to {high:g}")
        return float(cell)

    return read_number


def power_kw(cell: str) -> float:
    value = number(-MAX_KW, MAX_KW)(cell)
    if value <= 0:
        raise ValueError(f"{shown(cell)} must be above 0 kW")
    return value


def one_of(*names: str) -> Callable[[str], str]:
    def read_name(cell: str) -> str:
        if cell not in names:
            raise ValueError(f"{shown(cell)} must be one of {', '.join(names)}")
        return cell

    return read_name


Id = Annotated[str, PlainValidator(identifier)]
Text = Annotated[str, PlainValidator(text)]
Day = Annotated[date, PlainValidator(day)]
PowerKw = Annotated[float, PlainValidator(power_kw)]
YesNo = Annotated[bool, PlainValidator(yes)]
ReadingWh = Annotated[int, PlainValidator(whole(0, MAX_WH))]
StepWh = Annotated[int, PlainValidator(whole(1, MAX_WH))]

# Rows: a model a table, its fields the columns of contract.md, those without a default the ones that must be filled.

STRICT = ConfigDict(strict=True, extra="forbid")


@model(frozen=True, kw_only=True, slots=True, config=STRICT)
class Row:
    """What every row has: where it was read. A table says which columns are there once, which rows must agree, and what comes before what."""

    SUPPLIED: ClassVar[tuple[str, ...]] = ("file", "line")  # not columns of the file
    UNIQUE: ClassVar[tuple[tuple[str, ...], ...]] = ()
    AGREE: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]] = ()
    IN_ORDER: ClassVar[tuple[tuple[str, str], ...]] = ()
    file: str
    line: int


@model(frozen=True, kw_only=True, slots=True, config=STRICT)
class Project(Row):
    UNIQUE = (("project",),)
    IN_ORDER = (("certified_from", "certified_to"),)
    project: Id
    name: Text
    scheme: Text
    methodology: Text
    operator: Text
    registration_applied_on: Day
    certified_from: Day
    certified_to: Day
    area: Text | None = None


@model(frozen=True, kw_only=True, slots=True, config=STRICT)
class Site(Row):
    UNIQUE = (("site",),)
    site: Id
    lat: Annotated[float, PlainValidator(number(-90, 90))]
    lon: Annotated[float, PlainValidator(number(-180, 180))]
    dc_kw: PowerKw
    ac_kw: PowerKw
    operation_start: Day
    exports: YesNo
    alt: Annotated[float, PlainValidator(number(-500, 9000))] | None = None
    tilt: Annotated[float, PlainValidator(number(0, 90))] | None = None
    azimuth: Annotated[float, PlainValidator(number(0, 360))] | None = None
    region: Text | None = None
    pcs_maker: Text | None = None
    pcs_model: Text | None = None
    pcs_serial: Text | None = None
    supply_point: Text | None = None
    battery: Text | None = None


@model(frozen=True, kw_only=True, slots=True, config=STRICT)
class Member(Row):
    """One activity of a member; `left_on` is the first day that is not the programme's any more."""

    SUPPLIED = ("file", "line", "project")
    UNIQUE = (("activity",), ("site",))
    AGREE = (("member", ("name", "address")),)
    IN_ORDER = (("joined_on", "left_on"), ("applied_on", "left_on"))
    project: Id
    member: Id
    activity: Id
    site: Id
    applied_on: Day
    consented_on: Day
    joined_on: Day | None = None
    left_on: Day | None = None
    name: Text | None = field(default=None, repr=False)
    address: Text | None = field(default=None, repr=False)


@model(frozen=True, kw_only=True, slots=True, config=STRICT)
class Gateway(Row):
    """A gateway with one of its keys; a gateway that has two is in two rows."""

    UNIQUE = (("kid",), ("public_key",))
    AGREE = (("gateway", ("site", "firmware")),)
    gateway: Id
    kid: Id
    public_key: Annotated[bytes, PlainValidator(public_key)]
    site: Id
    firmware: Text | None = None


@model(frozen=True, kw_only=True, slots=True, config=STRICT)
class Meter(Row):
    """`verified_until` is exclusive: the first day of the month after the stated one."""

    UNIQUE = (("meter",),)
    IN_ORDER = (("resolution_wh", "modulus_wh"),)
    meter: Id
    site: Id
    gateway: Id
    register: Annotated[str, PlainValidator(one_of(*REGISTERS))]
    modulus_wh: StepWh
    serial: Text | None = None
    resolution_wh: StepWh = 1
    specified: YesNo | None = None
    verified_until: Annotated[date, PlainValidator(expiry)] | None = None
    calibration: Text | None = None
    two_way: YesNo = False


@model(frozen=True, kw_only=True, slots=True, config=STRICT)
class Event(Row):
    UNIQUE = (("meter", "at"),)
    meter: Id
    at: Annotated[datetime, PlainValidator(instant)]
    kind: Annotated[str, PlainValidator(one_of("swap", "reset"))]
    closing_wh: ReadingWh | None = None
    opening_wh: ReadingWh | None = None
    serial: Text | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    """Rows that are right, alone and together."""

    projects: tuple[Project, ...] = ()
    sites: tuple[Site, ...] = ()
    members: tuple[Member, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    meters: tuple[Meter, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is enrolled already, as far as rows refer to it."""

    projects: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    gateways: Mapping[str, str] = field(default_factory=dict)  # the gateway's site
    meters: Mapping[str, int] = field(default_factory=dict)  # the meter's modulus_wh


TABLES: Mapping[str, type[Row]] = {"project": Project, "sites": Site, "members": Member, "gateways": Gateway, "meters": Meter, "events": Event}
READERS: Mapping[type[Row], TypeAdapter[Row]] = {table: TypeAdapter(table) for table in TABLES.values()}
COLUMNS = {table: tuple(f.name for f in fields(table) if f.name not in table.SUPPLIED) for table in TABLES.values()}
MUST_FILL = {table: tuple(f.name for f in fields(table) if f.name in COLUMNS[table] and f.default is MISSING) for table in TABLES.values()}
