"""C17 to C19: the factor, the arithmetic, and whether what is wrong would matter."""

from verification.case import Case
from verification.item import Result, could_not_run, failed, passed
from verification.methodology.en_r_002 import Step
from verification.methodology.factors import Factor, MissingFactorError

MOST_SHOWN = 20


def c17_factor(case: Case) -> Result:
    """The factor of the year of the reduction and the step of the elapsed years, from the loaded table, confirmed by a second person."""
    used, missing = used_factors(case)
    if missing:
        return could_not_run(
            f"排出係数が未登録：{len(missing)}", "; ".join(missing), population=len(used) + len(missing), stake_t=case.stake_t(), evidence=tuple(missing)
        )
    if not used:
        return could_not_run("申請電力量がない", "there is no energy that takes a factor")
    lines = tuple(sorted(f"FY{f.fiscal_year} {f.kind} {f.kg_per_kwh} kg/kWh, {f.source}, file {f.file_sha256[:12]}" for f in used))
    unconfirmed = sorted({f"FY{f.fiscal_year} {f.kind} (loaded by {f.loaded_by})" for f in used if not f.confirmed})
    if unconfirmed:
        return could_not_run(
            f"第二者が確認していない係数 {len(unconfirmed)}",
            f"not confirmed by a second person: {', '.join(unconfirmed)}; `jcredit factors confirm --as PERSON`",
            population=len(used),
            stake_t=case.stake_t(),
            evidence=lines,
        )
    return passed(
        f"使用係数 {len(used)} 件は年度・段階（{case.claim.plan.factor}）に一致し、第二者が確認済み",
        f"{len(used)} factors, of the year and step of their reduction (plan: {case.claim.plan.factor}), confirmed by a second person",
        population=len(used),
        stake_t=case.stake_t(),
        evidence=lines,
    )


def used_factors(case: Case) -> tuple[tuple[Factor, ...], tuple[str, ...]]:
    """The factors that the claim's energy takes, and what the table does not have."""
    found: dict[tuple[int, str], Factor] = {}
    missing = []
    for year in case.reduction.years:
        for step, wh in year.wh_by_step.items():
            if not wh:
                continue
            try:
                found |= {(f.fiscal_year, f.kind): f for f in case.factors.used(year.fiscal_year, Step(step))}
            except MissingFactorError as error:
                missing.append(str(error))
    return tuple(found.values()), tuple(missing)


def c18_recalculation(case: Case) -> Result:
    """A second implementation, from the messages to the tonne, gives the same numbers; no member claims more than its registers' differences."""
    second = case.recalculation
    if second is None:
        return could_not_run("第二実装による再計算は未実施", "the second implementation was not run", stake_t=case.stake_t())
    if second.differences:
        return failed(
            f"再計算との相違 {len(second.differences)}",
            f"the second implementation differs in {len(second.differences)} places",
            population=second.intervals,
            stake_t=case.stake_t(),
            evidence=second.differences[:MOST_SHOWN],
        )
    if not second.intervals:
        return could_not_run("再計算する区間がない", "the second implementation saw no interval", stake_t=case.stake_t())
    return passed(
        f"電文からの第二実装による再計算が一致（会員 {second.members}、計量区間 {second.intervals}）",
        f"recalculated from the messages by a second implementation: equal to the Wh and the t ({second.members} members, {second.intervals} meter intervals)",
        population=second.intervals,
        stake_t=case.stake_t(),
        evidence=tuple(f"on trust: {what}" for what in second.on_trust),
    )


def c19_materiality(case: Case) -> Result:
    """Needs a threshold fixed before the work and a sample's result: neither is on record yet."""
    return could_not_run(
        "事前に定めた重要性の閾値と抽出調査の結果がない",
        "no threshold was fixed before the work, and there is no sample result",
        stake_t=case.stake_t(),
    )
