"""`jcredit intervals`: half-hour intervals from registers in files, by the function that the stream's worker calls.

A reading counts at a half-hour edge; those between are passed by. Of two readings of one meter and instant the first received stays; where
they differ, both neighbouring intervals are held. A table is Parquet or CSV by its ending; an instant without an offset is UTC.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from console.cli.trouble import Trouble, say

if TYPE_CHECKING:  # pandas takes half a second to load: every other command does without it
    import pandas as pd

    from stream.interval import Edge, Event, Register, Row

TEXTS = ("meter", "serial", "kind", "register")
OUT = ("meter", "start", "end", "energy_wh", "state", "code", "explanation")
REGISTERS = ("generation", "export", "pcs", "charge", "discharge", "auxiliary")
Made = TypeVar("Made")
MAX_WH, MAX_W = 2**53, 1e10
HALF_HOUR_S = 1800

# Why a row is what it is, by state and code of `stream.interval`: Japanese, English.
EXPLANATIONS = {
    "": ("連続する30分値の差", "difference of the register at two neighbouring half-hour edges"),
    "spread": (
        "間の時刻の値がない、または採用できないため、前後の値の差",
        "difference over edges that were not read, or could not be true: one row, never cut or filled in",
    ),
    "rollover": ("登録された桁数で一巡した", "the register rolled over at its registered modulus"),
    "recovered": (
        "一時低下した値は採用せず、元の値に戻ってからの差",
        "the register fell and came back: only what lies above its highest believed reading counts",
    ),
    "swap": ("記録された交換をまたぐ：旧計器の残りと新計器の分の和", "across a recorded swap: what the old meter still counted and what the new one has"),
    "reset": ("記録されたリセットをまたぐ：リセット前の残りと以後の分の和", "across a recorded reset: what was counted before it and since"),
    "above-cap": ("定格から可能な上限を超える増加", "rises by more than the rating allows over the time"),
    "register-fell": ("積算値が低下し、元の値に戻っていない", "the register fell below its highest believed reading and that is not explained"),
    "swap-incomplete": ("交換の記録に最終値または開始値がない", "the record of the swap lacks a closing or an opening reading, or is not the only one"),
    "reset-incomplete": ("リセットの記録が不完全", "the record of the reset lacks its closing reading, or is not the only one"),
    "swap-implausible": ("交換の記録と積算値が合わない", "the record of the swap does not fit the readings before and after"),
    "reset-implausible": ("リセットの記録と積算値が合わない", "the record of the reset does not fit the readings before and after"),
    "swap-unrecorded": ("記録のない計器番号の変更", "another serial number without a recorded swap"),
    "conflict": ("同一時刻に異なる値が届いた", "an edge of it was stated twice with different values"),
}
HELD = ("保留：解除されるまで対象外", "held: earns nothing until released")


@dataclass(frozen=True, kw_only=True, slots=True)
class Meter:
    """A register as enrolled, and the serial number that its first readings should name."""

    register: "Register"
    serial: str


def register(app: typer.Typer) -> None:
    app.command()(intervals)


def intervals(
    registers: Annotated[Path, typer.Option(help="Readings: meter, at, register_wh (empty: not read), optional serial, received_at.")],
    meters: Annotated[Path, typer.Option(help="Meters: meter, rated_w, modulus_wh, serial; optional register, resolution_wh, two_way (yes, no).")],
    out: Annotated[Path, typer.Option(help="Where intervals go, .parquet or .csv: meter, start, end, energy_wh, state, code, explanation.")],
    events: Annotated[Path | None, typer.Option(help="Swaps and resets: meter, at, kind, closing_wh, opening_wh, serial.")] = None,
) -> None:
    """Turn cumulative registers into half-hour intervals (exit 2: a table can not be used). Tables are Parquet or CSV."""
    if out.suffix not in (".parquet", ".csv"):
        raise Trouble(f"{out}: intervals are written as .parquet or .csv; give --out one of these endings")
    recorded = checked(events, events_of) if events else {}
    enrolled = checked(meters, lambda frame: meters_of(frame, recorded))
    strangers = sorted(set(recorded) - set(enrolled))
    if strangers:
        raise Trouble(f"{events}: column meter: {strangers[0]!r} is not in {meters} ({len(strangers)} such meters)")
    walked = checked(registers, lambda frame: [(meter, rows_of(edges, enrolled[meter])) for meter, edges in edges_of(frame, enrolled)])
    table = table_of(walked)
    write(table, out)
    for state, count in table["state"].value_counts().items():
        say(f"{state:9s} {count}")
    say(f"{len(table)} intervals of {len(walked)} meters are in {out}")


def rows_of(edges: "list[Edge]", meter: Meter) -> "list[Row]":
    """The rows that are intervals: those that run from somewhere."""
    from stream.interval import intervals as walk

    return [row for row in walk(edges, meter.register) if row.start is not None]


def meters_of(frame: "pd.DataFrame", recorded: "Mapping[str, list[Event]]") -> dict[str, Meter]:
    from anomaly.column import number, refuse, texts, whole
    from stream.interval import Register

    names, stated_w = texts(frame, "meter"), texts(frame, "rated_w")
    refuse(names.duplicated().to_numpy(), "meter", "is there twice", names)
    rated_w, modulus_wh, resolution_wh = number(frame, "rated_w", 0, MAX_W), whole(frame, "modulus_wh", 1, MAX_WH), optional(frame, "resolution_wh", 1)
    refuse(rated_w == 0, "rated_w", "must be above 0", stated_w)
    kinds, two_way, serials = choice(frame, "register", ("", *REGISTERS)), choice(frame, "two_way", ("", "yes", "no")), cells(frame, "serial")
    return {
        name: Meter(
            serial=serials[n],
            register=Register(
                rated_w=float(rated_w[n]),
                modulus_wh=int(modulus_wh[n]),
                resolution_wh=resolution_wh[n] or 1,
                two_way=two_way[n] == "yes",
                safe_low=kinds[n] in ("", "generation", "pcs"),
                events=tuple(recorded.get(name, ())),
            ),
        )
        for n, name in enumerate(names)
    }


def events_of(frame: "pd.DataFrame") -> "dict[str, list[Event]]":
    """Events a meter, in order of time."""
    from anomaly.column import instants, refuse, texts
    from stream.interval import Event

    names, at = texts(frame, "meter"), instants(frame, "at")
    refuse(frame.assign(meter=names, at=at).duplicated(["meter", "at"]).to_numpy(), "at", "has an event of this meter already", frame["at"])
    texts(frame, "kind")
    kinds, closing_wh, opening_wh = choice(frame, "kind", ("swap", "reset")), optional(frame, "closing_wh", 0), optional(frame, "opening_wh", 0)
    found: dict[str, list[Event]] = {}
    for n in at.argsort(kind="stable"):
        found.setdefault(names.iloc[n], []).append(Event(at=int(at[n]), kind=kinds[n], closing_wh=closing_wh[n], opening_wh=opening_wh[n]))
    return found


def edges_of(frame: "pd.DataFrame", enrolled: Mapping[str, Meter]) -> "Iterator[tuple[str, list[Edge]]]":
    """Each meter with its half-hour edges that were read, the first received of each instant."""
    import numpy as np
    import pandas as pd

    from anomaly.column import BadTableError, instants, integer, refuse, texts

    names, at, serials, received = texts(frame, "meter"), instants(frame, "at"), np.array(cells(frame, "serial"), object), receipt(frame)
    refuse(~names.isin(list(enrolled)).to_numpy(), "meter", "is not in the table of meters", names)
    if "register_wh" not in frame.columns:
        raise BadTableError(f"no column register_wh; it has {', '.join(map(str, frame.columns))}")
    wh = integer(frame, "register_wh", 0, MAX_WH)
    which, meters = pd.factorize(names, sort=True)
    order = np.lexsort((received, at, which))
    order = order[(at[order] % HALF_HOUR_S == 0) & ~np.isnan(wh[order])]
    which, at, wh, serials = which[order], at[order], wh[order], serials[order]
    first = np.flatnonzero(np.diff(which, prepend=-1) | np.diff(at, prepend=-1)) if len(order) else np.array([], np.int64)
    conflicted = np.minimum.reduceat(wh, first) != np.maximum.reduceat(wh, first) if len(order) else np.array([], bool)
    bounds = np.searchsorted(which[first], np.arange(len(meters) + 1))
    for n, name in enumerate(meters.tolist()):
        mine = slice(bounds[n], bounds[n + 1])
        places = first[mine]
        yield name, edges_on(at[places].tolist(), wh[places].tolist(), conflicted[mine].tolist(), serials[places].tolist(), enrolled[name].serial)


def edges_on(at: list[int], wh: list[float], conflicted: list[bool], serials: list[str], device: str) -> "list[Edge]":
    """The edges of one meter; a reading that names no serial is of the device before it."""
    from stream.interval import Edge

    edges = []
    for instant, value, clash, serial in zip(at, wh, conflicted, serials, strict=True):
        edges.append(Edge(at=instant, register_wh=int(value), conflicted=clash, other_device=bool(serial and device and serial != device)))
        device = serial or device
    return edges


def table_of(walked: "list[tuple[str, list[Row]]]") -> "pd.DataFrame":
    import pandas as pd

    lines = [(meter, row.start, row.end, row.energy_wh, row.state.name.lower(), row.code, explanation(row)) for meter, rows in walked for row in rows]
    table = pd.DataFrame(lines, columns=list(OUT)).astype({"energy_wh": "int64"})
    for column in ("start", "end"):
        table[column] = pd.to_datetime(table[column].astype("int64"), unit="s", utc=True)
    return table


def explanation(row: "Row") -> str:
    """Why the row is what it is: Japanese / English."""
    from stream.interval import State

    spread, held = row.state is State.SPREAD, row.state is State.HELD
    reasons = ([EXPLANATIONS[row.code]] if row.code or not spread else []) + [EXPLANATIONS["spread"]] * spread + [HELD] * held
    return " / ".join("; ".join(reason[language] for reason in reasons) for language in (0, 1))


# Columns.


def cells(frame: "pd.DataFrame", name: str) -> list[str]:
    """A column of text that may be absent or empty."""
    return frame[name].astype(object).where(frame[name].notna(), "").astype(str).tolist() if name in frame.columns else [""] * len(frame)


def choice(frame: "pd.DataFrame", name: str, names: Sequence[str]) -> list[str]:
    import pandas as pd

    from anomaly.column import refuse

    said = pd.Series(cells(frame, name), dtype=object)
    refuse(~said.isin(list(names)).to_numpy(), name, f"must be one of {', '.join(filter(None, names))}", said)
    return [str(cell) for cell in said]


def optional(frame: "pd.DataFrame", name: str, least: int) -> list[int | None]:
    from anomaly.column import integer

    return [int(value) if value == value else None for value in integer(frame, name, least, MAX_WH).tolist()]


def receipt(frame: "pd.DataFrame") -> Any:
    """When each row was received (Unix s); a row that does not say came last, in the order of the file."""
    import numpy as np

    from anomaly.column import instants

    if "received_at" not in frame.columns:
        return np.zeros(len(frame), np.int64)
    said = frame["received_at"].astype(object)
    return instants(frame.assign(received_at=said.where(said.notna(), "2099-12-31T00:00:00Z").astype(str)), "received_at")


# Files.


def checked(path: Path, make: Callable[["pd.DataFrame"], Made]) -> Made:
    from anomaly.column import BadTableError

    try:
        return make(read(path))
    except BadTableError as error:
        raise Trouble(f"{path}: {error}") from error


def read(path: Path) -> "pd.DataFrame":
    """A table by its ending; names stay text, an empty cell is not known."""
    import pandas as pd
    import pyarrow

    if not path.is_file():
        raise Trouble(f"{path}: there is no such file")
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=[""])
    except (ValueError, OSError, pyarrow.ArrowException) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        raise Trouble(f"{path}: can not be read as {kind} ({str(error).splitlines()[0][:200]})") from error


def write(table: "pd.DataFrame", out: Path) -> None:
    """All or nothing: a reader never sees half a file."""
    part = out.with_name(f".{out.name}.part")
    try:
        if out.suffix == ".parquet":
            table.to_parquet(part, index=False)
        else:
            table.to_csv(part, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
        part.replace(out)
    except OSError as error:
        raise Trouble(f"{out}: can not be written ({error.strerror}); give --out a folder that is there and yours") from error
