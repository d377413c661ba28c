"""From what people type for `--signal` to the receiver that it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.signals.address import SignalAddressError
from pipeline.signals.file_sink import FileSink, LogSink

if TYPE_CHECKING:
    from pipeline.signals.sink import Sink

FORMS = "file:PATH, log:, mqtt://HOST/PREFIX, mqtts://HOST/PREFIX, http(s)://HOST/PATH, opc.tcp://HOST:PORT?node=NODE"


def open_sink(address: str, *, line: str) -> Sink:
    """The receiver of that address, not yet connected.

    Raises:
        SignalAddressError: it is none of the forms there are.
    """
    scheme, colon, rest = address.partition(":")
    match scheme.lower() if colon else "":
        case "file" if rest.lstrip("/"):
            return FileSink(Path(rest.removeprefix("//")).expanduser().absolute())
        case "log" if not rest:
            return LogSink()
        case "mqtt" | "mqtts":
            from pipeline.signals.mqtt_sink import MqttSink  # noqa: PLC0415 - only what is used is imported

            return MqttSink(address, line=line)
        case "http" | "https":
            from pipeline.signals.webhook_sink import WebhookSink  # noqa: PLC0415 - the same

            return WebhookSink(address, line=line)
        case "opc.tcp":
            from pipeline.signals.opcua_sink import OpcUaSink  # noqa: PLC0415 - the same

            return OpcUaSink(address, line=line)
        case _:
            message = f"no signal can be sent to {scheme!r}; the forms are {FORMS}"
            raise SignalAddressError(message)
