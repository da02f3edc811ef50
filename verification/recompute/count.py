"""The second count. Plain integers, fractions and dictionaries; every rule is written here anew from the domain page.

Records come in order: `claim` (enrolment, period, plan, factors, judgements), then `message`s in the order in which they were kept, then `numbers`,
what the first implementation found, which is compared at the end.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from typing import Any

HALF_HOUR = 1800
DAY, JST_S = 86_400, 9 * 3600
JST = timezone(timedelta(hours=9))
COUNTED = ("generation", "export", "charge", "discharge", "auxiliary")
CAP = Fraction(5, 4)  # of the rating, over a span that was not read
ON_TRUST = ("enrolment and meter events", "signatures of the messages (C01)", "emission factors as loaded", "which readings were disbelieved or held (C14)")


@dataclass(frozen=True)
class Difference:
    """The first implementation says one number, this one another."""

    where: str
    first: object
    second: object

    def __str__(self) -> str:
        return f"{self.where}: stated {self.first}, recalculated {self.second}"


class Recount:
    """Feed it the records of a bundle; then ask for `differences()`."""

    def __init__(self) -> None:
        self.claim: dict[str, Any] = {}
        self.numbers: dict[str, Any] = {}
        self.wrong: list[Difference] = []
        self.messages = self.intervals = 0
        self._registers: dict[str, dict[int, int]] = {}
        self._gateway_of: dict[str, str] = {}
        self._start = self._end = 0

    def take(self, record: dict[str, Any]) -> None:
        """One record; kinds that are not asked about are passed over."""
        kind = record["kind"]
        if kind == "claim":
            self._take_claim(record)
        elif kind == "message":
            self._take_message(record)
        elif kind == "numbers":
            self.numbers = record

    def _take_claim(self, record: dict[str, Any]) -> None:
        self.claim = record
        self._start, self._end = _midnight(record["period"]["start"]), _midnight(record["period"]["end"])
        for activity in record["activities"]:
            for meter in activity["meters"]:
                self._gateway_of[meter["meter"]] = meter["gateway"]
                self._registers[meter["meter"]] = {}

    def _take_message(self, record: dict[str, Any]) -> None:
        """Keep the readings at half-hour edges; the first of two for one instant stays."""
        payload = base64.b64decode(record["payload"], validate=True)
        if hashlib.sha256(payload).hexdigest() != record["sha256"]:
            self.wrong.append(Difference(f"message {record['gateway']}/{record['seq']}, SHA-256", record["sha256"], hashlib.sha256(payload).hexdigest()))
            return
        self.messages += 1
        message = json.loads(payload)
        for channel in message["channels"]:
            if self._gateway_of.get(channel["meter"]) == message["gateway"]:
                self._take_channel(self._registers[channel["meter"]], channel)

    def _take_channel(self, register: dict[int, int], channel: dict[str, Any]) -> None:
        at, step = int(datetime.fromisoformat(channel["start"]).timestamp()), channel["step_s"]
        for value in channel["values"]:
            if value is not None and at % HALF_HOUR == 0 and self._start <= at <= self._end:
                register.setdefault(at, value)
            at += step

    def differences(self) -> list[Difference]:
        """Every number that is not equal, members first, then years."""
        if not self.claim or not self.numbers:
            return [Difference("bundle", "records of claim and numbers", "not there")]
        found = list(self.wrong)
        year_step_wh: dict[tuple[int, str], int] = {}
        auxiliary: dict[tuple[int, str], int] = {}
        for activity in self.claim["activities"]:
            member = _Member(self.claim, activity, self._registers)
            self.intervals += member.intervals
            found += _compare(f"member {activity['activity']}", self.numbers["members"].get(activity["activity"], {}), member.totals())
            for key, wh in member.by_year_step("el_pj").items():
                year_step_wh[key] = year_step_wh.get(key, 0) + wh
            for key, wh in member.by_year_step("auxiliary").items():
                auxiliary[key] = auxiliary.get(key, 0) + wh
        return found + self._years(year_step_wh, auxiliary)

    def _years(self, el_pj: dict[tuple[int, str], int], auxiliary: dict[tuple[int, str], int]) -> list[Difference]:
        found, total = [], 0
        for year, stated in sorted(self.numbers["years"].items()):
            wh = {step: v for (y, step), v in el_pj.items() if y == int(year)}
            aux = {step: v for (y, step), v in auxiliary.items() if y == int(year)}
            mine = {"el_pj_wh": sum(wh.values())} | _tonnes(self.claim, int(year), wh, aux)
            total += mine["tonnes"] if mine["tonnes"] is not None else 0
            found += _compare(f"fiscal year {year}", stated, mine)
        if self.numbers["tonnes"] is not None and self.numbers["tonnes"] != total:
            found.append(Difference("tonnes in total", self.numbers["tonnes"], total))
        return found


class _Member:
    """One activity: spans that every register shares, then days."""

    def __init__(self, claim: dict[str, Any], activity: dict[str, Any], registers: dict[str, dict[int, int]]) -> None:
        self.claim, self.activity = claim, activity
        self.days: dict[date, dict[str, int]] = {}
        self.credited = self.intervals = 0
        meters = [m for m in activity["meters"] if m["register"] in COUNTED]
        if _may_earn(activity, meters):
            self._count([_Line(m, registers[m["meter"]], claim) for m in meters])
        self._share_loss()

    def _count(self, lines: "list[_Line]") -> None:
        shared = sorted(set.intersection(*(set(line.edges) for line in lines)))
        window = _window(self.claim, self.activity)
        self.intervals = len(lines) * max(0, len(shared) - 1)
        held = set().union(*(line.held for line in lines))
        number, day = -1, dict[str, int]()
        for a, b in pairwise(shared):
            if not window or self._holds(a, b, held) or not self._counts(a, b, window):
                continue
            if b - a > HALF_HOUR and sum(line.count[b] - line.count[a] for line in lines if line.register == "generation") > self._cap(b - a, lines):
                continue
            if number != (a + JST_S) // DAY:
                number, day = (a + JST_S) // DAY, self.days.setdefault(_day(a), dict.fromkeys((*COUNTED, "loss", "el_pj"), 0))
            self.credited += (b - a) // HALF_HOUR
            for line in lines:
                day[line.register] += line.count[b] - line.count[a]

    @staticmethod
    def _holds(a: int, b: int, held: set[int]) -> bool:
        """A half hour of the span is held in some register."""
        return a in held if b - a == HALF_HOUR else any(at in held for at in range(a, b, HALF_HOUR))

    def _counts(self, a: int, b: int, window: tuple[int, int]) -> bool:
        """Inside the window; and a span of more than one half hour crosses no fiscal year and no factor step."""
        if a < window[0] or b > window[1]:
            return False
        if b - a == HALF_HOUR:
            return True
        last = _day(b - 1)
        return _fiscal(_day(a)) == _fiscal(last) and _step(self.claim, self.activity, _day(a)) == _step(self.claim, self.activity, last)

    def _cap(self, seconds: int, lines: "list[_Line]") -> Fraction:
        coarsest: int = max(line.resolution for line in lines if line.register == "generation")
        cap: Fraction = Fraction(self.activity["ac_kw"]) * 1000 * CAP * seconds / 3600 + coarsest
        return cap

    def _share_loss(self) -> None:
        """Loss is the member's over the claim, never below 0, spread over days by what was charged, to the last Wh."""
        days = sorted(self.days)
        charged, discharged = (sum(self.days[d][r] for d in days) for r in ("charge", "discharge"))
        loss, weight = max(0, charged - discharged), sum(max(0, self.days[d]["charge"]) for d in days)
        running = given = 0
        for d in days:
            running += max(0, self.days[d]["charge"])
            upto = loss * running // weight if weight else 0
            self.days[d]["loss"], given = upto - given, upto
            self.days[d]["el_pj"] = self.days[d]["generation"] - self.days[d]["export"] - self.days[d]["loss"]

    def totals(self) -> dict[str, Any]:
        digest = hashlib.sha256("".join(f"{d.isoformat()} {self.days[d]['el_pj']}\n" for d in sorted(self.days) if self._nonzero(d)).encode())
        sums = {f"{name}_wh": sum(day[name] for day in self.days.values()) for name in ("generation", "export", "loss", "el_pj")}
        return {"credited": self.credited, **sums, "days_sha256": digest.hexdigest()}

    def _nonzero(self, d: date) -> bool:
        return self.days[d]["el_pj"] != 0

    def by_year_step(self, name: str) -> dict[tuple[int, str], int]:
        out: dict[tuple[int, str], int] = {}
        for d, wh in self.days.items():
            key = (_fiscal(d), _step(self.claim, self.activity, d))
            out[key] = out.get(key, 0) + wh[name]
        return out


class _Line:
    """One register within the claim: believed edges, its running count, and the spans in which it is held."""

    def __init__(self, meter: dict[str, Any], readings: dict[int, int], claim: dict[str, Any]) -> None:
        self.register, self.resolution = meter["register"], meter["resolution_wh"]
        untrue = set(claim["untrue"].get(meter["meter"], []))
        self.edges = sorted(at for at in readings if at not in untrue)
        events = [e for e in claim["events"] if e["meter"] == meter["meter"]]
        self.count, running = {}, 0
        for before, at in zip([None, *self.edges], self.edges, strict=False):
            if before is not None:
                running += _rise(meter, readings[before], readings[at], [e for e in events if before <= e["at"] < at])
            self.count[at] = running
        self.held = {at for start, end in claim["held"].get(meter["meter"], []) for at in range(start, end, HALF_HOUR)}


def _rise(meter: dict[str, Any], before: int, now: int, events: list[dict[str, Any]]) -> int:
    """What a register counted: its difference, around its modulus, or over a recorded seam."""
    if events:
        event = events[-1]
        opening = event["opening_wh"] if event["opening_wh"] is not None else 0
        return int((event["closing_wh"] or 0) - before + now - opening)
    rise = now - before
    if rise >= 0 or (meter["two_way"] and -rise < meter["modulus_wh"] // 2):
        return rise
    return int(rise + meter["modulus_wh"])


def _may_earn(activity: dict[str, Any], meters: list[dict[str, Any]]) -> bool:
    """Generation and export are metered, a battery both ways, and operation began at most two years before the application."""
    have = {m["register"] for m in meters}
    battery = {"charge", "discharge"} & have
    applied, began = date.fromisoformat(activity["applied_on"]), date.fromisoformat(activity["operation_start"])
    if not {"generation", "export"} <= have or len(battery) == 1 or (activity["battery"] and len(battery) < 2):
        return False
    return began >= _later(applied, -24)


def _window(claim: dict[str, Any], activity: dict[str, Any]) -> tuple[int, int] | None:
    """The member's crediting window within the project's certified period and the claim, Unix seconds."""
    began, joined = (date.fromisoformat(x) if x else date.min for x in (activity["operation_start"], activity["joined_on"]))
    start = max(date.fromisoformat(claim["registration_applied_on"]), began, joined)
    end = min(_later(start, 96), date.fromisoformat(activity["left_on"]) if activity["left_on"] else date.max)
    first = max(start, date.fromisoformat(claim["certified"]["start"]), date.fromisoformat(claim["period"]["start"]))
    last = min(end, date.fromisoformat(claim["certified"]["end"]), date.fromisoformat(claim["period"]["end"]))
    return (_midnight(first.isoformat()), _midnight(last.isoformat())) if first < last else None


def _step(claim: dict[str, Any], activity: dict[str, Any], day: date) -> str:
    if claim["plan"]["factor"] == "all_source":
        return "all_source"
    began = date.fromisoformat(activity["operation_start"])
    return "marginal" if day < _later(began, 12) else "mean" if day < _later(began, 30) else "all_source"


def _tonnes(claim: dict[str, Any], year: int, wh: dict[str, int], aux: dict[str, int]) -> dict[str, Any]:
    """ER in exact fractions of a kg, and the floor; None where a factor is missing."""
    factors = {(f["fiscal_year"], f["kind"]): Fraction(f["kg_per_kwh"]) for f in claim["factors"]}
    kg = auxiliary = Fraction(0)
    for step in wh:
        if not wh[step] and not aux.get(step):
            continue
        needed = {"marginal": ["marginal"], "all_source": ["all_source"], "mean": ["marginal", "all_source"]}[step]
        if any((year, kind) not in factors for kind in needed):
            return {"tonnes": None, "er_kg": None}
        cef = sum((factors[year, kind] for kind in needed), Fraction(0)) / len(needed)
        kg += Fraction(wh[step], 1000) * cef
        auxiliary += Fraction(aux.get(step, 0), 1000) * cef
    share = sum((Fraction(i["influence"]) for i in claim["plan"]["incidental"] if i["treatment"] == "deducted"), Fraction(0))
    er = kg - auxiliary - max(Fraction(0), kg) * share
    return {"tonnes": er.numerator // (er.denominator * 1000), "er_kg": er}


def _compare(where: str, stated: dict[str, Any], mine: dict[str, Any]) -> list[Difference]:
    found = []
    for name, value in mine.items():
        first = stated.get(name)
        same = (Fraction(first) == value) if name == "er_kg" and first is not None and value is not None else first == value
        if not same:
            found.append(Difference(f"{where}, {name}", first, str(value)))
    return found


def _midnight(day: str) -> int:
    return int(datetime.combine(date.fromisoformat(day), datetime.min.time(), JST).timestamp())


def _day(at: int) -> date:
    return datetime.fromtimestamp(at, JST).date()


def _fiscal(day: date) -> int:
    return day.year if day.month >= 4 else day.year - 1


def _later(day: date, months: int) -> date:
    """So many months later; where that day is not in the calendar, the first of the month after."""
    count = day.year * 12 + day.month - 1 + months
    try:
        return date(count // 12, count % 12 + 1, day.day)
    except ValueError:
        return date((count + 1) // 12, (count + 1) % 12 + 1, 1)


def records(source: Iterator[dict[str, Any]]) -> Recount:
    """Take all records of a bundle."""
    recount = Recount()
    for record in source:
        recount.take(record)
    return recount
