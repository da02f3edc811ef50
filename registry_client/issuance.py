"""A batch: the credits of one approved claim, asked of the registry once.

The batch's id is made from the claim and is the idempotency key, so that asking again, even from an old backup, can only give the same blocks.
The request carries what the certification form asks, as far as known here; it is made once and its bytes never change. What may come back is in `answer`.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import rfc8785

from registry_client.serial import Kind, Series


class State(StrEnum):
    """How far a batch has come."""

    REQUESTED = "requested"
    ISSUED = "issued"


NEXT_STEP = {
    State.REQUESTED: "send the request to the registry again with `jcredit issue`; the same key can give only the same blocks",
    State.ISSUED: "nothing: the serial blocks are in the ledger",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Vintage:
    """What a claim reduced in one fiscal year: whole t, and the credited energy that stands beside it."""

    fiscal_year: int
    tonnes: int
    energy_wh: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Approved:
    """An approved claim, as the request needs it. Hashes are hex of SHA-256; the period is JST days, end exclusive."""

    claim: str
    project: str
    project_name: str
    operator: str
    scheme: str
    methodology: str
    start: date
    end: date
    vintages: tuple[Vintage, ...]
    report_sha256: str
    statement_sha256: str

    @property
    def tonnes(self) -> int:
        """t over all vintages."""
        return sum(v.tonnes for v in self.vintages)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The request of one claim. `id` is the idempotency key, `request` the exact JSON that is sent."""

    id: str
    claim: str
    tonnes: int
    request: str
    state: State = State.REQUESTED
    attempts: int = 0

    @property
    def request_sha256(self) -> str:
        """Hex; the registry names it in its answer."""
        return hashlib.sha256(self.request.encode()).hexdigest()

    @property
    def next_step(self) -> str:
        """What a person does now."""
        return NEXT_STEP[self.state]


def batch_of(approved: Approved, *, kind: Kind = Kind.JC) -> Batch:
    """The batch of an approved claim; ValueError if there is nothing to issue."""
    if approved.tonnes < 1:
        raise ValueError(f"claim {approved.claim} comes to {approved.tonnes} t: there is nothing to issue")
    for vintage in approved.vintages:
        Series(scheme=approved.scheme, kind=kind, vintage=vintage.fiscal_year)
    return Batch(id=f"batch-{approved.claim}", claim=approved.claim, tonnes=approved.tonnes, request=rfc8785.dumps(request(approved, kind=kind)).decode())


def request(approved: Approved, *, kind: Kind) -> dict[str, Any]:
    """The request's fields. Energy is Wh in whole numbers; MWh is its decimal text, exact. Years without a whole t are left out."""
    return {
        "claim": approved.claim,
        "project": approved.project,
        "project_name": approved.project_name,
        "account": approved.operator,
        "scheme": approved.scheme,
        "kind": str(kind),
        "methodology": approved.methodology,
        "start": approved.start.isoformat(),
        "end": approved.end.isoformat(),
        "tonnes": approved.tonnes,
        "vintages": [_vintage(v) for v in approved.vintages if v.tonnes],
        "report_sha256": approved.report_sha256,
        "statement_sha256": approved.statement_sha256,
    }


def _vintage(v: Vintage) -> dict[str, Any]:
    return {"fiscal_year": v.fiscal_year, "tonnes": v.tonnes, "energy_wh": v.energy_wh, "energy_mwh": energy_mwh(v.energy_wh)}


def energy_mwh(energy_wh: int) -> str:
    """Wh as MWh in exact decimal text."""
    whole, rest = divmod(energy_wh, 1_000_000)
    return f"{whole}.{rest:06d}"


def tonnes_by_series(batch: Batch) -> dict[Series, int]:
    """What a batch's request asks for: one block a series, with as many serials."""
    document = json.loads(batch.request)
    return {Series(scheme=document["scheme"], kind=Kind(document["kind"]), vintage=v["fiscal_year"]): v["tonnes"] for v in document["vintages"]}
