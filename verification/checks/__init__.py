"""The 19 checks. A check is a function of a case; its name begins with its id. To add one, write it and name it in `CHECKS`.

An empty tuple is refused. A check that ends with an error did not run: it answers *could not run*, never *pass*.
"""

from collections.abc import Callable, Mapping

from verification.case import Case
from verification.checks import calculation, completeness, eligibility, metering, plausibility, provenance
from verification.item import Result, could_not_run

Check = Callable[[Case], Result]

CHECKS: tuple[Check, ...] = (
    provenance.c01_signatures,
    provenance.c02_integrity,
    provenance.c03_clock,
    metering.c04_verified_meters,
    metering.c05_continuity,
    completeness.c06_every_gap_known,
    completeness.c07_gaps_conservative,
    completeness.c08_no_duplicates,
    plausibility.c09_physical_limit,
    plausibility.c10_night,
    plausibility.c11_peers,
    plausibility.c12_synthetic,
    plausibility.c13_balance,
    plausibility.c14_anomalies_resolved,
    eligibility.c15_eligible,
    eligibility.c16_no_double_counting,
    calculation.c17_factor,
    calculation.c18_recalculation,
    calculation.c19_materiality,
)


def answer(functions: tuple[Check, ...], case: Case) -> Mapping[str, Result]:
    """The result of each function by its item's id; ValueError for an empty tuple or an id given twice."""
    ids = [item_id(function) for function in functions]
    if not functions or len(set(ids)) != len(ids):
        raise ValueError("a list of checks has at least one, and each once")
    return {item: _run(function, case) for item, function in zip(ids, functions, strict=True)}


def item_id(function: Check) -> str:
    """`c01_signatures` answers C01."""
    return str(getattr(function, "__name__", "")).partition("_")[0].upper()


def _run(function: Check, case: Case) -> Result:
    try:
        return function(case)
    except Exception as error:  # whatever the data did to it: an error is no answer, and no pass
        return could_not_run(
            f"検査が誤りで終了した：{type(error).__name__}: {error}", f"the check ended with an error: {type(error).__name__}: {error}", stake_t=case.stake_t()
        )
