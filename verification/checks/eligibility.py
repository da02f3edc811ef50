"""C15 and C16: may it be claimed at all, and by nobody else."""

from verification.case import Case
from verification.checks.metering import claimed_days
from verification.claim import Register
from verification.disposition import within_two_years
from verification.item import Result, could_not_run, failed, passed

MOST_SHOWN = 20


def c15_eligible(case: Case) -> Result:
    """Windows and the two-year rule are looked at; additionality, ownership and the body's sample are documents that are not there yet."""
    faults = []
    for activity, disposition in case.earning():
        window = activity.window(case.claim.project)
        first, last = claimed_days(disposition)
        if window is None or not window.start <= first <= last < window.end:
            faults.append(f"activity {activity.activity}: claimed {first} to {last}, window {window}")
        if not within_two_years(activity):
            faults.append(f"activity {activity.activity}: operation began {activity.site.operation_start}, applied {activity.applied_on}")
    if faults:
        return failed(
            f"適格でない活動 {len(faults)}",
            f"{len(faults)} claimed activities are not eligible",
            population=len(case.earning()),
            stake_t=case.stake_t(),
            evidence=tuple(faults[:MOST_SHOWN]),
        )
    return could_not_run(
        "期間は全て窓内だが、追加性・環境価値の帰属・審査機関の抽出調査の記録がない",
        "every claimed interval lies inside its window, but no record of additionality, ownership or the body's drawn sample exists",
        population=len(case.earning()),
        stake_t=case.stake_t(),
    )


def c16_no_double_counting(case: Case) -> Result:
    """No claimed activity and period certified before, here or by the registry's answer after the freeze; exported energy is never in."""
    earning = {a.activity: a for a, _ in case.earning()}
    faults = [f"activity {c.activity}: certified by {c.claim}" for c in case.certified if c.activity in earning and c.period.meet(case.claim.period)]
    faults += [f"activity {name}: earns without an export register" for name, a in earning.items() if not a.has(Register.EXPORT)]
    answer = case.registry
    if answer is not None:
        faults += [f"activity {name}: {words}" for name, words in sorted(answer.hits.items()) if name in earning]
    if faults:
        return failed(
            f"二重計上の疑い {len(faults)}",
            f"{len(faults)} activities are counted elsewhere, or may be",
            population=len(earning),
            stake_t=case.stake_t(sum(case.member_of(a).total_wh for a in earning.values())),
            evidence=tuple(faults[:MOST_SHOWN]),
        )
    if answer is None or case.claim.frozen_at is None:
        return could_not_run("レジストリの回答がない", "there is no answer of the registry", population=len(earning), stake_t=case.stake_t())
    if answer.answered_at < case.claim.frozen_at:
        return could_not_run(
            "レジストリの回答が申請の凍結より前",
            f"the registry answered at {answer.answered_at.isoformat()}, before the claim was frozen",
            population=len(earning),
            stake_t=case.stake_t(),
        )
    unasked = sorted(set(earning) - answer.asked)
    if unasked or not earning:
        return could_not_run(
            f"照会の回答がない活動 {len(unasked)}",
            f"{len(unasked)} activities have no answer (PCS serial or supply point missing)",
            population=len(earning),
            stake_t=case.stake_t(),
            evidence=tuple(unasked[:MOST_SHOWN]),
        )
    return passed(
        f"活動 {len(earning)} 件：本システム・{answer.registry} の回答（{answer.answered_at.isoformat()}）とも重複なし、売電分は控除済み",
        f"{len(earning)} activities: certified neither here nor by the answer of {answer.registry} at {answer.answered_at.isoformat()}; export is deducted",
        population=len(earning),
        stake_t=case.stake_t(),
        evidence=(f"registry answer {answer.answered_at.isoformat()}",),
    )
