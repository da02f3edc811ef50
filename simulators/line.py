"""One MQTT 5 connection that speaks for some gateways (edge). It sends, listens for their acks, and says what happened as events in a queue.

Handlers are attached before connecting. A line that breaks is thrown away and a new one opened: what was under way is in the spool, not in the client.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from simulators.spool import Spooled
from simulators.wire import ack_topic, status, status_topic, telemetry_topic

VERSION = "sim-1.0"
CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_S = 20
MOST_IN_FLIGHT = 20  # what any broker takes: Mosquitto breaks a connection that passes its own limit, which paho does not look at
TOPICS_A_SUBSCRIBE = 200


@dataclass(frozen=True, slots=True)
class Up:
    """The broker took the connection and the subscriptions."""

    line: int


@dataclass(frozen=True, slots=True)
class Down:
    """The connection is gone."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The broker has taken a message (which is not the end: an ack is)."""

    line: int


@dataclass(frozen=True, slots=True)
class Acked:
    """The system's ack for a gateway, as bytes."""

    gateway: str
    payload: bytes


Event = Up | Down | Confirmed | Acked


class Line:
    """A connection. `number` names it in events; a line for one gateway alone leaves its last will."""

    def __init__(self, number: int, client_id: str, gateways: Sequence[str], events: "SimpleQueue[Event]", *, at: datetime) -> None:
        self._number, self._gateways, self._events = number, gateways, events
        self._by_topic = {ack_topic(gateway): gateway for gateway in gateways}
        self._subscribing: set[int] = set()
        self._is_closing = False
        self._last: MQTTMessageInfo | None = None
        client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(MOST_IN_FLIGHT)
        client.on_connect, client.on_subscribe, client.on_disconnect = self._connected, self._subscribed, self._disconnected
        client.on_message, client.on_publish = self._arrived, self._published
        if len(gateways) == 1:
            client.will_set(status_topic(gateways[0]), self._status(gateways[0], "offline", at, 0), qos=1, retain=True)
        self._client = client

    def open(self, host: str, port: int) -> None:
        """Connect; OSError when nobody answers. The rest comes as events."""
        self._client.connect(host, port, keepalive=KEEPALIVE_S, clean_start=True)
        self._client.loop_start()

    def flush(self, timeout_s: float) -> None:
        """Wait until the broker has the last thing said, or is known to be gone."""
        if self._last is not None:
            with contextlib.suppress(RuntimeError, ValueError):  # paho's word for a line that went down meanwhile
                self._last.wait_for_publish(timeout_s)

    def close(self) -> None:
        """Leave in order."""
        self._is_closing = True
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, message: Spooled) -> bool:
        """Hand a message to the client; False if the line is down."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = [("kid", message.kid), ("sig", message.sig)]
        info = self._client.publish(telemetry_topic(message.gateway), message.payload, qos=1, properties=properties)
        return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def tell_status(self, gateway: str, state: str, *, at: datetime, spooled: int) -> None:
        """The gateway's retained word about itself."""
        self._last = self._client.publish(status_topic(gateway), self._status(gateway, state, at, spooled), qos=1, retain=True)

    def _status(self, gateway: str, state: str, at: datetime, spooled: int) -> bytes:
        return status(gateway=gateway, state=state, at=at, version=VERSION, spooled=spooled)

    def _connected(self, client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None) -> None:
        if reason.is_failure:
            self._events.put(Down(self._number, f"refused: {reason}"))
            return
        topics = [(topic, SubscribeOptions(qos=1)) for topic in self._by_topic]
        parts = [topics[at : at + TOPICS_A_SUBSCRIBE] for at in range(0, len(topics), TOPICS_A_SUBSCRIBE)]
        self._subscribing = {mid for _, mid in (client.subscribe(part) for part in parts) if mid is not None}

    def _subscribed(self, _client: Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Properties | None) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        if refused:
            self._events.put(Down(self._number, f"may not listen for acks: {refused[0]}"))
            return
        self._subscribing.discard(mid)
        if not self._subscribing:
            self._events.put(Up(self._number))

    def _disconnected(self, _client: Client, _data: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None) -> None:
        if not self._is_closing:
            self._events.put(Down(self._number, str(reason)))

    def _arrived(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        gateway = self._by_topic.get(message.topic)
        if gateway is not None and message.payload:
            self._events.put(Acked(gateway, bytes(message.payload)))

    def _published(self, _client: Client, _data: Any, _mid: int, _reason: ReasonCode, _properties: Properties) -> None:
        self._events.put(Confirmed(self._number))
