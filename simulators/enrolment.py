"""The enrolment tables of a simulated programme: the columns of the contract, one dataclass a table, and their files.

Names of people and addresses are invented and say so. A blank cell is what the contract calls not filled.
"""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    project: str
    name: str
    scheme: str
    methodology: str
    operator: str
    registration_applied_on: date
    certified_from: date
    certified_to: date
    area: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    member: str
    activity: str
    site: str
    applied_on: date
    consented_on: date
    joined_on: date | None
    left_on: date | None
    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    site: str
    lat: float
    lon: float
    dc_kw: float
    ac_kw: float
    operation_start: date
    exports: str
    alt: float
    tilt: float
    azimuth: float
    region: str
    pcs_maker: str
    pcs_model: str
    pcs_serial: str
    supply_point: str
    battery: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    gateway: str
    kid: str
    public_key: str
    site: str
    firmware: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    meter: str
    site: str
    gateway: str
    register: str
    modulus_wh: int
    serial: str
    resolution_wh: int
    specified: str
    verified_until: date | None
    calibration: str
    two_way: str


DEMO = Project(
    project="demo-fy2021",
    name="DEMO home solar programme, FY2021",
    scheme="DEMO",
    methodology="EN-R-002",
    operator="Demo Programme Operator",
    registration_applied_on=date(2021, 3, 1),
    certified_from=date(2021, 4, 1),
    certified_to=date(2029, 4, 1),
    area="Akita, Saitama, Aichi, Kumamoto (simulated)",
)
Row = Member | Site | Gateway | Meter


def write_project(path: Path, project: Project) -> None:
    """`project.toml`: strings in double quotes (none of ours needs an escape), days as TOML dates."""
    lines = [f"{f.name} = {_toml(getattr(project, f.name))}" for f in fields(project)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: str | date) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if '"' in value or "\\" in value:
        raise ValueError(f"{value!r} needs an escape in TOML")
    return f'"{value}"'


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """One CSV with a header line; an empty table is refused since a programme without members, sites, gateways and meters is none."""
    if not rows:
        raise ValueError(f"{path.name} would have no row")
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([f.name for f in fields(rows[0])])
        out.writerows(["" if cell is None else cell for cell in astuple(row)] for row in rows)
