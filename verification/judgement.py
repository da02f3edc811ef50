"""All 69 items of one case: 50 entries and 19 checks, answered and matched to the checklist."""

from collections.abc import Mapping

from verification.case import Case
from verification.checks import CHECKS, Check, answer
from verification.entries import ENTRIES
from verification.item import Result, checklist


def judge(case: Case, entries: tuple[Check, ...] = ENTRIES, checks: tuple[Check, ...] = CHECKS) -> Mapping[str, Result]:
    """The answer to every item; ValueError where the functions and the checklist do not fit."""
    found = {**answer(entries, case), **answer(checks, case)}
    items = checklist()
    if set(found) != set(items):
        raise ValueError(f"functions and checklist differ: {sorted(set(found) ^ set(items))}")
    return {item: found[item] for item in items}
