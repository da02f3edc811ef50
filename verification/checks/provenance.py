"""C01 to C03: who said it, was it changed since, and when was it said."""

from verification.case import Case
from verification.item import Result, could_not_run, failed, passed

MOST_SHOWN = 20


def c01_signatures(case: Case) -> Result:
    """Every message behind a claimed interval is verified again from its stored bytes, under a key enrolled and not revoked when it was received."""
    seen = case.provenance
    silent = sorted({m.gateway for _, _, m in case.earning_meters() if seen is not None and not seen.by_gateway.get(m.gateway)})
    if seen is None:
        return could_not_run("保存された電文を読めなかった", "the stored messages were not read", stake_t=case.stake_t())
    if seen.fault_count or silent:
        shown = [str(f) for f in seen.faults[:MOST_SHOWN]] + [f"gateway {g}: credited, but no message of it counts" for g in silent]
        return failed(
            f"{seen.tested} 通のうち {seen.fault_count} 通の署名・鍵・ハッシュが不正、電文のないゲートウェイ {len(silent)}",
            f"of {seen.tested} messages {seen.fault_count} fail signature, key or hash; {len(silent)} gateways are credited without a message",
            population=seen.tested,
            stake_t=case.stake_t(),
            evidence=tuple(shown),
        )
    if not seen.tested:
        return could_not_run("対象の電文がない", "there is no message to test", stake_t=case.stake_t())
    return passed(
        f"{seen.tested} 通すべての署名を保存バイト列から再検証し、受信時に登録済み・未失効の鍵であった（漏洩日の記録がある鍵はない）",
        f"all {seen.tested} messages verified again from their stored bytes, each under a key enrolled and not revoked at receipt; "
        "no key has a compromised-since time",
        population=seen.tested,
        stake_t=case.stake_t(),
        evidence=(f"evidence segments {len(seen.segments)}", f"gateways {len(seen.by_gateway)}", f"refused messages, which earn nothing: {seen.refused}"),
    )


def c02_integrity(case: Case) -> Result:
    """Root of the stored evidence against a checkpoint that a witness outside the operator cosigned: there is none yet."""
    return could_not_run(
        "事業者外の立会人が連署したチェックポイントがない",
        "no checkpoint cosigned by a witness outside the operator exists; hashes were compared under C01",
        stake_t=case.stake_t(),
    )


def c03_clock(case: Case) -> Result:
    """sent_at never ahead of receive time beyond the limit. The rest of the rule, shifted days by the daylight pattern, needs a detector that is not there."""
    seen = case.provenance
    if seen is not None and seen.ahead:
        return failed(
            f"受信時刻より先の送信時刻 {len(seen.ahead)} 通",
            f"{len(seen.ahead)} messages were signed ahead of their receive time",
            population=seen.tested,
            stake_t=case.stake_t(),
            evidence=tuple(map(str, seen.ahead[:MOST_SHOWN])),
        )
    return could_not_run(
        "送信時刻の先行はないが、日照パターンによる日ずれの検出は未実施",
        "no sent_at lies ahead of its receive time, but days shifted against the daylight pattern were not looked for",
        population=seen.tested if seen else 0,
        stake_t=case.stake_t(),
    )
