"""The HTTP API, version 1: what the pages show, as JSON, and the same steps, under the name of the token's person. `/openapi.json` describes it."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from console.web import claim_timescale, days_timescale, flag_timescale, fleet_timescale, steps, strip
from console.web.claims_web import download, known
from console.web.desk import BODY, EVERYONE, Desk, Open, RefusedError, desk, sitting
from console.web.page import SEEING_READINGS
from console.web.token_timescale import Holder
from verification.walk import Opinion, Role

router = APIRouter(prefix="/api/v1", dependencies=[Depends(HTTPBearer(auto_error=False, description="Made with `jcredit token --role …`."))])
OPERATOR = Depends(sitting(Role.OPERATOR))
READERS = Depends(sitting(*SEEING_READINGS))
ANYBODY = Depends(sitting(*EVERYONE))
Anybody = Annotated[Holder, ANYBODY]
AtDesk = Annotated[Desk, Depends(desk)]
Skip = Annotated[int, Query(ge=0, le=10_000_000)]
MOST_DAYS = 366
CLAIM = ("claim", "project", "state", "start_on", "end_on", "round", "opinion", "tonnes", "tonnes_by_year", "mwh_by_year", "verdicts")
HASHES = ("created_by", "verified_by", "signed_by", "report_sha256", "statement_sha256", "batch", "batch_state", "attempts", "trouble")
Json = dict[str, Any]


class Statement(BaseModel):
    """`did` of the key that will sign; `instead`: by item that failed or could not run, what the body did, in words."""

    model_config = ConfigDict(extra="forbid")
    did: str = ""
    opinion: Opinion = Opinion.UNMODIFIED
    instead: dict[str, str] = {}


class Reason(BaseModel):
    """Why a claim walks back."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=2000)


@router.get("/gateways", dependencies=[OPERATOR])
def gateways(connection: Open, hours: Annotated[int, Query(ge=1, le=8784)] = 26, standing: str | None = None, skip: Skip = 0) -> list[fleet_timescale.Gateway]:
    """Up to 100 gateways from `skip`, the silent first; `standing` is silent, never, offline or heard."""
    return fleet_timescale.gateways(connection, hours=hours, standing=standing, skip=skip)


@router.get("/sites/{site}/days", dependencies=[READERS])
def days(connection: Open, site: str, first: date, end: date) -> list[Json]:
    """Half hours read, spread, held and missing of each day in [first, end), JST; at most 366 days."""
    found = days_timescale.sites(connection, site=site)
    if not found:
        raise RefusedError(404, f"サイト {site} は登録されていません。", f"there is no site {site}")
    if not timedelta(0) < end - first <= timedelta(days=MOST_DAYS) or not 2000 <= first.year <= 2098:
        raise RefusedError(422, "期間は1日から366日です。", f"[first, end) is 1 to {MOST_DAYS} days from 2000 to 2098")
    wanted = [first + timedelta(days=n) for n in range((end - first).days)]
    seen = days_timescale.days(connection, found, first, end)[found[0].id]
    cells = strip.cells(wanted, seen, found[0].expected(days_timescale.now(connection)))
    return [{"day": c.day, "expected": c.expected, "read": c.read, "spread": c.spread, "held": c.held, "missing": c.missing} for c in cells]


@router.get("/flags", dependencies=[READERS])
def flags(connection: Open, code: str | None = None, level: str | None = None, site: str | None = None, skip: Skip = 0) -> list[Json]:
    """Up to 100 flags from `skip`, the most energy at stake first."""
    return flag_timescale.flags(connection, code=code, level=level, site=site, skip=skip)


@router.get("/claims", dependencies=[ANYBODY])
def claims(connection: Open) -> list[Json]:
    """The newest 500 claims."""
    return [_claim(row) for row in claim_timescale.claims(connection)]


@router.get("/claims/{claim}", dependencies=[ANYBODY])
def claim(connection: Open, claim: str) -> Json:
    """A claim with its items, what was done instead, events, ledger entries and serial blocks."""
    found = known(connection, claim)
    return {**_claim(found), "items": list(claim_timescale.results(connection, claim).values()), **claim_timescale.history(connection, found)}


@router.get("/claims/{claim}/report", dependencies=[ANYBODY])
def report(connection: Open, claim: str) -> Response:
    """The canonical report (RFC 8785), whose SHA-256 is signed."""
    kept = claim_timescale.report(connection, known(connection, claim))
    if kept is None:
        raise RefusedError(404, f"{claim} はまだ検証されていません。", f"{claim} is not verified yet; it has no report")
    return download(bytes(kept["content"]), f"{claim}-report.json")


@router.post("/claims/{claim}/statement")
def statement(holder: Annotated[Holder, Depends(sitting(*BODY))], at: AtDesk, claim: str, asked: Statement) -> Response:
    """The statement to be signed elsewhere: a W3C credential without its proof."""
    instead = {item: (f"{item}.txt", words.encode()) for item, words in asked.instead.items()}
    return download(steps.statement(at, claim, holder.person, did=asked.did, opinion=asked.opinion, instead=instead), f"{claim}-statement.json")


@router.post("/claims/{claim}/sign")
def sign(holder: Annotated[Holder, Depends(sitting(*BODY))], at: AtDesk, connection: Open, claim: str, credential: Annotated[Json, Body()]) -> Json:
    """Sign with a credential secured elsewhere (`eddsa-jcs-2022`, `did:key`)."""
    steps.sign_document(at, claim, holder.person, document=credential)
    return _claim(known(connection, claim))


@router.post("/claims/{claim}/approve")
def approve(holder: Annotated[Holder, Depends(sitting(Role.ADMINISTRATOR))], at: AtDesk, connection: Open, claim: str) -> Json:
    steps.approve(at, claim, holder.person)
    return _claim(known(connection, claim))


@router.post("/claims/{claim}/issue")
def issue(holder: Annotated[Holder, Depends(sitting(Role.OPERATOR, Role.ADMINISTRATOR))], at: AtDesk, connection: Open, claim: str) -> Json:
    """Ask the registry for the credits; again is harmless."""
    steps.issue(at, claim, holder.person)
    return _claim(known(connection, claim))


@router.post("/claims/{claim}/{step}")
def back(holder: Anybody, at: AtDesk, connection: Open, claim: str, step: str, why: Reason) -> Json:
    """`return`, `reject`, `withdraw` or `suspend` a claim, with a reason."""
    steps.back(at, claim, holder.person, step=step, reason=why.reason)
    return _claim(known(connection, claim))


@router.get("/serials", dependencies=[ANYBODY])
def serials(connection: Open) -> list[Json]:
    """Issued blocks, oldest first; both ends are in a block."""
    return claim_timescale.blocks(connection)


def _claim(row: Mapping[str, Any]) -> Json:
    return {name: row[name] for name in (*CLAIM, *HASHES)}
