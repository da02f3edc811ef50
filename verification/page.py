"""The report as one HTML file, Japanese and English side by side, drawn from the canonical document and from what was decided after it.

The first page says verdicts, tonnes, MWh and what needs a person; the last one names, for each item that did not run or failed, what the body did instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from verification import chart
from verification.item import BLOCKING

SECTIONS = {
    "application": "申請 Application",
    "members": "会員 Members",
    "equipment": "設備 Equipment",
    "monitoring": "モニタリング Monitoring",
    "calculation": "算定 Calculation",
    "provenance": "来歴 Provenance",
    "metering": "計量 Metering",
    "completeness": "網羅性 Completeness",
    "plausibility": "妥当性 Plausibility",
    "eligibility": "適格性 Eligibility",
}
VERDICTS = {"pass": "適合 pass", "fail": "不適合 fail", "could not run": "実施不能 could not run", "not applicable": "該当なし not applicable"}
MOST_VALUE = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Instead:
    """What the body did where an item could not run or failed."""

    item: str
    person: str
    reason: str
    file_name: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One event of the claim's walk."""

    what: str
    person: str
    at: str
    reason: str | None = None


def render(report: Mapping[str, Any], *, sha256: str, instead: Sequence[Instead] = (), steps: Sequence[Step] = (), state: str = "verified") -> str:
    """The page. `sha256` is of the canonical report."""
    blocking = [item for item in report["items"] if item["verdict"] in tuple(BLOCKING)]
    by_item: dict[str, list[Instead]] = {}
    for record in instead:
        by_item.setdefault(record.item, []).append(record)
    return _template().render(
        r={**report, "verdicts": {verdict: report["verdicts"][verdict] for verdict in VERDICTS}},
        sha256=sha256,
        state=state,
        sections=SECTIONS,
        verdicts=VERDICTS,
        blocking=blocking,
        undecided=[item["id"] for item in blocking if item["id"] not in by_item],
        instead=by_item,
        steps=steps,
        calendar=chart.calendar(report["calendar"], report["period"]["start"]),
        months=chart.months(report["months"]),
        held=chart.bars(held_by_code(report), "Wh"),
    )


def held_by_code(report: Mapping[str, Any]) -> dict[str, int]:
    """Energy at stake of flags that hold, by code, from entry E37."""
    rows = next(item for item in report["items"] if item["id"] == "E37")["value"]["by code"]
    return {row["code"]: row["energy_wh"] for row in rows if row["level"] == "hold"}


def short(value: Any) -> str:
    """A value in one line; what is long is cut, since the JSON has it whole."""
    text = "-" if value is None else _flat(value)
    return text if len(text) <= MOST_VALUE else text[:MOST_VALUE] + " … (JSON)"


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_flat, value))
    return str(value)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["short"] = short
    return environment.from_string(files("verification").joinpath("page.html.j2").read_text(encoding="utf-8"))
