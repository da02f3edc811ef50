"""The registry over HTTP. Forms are in `form`, the book in `store`, what can go wrong on purpose in `fault`."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from simulators.registry.fault import CutShort, Fault, Faults, Kind, spoilt
from simulators.registry.form import Enquiry, EnquiryRequest, Form, Holdings, Issuance, IssuanceRequest, Problem, Registration
from simulators.registry.store import RefusedError, Store

LARGEST_BODY = 16 * 1024 * 1024
REFUSALS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (400, 404, 413, 422, 429, 500)}
F = TypeVar("F", bound=Form)
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


def make_app(store: Store) -> FastAPI:
    """The application over one book."""
    app, faults = FastAPI(title="Credit registry (simulator)", version="1.0.0"), Faults()
    _issuances(app, store, faults)
    _enquiries(app, store, faults)
    _switches(app, faults)

    @app.get("/accounts/{account}/holdings", response_model=Holdings, responses=REFUSALS)
    def holdings(account: str) -> dict[str, Any]:
        blocks = store.holdings(account)
        return {"account": account, "tonnes": sum(b["tonnes"] for b in blocks), "blocks": blocks}

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"state": "running"}

    return app


def _issuances(app: FastAPI, store: Store, faults: Faults) -> None:
    @app.post("/issuances", status_code=201, response_model=Issuance, responses=REFUSALS, openapi_extra=_body(IssuanceRequest))
    async def issue(request: Request, key: Key) -> Response:
        fault = await _stumble(faults.take("issuances"))
        raw, form = await _read(request, IssuanceRequest)
        try:
            answer = await run_in_threadpool(store.issue, key=key, raw=raw, request=form, at=_now())
        except RefusedError as error:
            raise HTTPException(422, str(error)) from error
        other = store.other_than(key) if fault is Kind.REPLAYED_ANSWER else None
        return _answer(spoilt(answer, fault, other), fault)

    @app.get("/issuances/{key}", response_model=Issuance, responses=REFUSALS)
    def issued(key: str) -> dict[str, Any]:
        if (answer := store.issued(key)) is None:
            raise HTTPException(404, f"nothing was issued under the key {key}")
        return answer


def _enquiries(app: FastAPI, store: Store, faults: Faults) -> None:
    @app.post("/enquiries", status_code=201, response_model=Enquiry, responses=REFUSALS, openapi_extra=_body(EnquiryRequest))
    async def enquire(request: Request) -> Response:
        fault = await _stumble(faults.take("enquiries"))
        raw, form = await _read(request, EnquiryRequest)
        answer = await run_in_threadpool(store.enquire, raw=raw, keys=form.activity_keys, start=form.start, end=form.end, at=_now())
        return _answer(answer, fault)

    @app.post("/registrations", status_code=204, include_in_schema=False)
    def register(registrations: list[Registration]) -> None:
        store.register(registrations)


def _switches(app: FastAPI, faults: Faults) -> None:
    @app.get("/faults", include_in_schema=False)
    def waiting() -> list[str]:
        return faults.waiting()

    @app.post("/faults", status_code=204, include_in_schema=False)
    def add(fault: Fault) -> None:
        faults.add(fault)

    @app.delete("/faults", status_code=204, include_in_schema=False)
    def clear() -> None:
        faults.clear()


async def _stumble(fault: Fault | None) -> Kind | None:
    """Let happen what comes before the work, or say what is left for after it."""
    if fault is None:
        return None
    if fault.fault is Kind.TIMEOUT:
        await asyncio.sleep(fault.seconds)
        raise HTTPException(503, "too late")
    if fault.fault is Kind.TOO_MANY:
        raise HTTPException(429, "too many requests", headers={"Retry-After": str(int(fault.seconds))})
    if fault.fault is Kind.BROKEN:
        raise HTTPException(500, "the registry has a fault")
    return fault.fault


async def _read(request: Request, form: type[F]) -> tuple[bytes, F]:
    """The body's exact bytes, and the form in them."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > LARGEST_BODY:
            raise HTTPException(413, f"a request has at most {LARGEST_BODY} bytes")
    try:
        return bytes(raw), form.model_validate_json(bytes(raw))
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(422, f"{'.'.join(str(p) for p in first['loc']) or 'body'}: {first['msg']}") from error


def _answer(answer: dict[str, Any], fault: Kind | None) -> Response:
    return CutShort() if fault is Kind.LOST_ANSWER else JSONResponse(answer, status_code=201)


def _body(form: type[Form]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": form.model_json_schema()}}}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
