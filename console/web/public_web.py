"""What anybody may see: whether the console is well, its metrics, the trail of one serial; and the way in and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from console.web import claim_timescale, session, token_timescale
from console.web.desk import Fields, NotSignedInError, Open, RefusedError, desk, guest
from console.web.metrics import CONTENT_TYPE, exposition
from console.web.page import first_page, onward, page, put
from registry_client import serial as serials
from registry_client.serial import Serial, SerialError

router = APIRouter(include_in_schema=False)
SEE_OTHER = 303


@router.get("/healthz")
def healthz(connection: Open) -> JSONResponse:
    """The console and its database answer."""
    connection.execute("SELECT 1 FROM token LIMIT 1")
    return JSONResponse({"state": "running"})


@router.get("/metrics")
def metrics(request: Request, connection: Open) -> PlainTextResponse:
    return PlainTextResponse(exposition(request.app.state.metrics.families(connection)), media_type=CONTENT_TYPE)


def spelled(serial: str) -> Serial:
    """The serial in the address; nothing is looked up for a text that is none."""
    try:
        return serials.parse(serial)
    except SerialError as error:
        raise RefusedError(404, "シリアル番号の形式ではありません。", f"That is no serial number: {error}") from error


@router.get("/serial/{serial}")
def trail(request: Request, serial: str, asked: Annotated[Serial, Depends(spelled)], connection: Open) -> HTMLResponse:
    """The public trail of one credit."""
    found = claim_timescale.trail(connection, series=str(asked.series), number=asked.number)
    if found is None:
        raise RefusedError(404, f"{serial} は発行されていません。", f"{serial} has not been issued.")
    return page(request, "serial.html", serial=serial, b=found)


@router.get("/log/{rest:path}")
def log(rest: str) -> JSONResponse:
    """The evidence log is not built yet, and nothing pretends to be it."""
    return JSONResponse({"error": f"/log/{rest} is not served: this version keeps no evidence log yet"}, status_code=404)


@router.get("/")
def home(request: Request) -> RedirectResponse:
    holder = guest(request)
    if holder is None:
        raise NotSignedInError
    return RedirectResponse(onward(request, first_page(holder)), SEE_OTHER)


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> HTMLResponse:  # noqa: A002  the word of the address
    return page(request, "sign_in.html", next=_own(next), wrong=False)


@router.post("/sign-in")
def sign_in(request: Request, fields: Fields, connection: Open) -> Response:
    """Take a token and begin a session of its own."""
    wanted = _own(str(fields.get("next") or "/"))
    holder = token_timescale.holder(connection, str(fields.get("token") or "").strip())
    if holder is None:
        return page(request, "sign_in.html", status=403, next=wanted, wrong=True)
    answer = RedirectResponse(wanted, SEE_OTHER)
    sessions = desk(request).sessions
    put(answer, request, session.COOKIE, sessions.written(sessions.new(holder.number)))
    return answer


@router.post("/sign-out")
def sign_out(_: Fields) -> RedirectResponse:
    answer = RedirectResponse("/sign-in", SEE_OTHER)
    answer.delete_cookie(session.COOKIE, path="/")
    return answer


def _own(address: str) -> str:
    """A path of this console, or the first page: never another site's."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable() and "\\" not in address else "/"
