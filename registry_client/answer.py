"""What the registry answers to a batch, and whether it can be believed.

An answer counts only if it is for this key and these bytes, and has one block for each vintage asked, with as many serials as tonnes.
Whatever else comes is refused by the name of what is wrong with it, and nothing is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from registry_client import serial
from registry_client.issuance import Batch, tonnes_by_series
from registry_client.serial import Block, SerialError, Series


class AnswerError(Exception):
    """What came is not the contract's form."""


class UnreadableAnswerError(AnswerError):
    """What came is not of the contract's form."""


class ReplayedAnswerError(AnswerError):
    """The answer belongs to another key or another request."""


class WrongCountError(AnswerError):
    """The number of serials is not the number of tonnes."""


class WrongSeriesError(AnswerError):
    """The serials are of another scheme, kind or vintage than asked for."""


class DifferentBlockError(AnswerError):
    """Two answers for the same key name different blocks."""


class OverlappingBlockError(AnswerError):
    """The answer names serials that were issued to another claim."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpelledBlock:
    """A block as the answer spells it."""

    first: str
    last: str
    tonnes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the registry says of a key."""

    key: str
    request_sha256: str
    blocks: tuple[SpelledBlock, ...]


def blocks_of(batch: Batch, answer: Answer) -> tuple[Block, ...]:
    """The blocks of an answer that can be believed, in the order of their series; a named AnswerError otherwise."""
    if (answer.key, answer.request_sha256) != (batch.id, batch.request_sha256):
        raise ReplayedAnswerError(f"the answer is for key {answer.key!r} and request {answer.request_sha256[:12]!r}…, not for {batch.id} as it was sent")
    asked = tonnes_by_series(batch)
    found = tuple(sorted(_block(b) for b in answer.blocks))
    if [b.first.series for b in found] != sorted(asked):
        raise WrongSeriesError(f"{batch.id} asked for a block of each of {_names(asked)}; the answer has {_names(b.first.series for b in found)}")
    for b in found:
        if b.tonnes != asked[b.first.series]:
            raise WrongCountError(f"{batch.id}: {b} holds {b.tonnes} serials, but {asked[b.first.series]} t were asked for")
    return found


def same_blocks(batch: Batch, blocks: tuple[Block, ...], others: tuple[Block, ...]) -> None:
    """Refuse two answers for one key that differ."""
    if blocks != others:
        raise DifferentBlockError(f"{batch.id}: the registry now names {_names(blocks)}; for the same key it named {_names(others)}")


def _block(spelled: SpelledBlock) -> Block:
    try:
        block = serial.block(spelled.first, spelled.last)
    except SerialError as error:
        raise UnreadableAnswerError(f"the answer's block can not be read: {error}") from error
    if block.tonnes != spelled.tonnes:
        raise WrongCountError(f"the answer says {spelled.tonnes} t of {block}, which holds {block.tonnes}, both ends included")
    return block


def _names(items: Iterable[Series | Block]) -> str:
    return ", ".join(str(i) for i in items) or "nothing"
