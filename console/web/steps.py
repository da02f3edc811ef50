"""The steps of a claim, for the pages and the API alike: the functions that the command calls, and their refusals as answers to a person."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from console.web.desk import Connection, Desk, RefusedError
from registry_client import app as registry_client
from registry_client.answer import AnswerError
from registry_client.http import RegistryBusyError, RegistryRefusedError
from registry_client.timescale import IssuedBlock, NoClaimError, NotIssuableError
from verification import person_timescale, signing_timescale, walk_timescale
from verification.claim_timescale import NoSuchClaimError
from verification.signing_timescale import NotDecidedError, Record
from verification.walk import BACK, NotAllowedError, Opinion

STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NoSuchClaimError, 404),
    (NoClaimError, 404),
    (NotAllowedError, 409),
    (NotDecidedError, 409),
    (NotIssuableError, 409),
    (psycopg.errors.RestrictViolation, 409),
    (RegistryRefusedError, 502),
    (AnswerError, 502),
    (RegistryBusyError, 503),
    (ValueError, 422),  # BadStatementError, and what no record, DID or reason can be
)


def statement(at: Desk, claim: str, person: str, *, did: str, opinion: str, instead: Mapping[str, tuple[str, bytes]]) -> bytes:
    """The unsecured statement, canonical; what the body did instead is put on record first and stands in it."""
    with _taking(at) as (connection, tell):
        records = [Record(item=item, file_name=name, content=content) for item, (name, content) in instead.items()]
        chosen = Opinion(opinion or Opinion.UNMODIFIED)
        return signing_timescale.state_statement(connection, claim, person=person, did=did or None, opinion=chosen, instead=records, tell=tell)


def sign(at: Desk, claim: str, person: str, *, credential: bytes) -> None:
    """Take the statement as it was signed elsewhere."""
    with _taking(at) as (connection, tell):
        signing_timescale.sign(connection, claim, person=person, signature=credential, tell=tell)


def sign_document(at: Desk, claim: str, person: str, *, document: Mapping[str, Any]) -> None:
    sign(at, claim, person, credential=json.dumps(document).encode())


def approve(at: Desk, claim: str, person: str) -> None:
    with _taking(at) as (connection, tell):
        walk_timescale.approve(connection, claim, person=person, tell=tell)


def back(at: Desk, claim: str, person: str, *, step: str, reason: str) -> None:
    """Return, reject, withdraw or suspend."""
    if step not in BACK:
        raise RefusedError(404, f"{step} という手続はありません。", f"There is no step {step!r}; there are {', '.join(BACK)}.")
    with _taking(at) as (connection, tell):
        walk_timescale.walk_back(connection, claim, step, person=person, reason=reason, tell=tell)


def issue(at: Desk, claim: str, person: str) -> tuple[IssuedBlock, ...]:
    """Ask the registry for an approved claim's credits; again is harmless."""
    with _explained():
        return registry_client.issue(at.dsn, at.registry, claim, person)


def did_of(connection: Connection, person: str) -> str:
    """The key that is on record for a person, if one is."""
    known = person_timescale.find(connection, person)
    return (known.did if known else None) or ""


@contextlib.contextmanager
def _taking(at: Desk) -> Iterator[tuple[Connection, person_timescale.Tell]]:
    """A connection of the step's own: no limit of the pages' time cuts it short."""
    with _explained(), psycopg.connect(at.dsn, autocommit=True) as connection:
        yield connection, lambda _: None


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What a step refuses, as a status and a sentence."""
    try:
        yield
    except tuple(kind for kind, _ in STATUS) as error:
        status = next(status for kind, status in STATUS if isinstance(error, kind))
        words = str(error).splitlines()[0]
        raise RefusedError(status, f"手続を行えませんでした：{words}", f"The step was not taken: {words}") from error
