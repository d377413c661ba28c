"""One connection to an MQTT broker. Once lost it stays lost, so that nothing is sent again behind our back."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from pipeline.signals.sink import SinkLostError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

_SAYING_NOTHING = {"Unspecified error", "Normal disconnection", "Success"}
QOS = 1  # at least once, and the broker says when it has it


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """Where the broker is and how it is spoken to; times in seconds. `name` is the address that may be shown."""

    name: str
    host: str
    port: int
    client_id: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
    timeout: float = 5.0
    keepalive: int = 5


class BrokerLink:
    """Sends and waits for the broker's answer to each; what it receives goes to `receive`, on a thread of its own.

    The client's name is the line's: a broker that still holds an older connection of that name ends it before it
    takes this one, so that nothing of the older one arrives later.
    """

    def __init__(self, settings: BrokerSettings, *, receive: Callable[[mqtt.MQTTMessage], None]) -> None:
        self.settings = settings
        self._changed = threading.Condition()
        self._answers: dict[object, ReasonCode] = {}
        self._over: str | None = None
        self._client = self._new_client(receive)

    def connect(self, *, will_topic: str, will: str) -> None:
        """Connect; should the connection break without a good-bye, the broker publishes `will`, retained.

        Raises:
            SinkLostError: no broker answers, or it refuses.
        """
        settings, client = self.settings, self._client
        client.will_set(will_topic, will, qos=QOS, retain=True)
        try:
            client.connect(settings.host, settings.port, settings.keepalive)
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            message = f"no broker answers at {settings.name} ({said}); start it or mend the address"
            raise SinkLostError(message) from error
        client.loop_start()
        self._require(self._answer_to("connect"), "the connection; mend user, password or the broker's access list")

    def publish(self, topic: str, text: str) -> None:
        """Publish, retained, and wait until the broker has it.

        Raises:
            SinkLostError: it does not say so in time, refuses, or is gone.
        """
        sent = self._client.publish(topic, text, qos=QOS, retain=True)
        self._require_sent(sent.rc)
        self._require(self._answer_to(("publish", sent.mid)), f"{topic}; let this user write there")

    def subscribe(self, topic: str) -> None:
        """Ask for what is published to `topic`.

        Raises:
            SinkLostError: as for `publish`.
        """
        code, number = self._client.subscribe(topic, qos=QOS)
        self._require_sent(code)
        self._require(self._answer_to(("subscribe", number)), f"to let us read {topic}; let this user read there")

    def unsubscribe(self, topic: str) -> None:
        """Ask for it no more.

        Raises:
            SinkLostError: as for `publish`.
        """
        code, number = self._client.unsubscribe(topic)
        self._require_sent(code)
        self._answer_to(("unsubscribe", number))

    def close(self) -> None:
        """Say good-bye: the broker forgets the will."""
        self._client.disconnect()
        self._client.loop_stop()

    def drop(self) -> None:
        """End it without a good-bye: the broker publishes the will. In any state, and twice."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def _new_client(self, receive: Callable[[mqtt.MQTTMessage], None]) -> mqtt.Client:
        settings = self.settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if settings.protocol is MQTTProtocolVersion.MQTTv5 else True,
            protocol=settings.protocol,
            reconnect_on_failure=False,
        )
        client.connect_timeout = settings.timeout
        if settings.tls is not None:
            client.tls_set_context(settings.tls)
        if settings.user is not None:
            client.username_pw_set(settings.user, settings.password)
        client.on_socket_open = _without_delay
        client.on_connect = lambda _c, _u, _flags, code, _p: self._note("connect", code)
        client.on_publish = lambda _c, _u, number, code, _p: self._note(("publish", number), code)
        client.on_subscribe = lambda _c, _u, number, codes, _p: self._note(("subscribe", number), codes[0])
        client.on_unsubscribe = lambda _c, _u, number, codes, _p: self._note(("unsubscribe", number), codes)
        client.on_disconnect = lambda _c, _u, _flags, code, _p: self._note_end(str(code))
        client.on_message = lambda _c, _u, message: receive(message)
        return client

    def _note(self, what: object, code: Any) -> None:
        with self._changed:
            self._answers[what] = code
            self._changed.notify_all()

    def _note_end(self, why: str) -> None:
        with self._changed:
            self._over = why
            self._changed.notify_all()

    def _answer_to(self, what: object) -> Any:
        with self._changed:
            came = self._changed.wait_for(
                lambda: what in self._answers or self._over is not None, timeout=self.settings.timeout
            )
            if what in self._answers:
                return self._answers.pop(what)
        problem = "closed the connection" if came else f"did not answer in {self.settings.timeout:g} s"
        raise self._lost(problem)

    def _require_sent(self, code: MQTTErrorCode) -> None:
        if code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            problem = "is not connected any more"
            raise self._lost(problem)

    def _lost(self, problem: str) -> SinkLostError:
        why = "" if self._over is None or self._over in _SAYING_NOTHING else f" ({self._over})"
        remedy = "see that the broker runs, and that no other process sends for this line"
        return SinkLostError(f"{self.settings.name} {problem}{why}; {remedy}")

    def _require(self, code: ReasonCode, what: str) -> None:
        if code.is_failure:
            message = f"{self.settings.name} refuses ({code}) {what}"
            raise SinkLostError(message)


def _without_delay(_client: mqtt.Client, _userdata: Any, sock: Any) -> None:
    """A signal is a small packet that is not to wait for company."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
