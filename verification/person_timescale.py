"""Who may act: the table `person`, and the rule for a scheme that is not official.

In the scheme DEMO somebody unknown gets, at first use, the role that the step needs; it is stored, and told. In every other scheme a person is added
first, by `jcredit person add`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from verification.walk import NotAllowedError, Role

FIND = "SELECT person, role, organisation, did, added_at FROM person WHERE person = %(person)s"
ALL = "SELECT person, role, organisation, did, added_at FROM person ORDER BY person"
ADD = """
INSERT INTO person (person, role, organisation, did) VALUES (%(person)s, %(role)s, %(organisation)s, %(did)s) ON CONFLICT (person) DO NOTHING
"""
SET_DID = "UPDATE person SET did = %(did)s WHERE person = %(person)s AND did IS NULL"

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    person: str
    role: str
    organisation: str | None
    did: str | None
    added_at: datetime


def find(connection: psycopg.Connection[Any], person: str) -> Person | None:
    with connection.cursor(row_factory=class_row(Person)) as cursor:
        return cursor.execute(FIND, {"person": person}).fetchone()


def people(connection: psycopg.Connection[Any]) -> tuple[Person, ...]:
    """Everybody who may act, by name."""
    with connection.cursor(row_factory=class_row(Person)) as cursor:
        return tuple(cursor.execute(ALL))


def add(connection: psycopg.Connection[Any], person: str, role: str, *, organisation: str | None = None, did: str | None = None) -> Person:
    """Add somebody; again with the same role (and DID) changes nothing, with another is refused: a person has one role."""
    if not person.strip() or not person.isprintable() or len(person) > 100:
        raise ValueError(f"{person!r} is no name: 1 to 100 printable characters")
    with connection.transaction():
        connection.execute(ADD, {"person": person, "role": Role(role), "organisation": organisation, "did": did})
        if did is not None:
            connection.execute(SET_DID, {"person": person, "did": did})
        stored = _there(connection, person)
    if stored.role != role or (did is not None and stored.did != did):
        raise NotAllowedError(f"{person} is already {stored.role}{f' with key {stored.did}' if stored.did else ''}; a person has one role and one key")
    return stored


def acting(connection: psycopg.Connection[Any], person: str, roles: tuple[Role, ...], *, demo: bool, tell: Tell) -> Person:
    """Who takes a step that is for these roles; NotAllowedError where a scheme other than DEMO does not know the person."""
    known = find(connection, person)
    if known is not None:
        return known
    if not demo:
        raise NotAllowedError(f"{person} is not known; add them first: `jcredit person add {person} --role {roles[0]}`")
    tell(f"{person} was not known: added as {roles[0]} (scheme DEMO)")
    return add(connection, person, roles[0])


def bind_did(connection: psycopg.Connection[Any], person: str, did: str) -> None:
    """Tie a key to a person who has none."""
    connection.execute(SET_DID, {"person": person, "did": did})


def _there(connection: psycopg.Connection[Any], person: str) -> Person:
    found = find(connection, person)
    if found is None:
        raise LookupError(f"{person} was not stored")
    return found
