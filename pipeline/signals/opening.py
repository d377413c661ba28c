"""From what people type behind `--signal` to the receiver they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pipeline.signals.address import Address, SignalAddressError, parse
from pipeline.signals.file_sink import DEFAULT_BYTES, DEFAULT_FILES, FileSink
from pipeline.signals.log_sink import LogSink

if TYPE_CHECKING:
    from pipeline.signals.sink import Sink

FORMS = """\
    log:
    file:/path/signals.jsonl[?megabytes=16&files=8]
    mqtt[s]://[user:password@]host[:port]/prefix[?user_env=NAME&password_env=NAME|password_file=FILE&ca=FILE&ack=1]
    http[s]://host[:port]/path[?token_env=NAME&last=URL&ack=1]
    opc.tcp://host:port?node=ns=2;s=Line1[&user=NAME&password_env=NAME&security=POLICY,MODE,CERT,KEY&ack=1]"""


def open_sink(address: str, *, line: str) -> Sink:
    """The receiver at `address` for the signals of `line`; its own `open()` connects, again and again if need be.

    Raises:
        SignalAddressError: the address is none of the known forms, or something in it is missing or wrong.
    """
    require_signal_address(address)
    scheme = address.partition(":")[0].lower()
    if address == "log:":
        return LogSink(line=line)
    if scheme == "file":
        return _file_sink(address, line=line)
    if scheme in {"mqtt", "mqtts"}:
        from pipeline.signals.mqtt_sink import mqtt_sink  # noqa: PLC0415 - only what is used is imported

        return mqtt_sink(parse(address), line=line)
    if scheme in {"http", "https"}:
        from pipeline.signals.webhook_sink import webhook_sink  # noqa: PLC0415 - the same

        return webhook_sink(parse(address), line=line)
    return _opcua_sink(address, line=line)


def require_signal_address(address: str) -> None:
    """Refuse what can't be a receiver's address anywhere; files and variables that it names are not looked for.

    Raises:
        SignalAddressError: the address is none of the known forms.
    """
    scheme = address.partition(":")[0].lower()
    if scheme in {"mqtt", "mqtts", "http", "https", "opc.tcp"}:
        parse(address)
    elif scheme != "file" and address != "log:":
        message = f"the signal's address is none that is known; write one of\n{FORMS}"
        raise SignalAddressError(message)


def _file_sink(address: str, *, line: str) -> FileSink:
    """`file:PATH` and `file://PATH` alike; a path may be relative or begin with `~`."""
    place, _, query = address.partition(":")[2].partition("?")
    path = Path(unquote(place.removeprefix("//"))).expanduser()
    parts = Address(scheme="file", host="", port=None, path=str(path), query=query)
    parts.require_known({"megabytes", "files"})
    if not path.name:
        message = "the signal's address names no file; write file:/path/signals.jsonl"
        raise SignalAddressError(message)
    return FileSink(
        path,
        line=line,
        limit=int(1e6 * parts.number("megabytes", DEFAULT_BYTES / 1e6, least=0.001, most=1e6)),
        files=int(parts.number("files", DEFAULT_FILES, least=2, most=10_000)),
    )


def _opcua_sink(address: str, *, line: str) -> Sink:
    try:
        from pipeline.signals.opcua_sink import opcua_sink  # noqa: PLC0415 - the library is an extra
    except ImportError as error:
        message = f"OPC UA needs a library that is not installed ({error.name}); pip install 'goldentwin[opcua]'"
        raise SignalAddressError(message) from error
    return opcua_sink(parse(address), line=line)
