"""Claims, their report and their steps; batches and serial blocks. A step is taken under the name of the person who is signed in."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData, UploadFile

from console.web import claim_timescale, steps
from console.web.desk import BODY, EVERYONE, Connection, Desk, Fields, Open, RefusedError, desk, sitting
from console.web.http import REPORT_POLICY
from console.web.page import page
from console.web.token_timescale import Holder
from verification import page as report_page
from verification.item import BLOCKING, checklist
from verification.walk import APPROVE, BACK, SIGN, SUSPEND, Opinion, Role, State

router = APIRouter(include_in_schema=False)
Anybody = Annotated[Holder, Depends(sitting(*EVERYONE))]
Body = Annotated[Holder, Depends(sitting(*BODY))]
Administrator = Annotated[Holder, Depends(sitting(Role.ADMINISTRATOR))]
Issuer = Annotated[Holder, Depends(sitting(Role.OPERATOR, Role.ADMINISTRATOR))]
AtDesk = Annotated[Desk, Depends(desk)]
SEE_OTHER = 303
AFTER_APPROVAL = (State.APPROVED, State.ISSUED, State.SUSPENDED)


@router.get("/claims")
def claims(request: Request, _: Anybody, connection: Open) -> HTMLResponse:
    return page(request, "claims.html", claims=claim_timescale.claims(connection))


@router.get("/batches")
def batches(request: Request, holder: Issuer, connection: Open) -> HTMLResponse:
    """What waits for approval, what was approved, and the blocks that were issued."""
    rows = claim_timescale.claims(connection)
    return page(
        request,
        "batches.html",
        waiting=[c for c in rows if c["state"] == State.SIGNED],
        way=[c for c in rows if c["state"] in AFTER_APPROVAL],
        blocks=claim_timescale.blocks(connection),
        may_decide=holder.role in APPROVE.roles,
    )


@router.get("/claims/{claim}")
def claim(request: Request, claim: str, holder: Anybody, connection: Open) -> HTMLResponse:
    """A claim with its 69 items, its report, and the steps that this person's role may take now."""
    found = known(connection, claim)
    history, results, texts = claim_timescale.history(connection, found), claim_timescale.results(connection, claim), checklist()
    items = [{**results[item], "item": texts[item]} for item in texts if item in results]
    decided: dict[str, list[dict[str, Any]]] = {}
    for record in history["instead"]:
        decided.setdefault(record["item"], []).append(record)
    blocking = [i for i in items if i["verdict"] in BLOCKING]
    return page(
        request,
        "claim.html",
        c=found,
        items=items,
        blocking=blocking,
        undecided=[i for i in blocking if i["item"].id not in decided],
        decided=decided,
        steps=possible(found, holder),
        back=[name for name, step in BACK.items() if found["state"] in step.start and holder.role in step.roles and (not found["batch"] or step is SUSPEND)],
        opinions=list(Opinion),
        did=steps.did_of(connection, holder.person),
        instead=history["instead"],
        events=history["events"],
        entries=history["entries"],
        blocks=history["blocks"],
    )


def possible(found: claim_timescale.Row, holder: Holder) -> list[str]:
    """The steps forward that this state and role allow; who did what before is judged when the step is taken."""
    names = [step.name for step in (SIGN, APPROVE) if found["state"] in step.start and holder.role in step.roles]
    return [*names, *(["issue"] if found["state"] == State.APPROVED and holder.role in (Role.OPERATOR, Role.ADMINISTRATOR) else [])]


@router.get("/claims/{claim}/report.html")
def report(claim: str, _: Anybody, connection: Open) -> HTMLResponse:
    """The report as the body reads it; it may run nothing and call nobody."""
    found = known(connection, claim)
    kept = _report(connection, found)
    history = claim_timescale.history(connection, found)
    html = report_page.render(
        json.loads(kept["content"]),
        sha256=kept["sha256"],
        instead=[report_page.Instead(**{k: i[k] for k in ("item", "person", "reason", "file_name", "sha256")}) for i in history["instead"]],
        steps=[report_page.Step(what=e["what"], person=e["person"], at=e["at"].isoformat(), reason=e["reason"]) for e in history["events"]],
        state=found["state"],
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": REPORT_POLICY})


@router.get("/claims/{claim}/report.json")
def report_json(claim: str, _: Anybody, connection: Open) -> Response:
    """The canonical bytes, whose SHA-256 is signed."""
    return download(bytes(_report(connection, known(connection, claim))["content"]), f"{claim}-report.json")


@router.post("/claims/{claim}/statement")
def statement(claim: str, holder: Body, fields: Fields, at: AtDesk) -> Response:
    """The statement to be signed elsewhere, with what the body did instead put down first."""
    content = steps.statement(at, claim, holder.person, did=_text(fields, "did"), opinion=_text(fields, "opinion"), instead=_instead(fields))
    return download(content, f"{claim}-statement.json")


@router.post("/claims/{claim}/sign")
def sign(claim: str, holder: Body, fields: Fields, at: AtDesk) -> RedirectResponse:
    steps.sign(at, claim, holder.person, credential=_file(fields, "credential"))
    return _to(claim)


@router.post("/claims/{claim}/approve")
def approve(claim: str, holder: Administrator, _: Fields, at: AtDesk) -> RedirectResponse:
    steps.approve(at, claim, holder.person)
    return _to(claim)


@router.post("/claims/{claim}/issue")
def issue(claim: str, holder: Issuer, _: Fields, at: AtDesk) -> RedirectResponse:
    steps.issue(at, claim, holder.person)
    return _to(claim)


@router.post("/claims/{claim}/back")
def back(claim: str, holder: Anybody, fields: Fields, at: AtDesk) -> RedirectResponse:
    steps.back(at, claim, holder.person, step=_text(fields, "step"), reason=_text(fields, "reason"))
    return _to(claim)


def known(connection: Connection, claim: str) -> claim_timescale.Row:
    found = claim_timescale.claim(connection, claim)
    if found is None:
        raise RefusedError(404, f"認証申請 {claim} はありません。", f"There is no claim {claim}.")
    return found


def download(content: bytes, name: str) -> Response:
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return Response(content, media_type="application/json", headers={"Content-Disposition": f'attachment; filename="{safe}"'})


def _report(connection: Connection, found: claim_timescale.Row) -> claim_timescale.Row:
    kept = claim_timescale.report(connection, found)
    if kept is None:
        raise RefusedError(404, f"{found['claim']} はまだ検証されていません。", f"{found['claim']} is not verified yet; it has no report.")
    return kept


def _to(claim: str) -> RedirectResponse:
    return RedirectResponse(f"/claims/{claim}", SEE_OTHER)


def _text(fields: FormData, name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""


def _file(fields: FormData, name: str) -> bytes:
    value = fields.get(name)
    if not isinstance(value, UploadFile) or not value.size:
        raise RefusedError(422, "ファイルが選ばれていないか、空です。", "No file was chosen, or it is empty.")
    return value.file.read()


def _instead(fields: FormData) -> dict[str, tuple[str, bytes]]:
    """Records by item: the file that was chosen, else what was written in its place."""
    records = {}
    for name, value in fields.multi_items():
        kind, _, item = name.partition("-")
        if kind == "file" and isinstance(value, UploadFile) and value.size:
            records[item] = (value.filename or f"{item}.txt", value.file.read())
        elif kind == "words" and isinstance(value, str) and value.strip():
            records.setdefault(item, (f"{item}.txt", value.strip().encode()))
    return records
