"""The conversation with the registry over HTTP, as `registry.openapi.json` has it.

What may pass is tried again with the same key, which is harmless: no connection, no answer in time, an answer cut short, 409, 429 (after its
Retry-After) and 5xx.
After that RegistryBusyError says that the same may be asked again later. Any other refusal is RegistryRefusedError with the registry's reason.
Answers are read up to a size and a time, whatever the other side does; redirects are not followed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from registry_client import enquiry
from registry_client.answer import Answer, UnreadableAnswerError
from registry_client.enquiry import Hit, Period
from registry_client.issuance import Batch

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # between tries; one more try than pauses
LONGEST_PAUSE_S = 30.0  # a longer Retry-After is left to the caller
LARGEST_ANSWER = 16 * 1024 * 1024
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
BUSY = frozenset({408, 409, 425, 429})
T = TypeVar("T")


class RegistryBusyError(Exception):
    """The registry gave no answer now; asking the same again later is harmless."""


class RegistryRefusedError(Exception):
    """The registry will not do it, and says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnquiryBody:
    """An enquiry as answered."""

    enquiry: str
    answered_at: datetime
    question_sha256: str
    hits: tuple[Hit, ...]


class Registry:
    """A registry at a URL. `pause` is told how long to wait between tries."""

    def __init__(self, url: str, *, timeout_s: float = 10.0, pause: Callable[[float], None] = time.sleep, transport: httpx.BaseTransport | None = None) -> None:
        """Nothing is sent yet."""
        self.url, self.timeout_s, self.pause = url, timeout_s, pause
        timeout = httpx.Timeout(timeout_s, connect=min(3.0, timeout_s))
        tls = not url.startswith("http:")  # certificates take 80 ms to load, and plain http has no use for them
        self._client = httpx.Client(base_url=url, timeout=timeout, trust_env=False, transport=transport, verify=tls)

    def __enter__(self) -> Self:
        """Usable in `with`."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connections."""
        self._client.close()

    def issue(self, batch: Batch) -> Answer:
        """Ask for a batch's credits; the same key always gets the same answer."""
        return _read(self._ask("POST", "/issuances", content=batch.request.encode(), headers={"Idempotency-Key": batch.id}), Answer)

    def issued(self, key: str) -> Answer:
        """What the registry has on record for a key."""
        return _read(self._ask("GET", f"/issuances/{quote(key, safe='')}"), Answer)

    def enquire(self, keys: tuple[str, ...], period: Period) -> enquiry.Answer:
        """Ask whether another programme has these activities in the period."""
        asked = enquiry.question(keys, period)
        body = _read(self._ask("POST", "/enquiries", content=asked), EnquiryBody)
        answer = enquiry.Answer(
            enquiry=body.enquiry,
            answered_at=body.answered_at,
            question_sha256=body.question_sha256,
            keys=tuple(sorted(set(keys))),
            start=period[0],
            end=period[1],
            hits=body.hits,
        )
        return enquiry.believed(answer, asked)

    def _ask(self, method: str, path: str, *, content: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        """The body of the first answer that settles it."""
        trouble = ""
        for pause_s in (*PAUSES_S, None):
            try:
                status, head, body = self._try(method, path, content, headers)
            except httpx.TransportError as error:
                trouble, wait_s = f"{type(error).__name__}: {error}".rstrip(": "), 0.0
            else:
                if status in (200, 201):
                    return body
                if status not in BUSY and status < 500:
                    raise RegistryRefusedError(f"{self.url}{path} refuses with {status}: {_reason(body)}")
                trouble, wait_s = f"{status}: {_reason(body)}", retry_after_s(head)
            if pause_s is None or wait_s > LONGEST_PAUSE_S:
                break
            self.pause(max(pause_s, wait_s))
        later = f", and asks to wait {wait_s:.0f} s" if wait_s else ""
        raise RegistryBusyError(f"the registry at {self.url} gives no answer now ({trouble}){later}; asking the same again later is harmless")

    def _try(self, method: str, path: str, content: bytes | None, headers: dict[str, str] | None) -> tuple[int, httpx.Headers, bytes]:
        until = time.monotonic() + 3 * self.timeout_s
        body = bytearray()
        with self._client.stream(method, path, content=content, headers=HEADERS | (headers or {})) as response:
            for part in response.iter_raw(65536):
                body += part
                if len(body) > LARGEST_ANSWER:
                    raise UnreadableAnswerError(f"the answer to {method} {path} is larger than {LARGEST_ANSWER} bytes")
                if time.monotonic() > until:
                    raise httpx.ReadTimeout(f"answer not complete after {3 * self.timeout_s:.0f} s")
            return response.status_code, response.headers, bytes(body)


def enquire(registry_url: str, keys: tuple[str, ...], period: Period) -> enquiry.Answer:
    """Ask one registry about activities (`enquiry.activity_key`) in a period of JST days, end exclusive."""
    with Registry(registry_url) as registry:
        return registry.enquire(keys, period)


def retry_after_s(headers: httpx.Headers) -> float:
    """Seconds that Retry-After asks for, a date being counted from the answer's own Date; 0 if it is not there or says nothing."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return 0.0


def _read(body: bytes, form: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableAnswerError(f"the registry's answer is not of the contract's form: {error}") from error


def _reason(body: bytes) -> str:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = body[:200].decode(errors="replace").strip()
    reason = document.get("detail", document) if isinstance(document, dict) else document
    return str(reason)[:500] or "no reason given"
