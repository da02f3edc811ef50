"""Issue a claim's credits: database, registry, database.

No transaction is open while the registry is asked. Killed at any line and run again, by one or by a hundred at once, it ends with the same blocks: the batch is
committed before it is sent, its key gets one answer for ever, and only the first to come back writes. An answer is read a second time from the registry's
record before it counts, so that one that was made up on the way is found.
"""

import time
from collections.abc import Callable

import psycopg

from registry_client import timescale
from registry_client.answer import AnswerError, blocks_of, same_blocks
from registry_client.http import Registry, RegistryBusyError, RegistryRefusedError
from registry_client.issuance import Batch, State
from registry_client.serial import Block, Kind
from registry_client.timescale import IssuedBlock
from verification.person_timescale import Tell


def issue(
    dsn: str,
    registry_url: str,
    claim: str,
    person: str,
    *,
    kind: Kind = Kind.JC,
    timeout_s: float = 10.0,
    pause: Callable[[float], None] = time.sleep,
    tell: Tell = lambda _: None,
) -> tuple[IssuedBlock, ...]:
    """The serial blocks of an approved claim, one a vintage; again, the same blocks.

    NoClaimError, NotAllowedError, NotIssuableError: the claim can not be issued, not by this person, or not now. RegistryBusyError: ask again later.
    RegistryRefusedError, AnswerError: a person has to look; the batch keeps what was wrong. `tell` hears of a person who was added (scheme DEMO).
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        batch = timescale.request(connection, claim=claim, person=person, kind=kind, tell=tell)
        if batch.state is State.ISSUED:
            return timescale.serials(connection, claim)
    try:
        with Registry(registry_url, timeout_s=timeout_s, pause=pause) as registry:
            blocks = ask(registry, batch)
        with psycopg.connect(dsn, autocommit=True) as connection:
            return timescale.write(connection, batch=batch, blocks=blocks, person=person)
    except (RegistryBusyError, RegistryRefusedError, AnswerError) as error:
        _keep(dsn, claim, error)
        raise


def ask(registry: Registry, batch: Batch) -> tuple[Block, ...]:
    """The blocks that the registry gives a batch, and has on its record too."""
    blocks = blocks_of(batch, registry.issue(batch))
    same_blocks(batch, blocks_of(batch, registry.issued(batch.id)), blocks)
    return blocks


def _keep(dsn: str, claim: str, error: Exception) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        timescale.note_trouble(connection, claim=claim, trouble=f"{type(error).__name__}: {error}")
