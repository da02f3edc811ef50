"""Who may say what: a good signature moves a message on, everything else about it is decided by what the register says of the key."""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ingest.admission import Arrival, Sender, admit
from ingest.refusal import Reason, Refused
from ingest.segment import Message

KEY = SigningKey(bytes(range(32)))
OTHER_KEY = SigningKey(bytes(32))
TOPIC = "jcredit/v1/gw-1/telemetry"
NOW_US = 1_617_236_103_000_000
SENDER = Sender(kid="k-1", public_key=bytes(KEY.verify_key), gateway="gw-1", meters={"m-1-g": "generation", "m-1-e": "export"}, enrolled_us=0)
CHANNEL = {"meter": "m-1-g", "register": "generation", "unit": "Wh", "start": "2021-04-01T09:00:00+09:00", "step_s": 1800, "values": [100, 200]}
FIELDS = {"v": 1, "gateway": "gw-1", "seq": 7, "prev": "0" * 64, "sent_at": "2021-04-01T09:15:02+09:00", "channels": [CHANNEL]}


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def body(**fields: Any) -> bytes:
    return json.dumps(FIELDS | fields).encode()


def channel(**fields: Any) -> dict[str, Any]:
    return CHANNEL | fields


def native(payload: bytes, *, key: SigningKey = KEY, kid: str | None = "k-1", sig: str | None = None, topic: str = TOPIC, at_us: int = NOW_US) -> Arrival:
    return Arrival(topic, payload, kid, sig if sig is not None else base64url(key.sign(payload).signature), at_us)


def compact(inner: bytes, header: dict[str, Any] | bytes, *, key: SigningKey = KEY) -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{base64url(head)}.{base64url(inner)}".encode()
    return signed + b"." + base64url(key.sign(signed).signature).encode()


def jws(payload: bytes, *, kid: str | None = None) -> Arrival:
    return Arrival(TOPIC, payload, kid, None, NOW_US)


def admitted(arrival: Arrival, sender: Sender = SENDER) -> Message:
    return admit(arrival, {sender.kid: sender}.get)


def refusal(arrival: Arrival, sender: Sender = SENDER) -> Reason:
    with pytest.raises(Refused) as caught:
        admitted(arrival, sender)
    return caught.value.reason


def test_a_signed_message_is_admitted_byte_for_byte() -> None:
    payload = b'{ "v":1,' + body()[1:].replace(b'"v": 1, ', b"") + b"\n"
    assert admitted(native(payload)) == Message(
        payload=payload,
        kid="k-1",
        signature=KEY.sign(payload).signature,
        format="native",
        received_us=NOW_US,
        sha256=hashlib.sha256(payload).digest(),
        gateway="gw-1",
        refused=None,
    )


def test_a_signature_may_be_padded() -> None:
    payload = body()
    assert admitted(native(payload, sig=base64.urlsafe_b64encode(KEY.sign(payload).signature).decode())).refused is None


def test_256_kib_are_taken_and_one_byte_more_is_not() -> None:
    largest = body() + b" " * (262_144 - len(body()))
    assert admitted(native(largest)).refused is None
    assert refusal(native(largest + b" ")) is Reason.TOO_LARGE


@pytest.mark.parametrize("payload", [b"", b" " + body(), b"\xef\xbb\xbf" + body(), b"[]", b"a.b", b"a.b.c.d", b"\xff.\xff.\xff", b"..", "ä.ä.ä".encode()])
def test_what_is_neither_json_nor_jws_is_of_no_known_format(payload: bytes) -> None:
    assert refusal(native(payload)) is Reason.UNKNOWN_FORMAT


@pytest.mark.parametrize(
    ("kid", "sig"), [(None, None), ("", None), ("k-1", ""), ("k-1", "!"), ("k-1", "AAAA"), ("k-1", base64url(bytes(63))), ("k-1", "A" * 87)]
)
def test_without_a_key_id_and_64_bytes_there_is_no_signature(kid: str | None, sig: str | None) -> None:
    assert refusal(Arrival(TOPIC, body(), kid, sig, NOW_US)) is Reason.NO_SIGNATURE


@pytest.mark.parametrize("kid", ["k-2", "K-1", "k-1 ", "k\0", "k\n", "\N{LATIN SMALL LETTER A WITH DIAERESIS}", "k" * 65, "k" * 60_000])
def test_a_key_that_is_not_enrolled_is_unknown(kid: str) -> None:
    assert refusal(native(body(), kid=kid)) is Reason.UNKNOWN_KEY


def test_the_register_is_not_asked_for_what_can_be_no_key_id() -> None:
    def find(kid: str) -> Sender | None:
        raise AssertionError(f"asked for {kid!r}")

    for arrival in (native(body(), kid="k\0"), jws(compact(body(), b'{"alg":"EdDSA","kid":"\\u0000"}'))):
        with pytest.raises(Refused) as caught:
            admit(arrival, find)
        assert caught.value.reason is Reason.UNKNOWN_KEY


def test_a_key_is_judged_at_receive_time() -> None:
    revoked = Sender(SENDER.kid, SENDER.public_key, SENDER.gateway, SENDER.meters, 0, revoked_us=NOW_US)
    assert admitted(native(body(), at_us=NOW_US - 1), revoked).refused is None
    assert refusal(native(body(), at_us=NOW_US), revoked) is Reason.REVOKED_KEY


def test_a_revoked_key_can_not_date_itself_back() -> None:
    revoked = Sender(SENDER.kid, SENDER.public_key, SENDER.gateway, SENDER.meters, 0, revoked_us=NOW_US - 1)
    assert refusal(native(body(sent_at="2001-01-01T00:00:00Z")), revoked) is Reason.REVOKED_KEY


def test_another_key_or_one_other_byte_is_a_bad_signature() -> None:
    assert refusal(native(body(), key=OTHER_KEY)) is Reason.BAD_SIGNATURE
    assert refusal(native(body() + b" ", sig=base64url(KEY.sign(body()).signature))) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("fields", "topic", "reason"),
    [
        pytest.param({"v": 2}, TOPIC, "malformed", id="another version"),
        pytest.param({"extra": 1}, TOPIC, "malformed", id="unknown field"),
        pytest.param({"channels": [channel(unit="kWh")]}, TOPIC, "malformed", id="unknown unit"),
        pytest.param({"channels": [channel(values=[1.5])]}, TOPIC, "malformed", id="float"),
        pytest.param({"gateway": "gw-2"}, TOPIC, "wrong-gateway", id="body of another gateway"),
        pytest.param({}, "jcredit/v1/gw-2/telemetry", "wrong-gateway", id="topic of another gateway"),
        pytest.param({"gateway": "gw-2"}, "jcredit/v1/gw-2/telemetry", "wrong-gateway", id="key of another gateway"),
        pytest.param({"channels": [channel(meter="m-2-g")]}, TOPIC, "wrong-meter", id="meter of another gateway"),
        pytest.param({"channels": [channel(), channel(meter="m-1-e")]}, TOPIC, "wrong-meter", id="another register of the meter"),
        pytest.param({"channels": [channel(values=[-1])]}, TOPIC, "out-of-range", id="negative reading"),
        pytest.param({"channels": [channel(start="1999-01-01T00:00:00Z")]}, TOPIC, "out-of-range", id="start of long ago"),
    ],
)
def test_what_is_signed_but_refused_keeps_its_place(fields: dict[str, Any], topic: str, reason: str) -> None:
    message = admitted(native(body(**fields), topic=topic))
    assert (message.refused, message.gateway, message.sha256) == (reason, "gw-1", hashlib.sha256(body(**fields)).digest())


@pytest.mark.parametrize("payload", [b"{}", body(seq=-1), body(seq="7"), body(prev=0), b'{"gateway":"gw-1","seq":7}', body(x=[])[:-1]])
def test_what_is_signed_but_has_no_place_moves_nothing(payload: bytes) -> None:
    assert refusal(native(payload)) in (Reason.MALFORMED, Reason.OUT_OF_RANGE)


def test_nesting_without_end_is_malformed() -> None:
    assert refusal(native(body()[:-1] + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}")) is Reason.MALFORMED


def test_a_jws_is_admitted_with_the_hash_of_its_inside() -> None:
    payload = compact(body(), {"alg": "EdDSA", "kid": "k-1"})
    message = admitted(jws(payload))
    assert (message.payload, message.format, message.sha256, message.refused) == (payload, "jws", hashlib.sha256(body()).digest(), None)


def test_the_key_id_of_a_jws_is_in_its_header_and_nowhere_else() -> None:
    assert refusal(jws(compact(body(), {"alg": "EdDSA"}), kid="k-1")) is Reason.NO_SIGNATURE
    assert admitted(jws(compact(body(), {"alg": "EdDSA", "kid": "k-1"}), kid="k-2")).kid == "k-1"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "k-1"},
        {"alg": "eddsa", "kid": "k-1"},
        {"alg": "HS256", "kid": "k-1"},
        {"kid": "k-1"},
        {"alg": "EdDSA", "kid": "k-1", "crit": ["exp"], "exp": 1},
        {"alg": "EdDSA", "kid": "k-1", "b64": False},
        {"alg": "EdDSA", "kid": 1},
        b"[]",
        b"",
        b"\xff",
        b'{"alg":"EdDSA","kid":"\\ud800"}',
        b'{"alg":"EdDSA","kid":"k-1","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
)
def test_a_jws_of_another_kind_is_of_no_known_format(header: dict[str, Any] | bytes) -> None:
    assert refusal(jws(compact(body(), header))) is Reason.UNKNOWN_FORMAT


def test_a_jws_signature_is_base64url_of_64_bytes() -> None:
    signed, _, signature = compact(body(), {"alg": "EdDSA", "kid": "k-1"}).rpartition(b".")
    assert refusal(jws(signed + b".")) is Reason.NO_SIGNATURE
    assert refusal(jws(signed + b"." + signature[:-4])) is Reason.NO_SIGNATURE
    assert refusal(jws(signed + b"." + signature[:-1] + b"+")) is Reason.UNKNOWN_FORMAT


def test_a_jws_signed_by_another_key_is_a_bad_signature() -> None:
    assert refusal(jws(compact(body(), {"alg": "EdDSA", "kid": "k-1"}, key=OTHER_KEY))) is Reason.BAD_SIGNATURE


def test_a_refused_jws_keeps_its_place() -> None:
    assert admitted(jws(compact(body(gateway="gw-2"), {"alg": "EdDSA", "kid": "k-1"}))).refused == "wrong-gateway"


@given(
    payload=st.binary(max_size=60) | st.binary(max_size=60).map(lambda raw: b"{" + raw),
    kid=st.none() | st.text(max_size=5),
    sig=st.none() | st.text(max_size=90),
)
@settings(max_examples=150)
def test_no_bytes_are_admitted_without_a_signature_and_none_raise_anything_else(payload: bytes, kid: str | None, sig: str | None) -> None:
    assert refusal(Arrival(TOPIC, payload, kid, sig, NOW_US)) in Reason


@given(st.binary(max_size=200).map(lambda raw: b"{" + raw))
@settings(max_examples=60)
def test_signed_bytes_that_say_nothing_are_malformed(payload: bytes) -> None:
    assert refusal(native(payload)) is Reason.MALFORMED
