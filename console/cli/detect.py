"""`jcredit detect`: flags of intervals in files, by the code that the stream's worker runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.trouble import Trouble, say

if TYPE_CHECKING:  # pandas takes half a second to load: every other command does without it
    import pandas as pd

    from anomaly.layout import Sites, Table

ROWS_AT_ONCE = 250_000  # what is held in memory beside the tables
COLUMNS = ("site", "start", "level", "code", "observed", "bound", "energy_at_stake_wh", "explanation")


def register(app: typer.Typer) -> None:
    app.command()(detect)


def detect(
    intervals: Annotated[Path, typer.Option(help="Intervals, Parquet or CSV: site, start (UTC), minutes, energy_wh; optional register_wh, pcs_wh, export_wh.")],
    sites: Annotated[Path, typer.Option(help="Sites, Parquet or CSV: site; optional lat, lon, dc_kw, ac_kw, pulse_wh, modulus_wh.")],
    out: Annotated[Path, typer.Option(help="Where flags go, .parquet or .csv: site, start, level, code, observed, bound, energy_at_stake_wh, explanation.")],
    schedule: Annotated[Path | None, typer.Option(help="Curtailment, Parquet or CSV: start, end, optional site. The slot tests need none.")] = None,
) -> None:
    """Flag intervals that can not be believed: each with reason, number against bound and energy at stake (exit 2: a table can not be used)."""
    from anomaly.layout import sites_of, table_of

    if out.suffix not in (".parquet", ".csv"):
        raise Trouble(f"{out}: flags are written as .parquet or .csv; give --out one of these endings")
    known = _checked(sites, sites_of)
    table = _checked(intervals, lambda frame: table_of(frame, known))
    if schedule is not None:
        _checked(schedule, _check_schedule)
        say(f"{schedule}: read; no slot test alarms on low output, so it changes nothing here")
    flags = _flags(table, known)
    _write(flags, out)
    _summary(flags, len(table.site), known, out)


def _flags(table: "Table", sites: "Sites") -> "pd.DataFrame":
    import pandas as pd

    frames = [_part_flags(part, sites) for part in _parts(table)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def _parts(table: "Table") -> Iterator["Table"]:
    """The table in parts of whole sites: what detection holds in memory does not grow with the fleet."""
    import numpy as np

    first, rows = 0, len(table.site)
    for edge in np.append(np.flatnonzero(np.diff(table.site)) + 1, rows):
        if edge - first >= ROWS_AT_ONCE or edge == rows > first:
            yield table.part(first, int(edge))
            first = int(edge)


def _part_flags(table: "Table", sites: "Sites") -> "pd.DataFrame":
    import pandas as pd

    from anomaly.flag import sentences
    from anomaly.layout import flags_of

    rows = [
        (f.where, given, f.level.value, f.code.value, f.observed, f.bound, f.energy_at_stake_wh, " / ".join(sentences(f)))
        for f, given in flags_of(table, sites)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"observed": float, "bound": float, "energy_at_stake_wh": "int64"})


def _checked(path: Path, make: Any) -> Any:
    from anomaly.column import BadTableError

    try:
        return make(_read(path))
    except BadTableError as error:
        raise Trouble(f"{path}: {error}") from error


def _read(path: Path) -> "pd.DataFrame":
    """A table by its ending; names stay text."""
    import pandas as pd
    import pyarrow

    if not path.is_file():
        raise Trouble(f"{path}: there is no such file")
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"site": str}, keep_default_na=False, na_values=[""])
    except (ValueError, UnicodeError, OSError, pyarrow.ArrowException, pd.errors.ParserError) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        raise Trouble(f"{path}: can not be read as {kind} ({str(error).splitlines()[0][:200]})") from error


def _check_schedule(frame: "pd.DataFrame") -> None:
    from anomaly.column import instants, refuse

    refuse(instants(frame, "end") <= instants(frame, "start"), "end", "is not after start", frame["end"])


def _write(flags: "pd.DataFrame", out: Path) -> None:
    """All or nothing: a reader never sees half a file."""
    part = out.with_name(f".{out.name}.part")
    try:
        if out.suffix == ".parquet":
            flags.to_parquet(part, index=False)
        else:
            flags.to_csv(part, index=False)
        part.replace(out)
    except OSError as error:
        raise Trouble(f"{out}: can not be written ({error.strerror}); give --out a folder that is there and yours") from error


def _summary(flags: "pd.DataFrame", rows: int, sites: "Sites", out: Path) -> None:
    from anomaly.slot import could_not_run

    for (code, level), count in flags.groupby(["code", "level"]).size().items():
        say(f"{code:24s} {level:4s} {count}")
    nowhere, unrated = could_not_run(sites.meters)
    if nowhere:
        say(f"{nowhere} of {len(sites.names)} sites have no position: the night and clear-sky tests could not run there")
    if unrated:
        say(f"{unrated} of {len(sites.names)} sites have no rating: the tests above the bound could not run there")
    say(f"{len(flags)} flags over {rows} intervals of {len(sites.names)} sites are in {out}")
