"""Who may send, from which site, about which meter: the enrolment tables, read from files and judged before anything is written.

`read` takes the bytes of any number of files and what is already known, and gives an `Enrolment` or raises `EnrolmentErrors` with *every*
bad row as file, line, column and reason. Nothing is guessed: a cell is in the one form that the contract names, or it is refused. Ids
carry no personal data, since topics and logs show them; only `name` and `address` of a member may, and messages never repeat those two.

Left to others: whether a row agrees with what the database has of it, and writing it (`ingest.timescale`).
"""

import base64
import csv
import io
import re
import tomllib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, TypeVar

from nacl.bindings import crypto_core_ed25519_is_valid_point
from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError
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
WHOLE_FILE = 1
UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")  # controls and marks that turn text around

Moment = TypeVar("Moment", date, datetime)
AnyRow = TypeVar("AnyRow", bound="Row")


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Rough:
    """A row that could not be read: its cells still say which ids it names, so that one mistake is told once."""

    table: type[Row]
    file: str
    line: int
    cells: Mapping[str, str]


Draft = Row | Rough


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one file gave. `whole` is false where columns or the file itself could not be read: ids may be missing from it."""

    drafts: Sequence[Draft] = ()
    errors: Sequence[BadRow] = ()
    whole: bool = True


def read(files: Mapping[str, bytes], known: Known | None = None) -> Enrolment:
    """The enrolment that the files (name → bytes) hold, beside what is `known`. Raises EnrolmentErrors with all that is wrong."""
    known = known or Known()
    tomls = [read_project(file, content) for file, content in files.items() if PurePath(file).suffix == ".toml"]
    project, doubt = project_of([draft for reading in tomls for draft in reading.drafts], known)
    doubt = doubt if all(reading.whole for reading in tomls) else ""
    tables = [read_table(file, content, project, doubt) for file, content in files.items() if PurePath(file).suffix != ".toml"]
    drafts = [draft for reading in (*tomls, *tables) for draft in reading.drafts]
    errors = [error for reading in (*tomls, *tables) for error in reading.errors]
    errors += [*repeated(drafts), *disagreeing(drafts)]
    if all(reading.whole for reading in (*tomls, *tables)):
        errors += misreferring(drafts, known)
    enrolment = gather(drafts)
    if errors:
        raise EnrolmentErrors(errors, sound=enrolment)
    return enrolment


def gather(drafts: Sequence[Draft]) -> Enrolment:
    return Enrolment(
        projects=rows_of(Project, drafts),
        sites=rows_of(Site, drafts),
        members=rows_of(Member, drafts),
        gateways=rows_of(Gateway, drafts),
        meters=rows_of(Meter, drafts),
        events=rows_of(Event, drafts),
    )


def rows_of(table: type[AnyRow], drafts: Sequence[Draft]) -> tuple[AnyRow, ...]:
    return tuple(draft for draft in drafts if isinstance(draft, table))


# One file.


def refuse(file: str, reason: str, *, line: int = WHOLE_FILE) -> Reading:
    return Reading(errors=[BadRow(file=file, line=line, column="", reason=reason)], whole=False)


class TextError(ValueError):
    """A file that is not the text it should be, from `line` on."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TextError(f"is not UTF-8 (byte {error.start}): save it as UTF-8", line) from error


def read_project(file: str, content: bytes) -> Reading:
    """The one row of a project.toml."""
    try:
        source = decoded(content)
        values = tomllib.loads(source)
    except TextError as error:
        return refuse(file, str(error), line=error.line)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"at line (\d+)", str(error))
        return refuse(file, f"is not TOML: {error}", line=int(place[1]) if place else WHOLE_FILE)
    return judge_project(file, source, values)


def judge_project(file: str, source: str, values: Mapping[str, Any]) -> Reading:
    def wrong(key: str, reason: str) -> BadRow:
        line = next((n for n, said in enumerate(source.splitlines(), 1) if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", said)), WHOLE_FILE)
        return BadRow(file=file, line=line, column=safe_name(key), reason=reason)

    known = COLUMNS[Project]
    shapeless = {key for key, value in values.items() if key in known and not (isinstance(value, str) or type(value) is date)}
    cells = {key: str(value) for key, value in values.items() if key in known and key not in shapeless and str(value).strip()}
    draft, errors = judge(Project, file, WHOLE_FILE, cells, {})
    strange = [wrong(key, f"no such key: {', '.join(known)} are known") for key in values if key not in known]
    misshapen = [wrong(key, "must be text in quotes, or a date") for key in sorted(shapeless)]
    return Reading(drafts=[draft], errors=[*strange, *misshapen, *(wrong(e.column, e.reason) for e in errors if e.column not in shapeless)])


def read_table(file: str, content: bytes, project: str | None, doubt: str) -> Reading:
    """The rows of a CSV file, as far as it is one."""
    try:
        source = decoded(content)
    except TextError as error:
        return refuse(file, str(error), line=error.line)
    lines: list[tuple[int, list[str]]] = []
    try:
        lines.extend(numbered(source))  # what came before an error stays
    except TextError as error:
        torn = refuse(file, str(error), line=error.line)
        before = judge_table(file, lines, project, doubt) if lines else Reading()
        return Reading(drafts=before.drafts, errors=[*before.errors, *torn.errors], whole=False)
    return judge_table(file, lines, project, doubt)


def numbered(source: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line it begins on. Raises TextError."""
    reader, begins = csv.reader(io.StringIO(source, newline=""), strict=True), 1
    try:
        for cells in reader:
            if cells:
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise TextError(f"is not CSV from here on: {error}", begins) from error


def judge_table(file: str, lines: Sequence[tuple[int, list[str]]], project: str | None, doubt: str) -> Reading:
    if not lines:
        return refuse(file, "is empty: the first line must name the columns")
    (top, header), body = lines[0], lines[1:]
    table = table_of(file, header)
    if table is None:
        names = ", ".join(f"{name}.csv" for name in TABLES if name != "project")
        return refuse(file, f"is no table that is known: name it {names}, or fix its header (a project is a project.toml)", line=top)
    errors = list(judge_header(table, file, top, header))
    absent = set(MUST_FILL[table]) - set(header)
    if table is Member and project is None and body and doubt:
        errors.append(BadRow(file=file, line=top, column="", reason=doubt))
    supplied = {"project": project or "unknown"} if table is Member else {}
    drafts: list[Draft] = []
    for line, cells in body:
        draft, wrong = judge_row(table, file, line, header, cells, supplied)
        drafts.append(draft)
        errors += (e for e in wrong if e.column not in absent)
    return Reading(drafts=drafts, errors=errors, whole=not absent and len(set(header)) == len(header))


def table_of(file: str, header: Sequence[str]) -> type[Row] | None:
    """The table a file is: by its name, else by its header."""
    csvs = {name: table for name, table in TABLES.items() if table is not Project}
    fitting = [table for table in csvs.values() if set(MUST_FILL[table]) <= set(header) <= set(COLUMNS[table])]
    return csvs.get(PurePath(file).stem) or (fitting[0] if len(fitting) == 1 else None)


def judge_header(table: type[Row], file: str, line: int, header: Sequence[str]) -> Iterator[BadRow]:
    for name in dict.fromkeys(header):
        if name not in COLUMNS[table]:
            yield BadRow(file=file, line=line, column=safe_name(name), reason=f"no such column: {', '.join(COLUMNS[table])} are known")
        elif header.count(name) > 1:
            yield BadRow(file=file, line=line, column=name, reason="is there twice")
    for name in MUST_FILL[table]:
        if name not in header:
            yield BadRow(file=file, line=line, column=name, reason="the column is missing")


def safe_name(name: str) -> str:
    return name if ID.fullmatch(name) else shown(name)


def judge_row(table: type[Row], file: str, line: int, header: Sequence[str], cells: Sequence[str], supplied: Mapping[str, str]) -> tuple[Draft, list[BadRow]]:
    named = {name: cell for name, cell in zip(header, cells, strict=False) if cell.strip() and name in COLUMNS[table]}
    if len(cells) != len(header):
        reason = f"has {len(cells)} cells, the header {len(header)}: a comma is missing, too many, or not in quotes"
        return Rough(table=table, file=file, line=line, cells=named), [BadRow(file=file, line=line, column="", reason=reason)]
    return judge(table, file, line, named, supplied)


def judge(table: type[Row], file: str, line: int, cells: Mapping[str, str], supplied: Mapping[str, str]) -> tuple[Draft, list[BadRow]]:
    """The row that filled cells make, or its rough form, and what is wrong with it alone."""
    try:
        row = READERS[table].validate_strings({**cells, **supplied, "file": file, "line": str(line)}, strict=True)
    except ValidationError as error:
        wrong = [BadRow(file=file, line=line, column=str(e["loc"][0]), reason=told(e["type"], e["msg"])) for e in error.errors(include_url=False)]
        return Rough(table=table, file=file, line=line, cells=cells), wrong
    return row, list(out_of_order(row))


def told(kind: str, message: str) -> str:
    return "must be filled" if kind == "missing" else message.removeprefix("Value error, ")


def out_of_order(row: Row) -> Iterator[BadRow]:
    for first, second in row.IN_ORDER:
        low, high = getattr(row, first), getattr(row, second)
        if low is not None and high is not None and low >= high:
            yield BadRow(file=row.file, line=row.line, column=second, reason=f"{high} must lie beyond {first}, {low}")


# All files together.


def project_of(drafts: Sequence[Draft], known: Known) -> tuple[str | None, str]:
    """The project that members belong to, or None and what to do about it."""
    given = [str(got(draft, "project")) for draft in drafts]
    names = given or sorted(known.projects)
    if len(names) == 1:
        return (names[0], "") if ID.fullmatch(names[0]) else (None, "")
    return None, f"whose members are they? Give one project.toml with them ({len(given)} given, {len(known.projects)} enrolled)"


def got(draft: Draft, column: str) -> Any:
    return draft.cells.get(column) if isinstance(draft, Rough) else getattr(draft, column)


def table_of_draft(draft: Draft) -> type[Row]:
    return draft.table if isinstance(draft, Rough) else type(draft)


def bad(draft: Draft, column: str, reason: str) -> BadRow:
    return BadRow(file=draft.file, line=draft.line, column=column, reason=reason)


def repeated(drafts: Sequence[Draft]) -> Iterator[BadRow]:
    """Rows that say again what may be said once."""
    first: dict[tuple[Any, ...], Draft] = {}
    for draft in drafts:
        for unique in table_of_draft(draft).UNIQUE:
            key = (table_of_draft(draft), unique, *(got(draft, column) for column in unique))
            before = first.setdefault(key, draft)
            if before is not draft and None not in key:
                yield bad(draft, unique[-1], f"the same {' and '.join(unique)} is in {before.file}:{before.line}")
                break


def disagreeing(drafts: Sequence[Draft]) -> Iterator[BadRow]:
    """Rows about one gateway, or one member, that say different things of it."""
    first: dict[tuple[Any, ...], Row] = {}
    for row in (draft for draft in drafts if isinstance(draft, Row)):
        for about, said in row.AGREE:
            before = first.setdefault((type(row), getattr(row, about)), row)
            for column in said:
                if getattr(before, column) != getattr(row, column):
                    yield bad(row, column, f"is not what {before.file}:{before.line} says of the same {about}")


def misreferring(drafts: Sequence[Draft], known: Known) -> Iterator[BadRow]:
    """Rows that name what is neither in the files nor known, or is not theirs."""
    sites = {*known.sites, *named(drafts, Site, "site")}
    gateways = {**known.gateways, **named(drafts, Gateway, "gateway", "site")}
    meters = {**known.meters, **named(drafts, Meter, "meter", "modulus_wh")}
    for draft in drafts:
        table = table_of_draft(draft)
        if table in (Member, Gateway, Meter):
            yield from unknown(draft, "site", sites)
        if table is Meter:
            yield from unknown(draft, "gateway", gateways)
            yield from misplaced_meter(draft, gateways)
        if table is Event:
            yield from unknown(draft, "meter", meters)
            yield from beyond_modulus(draft, meters)


def named(drafts: Sequence[Draft], table: type[Row], column: str, of: str = "file") -> dict[str, Any]:
    return {got(draft, column): got(draft, of) for draft in drafts if table_of_draft(draft) is table}


def unknown(draft: Draft, column: str, names: Container[Any]) -> Iterator[BadRow]:
    name = got(draft, column)
    if name is not None and name not in names:
        yield bad(draft, column, f"{shown(name)} is neither in the files nor enrolled")


def misplaced_meter(draft: Draft, gateways: Mapping[str, Any]) -> Iterator[BadRow]:
    gateway, site = got(draft, "gateway"), got(draft, "site")
    if site is not None and gateways.get(gateway) not in (None, site):
        yield bad(draft, "gateway", f"{shown(gateway)} is at site {shown(gateways[gateway])}, the meter at {shown(site)}")


def beyond_modulus(draft: Draft, meters: Mapping[str, Any]) -> Iterator[BadRow]:
    modulus_wh = meters.get(got(draft, "meter"))
    for column in ("closing_wh", "opening_wh"):
        value_wh = got(draft, column)
        if isinstance(modulus_wh, int) and isinstance(value_wh, int) and value_wh >= modulus_wh:
            yield bad(draft, column, f"{value_wh} is not below the meter's modulus_wh, {modulus_wh}")
