"""A flag: what was found in one interval, against which bound, and what it does to the credit.

Every sentence is made from the code and the numbers alone, in Japanese and English, so that it can be made again from the stored row.
Times in sentences are JST; all numbers are Wh.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum

JST = timezone(timedelta(hours=9), "JST")


class Level(StrEnum):
    HOLD = "hold"
    WARN = "warn"


class Code(StrEnum):
    NEGATIVE = "negative"
    NIGHT = "night-generation"
    ABOVE_BOUND = "above-bound"
    REGISTER_FELL = "register-fell"
    GAP_LUMP = "gap-lump"
    DUPLICATE = "duplicate"
    EXPORT_ABOVE_GENERATION = "export-above-generation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """`where` names the meter, or the site where a file has no meters. `observed` and `bound` are Wh, of what the code says."""

    code: Code
    level: Level
    where: str
    start: datetime
    end: datetime
    observed: float
    bound: float
    energy_at_stake_wh: int
    rule_set: str

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None or self.end <= self.start:
            raise ValueError(f"a flag's period is aware and ends after it starts, not {self.start} to {self.end}")
        if self.energy_at_stake_wh < 0:
            raise ValueError(f"energy at stake is never below zero, not {self.energy_at_stake_wh} Wh")


# What was found: (Japanese, English), with observed, bound and their difference.
REASONS = {
    Code.NEGATIVE: (
        "電力量が負 {observed} Wh（許容下限 {bound} Wh）",
        "the energy is negative, {observed} Wh, below the {bound} Wh that noise and standby explain",
    ),
    Code.NIGHT: (
        "区間全体で太陽が地平線下にあるのに発電 {observed} Wh（上限 {bound} Wh）",
        "{observed} Wh generated with the sun below the horizon throughout; noise explains up to {bound} Wh",
    ),
    Code.ABOVE_BOUND: (
        "電力量 {observed} Wh が定格または快晴時の上限 {bound} Wh を {excess} Wh 超過",
        "{observed} Wh exceed the bound of rating and clear sky, {bound} Wh, by {excess} Wh",
    ),
    Code.REGISTER_FELL: (
        "積算値が連続していない（低下、または記録のない交換・リセット）。解除した場合に計上される量 {observed} Wh、記録がない間の上限 {bound} Wh",
        "the register does not run on (it fell, or was reset or exchanged without full record); {observed} Wh if released, {bound} Wh without a record",
    ),
    Code.GAP_LUMP: (
        "欠測後の一括値 {observed} Wh が欠測期間全体の上限 {bound} Wh を {excess} Wh 超過",
        "the total after a gap, {observed} Wh, exceeds the bound of the whole gap, {bound} Wh, by {excess} Wh",
    ),
    Code.DUPLICATE: (
        "同一時刻の値が二重（先着 {bound} Wh、後着 {observed} Wh）。採用できるのは一つのみ",
        "stated twice, first {bound} Wh, then {observed} Wh; only one can count",
    ),
    Code.EXPORT_ABOVE_GENERATION: (
        "売電 {observed} Wh が発電による上限 {bound} Wh を {excess} Wh 超過",
        "{observed} Wh exported exceed what generation and discharge allow, {bound} Wh, by {excess} Wh",
    ),
}

# What the rule does to the credit.
EFFECTS = {
    Level.HOLD: ("解除されるまでこの区間はクレジットの対象外", "the interval earns nothing until a person releases it"),
    Level.WARN: ("クレジットへの影響なし（警告）", "a warning: the credit is unchanged"),
}


def sentences(flag: Flag) -> tuple[str, str]:
    """The flag in Japanese and in English: where and when, reason, number against bound, Wh at stake, effect, rule set."""
    numbers = {"observed": _wh(flag.observed), "bound": _wh(flag.bound), "excess": _wh(flag.observed - flag.bound)}
    reason_ja, reason_en = (text.format(**numbers) for text in REASONS[flag.code])
    effect_ja, effect_en = EFFECTS[flag.level]
    period, stake = _period(flag.start, flag.end), _wh(flag.energy_at_stake_wh)
    return (
        f"{flag.where} {period}：{reason_ja}。対象電力量 {stake} Wh。{effect_ja}。規則 {flag.rule_set}。",
        f"{flag.where} {period}: {reason_en}. At stake: {stake} Wh; {effect_en}. Rule set {flag.rule_set}.",
    )


def _wh(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _period(start: datetime, end: datetime) -> str:
    first, last = start.astimezone(JST), end.astimezone(JST)
    closing = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M}–{closing} JST"
