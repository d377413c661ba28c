"""Signals to a PLC by OPC UA: variables of one node, the sequence written last, so that the PLC triggers on it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pipeline.signals.address import SignalAddressError, parse_address
from pipeline.signals.sink import Acknowledgement, SinkLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.signals.message import Signal, StateReport

OPTIONS: Final = frozenset({"node", "ack", "security"})
_SECONDS: Final = 4.0
_PORT: Final = 4840
_HEARTBEATS: Final = 2**31  # the counter begins anew here: an Int32 on most PLCs
_OF_A_PART: Final = ("PartId", "Frame", "Verdict", "Reason", "Similarity", "Threshold", "Late")
_TRIGGER, _STATE, _HEARTBEAT, _ACKNOWLEDGED = "Sequence", "State", "Heartbeat", "Acknowledged"


class OpcUaSink:
    """Writes `Verdict`, `PartId`, `Reason`, `Similarity`, ..., then `Sequence`, variables of one node of the server.

    With each report `State` is written and `Heartbeat` counts up; a PLC that sees it stand still takes the inspection
    for lost. Variables that the node does not have are left out, but `Verdict` and `Sequence` must be there.
    `Acknowledged` is read for the sequence that the line confirmed.

    Args:
        address: `opc.tcp://[user:password@]host[:4840]/path?node=ns=2;s=Line1[&ack=1]`, and
            `&security=Basic256Sha256,SignAndEncrypt,CERTIFICATE,KEY` for an encrypted channel.
        line: the line's name, which the PLC knows by its node.

    Raises:
        SignalAddressError: the address can't be understood, or the library is not installed.
    """

    def __init__(self, address: str, *, line: str) -> None:
        found = parse_address(address, known=OPTIONS)
        if not found.options.get("node"):
            message = f"the OPC UA signal of {line} needs its node, as in opc.tcp://host:4840?node=ns=2;s=Line1"
            raise SignalAddressError(message)
        try:
            import asyncua.sync  # noqa: F401, PLC0415 - an extra, and slow to import
        except ImportError as error:
            message = "OPC UA signals need one more package: pip install 'goldentwin[opcua]'"
            raise SignalAddressError(message) from error
        port = found.port or _PORT
        self._url = f"opc.tcp://{found.host}:{port}/{found.path}".rstrip("/")
        self.name = f"{self._url} {found.options['node']}"
        self.acknowledges = found.flag("ack")
        self._address = found
        self._client: Any = None
        self._nodes: dict[str, Any] = {}
        self._types: dict[str, Any] = {}
        self._beats = 0
        self._confirmed = 0

    def open(self) -> None:
        """Connect and find the variables.

        Raises:
            SinkLostError: the server does not answer, or has no such node.
        """
        from asyncua import ua  # noqa: PLC0415 - an extra
        from asyncua.sync import Client  # noqa: PLC0415 - the same

        self.close()
        try:
            self._client = Client(self._url, timeout=_SECONDS)
            if self._address.user:
                self._client.set_user(self._address.user)
                self._client.set_password(self._address.password)
            if security := self._address.options.get("security"):
                self._client.set_security_string(security)
            self._client.connect()
            self._find(self._client.get_node(ua.NodeId.from_string(self._address.options["node"])))
        except Exception as error:
            self.close()
            raise self._lost(error) from error

    def last_sequence(self) -> int | None:
        """What stands in `Sequence`.

        Raises:
            SinkLostError: the server does not answer.
        """
        value = self._read(_TRIGGER)
        return int(value) if value else None

    def send(self, signal: Signal) -> None:
        """Write a part's variables, then `Sequence`.

        Raises:
            SinkLostError: the server does not answer, or does not let us write.
        """
        values = {
            "PartId": signal.part_id,
            "Frame": signal.frame,
            "Verdict": signal.verdict.value,
            "Reason": signal.reason or "",
            "Similarity": -1.0 if signal.similarity is None else signal.similarity,
            "Threshold": -1.0 if signal.threshold is None else signal.threshold,
            "Late": signal.late,
        }
        self._write(values)
        self._write({_TRIGGER: signal.sequence})

    def report(self, state: StateReport) -> None:
        """Write `State`, and count `Heartbeat` up.

        Raises:
            SinkLostError: the server does not answer.
        """
        self._beats = (self._beats + 1) % _HEARTBEATS
        self._write({_STATE: state.state.value, _HEARTBEAT: self._beats})

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """`Acknowledged`, where it has moved on since the last call: it confirms all up to it.

        Raises:
            SinkLostError: the server does not answer.
        """
        if not self.acknowledges or _ACKNOWLEDGED not in self._nodes:
            return ()
        confirmed, before = int(self._read(_ACKNOWLEDGED) or 0), self._confirmed
        if confirmed <= before:
            return ()
        self._confirmed, now = confirmed, time.monotonic()
        first = before + 1 if before else confirmed
        return [Acknowledgement(sequence=sequence, at=now) for sequence in range(first, confirmed + 1)]

    def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        self._nodes = {}
        if client is not None:
            with suppress(Exception):
                client.disconnect()
            with suppress(Exception):
                client.tloop.stop()

    def _find(self, parent: Any) -> None:
        """The variables of the node, by their names, with the type that each takes."""
        wanted = {*_OF_A_PART, _TRIGGER, _STATE, _HEARTBEAT, _ACKNOWLEDGED}
        for child in parent.get_children():
            name = child.read_browse_name().Name
            if name in wanted:
                self._nodes[name] = child
                self._types[name] = child.read_data_type_as_variant_type()
        if missing := {"Verdict", _TRIGGER} - set(self._nodes):
            message = f"the node has no variable {min(missing)}"
            raise LookupError(message)

    def _write(self, values: dict[str, Any]) -> None:
        from asyncua import ua  # noqa: PLC0415 - an extra

        there = {name: value for name, value in values.items() if name in self._nodes}
        if self._client is None:
            raise self._lost(ConnectionError("not connected"))
        if not there:
            return
        try:
            written = [ua.DataValue(ua.Variant(value, self._types[name])) for name, value in there.items()]
            self._client.write_values([self._nodes[name] for name in there], written)
        except Exception as error:
            self.close()
            raise self._lost(error) from error

    def _read(self, name: str) -> Any:
        if self._client is None:
            raise self._lost(ConnectionError("not connected"))
        try:
            return self._nodes[name].read_value()
        except Exception as error:
            self.close()
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> SinkLostError:
        why = str(error) or type(error).__name__
        return SinkLostError(f"the OPC UA server {self._url} can't be used ({why}); start it, or mend node and rights")
