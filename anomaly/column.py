"""Columns of a table that somebody sends, each value checked: the error names column and row, and says what would be right."""

from typing import Any

import numpy as np
import pandas as pd

from anomaly.row import Bools, Floats, Ints

LARGEST_WH = 2**53
LAST_S = 4_102_444_800  # 2100-01-01


class BadTableError(ValueError):
    """A table that can not be used: says column and row (counted from 1, without the header)."""


def refuse(bad: Bools, name: str, why: str, values: pd.Series) -> None:
    """Name the first bad value, and how many more there are."""
    hits = np.flatnonzero(bad)
    if hits.size:
        more = f" ({hits.size - 1} more like it)" if hits.size > 1 else ""
        raise BadTableError(f"row {hits[0] + 1}, column {name}: {str(values.iloc[int(hits[0])])[:60]!r} {why}{more}")


def texts(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of names that must be there and filled."""
    values = _filled(frame, name).astype(str)
    refuse((values.str.strip() == "").to_numpy(dtype=bool), name, "must be filled", values)
    return values


def number(frame: pd.DataFrame, name: str, least: float, most: float) -> Floats:
    """A column that may be absent or empty, as floats with NaN for what is not known."""
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    values = frame[name]
    numbers: Floats = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    refuse(np.isnan(numbers) & values.notna().to_numpy(), name, "is not a number", values)
    refuse((numbers < least) | (numbers > most), name, f"is not within {least:.16g} to {most:.16g}", values)
    return numbers


def integer(frame: pd.DataFrame, name: str, least: int, most: int) -> Floats:
    """As `number`, whole where filled."""
    numbers = number(frame, name, least, most)
    refuse(~np.isnan(numbers) & (numbers != np.floor(numbers)), name, "is not a whole number", frame.get(name, pd.Series(dtype=object)))
    return numbers


def whole(frame: pd.DataFrame, name: str, least: int, most: int) -> Ints:
    """A column that must be there and filled with whole numbers."""
    _filled(frame, name)
    return integer(frame, name, least, most).astype(np.int64)


def instants(frame: pd.DataFrame, name: str) -> Ints:
    """A column of instants as Unix s; one without an offset is UTC."""
    values = _filled(frame, name)
    typed = pd.api.types.is_datetime64_any_dtype(values)
    stamps = pd.to_datetime(values if typed else values.astype(str), utc=True, errors="coerce", format=None if typed else "ISO8601")
    refuse(stamps.isna().to_numpy(), name, "is no instant; write it as 2025-04-01T00:00:00Z", values)
    seconds: Ints = stamps.astype("datetime64[s, UTC]").astype("int64").to_numpy()
    refuse((seconds < 0) | (seconds > LAST_S), name, "is not within 1970 to 2100", values)
    return seconds


def _filled(frame: pd.DataFrame, name: str) -> Any:
    if name not in frame.columns:
        raise BadTableError(f"no column {name}; it has {', '.join(map(str, frame.columns)) or 'none'}")
    refuse(frame[name].isna().to_numpy(), name, "must be filled", frame[name])
    return frame[name]
