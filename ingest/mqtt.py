"""One conversation with the MQTT broker: publishes come in and are acknowledged later, by hand, when Kafka has them.

paho-mqtt does the protocol. Two parts of it cost most of a bridge's time and are replaced: the socket is read and written in
large pieces (paho reads an MQTT packet in four calls), and a PUBLISH is taken apart here (paho builds five objects for it).
"""

import contextlib
import logging
import select
import socket
import struct
from collections.abc import Callable, Iterable

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

RECEIVE_MAXIMUM = 4000
SESSION_EXPIRY_S = 7 * 86_400
SUBSCRIPTION = "$share/jcredit/jcredit/v1/+/telemetry"
_U16 = struct.Struct(">H")
_PUBACK = struct.Struct(">BBH")
_FIXED_BYTES = {0x01: 1, 0x02: 4, 0x23: 2}  # payload format, message expiry, topic alias
_ONE_STRING = {0x03, 0x08, 0x09}  # content type, response topic, correlation data

log = logging.getLogger("jcredit.mqtt")
Handler = Callable[[int, str, bytes, str | None, str | None], None]


class BufferedSocket:
    """A TCP socket that is read and written in large pieces; to its user it takes all that is sent."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._in, self._at, self._out = sock, b"", 0, bytearray()
        self.fileno, self.setblocking, self.close = sock.fileno, sock.setblocking, sock.close

    def recv(self, most: int) -> bytes:
        if self._at >= len(self._in):
            self._in, self._at = self._sock.recv(262_144), 0
        piece = self._in[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def pending(self) -> int:
        """Bytes read from the network and not yet taken."""
        return len(self._in) - self._at

    def send(self, data: bytes | bytearray) -> int:
        self._out += data
        return len(data)

    def waiting(self) -> bool:
        return bool(self._out)

    def flush(self) -> None:
        """Write what is waiting, as far as the network takes it now."""
        while self._out:
            try:
                del self._out[: self._sock.send(self._out)]
            except BlockingIOError:
                return


def kid_and_sig(properties: bytes) -> tuple[str | None, str | None]:
    """The user properties `kid` and `sig` of a PUBLISH, the first of each; ValueError if the properties are no MQTT 5 properties."""
    try:
        found = _user_properties(properties)
    except (struct.error, IndexError) as error:
        raise ValueError(f"the properties of a PUBLISH are cut short: {error}") from error
    return found.get("kid"), found.get("sig")


def _user_properties(properties: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at, end = 0, len(properties)
    while at < end:
        kind, at = properties[at], at + 1
        if kind == 0x26:
            name, at = _string(properties, at)
            value, at = _string(properties, at)
            found.setdefault(name, value)
        elif kind in _ONE_STRING:
            at += 2 + _U16.unpack_from(properties, at)[0]
        elif kind == 0x0B:
            _, at = _length(properties, at)
        elif kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        else:
            raise ValueError(f"property {kind:#x} has no place in a PUBLISH")
    if at > end:
        raise IndexError("the last one is longer than they are")
    return found


def _string(raw: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + _U16.unpack_from(raw, at)[0]
    return raw[at + 2 : end].decode(), end


def _length(raw: bytes | bytearray, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte, at = raw[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


class _Client(paho.Client):
    """paho's client over a buffered socket, with its own way of taking a PUBLISH apart."""

    arrived: Handler

    def _create_socket(self) -> BufferedSocket:
        return BufferedSocket(super()._create_socket())  # type: ignore[arg-type]

    def _handle_publish(self) -> MQTTErrorCode:
        raw = self._in_packet["packet"]
        at = 2 + _U16.unpack_from(raw, 0)[0]
        topic = raw[2:at].decode()
        mid = 0
        if self._in_packet["command"] & 0x06:
            mid, at = _U16.unpack_from(raw, at)[0], at + 2
        size, at = _length(raw, at)
        kid, sig = kid_and_sig(bytes(raw[at : at + size]))
        self.arrived(mid, topic, bytes(raw[at + size :]), kid, sig)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class Session:
    """A persistent MQTT 5 session under a fixed client id: what the broker holds for it outlives a crash of either side."""

    def __init__(self, address: str, client_id: str, arrived: Handler, subscription: str | None = SUBSCRIPTION) -> None:
        self._host, _, port = address.rpartition(":")
        self._port, self._subscription = int(port), subscription
        self.generation = 0  # an acknowledgement is only good for the connection that brought the message
        self._client = _Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, manual_ack=True)
        self._client.arrived = arrived
        self._client.on_connect = self._subscribe
        self._client.on_disconnect = self._gone
        self._client.suppress_exceptions = False

    def connect(self) -> None:
        """Open the session; OSError if the broker does not answer."""
        self.generation += 1
        properties = _properties(PacketTypes.CONNECT, SESSION_EXPIRY_S if self._subscription else 0)
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        self._client.connect(self._host, self._port, keepalive=30, clean_start=False, properties=properties)

    def _subscribe(self, client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        if self._subscription and not reason.is_failure:
            client.subscribe(self._subscription, qos=1)

    def _gone(self, _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        log.info("the connection to the broker ended: %s", reason)

    @property
    def connected(self) -> bool:
        return self._client.socket() is not None and self._client.is_connected()

    def turn(self, wait_s: float, *, reading: bool = True) -> None:
        """Read (unless told not to) and write once; returns after `wait_s` at most when nothing comes."""
        sock = self._client.socket()
        if sock is None:
            raise ConnectionError("the broker closed the connection")
        with contextlib.suppress(OSError):  # what broke the socket shows itself in the next turn
            self._exchange(sock, wait_s, reading)  # type: ignore[arg-type]
        self._client.loop_misc()

    def _exchange(self, sock: BufferedSocket, wait_s: float, reading: bool) -> None:
        if sock.fileno() < 0:
            return
        select.select([sock] if reading else [], [sock] if sock.waiting() else [], [], wait_s)
        if reading:
            self._client.loop_read()
            while sock.pending() and self._client.socket() is not None:
                self._client.loop_read()
        if self._client.want_write():
            self._client.loop_write()
        sock.flush()

    def acknowledge(self, mids: Iterable[int]) -> None:
        """PUBACK these, in one write; 0 is a message at QoS 0, of which the broker wants to hear nothing."""
        sock = self._client.socket()
        if sock is not None:
            sock.send(b"".join(_PUBACK.pack(0x40, 2, mid) for mid in mids if mid))

    def leave(self, *, for_good: bool) -> None:
        """Close the connection. For good: the session ends too, so that the broker keeps no share of new messages for it."""
        properties = _properties(PacketTypes.DISCONNECT, 0 if for_good else SESSION_EXPIRY_S)
        with contextlib.suppress(ConnectionError, OSError):
            self._client.disconnect(properties=properties)
            sock = self._client.socket()
            if sock is not None:
                sock.flush()  # type: ignore[attr-defined]

    def unsubscribe(self) -> None:
        if self._subscription:
            self._client.unsubscribe(self._subscription)

    def publish(self, topic: str, payload: bytes) -> None:
        """A retained message at QoS 0, written with the next turn; nothing when there is no connection."""
        sock = self._client.socket()
        if sock is not None and self.connected:
            name = topic.encode()
            body = _U16.pack(len(name)) + name + b"\0" + payload
            sock.send(b"\x31" + _size(len(body)) + body)


def _properties(packet: int, session_expiry_s: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_expiry_s
    return properties


def _size(count: int) -> bytes:
    out = bytearray()
    while count > 127:
        out.append(count & 127 | 128)
        count >>= 7
    return bytes([*out, count])
