"""Native v1 is read strictly: what is not exactly a message is refused as malformed, a number that no register shows as out of range."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import telemetry
from ingest.refusal import Reason, Refused

PLAIN = (
    b'{"v":1,"gateway":"gw-1","seq":7,"prev":"' + b"0" * 64 + b'","sent_at":"2021-04-01T09:15:02+09:00",'
    b'"channels":[{"meter":"m-1-g","register":"generation","unit":"Wh","start":"2021-04-01T09:00:00+09:00","step_s":60,'
    b'"values":[1203400,1203512,null,1203790]}]}'
)


def put(old: bytes, new: bytes) -> bytes:
    """The plain message with one thing in it changed."""
    assert PLAIN.count(old) == 1
    return PLAIN.replace(old, new)


def refusal(payload: bytes) -> Reason:
    with pytest.raises(Refused) as caught:
        telemetry.read(payload)
    return caught.value.reason


def test_a_message_says_who_which_place_and_the_readings() -> None:
    message = telemetry.read(PLAIN)
    assert (message.gateway, message.seq, message.prev) == ("gw-1", 7, "0" * 64)
    (channel,) = message.channels
    assert (channel.meter, channel.register, channel.step_s) == ("m-1-g", "generation", 60)
    assert int(channel.start.timestamp()) == 1_617_235_200
    assert channel.values == [1203400, 1203512, None, 1203790]


def test_what_is_only_spelt_differently_is_the_same_message() -> None:
    plain = telemetry.read(PLAIN)
    assert telemetry.read(json.dumps(json.loads(PLAIN), indent=2).encode()) == plain
    assert telemetry.read(put(b'"gw-1"', b'"\\u0067w-1"')) == plain
    assert telemetry.read(PLAIN + b"\r\n ") == plain


def test_no_channel_is_a_message_that_says_nothing() -> None:
    empty = PLAIN[: PLAIN.index(b'"channels"')] + b'"channels":[]}'
    assert telemetry.read(empty).channels == []


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN, id="byte order mark"),
        pytest.param(PLAIN.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(PLAIN + b"x", id="bytes after it"),
        pytest.param(PLAIN + PLAIN, id="twice"),
        pytest.param(PLAIN[:-1], id="cut short"),
        pytest.param(put(b'"seq":7', b'"seq":7.0'), id="float"),
        pytest.param(put(b'"seq":7', b'"seq":7e0'), id="exponent"),
        pytest.param(put(b"null", b"1203600.5"), id="float reading"),
        pytest.param(put(b"null", b"NaN"), id="NaN"),
        pytest.param(put(b"null", b"-Infinity"), id="infinity"),
        pytest.param(put(b"null", b"true"), id="truth for a number"),
        pytest.param(put(b"null", b'"1203600"'), id="text for a number"),
        pytest.param(put(b'"seq":7', b'"seq":07'), id="leading zero"),
        pytest.param(put(b'"seq":7', b'"seq":' + b"9" * 5000), id="a number of 5,000 digits"),
        pytest.param(put(b'"v":1', b'"v":2'), id="another version"),
        pytest.param(put(b'"v":1', b'"v":1,"site":"s-1"'), id="unknown field"),
        pytest.param(put(b'"unit":"Wh"', b'"unit":"Wh","scale":1000'), id="unknown field of a channel"),
        pytest.param(put(b'"unit":"Wh",', b""), id="no unit"),
        pytest.param(put(b'"Wh"', b'"kWh"'), id="unknown unit"),
        pytest.param(put(b'"generation"', b'"import"'), id="unknown register"),
        pytest.param(put(b'"start":"2021-04-01T09:00:00+09:00"', b'"start":"2021-04-01T09:00:00"'), id="start without zone"),
        pytest.param(put(b'"sent_at":"2021-04-01T09:15:02+09:00"', b'"sent_at":"2021-04-01T09:15:02"'), id="sent_at without zone"),
        pytest.param(put(b'"sent_at":"2021-04-01T09:15:02+09:00"', b'"sent_at":1617236102'), id="sent_at as a number"),
        pytest.param(put(b"[1203400,1203512,null,1203790]", b"[]"), id="no readings"),
        pytest.param(put(b"0" * 64, b"0" * 63), id="short hash"),
        pytest.param(put(b"0" * 64, b"A" * 64), id="hash in capitals"),
        pytest.param(put(b"0" * 64, b"0" * 64 + b"\\n"), id="hash and a line end"),
        pytest.param(put(b"gw-1", b"gw-\xff"), id="not UTF-8"),
        pytest.param(put(b"gw-1", b"gw-\\ud800"), id="half a surrogate pair"),
        pytest.param(put(b'"v":1', b'"v":1,"v":1'), id="key twice"),
        pytest.param(put(b'"v":1', b'"v":1,"\\u0076":1'), id="key twice, once escaped"),
        pytest.param(put(b'"unit":"Wh"', b'"unit":"Wh","unit":"Wh"'), id="key of a channel twice"),
        pytest.param(put(b'"step_s":60', b'"step_s":60,"st\\u0065p_s":60'), id="key of a channel twice, once escaped"),
        pytest.param(put(b'"seq":7', b'"seq":-7,"seq":-7'), id="key twice, and out of range"),
        pytest.param(put(b'"v":1', b'"v":1,"x":' + b"[" * 50_000 + b"]" * 50_000), id="nested 50,000 deep"),
        pytest.param(put(b'"seq":7', b'"seq":' + b"[" * 50_000), id="nested and never closed"),
    ],
)
def test_what_is_no_message_is_malformed(payload: bytes) -> None:
    assert refusal(payload) is Reason.MALFORMED


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(put(b'"seq":7', b'"seq":-1'), id="negative sequence number"),
        pytest.param(put(b'"seq":7', b'"seq":9007199254740993'), id="sequence number above 2^53"),
        pytest.param(put(b"null", b"-1"), id="negative reading"),
        pytest.param(put(b"null", b"9007199254740993"), id="reading above 2^53"),
        pytest.param(put(b"null", b"1" + b"0" * 40), id="reading of 41 digits"),
        pytest.param(put(b'"step_s":60', b'"step_s":0'), id="step of nothing"),
        pytest.param(put(b'"step_s":60', b'"step_s":-60'), id="step backwards"),
        pytest.param(put(b'"step_s":60', b'"step_s":86401'), id="step of more than a day"),
        pytest.param(put(b'"start":"2021-', b'"start":"1999-'), id="before 2000"),
        pytest.param(put(b'"start":"2021-', b'"start":"2100-'), id="after 2099"),
        pytest.param(put(b"09:00:00+09:00", b"09:00:00.5+09:00"), id="half a second"),
        pytest.param(put(b'60,"values":[', b'86400,"values":[' + b"1," * 400), id="more than 400 days"),
    ],
)
def test_a_number_that_no_register_shows_is_out_of_range(payload: bytes) -> None:
    assert refusal(payload) is Reason.OUT_OF_RANGE


@pytest.mark.parametrize("number", [b"0", b"-0", b"9007199254740992"])
def test_the_range_ends_with_its_limits(number: bytes) -> None:
    assert telemetry.read(put(b'"seq":7', b'"seq":' + number)).seq == int(number)


def test_a_refused_message_may_still_say_its_place() -> None:
    place = telemetry.place(put(b'"Wh"', b'"kWh"'))
    assert place is not None
    assert (place.gateway, place.seq, place.prev) == ("gw-1", 7, "0" * 64)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"\xff",
        put(b'"seq":7', b'"seq":-1'),
        put(b'"seq":7', b'"seq":"7"'),
        put(b"gw-1", b"\xff"),
        put(b'"v":1', b'"v":' + b"[" * 50_000 + b"]" * 50_000),
    ],
)
def test_what_does_not_say_its_place_has_none(payload: bytes) -> None:
    assert telemetry.place(payload) is None


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["Wh", "generation", "2021-04-01T09:00:00Z", "0" * 64]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["v", "gateway", "seq", "prev", "sent_at", "channels", "meter", "x"]), inner),
    max_leaves=12,
)


def outcome(payload: bytes) -> telemetry.Telemetry | Refused:
    try:
        return telemetry.read(payload)
    except Refused as refused:
        return refused


def read_or_refused(payload: bytes) -> None:
    found = outcome(payload)
    if isinstance(found, Refused):
        assert found.reason in (Reason.MALFORMED, Reason.OUT_OF_RANGE)
        assert "\0" not in found.detail
    else:
        assert isinstance(found, telemetry.Telemetry)
    telemetry.place(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    read_or_refused(payload)


@given(st.dictionaries(st.sampled_from(["v", "gateway", "seq", "prev", "sent_at", "channels", "x\0"]), Json), Json)
@settings(max_examples=60)
def test_any_json_is_read_or_refused(fields: dict[str, Any], channel: Any) -> None:
    read_or_refused(json.dumps(fields).encode())
    read_or_refused(json.dumps(json.loads(PLAIN) | fields).encode())
    read_or_refused(json.dumps(json.loads(PLAIN) | {"channels": [channel]}).encode())


@given(st.integers(0, len(PLAIN) - 1), st.binary(max_size=3), st.integers(0, 5))
@settings(max_examples=150)
def test_a_message_with_any_bytes_in_its_middle_is_read_or_refused(at: int, put_in: bytes, taken_out: int) -> None:
    read_or_refused(PLAIN[:at] + put_in + PLAIN[at + taken_out :])


@given(st.lists(st.sampled_from([b'"v":1', b'"gateway":"gw-1"', b'"seq":7', b'"\\u0073eq":7', b'"prev":"' + b"0" * 64 + b'"']), max_size=3))
def test_no_key_can_be_hidden_in_a_second_place(extra: list[bytes]) -> None:
    payload = b"{" + b",".join([*extra, PLAIN[1:]])
    if extra:
        assert refusal(payload) is Reason.MALFORMED
    else:
        assert telemetry.read(payload) == telemetry.read(PLAIN)
