"""How an entry answers: a value with its source, and the words that fit its verdict."""

from typing import Any

from verification.item import Result, could_not_run, failed, not_applicable, passed

MOST_SHOWN = 20


def stated(value: Any, source: str, *, population: int = 1, ja: str = "規則を満たす", en: str = "stated, and its rule is met") -> Result:
    return passed(ja, en, value=value, source=source, population=population)


def judged(value: Any, source: str, faults: list[str], *, population: int, ja: str, en: str) -> Result:
    """Pass where there is no fault; else fail, with `ja` and `en` saying what is wrong."""
    if not faults:
        return stated(value, source, population=population)
    return failed(f"{ja}：{len(faults)} 件", f"{en}: {len(faults)}", value=value, source=source, population=population, evidence=tuple(faults[:MOST_SHOWN]))


def unseen(value: Any, source: str, *, ja: str, en: str, population: int = 0) -> Result:
    return could_not_run(ja, en, value=value, source=source, population=population)


def none_here(source: str, *, ja: str, en: str) -> Result:
    return not_applicable(ja, en, value=None, source=source)
