"""The console as one application: pages for the roles, the API, and what anybody may see. `jcredit run console` serves it."""

import contextlib
import logging
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from psycopg_pool import ConnectionPool
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from console.web import api_web, claims_web, public_web, readings_web
from console.web.desk import Desk, NotSignedInError, RefusedError
from console.web.http import Guarded
from console.web.metrics_timescale import Metrics
from console.web.page import onward, trouble
from console.web.session import Sessions

log = logging.getLogger("jcredit.console")
SECRET_BYTES = 32
WAIT_S = 5.0
SLOWEST = "-c statement_timeout=30s"
AWAY = (
    "データベースに接続できません。しばらくしてからやり直すか、jcredit status で確認してください。",
    "The database does not answer. Try again, or look with jcredit status.",
)
NO_SENSE = ("入力された値を扱えません。", "A value that was given makes no sense here.")
MISSING = ("このページはありません。", "There is no such page.")
BUG = ("内部エラーが発生しました。何も変更されていません。", "Something is wrong with the console itself; nothing was changed.")
SENTENCES = {404: MISSING, 405: MISSING}


def make_app(dsn: str, *, home: Path, registry: str) -> FastAPI:
    """The console over one database; `home` keeps its secret, `registry` is the registry's base address."""
    pool = ConnectionPool(
        dsn, min_size=1, max_size=8, timeout=WAIT_S, open=False, check=ConnectionPool.check_connection, kwargs={"autocommit": True, "options": SLOWEST}
    )

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        try:
            yield
        finally:
            pool.close()

    app = FastAPI(title="J-Credit creation system: console API", version="1.0.0", docs_url=None, redoc_url=None, lifespan=life)
    app.state.desk = Desk(dsn=dsn, registry=registry, pool=pool, sessions=Sessions(secret(home)))
    app.state.metrics = Metrics()
    app.add_middleware(Guarded)
    for part in (public_web, readings_web, claims_web, api_web):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(packages=[("console.web", "static")]))
    _explain(app)
    return app


def secret(home: Path) -> bytes:
    """The secret that signs sessions, made once and kept for the owner only."""
    path = home / "console.secret"
    home.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        part = path.with_name(f".console.secret.{os.getpid()}")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123  made with its mode
            file.write(secrets.token_bytes(SECRET_BYTES))
        try:
            path.hardlink_to(part)  # never over one that is there
        finally:
            part.unlink()
    kept = path.read_bytes()
    if len(kept) != SECRET_BYTES:
        raise ValueError(f"{path} holds {len(kept)} bytes, not {SECRET_BYTES}: remove it, and a new one is made (people sign in again)")
    return kept


def _explain(app: FastAPI) -> None:
    """Every refusal is a sentence: JSON for the API, a page for people."""

    @app.exception_handler(NotSignedInError)
    def not_signed_in(request: Request, _: Exception) -> Response:
        if _is_api(request):
            return JSONResponse(
                {"error": "a good bearer token is needed; `jcredit token --role …` makes one"}, status_code=401, headers={"WWW-Authenticate": "Bearer"}
            )
        here = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(onward(request, "/sign-in", next=here), 303)

    @app.exception_handler(RefusedError)
    def refused(request: Request, error: RefusedError) -> Response:
        return _answer(request, error.status, error.ja, error.en)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> Response:
        return _answer(request, error.status_code, *SENTENCES.get(error.status_code, (str(error.detail), str(error.detail))))

    @app.exception_handler(RequestValidationError)
    def no_sense(request: Request, error: RequestValidationError) -> Response:
        named = ", ".join(sorted({str(e["loc"][-1]) for e in error.errors()}))
        return _answer(request, 422, f"{NO_SENSE[0]}（{named}）", f"{NO_SENSE[1]} ({named})")

    @app.exception_handler(psycopg.DataError)
    def no_value(request: Request, _: Exception) -> Response:
        return _answer(request, 422, *NO_SENSE)

    @app.exception_handler(psycopg.OperationalError)
    def away(request: Request, error: Exception) -> Response:
        log.warning("the database does not answer: %s", str(error).strip().splitlines()[:1])
        return _answer(request, 503, *AWAY)

    @app.exception_handler(Exception)
    def bug(request: Request, _: Exception) -> Response:
        return _answer(request, 500, *BUG)


def _answer(request: Request, status: int, ja: str, en: str) -> Response:
    if _is_api(request):
        return JSONResponse({"error": en}, status_code=status)
    return trouble(request, status, ja, en)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/healthz", "/metrics", "/log/"))
