"""The 69 items: their texts are data (`checklist.toml`), their answers are results.

A verdict is pass, fail, could not run, or not applicable (with a reason and a population of 0). A check that does not see its evidence can not pass.
An entry states a value with its source, and its rule gives it a verdict too.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from importlib.resources import files
from typing import Any

ENTRIES_EXPECTED, CHECKS_EXPECTED = 50, 19


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    COULD_NOT_RUN = "could not run"
    NOT_APPLICABLE = "not applicable"


BLOCKING = (Verdict.FAIL, Verdict.COULD_NOT_RUN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One line of the checklist."""

    no: int
    id: str
    kind: str
    section: str
    ja: str
    en: str
    rule: str
    grounding: str
    evidence: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The answer to one item. `stake_t` is the t that depend on it; `evidence` says where to look."""

    verdict: Verdict
    reason_ja: str
    reason_en: str
    population: int = 0
    stake_t: Decimal | None = None
    value: Any = None
    source: str = ""
    evidence: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.verdict is Verdict.NOT_APPLICABLE and self.population:
            raise ValueError("what is not applicable has a population of 0")
        if not (self.reason_ja and self.reason_en):
            raise ValueError("a result says why, in both languages")


def checklist() -> Mapping[str, Item]:
    """The items by id, in their order; ValueError unless they are 50 entries and 19 checks."""
    text = files("verification").joinpath("checklist.toml").read_text(encoding="utf-8")
    items = [Item(**row) for row in tomllib.loads(text)["item"]]
    kinds = [item.kind for item in items]
    if (kinds.count("entry"), kinds.count("check")) != (ENTRIES_EXPECTED, CHECKS_EXPECTED):
        raise ValueError(f"the checklist has {kinds.count('entry')} entries and {kinds.count('check')} checks, not {ENTRIES_EXPECTED} and {CHECKS_EXPECTED}")
    return {item.id: item for item in items}


def passed(ja: str, en: str, **more: Any) -> Result:
    return Result(verdict=Verdict.PASS, reason_ja=ja, reason_en=en, **more)


def failed(ja: str, en: str, **more: Any) -> Result:
    return Result(verdict=Verdict.FAIL, reason_ja=ja, reason_en=en, **more)


def could_not_run(ja: str, en: str, **more: Any) -> Result:
    return Result(verdict=Verdict.COULD_NOT_RUN, reason_ja=ja, reason_en=en, **more)


def not_applicable(ja: str, en: str, **more: Any) -> Result:
    return Result(verdict=Verdict.NOT_APPLICABLE, reason_ja=ja, reason_en=en, **more)
