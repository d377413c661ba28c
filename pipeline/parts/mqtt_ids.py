"""Part ids from an MQTT topic: what the line's controller says of a part is paired with the frame taken of it."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.part_ids import printable_id
from pipeline.signals.address import CREDENTIALS, SignalAddressError, parse

if TYPE_CHECKING:
    from types import TracebackType

OPTIONS: Final = frozenset({"window", "ca"}) | CREDENTIALS
_WINDOW_SECONDS: Final = 1.0
_MOST: Final = 256
_LONGEST_TOPIC: Final = 65535  # bytes, by the standard
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Announced:
    """A part that was announced, and when."""

    part_id: str
    at: datetime


class MqttPartIds:
    """Listens to `{"part_id": "A-17", "at": "2026-11-25T22:15:33.1Z"}`; without `at` the moment of arrival counts.

    Each announcement names one frame: of those within `window` seconds of its capture the nearest. A broker that is
    away is connected to again; frames meanwhile have no id from here. To be used in a `with` block.

    Args:
        address: `mqtt://[user:password@]host[:1883]/topic[?window=1.0]`, or `mqtts://`; in the topic, `%23` is #.

    Raises:
        SignalAddressError: the address can't be understood, or its topic or window can't be used.
    """

    def __init__(self, address: str) -> None:
        found, topic = parse(address), ""
        if found.scheme in _PORTS:
            found.require_known(OPTIONS)
            topic = unquote(found.path).strip("/")
        if not topic:
            message = f"part ids come from `code` or mqtt://HOST/TOPIC, not from {found.place}"
            raise SignalAddressError(message)
        self._window = found.number("window", _WINDOW_SECONDS, least=0.01, most=600)
        self.name = f"{found.place}/{topic}"
        self._topic = _usable(topic)
        self._lock = threading.Lock()
        self._announced: deque[_Announced] = deque(maxlen=_MOST)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 5)
        user, password = found.credentials()
        if user:
            self._client.username_pw_set(user, password)
        if found.scheme == "mqtts":
            self._client.tls_set_context(found.trusted())
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic, 1)
        self._client.on_message = self._hear
        self._client.connect_async(found.host, found.port or _PORTS[found.scheme])

    def __enter__(self) -> Self:
        """Begin to listen; the broker may come later."""
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        with suppress(Exception):
            self._client.disconnect()
        self._client.loop_stop()

    def for_capture(self, captured_at: datetime) -> str | None:
        """The id of the part that a frame shows, by the moment of its capture; None where none was announced."""
        with self._lock:
            near = [one for one in self._announced if abs((one.at - captured_at).total_seconds()) <= self._window]
            if not near:
                return None
            best = min(near, key=lambda one: abs((one.at - captured_at).total_seconds()))
            self._announced.remove(best)
            return best.part_id

    def _hear(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        now = datetime.now(UTC)
        try:
            values = json.loads(message.payload)
            part_id = _part_id(values["part_id"])
            if message.retain and not values.get("at"):
                return  # of a part that came by long ago
            at = datetime.fromisoformat(str(values["at"])) if values.get("at") else now
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # an error would end the listening
            logger.warning("%s: a message on %s names no part", self.name, message.topic)
            return
        if part_id:
            with self._lock:
                self._announced.append(_Announced(part_id=part_id, at=at if at.tzinfo else at.replace(tzinfo=UTC)))


def _part_id(value: object) -> str:
    """What a message calls the part, as it can be recorded.

    Raises:
        TypeError: it is neither text nor a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        message = "a part id is text or a whole number"
        raise TypeError(message)
    return printable_id(str(value))


def _usable(topic: str) -> str:
    """The topic to listen to.

    Raises:
        SignalAddressError: MQTT has no such topic filter.
    """
    levels = topic.split("/")
    wrong = "#" in levels[:-1] or any(len(level) > 1 and {"#", "+"} & set(level) for level in levels)
    if wrong or not topic.isprintable() or len(topic.encode()) > _LONGEST_TOPIC:
        message = "part ids need an MQTT topic; + and # stand alone between slashes, # only at the end"
        raise SignalAddressError(message)
    return topic
