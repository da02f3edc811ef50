"""A small honest programme: two homes in Japan, fourteen days of May 2021, every register read at every half hour, every message signed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest
from nacl.signing import SigningKey

from ingest.segment import Message, pack
from verification.case import Case, Gateway, Recalculation, RegistryAnswer, make_case
from verification.claim import DEFAULT_INCIDENTAL, Activity, Claim, Flag, Meter, Plan, Project, Register, Series, Site
from verification.evidence import bundle
from verification.evidence.provenance import Counted, Examination, Key
from verification.methodology.factors import Factor, FactorTable, Kind
from verification.period import JST, SLOT_S, Period
from verification.recompute.count import Recount

START, DAYS = date(2021, 5, 1), 14
PERIOD = Period(start=START, end=START + timedelta(days=DAYS))
FROZEN_AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
RECEIVED_US = 1_790_000_000_000_000
SEEDS = {"gw-1": bytes([1]) * 32, "gw-2": bytes([2]) * 32}

PROJECT = Project(
    project="small-fy2021",
    name="Small",
    scheme="DEMO",
    methodology="EN-R-002",
    operator="Operator",
    registration_applied_on=date(2021, 3, 1),
    certified=Period(start=date(2021, 4, 1), end=date(2029, 4, 1)),
    area="Tokyo",
)
TABLE = FactorTable(
    factors=(
        Factor(
            fiscal_year=2021,
            kind=Kind.ALL_SOURCE,
            kg_per_kwh=Decimal("0.434"),
            source="ministry",
            file_sha256="a" * 64,
            loaded_by="op",
            confirmed_by="second",
            confirmed_at=FROZEN_AT,
        ),
    )
)


def make_series(energies: np.ndarray, *, opening: int = 1_000_000, start_s: int = PERIOD.start_s) -> Series:
    """A register that counted these half hours, read at every edge."""
    energies = np.asarray(energies, np.int64)
    registers = opening + np.concatenate(([0], np.cumsum(energies)))
    end = start_s + SLOT_S * np.arange(len(registers), dtype=np.int64)
    start = np.concatenate(([-1], end[:-1]))
    state = np.ones(len(registers), np.int8)
    state[0] = 0
    return Series(start_s=start, end_s=end, register_wh=registers, energy_wh=np.concatenate(([0], energies)), state=state)


def make_day(seed: int) -> np.ndarray:
    """48 half hours of a day's generation: a bell from 5 to 18 o'clock, different every day."""
    rng = np.random.default_rng(seed)
    hours = np.arange(48) / 2
    bell = np.where((hours >= 6) & (hours < 17), np.sin((hours - 6) / 11 * np.pi), 0)
    return (bell * 900 * rng.uniform(0.5, 1.0, 48)).astype(np.int64)


def make_activity(number: int, *, battery: bool = False, **changes: Any) -> Activity:
    site = Site(
        site=f"site-{number}",
        lat=35.7,
        lon=139.7,
        dc_kw=4.0,
        ac_kw=4.0,
        operation_start=date(2020, 10, 1),
        exports=True,
        region="Tokyo",
        pcs_maker="maker",
        pcs_model="model",
        pcs_serial=f"serial-{number}",
        supply_point=f"point-{number}",
        battery="battery 10 kWh" if battery else None,
    )
    registers = [Register.GENERATION, Register.EXPORT] + ([Register.CHARGE, Register.DISCHARGE] if battery else [])
    meters = tuple(
        Meter(
            number=number * 10 + n,
            meter=f"m-{number}-{register}",
            register=register,
            gateway=f"gw-{number}",
            modulus_wh=10**9,
            specified=True,
            verified_until=date(2030, 1, 1),
        )
        for n, register in enumerate(registers)
    )
    site_changes = {k: v for k, v in changes.items() if k in Site.__slots__}
    rest = {k: v for k, v in changes.items() if k not in Site.__slots__}
    return replace(
        Activity(
            activity=f"act-{number}",
            member=f"mem-{number}",
            site=replace(site, **site_changes),
            applied_on=date(2021, 3, 1),
            consented_on=date(2021, 3, 1),
            meters=meters,
        ),
        **rest,
    )


def make_claim(**changes: Any) -> Claim:
    """The honest claim, or with other fields."""
    activities = (make_activity(1), make_activity(2))
    series = {}
    for a in activities:
        made = np.concatenate([make_day(a.meters[0].number * 1000 + d) for d in range(DAYS)])
        series[a.meters[0].number] = make_series(made)
        series[a.meters[1].number] = make_series(made // 2, opening=500)
    base = Claim(
        claim="small-fy2021-001",
        project=PROJECT,
        period=PERIOD,
        plan=Plan(incidental=DEFAULT_INCIDENTAL),
        activities=activities,
        series=series,
        frozen_at=FROZEN_AT,
        created_by="Operator",
    )
    return replace(base, **changes)


@dataclass
class Kept:
    """Evidence as the stream keeps it: segments' bytes, the message table, the keys."""

    messages: list[Message]
    counted: list[Counted]
    keys: tuple[Key, ...]


def make_messages(claim: Claim) -> Kept:
    """A day of half hours a message, signed, for every gateway of the claim."""
    messages, counted = [], []
    for a in claim.activities:
        gateway = a.meters[0].gateway
        for day in range(DAYS):
            channels = [_channel(claim, m, day) for m in a.meters]
            payload = json.dumps(
                {
                    "v": 1,
                    "gateway": gateway,
                    "seq": day,
                    "prev": "0" * 64,
                    "sent_at": datetime.fromtimestamp(RECEIVED_US / 1e6 - 60, JST).isoformat(timespec="seconds"),
                    "channels": channels,
                }
            ).encode()
            digest = hashlib.sha256(payload).digest()
            signed = SigningKey(SEEDS[gateway]).sign(payload).signature
            counted.append(Counted(gateway=gateway, seq=day, hash=digest, segment=1, place=len(messages)))
            messages.append(
                Message(payload=payload, kid=f"key-{gateway}", signature=signed, format="native", received_us=RECEIVED_US, sha256=digest, gateway=gateway)
            )
    keys = tuple(Key(kid=f"key-{g}", gateway=g, public_key=bytes(SigningKey(seed).verify_key), enrolled_us=RECEIVED_US - 10**9) for g, seed in SEEDS.items())
    return Kept(messages=messages, counted=counted, keys=keys)


def _channel(claim: Claim, meter: Meter, day: int) -> dict[str, Any]:
    series = claim.series_of(meter)
    at = claim.period.start_s + day * 86_400
    known = dict(zip(series.end_s.tolist(), series.register_wh.tolist(), strict=True))
    count = 49 if day == DAYS - 1 else 48
    return {
        "meter": meter.meter,
        "register": str(meter.register),
        "unit": "Wh",
        "start": datetime.fromtimestamp(at, JST).isoformat(),
        "step_s": SLOT_S,
        "values": [known.get(at + n * SLOT_S) for n in range(count)],
    }


def make_registry(claim: Claim, **changes: Any) -> RegistryAnswer:
    answer = RegistryAnswer(answered_at=FROZEN_AT + timedelta(seconds=1), registry="registry", asked=frozenset(a.activity for a in claim.activities), hits={})
    return replace(answer, **changes)


def recount(claim: Claim, kept: Kept, case: Case) -> Recalculation:
    second = Recount()
    second.take(bundle.claim_record(claim, case.factors))
    for row in (r for r in kept.counted if r.place < len(kept.messages)):
        second.take(bundle.message_record(row, kept.messages[row.place]))
    second.take(bundle.numbers_record(case))
    differences = tuple(map(str, second.differences()))
    return Recalculation(members=len(claim.activities), intervals=second.intervals, differences=differences, on_trust=())


def make_small_case(claim: Claim | None = None, *, kept: Kept | None = None, table: FactorTable = TABLE, count_again: bool = False, **evidence: Any) -> Case:
    """The honest case with all its evidence, or with some of it changed; the second count is done where a test asks for it."""
    claim = claim or make_claim()
    kept = kept or honest_messages()
    examination = Examination(kept.keys)
    examination.take(1, pack(kept.messages), kept.counted)
    given: dict[str, Any] = {
        "enrolled_activities": frozenset(a.activity for a in claim.activities),
        "provenance": examination.result(),
        "registry": make_registry(claim),
        "gateways": tuple(Gateway(gateway=g, site="s", kids=(f"key-{g}",), fingerprints=("f",), firmware="1") for g in SEEDS),
        "addresses": frozenset(a.member for a in claim.activities),
        "rule_sets": ("registers-1", "slot-1"),
        "build": "test",
    }
    given |= evidence
    given.setdefault("recalculation", Recalculation(members=2, intervals=1, differences=(), on_trust=()))
    case = make_case(claim, table, **given)
    return replace(case, recalculation=recount(claim, kept, case)) if count_again else case


@cache
def honest_messages() -> Kept:
    return make_messages(make_claim())


def make_flag(meter: int, start_s: int, end_s: int, **changes: Any) -> Flag:
    flag = Flag(
        meter=meter, start_s=start_s, end_s=end_s, code="night-generation", level="hold", observed=9.0, bound=1.0, energy_at_stake_wh=9, rule_set="slot-1"
    )
    return replace(flag, **changes)


@dataclass(frozen=True)
class Small:
    """The makers above, for tests (a test folder is no package, so they come as a fixture)."""

    claim: Callable[..., Claim] = make_claim
    case: Callable[..., Case] = make_small_case
    activity: Callable[..., Activity] = make_activity
    series: Callable[..., Series] = make_series
    day: Callable[[int], np.ndarray] = make_day
    messages: Callable[[Claim], Kept] = make_messages
    flag: Callable[..., Flag] = make_flag
    registry: Callable[..., RegistryAnswer] = make_registry
    recount: Callable[..., Recalculation] = recount
    period: Period = PERIOD
    table: FactorTable = TABLE
    project: Project = PROJECT


@pytest.fixture
def small() -> Small:
    return Small()
