"""Who may send, from which site, about which meter: the enrolment tables, read from files and judged before anything is written.

`read` takes the bytes of any number of files and what is already known, and gives an `Enrolment` or raises `EnrolmentErrors` with *every*
bad row as file, line, column and reason: what is wrong with a row alone (`enrolment_row`), and with the rows of all files together.

Left to others: whether a row agrees with what the database has of it, and writing it (`ingest.timescale`).
"""

import csv
import io
import re
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import ValidationError

from ingest.enrolment_row import (
    COLUMNS,
    ID,
    MUST_FILL,
    READERS,
    TABLES,
    BadRow,
    Enrolment,
    EnrolmentErrors,
    Event,
    Gateway,
    Known,
    Member,
    Meter,
    Project,
    Row,
    Site,
    shown,
)

__all__ = ["BadRow", "Enrolment", "EnrolmentErrors", "Known", "bad", "read"]

WHOLE_FILE = 1
AnyRow = TypeVar("AnyRow", bound=Row)


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
