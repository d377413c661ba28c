"""Signals to an MQTT broker: QoS 1, retained, with a last will, and the line's acknowledgements back."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.signals.address import SignalAddressError, parse_address
from pipeline.signals.message import LineState, Signal, StateReport
from pipeline.signals.sink import Acknowledgement, SinkLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS: Final = frozenset({"ack", "ca", "keepalive"})
_SECONDS: Final = 5.0  # for connecting and for each answer of the broker
_KEEPALIVE: Final = 5  # seconds after which the broker takes a silent line for lost (times 1.5)
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_FORBIDDEN: Final = frozenset("+#\0")
_MOST_HEARD: Final = 10_000

logger = logging.getLogger(__name__)


class MqttSink:
    """Publishes `PREFIX/LINE/verdict` and `PREFIX/LINE/state`, both retained with QoS 1; hears `PREFIX/LINE/ack`.

    The retained verdict is what the broker has of this line, also after a restart of either side; the last will sets
    the state to `lost` when this process dies. Each connection is a clean session of its own, so that nothing is sent
    again behind our back: what the broker has is asked for first.

    Args:
        address: `mqtt://[user:password@]host[:1883]/prefix[?ack=1]`, or `mqtts://` with `?ca=FILE`.
        line: the line's name.

    Raises:
        SignalAddressError: the address can't be understood.
    """

    def __init__(self, address: str, *, line: str) -> None:
        found = parse_address(address, known=OPTIONS)
        prefix = found.path or "goldentwin"
        if _FORBIDDEN & set(prefix + line) or "/" in line:
            message = f"an MQTT topic can't be made of {prefix!r} and {line!r}: no +, # and /; name them otherwise"
            raise SignalAddressError(message)
        self.name = found.name
        self.acknowledges = found.flag("ack")
        self._address, self._line = found, line
        self._topic = f"{prefix}/{line}"
        self._client: mqtt.Client | None = None
        self._connected = threading.Event()
        self._refusal = ""
        self._echoed = threading.Event()
        self._echo = ""
        self._retained: int | None = None
        self._heard: deque[Acknowledgement] = deque(maxlen=_MOST_HEARD)

    def open(self) -> None:
        """Connect, and learn what the broker has.

        Raises:
            SinkLostError: no broker answers, or it refuses us.
        """
        self.close()
        client = self._make_client()
        self._connected.clear()
        self._refusal, self._retained = "", None
        try:
            client.connect(self._address.host, self._address.port or _PORTS[self._address.scheme], self._keepalive())
        except (OSError, ValueError) as error:
            self._give_up(f"does not answer ({error}); start the broker, or mend its address", error)
        self._client = client
        client.loop_start()
        if not self._connected.wait(_SECONDS) or self._refusal:
            why = self._refusal or "no answer"
            self._give_up(f"refuses the connection ({why}); see user, password and TLS of its address")
        self._learn()

    def last_sequence(self) -> int | None:
        """The sequence of the retained verdict, as it was when the connection was made."""
        return self._retained

    def send(self, signal: Signal) -> None:
        """Publish a verdict and wait for the broker's PUBACK.

        Raises:
            SinkLostError: it did not come in time.
        """
        self._publish("verdict", signal.to_json())

    def report(self, state: StateReport) -> None:
        """Publish the state.

        Raises:
            SinkLostError: the broker does not answer.
        """
        self._publish("state", state.to_json())

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """What the line confirmed since the last call."""
        heard = []
        with suppress(IndexError):
            while True:
                heard.append(self._heard.popleft())
        return heard

    def close(self) -> None:
        """Disconnect in order; the last will is not sent then."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                client.disconnect()
            with suppress(Exception):
                client.loop_stop()

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"goldentwin-{self._line}-{uuid.uuid4().hex[:8]}",
            clean_session=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _SECONDS
        if self._address.user:
            client.username_pw_set(self._address.user, self._address.password or None)
        if self._address.scheme == "mqtts":
            try:
                client.tls_set(ca_certs=self._address.options.get("ca"))
            except (OSError, ValueError) as error:
                self._give_up(f"can't be reached by TLS ({error}); mend the option ca", error)
        client.will_set(f"{self._topic}/state", self._will(), qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        return client

    def _will(self) -> str:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        detail = "the inspection was cut off; no part may pass"
        return StateReport(line=self._line, state=LineState.LOST, sequence=0, at=at, detail=detail).to_json()

    def _learn(self) -> None:
        """Wait for the retained verdict: what the broker has comes before the echo of a word of our own."""
        client = self._client
        if client is None:
            return
        self._echo, topic = uuid.uuid4().hex, f"{self._topic}/echo"
        self._echoed.clear()
        wanted = [(f"{self._topic}/verdict", 1), (topic, 1)]
        client.subscribe([*wanted, (f"{self._topic}/ack", 1)] if self.acknowledges else wanted)
        client.publish(topic, self._echo, qos=1)
        answered = self._echoed.wait(_SECONDS)
        client.unsubscribe([f"{self._topic}/verdict", topic])
        if not answered:
            self._give_up("does not let us read what we publish; allow this user to read the line's topics")

    def _publish(self, what: str, text: str) -> None:
        client = self._client
        if client is None or not client.is_connected():
            self._give_up("is gone; start the broker again")
        try:
            sent = client.publish(f"{self._topic}/{what}", text, qos=1, retain=True)
            sent.wait_for_publish(_SECONDS)
            done = sent.is_published()
        except (RuntimeError, ValueError) as error:
            self._give_up(f"is gone ({error}); start the broker again", error)
        if not done:
            self._give_up(f"did not confirm within {_SECONDS:.0f} s; see whether the broker is well")

    def _keepalive(self) -> int:
        return int(self._address.options.get("keepalive", _KEEPALIVE))

    def _on_connect(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._refusal = str(reason) if reason.is_failure else ""
        self._connected.set()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        what = message.topic.removeprefix(f"{self._topic}/")
        if what == "echo":
            if message.payload.decode(errors="replace") == self._echo:
                self._echoed.set()
            return
        try:
            sequence = int(json.loads(message.payload)["sequence"])
        except (ValueError, KeyError, TypeError):
            logger.warning("%s: a message on %s is no signal or acknowledgement", self.name, message.topic)
            return
        if what == "verdict":
            if not self._echoed.is_set():
                self._retained = sequence
        else:
            self._heard.append(Acknowledgement(sequence=sequence, at=time.monotonic()))

    def _give_up(self, why: str, error: Exception | None = None) -> NoReturn:
        self.close()
        message = f"the broker {self.name} {why}"
        raise SinkLostError(message) from error
