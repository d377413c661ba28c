"""Signals to an MQTT broker: each verdict once, the state as heartbeat and last will."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from paho.mqtt.enums import MQTTProtocolVersion

from pipeline.signals.address import CREDENTIALS, Address, SignalAddressError, checked_name
from pipeline.signals.farewell import farewell, utc_now
from pipeline.signals.message import LineState, StateReport
from pipeline.signals.mqtt_link import BrokerLink, BrokerSettings
from pipeline.signals.sink import Acknowledgement, SinkLostError
from pipeline.signals.told import is_sequence, told_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paho.mqtt.client import MQTTMessage

    from pipeline.signals.message import Signal

logger = logging.getLogger(__name__)

OPTIONS = CREDENTIALS | {"ca", "ack", "timeout", "keepalive", "client_id", "version"}
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
_MOST_ACKNOWLEDGEMENTS = 10_000
_RETAINED_SECONDS = 1.0
_SHOWN = 80


class MqttSink:
    """Publishes `PREFIX/LINE/verdict` and `PREFIX/LINE/state`, both retained; reads `PREFIX/LINE/ack`.

    Whether a signal came through when the connection broke, the retained verdict tells: the same signal sent again
    after that is published only if the broker does not hold it.
    """

    def __init__(self, settings: BrokerSettings, *, prefix: str, line: str, acknowledges: bool = False) -> None:
        self.settings = settings
        self.line = checked_name(line, "the name of a line")
        base = "/".join([*(checked_name(level, "a level of a topic") for level in prefix.split("/")), self.line])
        self.verdict_topic, self.state_topic, self.ack_topic = (f"{base}/{x}" for x in ("verdict", "state", "ack"))
        self.acknowledges = acknowledges
        self._link: BrokerLink | None = None
        self._confirmed: deque[Acknowledgement] = deque(maxlen=_MOST_ACKNOWLEDGEMENTS)
        self._retained: bytes | None = None
        self._retained_came = threading.Event()
        self._doubtful: Signal | None = None
        self._held: dict[str, Any] | None = None
        self._told = 0
        self._reported: StateReport | None = None

    @property
    def name(self) -> str:
        """The broker's address and the prefix."""
        return self.settings.name

    def open(self) -> None:
        """Connect anew, and ask whether the signal that was under way when the last connection broke came through.

        Raises:
            SinkLostError: the broker does not answer or refuses us.
        """
        self._drop()
        will = StateReport(
            line=self.line, state=LineState.LOST, sequence=self._told, at=utc_now(), detail="connection lost"
        )
        self._link = BrokerLink(self.settings, receive=self._receive)
        with self._connected() as link:
            link.connect(will_topic=self.state_topic, will=will.to_json())
            if self.acknowledges:
                link.subscribe(self.ack_topic)
            if self._doubtful is not None:
                self._held = self._read_retained(link)
                self._doubtful = None

    def last_sequence(self) -> int | None:
        """The retained verdict's; None where the broker retains none.

        Raises:
            SinkLostError: the broker does not answer.
        """
        with self._connected() as link:
            held = self._read_retained(link)
        return None if held is None else int(held["sequence"])

    def send(self, signal: Signal) -> None:
        """Publish it, and return once the broker has it.

        Raises:
            SinkLostError: the broker does not say so in time.
        """
        held, self._held = self._held, None
        if held is None or not _same(held, signal):
            self._doubtful = signal
            with self._connected() as link:
                link.publish(self.verdict_topic, signal.to_json())
            self._doubtful = None
        self._told = signal.sequence

    def report(self, state: StateReport) -> None:
        """Publish it, and return once the broker has it.

        Raises:
            SinkLostError: the broker does not say so in time.
        """
        with self._connected() as link:
            link.publish(self.state_topic, state.to_json())
        self._reported = state

    def acknowledgements(self) -> list[Acknowledgement]:
        """What came on `PREFIX/LINE/ack` since."""
        return [self._confirmed.popleft() for _ in range(len(self._confirmed))]

    def close(self) -> None:
        """Publish that it stopped, and leave; if that fails, the broker publishes that the line is lost."""
        last = farewell(self._reported)
        if self._link is not None and last is not None:
            try:
                self.report(last)
            except SinkLostError as error:
                logger.warning("%s", error)
        self._reported = None
        if self._link is not None:
            link, self._link = self._link, None
            link.close()

    def _drop(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            link.drop()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[BrokerLink]:
        """The connection; when it fails it is dropped, so that nothing of it arrives later."""
        if self._link is None:
            message = f"{self.name} is not connected; open it first"
            raise SinkLostError(message)
        try:
            yield self._link
        except SinkLostError:
            self._drop()
            raise

    def _read_retained(self, link: BrokerLink) -> dict[str, Any] | None:
        """The verdict that the broker retains: it comes right behind the answer to a subscription, or not at all."""
        self._retained = None
        self._retained_came.clear()
        link.subscribe(self.verdict_topic)
        self._retained_came.wait(_RETAINED_SECONDS)
        link.unsubscribe(self.verdict_topic)
        held = None if self._retained is None else told_values(self._retained)
        if held is None and self._retained is not None:
            logger.warning("%s retains no signal on %s; it is replaced by the next", self.name, self.verdict_topic)
        return held

    def _receive(self, message: MQTTMessage) -> None:
        """On the link's thread. A retained acknowledgement is an old one."""
        if message.topic == self.verdict_topic and message.retain:
            self._retained = bytes(message.payload)
            self._retained_came.set()
        elif message.topic == self.ack_topic and not message.retain:
            sequence = _acknowledged(message.payload)
            if sequence is None:
                logger.warning("%s: no acknowledgement: %r", self.ack_topic, bytes(message.payload[:_SHOWN]))
            else:
                self._confirmed.append(Acknowledgement(sequence=sequence, at=time.monotonic()))


def mqtt_sink(address: Address, *, line: str) -> MqttSink:
    """The sink at `mqtt[s]://[user:password@]host[:port]/prefix[?option=value]`.

    Raises:
        SignalAddressError: an option, name or secret is missing or wrong.
    """
    address.require_known(OPTIONS)
    prefix = address.path.strip("/")
    if not prefix:
        message = f"{address.place} lacks the topics' prefix; write {address.place}/PREFIX"
        raise SignalAddressError(message)
    version = address.options.get("version", "5")
    if version not in _PROTOCOLS:
        message = f"MQTT {version} is not known; write version=5 or version=3.1.1"
        raise SignalAddressError(message)
    user, password = address.credentials()
    port = address.port or _PORTS[address.scheme]
    host = f"[{address.host}]" if ":" in address.host else address.host
    settings = BrokerSettings(
        name=f"{address.scheme}://{host}:{port}/{prefix}",
        host=address.host,
        port=port,
        client_id=address.options.get("client_id") or f"goldentwin-{prefix.replace('/', '-')}-{line}",
        user=user,
        password=password,
        tls=address.trusted() if address.scheme == "mqtts" else None,
        protocol=_PROTOCOLS[version],
        timeout=address.seconds(),
        keepalive=int(address.number("keepalive", 5, least=1, most=3600)),
    )
    return MqttSink(settings, prefix=prefix, line=line, acknowledges=address.switch("ack"))


def _same(held: dict[str, Any], signal: Signal) -> bool:
    """Whether both tell of the same part of the same line, whatever became of the words in between."""
    known = held["sequence"], held.get("frame"), held.get("captured_at")
    return known == (signal.sequence, signal.frame, signal.captured_at)


def _acknowledged(payload: bytes | bytearray) -> int | None:
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    sequence = values.get("sequence") if isinstance(values, dict) else None
    return sequence if is_sequence(sequence) else None
