"""Faults that a registry can have, switched on by `POST /faults` and used up one a request, in the order given.

timeout: no answer for `seconds`, nothing done. 429 and 500: refused, with `seconds` as Retry-After for 429. lost-answer: done, and the answer cut short.
wrong-count: an answer with one serial more than recorded. replayed-answer: the answer to another key. other-block: an answer with another block than recorded.
"""

import threading
from collections import deque
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from simulators.registry.form import Form
from simulators.registry.store import spelled


class Kind(StrEnum):
    """The faults by name."""

    TIMEOUT = "timeout"
    TOO_MANY = "429"
    BROKEN = "500"
    LOST_ANSWER = "lost-answer"
    WRONG_COUNT = "wrong-count"
    REPLAYED_ANSWER = "replayed-answer"
    OTHER_BLOCK = "other-block"


class Fault(Form):
    """A fault that is to happen `times` on requests to one path."""

    fault: Annotated[Kind, Field(strict=False)]
    times: Annotated[int, Field(ge=1, le=1000)] = 1
    seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    on: Literal["issuances", "enquiries"] = "issuances"


class Faults:
    """What is switched on."""

    def __init__(self) -> None:
        """Nothing is."""
        self._waiting: deque[Fault] = deque()
        self._one = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Switch one on."""
        with self._one:
            self._waiting.extend([fault] * fault.times)

    def clear(self) -> None:
        """Switch all off."""
        with self._one:
            self._waiting.clear()

    def waiting(self) -> list[str]:
        """What is still to happen."""
        with self._one:
            return [f"{f.fault} on {f.on}" for f in self._waiting]

    def take(self, on: str) -> Fault | None:
        """The next fault for a path, used up."""
        with self._one:
            found = next((f for f in self._waiting if f.on == on), None)
            if found:
                self._waiting.remove(found)
            return found


class CutShort(Response):
    """An answer whose connection ends before its body does."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Promise more than is sent."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"4096")]})
        await send({"type": "http.response.body", "body": b'{"key":', "more_body": True})


def spoilt(answer: dict[str, Any], kind: Kind | None, other: dict[str, Any] | None) -> dict[str, Any]:
    """The answer as the fault leaves it; what is on record stays right."""
    if kind is Kind.REPLAYED_ANSWER:
        return other or {**answer, "key": "batch-of-somebody-else"}
    if kind is Kind.WRONG_COUNT:
        return {**answer, "blocks": [_moved(b, 0, 1) for b in answer["blocks"]]}
    if kind is Kind.OTHER_BLOCK:
        return {**answer, "blocks": [_moved(b, 1_000_000, 1_000_000) for b in answer["blocks"]]}
    return answer


def _moved(block: dict[str, Any], first_by: int, last_by: int) -> dict[str, Any]:
    series, _, first = block["first"].rpartition("-")
    return spelled(series, int(first) + first_by, int(block["last"].rpartition("-")[2]) + last_by)
