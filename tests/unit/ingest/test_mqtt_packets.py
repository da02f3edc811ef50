"""MQTT 5 on the wire: the properties of a PUBLISH, and a socket that is read and written in large pieces."""

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.mqtt import BufferedSocket, kid_and_sig


def user(name: str, value: str) -> bytes:
    both = (name.encode(), value.encode())
    return b"\x26" + b"".join(struct.pack(">H", len(part)) + part for part in both)


def test_kid_and_sig_are_user_properties() -> None:
    assert kid_and_sig(user("kid", "k-1") + user("sig", "c2ln")) == ("k-1", "c2ln")
    assert kid_and_sig(user("sig", "c2ln") + user("other", "x") + user("kid", "k-1")) == ("k-1", "c2ln")


def test_what_is_missing_is_none() -> None:
    assert kid_and_sig(b"") == (None, None)
    assert kid_and_sig(user("KID", "k-1") + user("sig", "")) == (None, "")


def test_the_first_of_a_name_counts() -> None:
    assert kid_and_sig(user("kid", "k-1") + user("kid", "k-2")) == ("k-1", None)


def test_every_property_of_a_publish_is_passed_over() -> None:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 60
    properties.TopicAlias = 7
    properties.ContentType = "application/json"
    properties.ResponseTopic = "a/b"
    properties.CorrelationData = b"\x26\x00"
    properties.SubscriptionIdentifier = 268_435_455
    properties.UserProperty = [("x", "y"), ("kid", "k-1"), ("sig", "c2ln")]
    packed = properties.pack()
    assert kid_and_sig(packed[packed.index(b"\x01\x01") :]) == ("k-1", "c2ln")


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=5), st.text(st.characters(codec="utf-8"), max_size=5)), max_size=5))
def test_any_user_properties_are_read(pairs: list[tuple[str, str]]) -> None:
    first = dict(reversed(pairs))
    assert kid_and_sig(b"".join(user(name, value) for name, value in pairs)) == (first.get("kid"), first.get("sig"))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(user("kid", "k-1")[:-1], id="cut short in a value"),
        pytest.param(user("kid", "k-1")[:4], id="cut short in a name"),
        pytest.param(b"\x26", id="nothing but its kind"),
        pytest.param(b"\x02\x00", id="cut short in a number"),
        pytest.param(b"\x0b\xff\xff", id="a length without end"),
        pytest.param(b"\x11\x00\x00\x00\x01", id="a property of CONNECT"),
        pytest.param(b"\x26\x00\x03\xff\xff\xff\x00\x00", id="a name that is no UTF-8"),
    ],
)
def test_what_is_no_mqtt_5_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"PUBLISH|utf-8"):
        kid_and_sig(raw)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_a_value_error(raw: bytes) -> None:
    try:
        kid, sig = kid_and_sig(raw)
    except ValueError:
        return
    assert kid is None or kid.encode() in raw
    assert sig is None or sig.encode() in raw


@pytest.fixture
def ends() -> Iterator[tuple[BufferedSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield BufferedSocket(ours), theirs


def test_one_reading_of_the_network_serves_many_small_ones(ends: tuple[BufferedSocket, socket.socket]) -> None:
    buffered, theirs = ends
    theirs.sendall(b"abcdef")
    assert buffered.recv(1) == b"a"
    assert buffered.pending() == 5
    assert buffered.recv(3) == b"bcd"
    assert buffered.recv(9) == b"ef"
    assert buffered.pending() == 0


def test_nothing_to_read_is_said_as_a_socket_says_it(ends: tuple[BufferedSocket, socket.socket]) -> None:
    buffered, theirs = ends
    with pytest.raises(BlockingIOError):
        buffered.recv(1)
    theirs.close()
    assert buffered.recv(1) == b""


def test_all_that_is_sent_is_taken_and_written_as_the_network_takes_it(ends: tuple[BufferedSocket, socket.socket]) -> None:
    buffered, theirs = ends
    data = bytes(range(256)) * 16_384
    assert buffered.send(data) == len(data)
    assert buffered.waiting()
    got = bytearray()
    while buffered.waiting():
        buffered.flush()
        got += theirs.recv(1 << 20)
    while len(got) < len(data):
        got += theirs.recv(1 << 20)
    assert bytes(got) == data
