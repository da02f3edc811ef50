"""The enquiry of double registration: has another programme had these activities certified for this period?

An activity is named to the registry by the hash of its PCS serial and supply point, never by its address or member. Every programme has to come to the same
hash, so it has no secret in it: it keeps the two numbers out of sight, not out of reach. A missing number is no key, and so no answer.
The answer is dated by the registry and bound to the question by its hash.
"""

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import rfc8785

from registry_client.answer import ReplayedAnswerError, UnreadableAnswerError

Period = tuple[date, date]  # JST days, end exclusive


class NoKeyError(ValueError):
    """An activity that can not be asked about, since a number that names it is missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """Another programme that has the activity certified or registered in an overlapping period, end exclusive."""

    activity_key: str
    programme: str
    start: date
    end: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The registry's dated answer. No hits means that it knows of none on that day."""

    enquiry: str
    answered_at: datetime
    question_sha256: str
    keys: tuple[str, ...]
    start: date
    end: date
    hits: tuple[Hit, ...]

    def as_value(self) -> dict[str, Any]:
        """The answer in JSON's own types, for evidence and for who may not import this module."""
        return {
            "enquiry": self.enquiry,
            "answered_at": self.answered_at.isoformat(),
            "question_sha256": self.question_sha256,
            "keys": list(self.keys),
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "hits": [{"activity_key": h.activity_key, "programme": h.programme, "start": h.start.isoformat(), "end": h.end.isoformat()} for h in self.hits],
        }


def activity_key(*, pcs_serial: str | None, supply_point: str | None) -> str:
    """Hex of SHA-256 over both numbers, in one width, upper case and without blanks, as every programme makes it."""
    numbers = [_tidy(pcs_serial), _tidy(supply_point)]
    if not all(numbers):
        raise NoKeyError(f"PCS serial {pcs_serial!r} and supply point {supply_point!r} must both be known to ask the registry about an activity")
    return hashlib.sha256(rfc8785.dumps(numbers)).hexdigest()


def question(keys: tuple[str, ...], period: Period) -> bytes:
    """The bytes that are asked: each key once, in order."""
    start, end = period
    if not keys or start >= end:
        raise ValueError(f"an enquiry needs at least one activity and a period with a day in it, not {len(keys)} activities from {start} to {end}")
    return rfc8785.dumps({"activity_keys": sorted(set(keys)), "start": start.isoformat(), "end": end.isoformat()})


def believed(answer: Answer, asked: bytes) -> Answer:
    """The answer, if it is one to this question; a named AnswerError otherwise."""
    if answer.question_sha256 != hashlib.sha256(asked).hexdigest():
        raise ReplayedAnswerError(f"enquiry {answer.enquiry}: the answer is to another question")
    if strangers := {h.activity_key for h in answer.hits} - set(answer.keys):
        raise UnreadableAnswerError(f"enquiry {answer.enquiry}: {len(strangers)} hits are of activities that were not asked about")
    if late := [h for h in answer.hits if h.start >= answer.end or h.end <= answer.start]:
        raise UnreadableAnswerError(f"enquiry {answer.enquiry}: hit by {late[0].programme} is outside the period asked about")
    if answer.answered_at.utcoffset() is None:
        raise UnreadableAnswerError(f"enquiry {answer.enquiry}: answered_at {answer.answered_at} has no offset")
    return answer


def _tidy(number: str | None) -> str:
    return "".join(unicodedata.normalize("NFKC", number or "").upper().split())
