"""Tokens in the database: a random secret that is shown once and kept as a SHA-256 only. It has 256 bits, so a plain hash is enough.

A token stands for one person in one role until a day. It is good only while the person still has that role: who changes desk needs a new one.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from verification import person_timescale
from verification.walk import NotAllowedError, Role

DESKS = (Role.OPERATOR, Role.VERIFIER, Role.REVIEWER, Role.ADMINISTRATOR)
SHAPE = re.compile(r"jct_[A-Za-z0-9_-]{43}", re.ASCII)
DAYS_MOST = 366

MAKE = """
INSERT INTO token (sha256, person, role, made_at, expires_at) VALUES (%(sha256)s, %(person)s, %(role)s, now(), now() + make_interval(days => %(days)s))
"""
GOOD = """
SELECT t.number, t.person, t.role, t.expires_at FROM token t JOIN person p USING (person)
WHERE {} AND t.revoked_at IS NULL AND t.expires_at > now() AND p.role = t.role
"""
BY_SECRET = GOOD.format("t.sha256 = %(sha256)s")
BY_NUMBER = GOOD.format("t.number = %(number)s")


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who a good token stands for."""

    number: int
    person: str
    role: Role
    expires_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))


class NoTokenError(ValueError):
    """A token that can not be made; the message says why and what to do."""


def make(connection: psycopg.Connection[Any], *, person: str, role: Role, days: int) -> str:
    """A new token, which nobody can read again; a person who was not known is added with this role. NoTokenError if that can not be."""
    if role not in DESKS:
        raise NoTokenError(f"{role} has no desk in the console; {', '.join(DESKS)} have")
    if not 1 <= days <= DAYS_MOST:
        raise NoTokenError(f"a token is good for 1 to {DAYS_MOST} days, not {days}")
    secret = f"jct_{secrets.token_urlsafe(32)}"
    try:
        with connection.transaction():
            person_timescale.add(connection, person, role)
            connection.execute(MAKE, {"sha256": _hash(secret), "person": person, "role": role, "days": days})
    except (NotAllowedError, ValueError) as error:
        raise NoTokenError(str(error)) from error
    return secret


def holder(connection: psycopg.Connection[Any], secret: str) -> Holder | None:
    """Who a secret stands for; None if it is unknown, ended, revoked, or its person has another role now."""
    if not SHAPE.fullmatch(secret):
        return None
    with connection.cursor(row_factory=class_row(Holder)) as cursor:
        return cursor.execute(BY_SECRET, {"sha256": _hash(secret)}).fetchone()


def holder_of(connection: psycopg.Connection[Any], number: int) -> Holder | None:
    """Who the token with this number stands for; None as above."""
    with connection.cursor(row_factory=class_row(Holder)) as cursor:
        return cursor.execute(BY_NUMBER, {"number": number}).fetchone()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
