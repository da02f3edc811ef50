"""Why a message is refused, in the order in which the reasons are tried: the first counts (contract.md)."""

from enum import StrEnum


class Reason(StrEnum):
    TOO_LARGE = "too-large"
    UNKNOWN_FORMAT = "unknown-format"
    NO_SIGNATURE = "no-signature"
    UNKNOWN_KEY = "unknown-key"
    REVOKED_KEY = "revoked-key"
    BAD_SIGNATURE = "bad-signature"
    MALFORMED = "malformed"
    WRONG_GATEWAY = "wrong-gateway"
    WRONG_METER = "wrong-meter"
    OUT_OF_RANGE = "out-of-range"


class Refused(Exception):
    """A message that can never be right: its reason, and a detail for the person who has to mend the sender."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail.replace("\0", "\N{REPLACEMENT CHARACTER}")  # no text column takes a NUL
