"""The reasons of refusal, in the order of the contract: of several faults the first counts."""

import base64
import json
from itertools import combinations
from typing import Any

import pytest
from nacl.signing import SigningKey

from ingest.admission import Arrival, Sender, admit
from ingest.refusal import Reason, Refused

ORDER = [
    "too-large",
    "unknown-format",
    "no-signature",
    "unknown-key",
    "revoked-key",
    "bad-signature",
    "malformed",
    "wrong-gateway",
    "wrong-meter",
    "out-of-range",
]
KEY, OTHER_KEY = SigningKey(bytes(range(32))), SigningKey(bytes(32))
NOW_US = 1_617_236_103_000_000


def sender(kid: str, revoked_us: int | None) -> Sender:
    return Sender(kid, bytes(KEY.verify_key), "gw-1", {"m-1": "generation"}, 0, revoked_us)


REGISTER = {"k-1": sender("k-1", None), "k-revoked": sender("k-revoked", NOW_US - 1)}


def message(faults: set[str]) -> Arrival:
    """A message with all of these faults."""
    channel: dict[str, Any] = {"meter": "m-1", "register": "generation", "unit": "Wh", "start": "2021-04-01T09:00:00Z", "step_s": 1800, "values": [1]}
    fields: dict[str, Any] = {"v": 1, "gateway": "gw-1", "seq": 7, "prev": "0" * 64, "sent_at": "2021-04-01T09:15:02Z", "channels": [channel]}
    if "malformed" in faults:
        fields["unknown"] = 1
    if "wrong-gateway" in faults:
        fields["gateway"] = "gw-2"
    if "wrong-meter" in faults:
        channel["meter"] = "m-2"
    if "out-of-range" in faults:
        channel["values"] = [-1]
    payload = json.dumps(fields).encode()
    if "unknown-format" in faults:
        payload = b"x" + payload
    if "too-large" in faults:
        payload += b" " * (256 << 10)
    signature = (OTHER_KEY if "bad-signature" in faults else KEY).sign(payload).signature
    sig = None if "no-signature" in faults else base64.urlsafe_b64encode(signature).decode()
    kid = "k-unknown" if "unknown-key" in faults else "k-revoked" if "revoked-key" in faults else "k-1"
    return Arrival("jcredit/v1/gw-1/telemetry", payload, kid, sig, NOW_US)


def reason(arrival: Arrival) -> str | None:
    try:
        return admit(arrival, REGISTER.get).refused
    except Refused as refused:
        return refused.reason


def test_the_reasons_are_those_of_the_contract_in_its_order() -> None:
    assert [str(one) for one in Reason] == ORDER


def test_a_message_without_a_fault_is_not_refused() -> None:
    assert reason(message(set())) is None


@pytest.mark.parametrize("fault", ORDER)
def test_each_fault_alone_has_its_reason(fault: str) -> None:
    assert reason(message({fault})) == fault


@pytest.mark.parametrize(("first", "second"), list(combinations(ORDER, 2)))
def test_of_two_faults_the_first_counts(first: str, second: str) -> None:
    assert reason(message({first, second})) == first


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_of_all_faults_from_a_place_on_the_first_counts(place: int) -> None:
    assert reason(message(set(ORDER[place:]))) == ORDER[place]


@pytest.mark.parametrize("fault", ORDER)
def test_only_what_is_well_signed_keeps_a_place(fault: str) -> None:
    if ORDER.index(fault) < ORDER.index("malformed"):
        with pytest.raises(Refused):
            admit(message({fault}), REGISTER.get)
    else:
        assert admit(message({fault}), REGISTER.get).refused == fault
