"""Signals into a PLC by OPC UA: its variables are written, the sequence last."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from asyncua import ua
from asyncua.ua.uaerrors import UaError

from pipeline.signals.address import CREDENTIALS, Address, SignalAddressError, checked_name
from pipeline.signals.farewell import farewell
from pipeline.signals.opcua_link import ServerLink, ServerSettings
from pipeline.signals.opcua_variables import STATE, signal_values, state_value
from pipeline.signals.sink import Acknowledgement, SinkLostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.signals.message import Signal, StateReport

logger = logging.getLogger(__name__)

OPTIONS = CREDENTIALS | {"node", "security", "application_uri", "ack", "timeout"}
_PORT = 4840
_SECURITY_PARTS = (4, 5)
_MODES = frozenset({"Sign", "SignAndEncrypt"})
_POLICIES = frozenset({"Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"})
_MOST_ACKNOWLEDGEMENTS = 10_000


class OpcUaSink:
    """Writes the variables under one node of the PLC; `Heartbeat` counts on with each state and so stops with us.

    A signal whose writing broke off is written again under the same number, so that a PLC that acts when `Sequence`
    changes acts once.
    """

    def __init__(self, settings: ServerSettings, *, line: str, acknowledges: bool = False) -> None:
        self.settings = settings
        self.line = checked_name(line, "the name of a line")
        self.acknowledges = acknowledges
        self._link: ServerLink | None = None
        self._confirmed: deque[Acknowledgement] = deque(maxlen=_MOST_ACKNOWLEDGEMENTS)
        self._reported: StateReport | None = None

    @property
    def name(self) -> str:
        """The server's address and the node."""
        return self.settings.name

    def open(self) -> None:
        """Connect, and find the variables.

        Raises:
            SinkLostError: no server answers, it refuses, or a variable is missing or of an unfit type.
        """
        self._drop(politely=False)
        self._link = ServerLink(self.settings, acknowledged=self._confirm if self.acknowledges else None)
        with self._connected() as link:
            link.connect()

    def last_sequence(self) -> int | None:
        """The value of `Sequence`; None where it is 0, as a PLC begins.

        Raises:
            SinkLostError: the server does not answer.
        """
        with self._connected() as link:
            return link.read_sequence() or None

    def send(self, signal: Signal) -> None:
        """Write its variables, and return once the server has taken `Sequence`.

        Raises:
            SinkLostError: the server does not answer, or refuses.
        """
        with self._connected() as link:
            link.write_signal(signal.sequence, signal_values(signal))

    def report(self, state: StateReport) -> None:
        """Write `State` and the next `Heartbeat`.

        Raises:
            SinkLostError: the server does not answer, or refuses.
        """
        with self._connected() as link:
            link.write_state({STATE: state_value(state.state)})
        self._reported = state

    def acknowledgements(self) -> list[Acknowledgement]:
        """The values that `Acknowledged` took since."""
        return [self._confirmed.popleft() for _ in range(len(self._confirmed))]

    def close(self) -> None:
        """Write that it stopped, and end the session."""
        last = farewell(self._reported)
        if self._link is not None and last is not None:
            try:
                self.report(last)
            except SinkLostError as error:
                logger.warning("%s", error)
        self._reported = None
        self._drop(politely=True)

    def _confirm(self, sequence: int) -> None:
        """On the link's thread."""
        self._confirmed.append(Acknowledgement(sequence=sequence, at=time.monotonic()))

    @contextlib.contextmanager
    def _connected(self) -> Iterator[ServerLink]:
        """The session; when it fails it is given up."""
        if self._link is None:
            message = f"{self.name} is not connected; open it first"
            raise SinkLostError(message)
        try:
            yield self._link
        except SinkLostError:
            self._drop(politely=False)
            raise

    def _drop(self, *, politely: bool) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            link.close(politely=politely)


def opcua_sink(address: Address, *, line: str) -> OpcUaSink:
    """The sink at `opc.tcp://host[:port][/path]?node=NODE[&option=value]`.

    Raises:
        SignalAddressError: an option, name or secret is missing or wrong.
    """
    address.require_known(OPTIONS)
    node = address.options.get("node")
    try:
        ua.NodeId.from_string(node or "")
    except UaError:
        message = f"{address.place} names no node of the PLC; write ?node=ns=2;s=Line1"
        raise SignalAddressError(message) from None
    place = address.place if address.port else f"{address.place}:{_PORT}"
    user, password = address.credentials()
    settings = ServerSettings(
        name=f"{place}{address.path}?node={node}",
        url=f"{place}{address.path}",
        node=str(node),
        user=user,
        password=password,
        security=_security(address),
        application_uri=address.options.get("application_uri", ServerSettings.application_uri),
        timeout=address.seconds(),
    )
    return OpcUaSink(settings, line=line, acknowledges=address.switch("ack"))


def _security(address: Address) -> str | None:
    """`POLICY,MODE,CERT,KEY[,SERVER_CERT]`, for which asyncua has its own form."""
    text = address.options.get("security")
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) not in _SECURITY_PARTS or parts[0] not in _POLICIES or parts[1] not in _MODES:
        policies, modes = ", ".join(sorted(_POLICIES)), ", ".join(sorted(_MODES))
        message = f"the option security is not POLICY,MODE,CERT,KEY; policies are {policies}, modes {modes}"
        raise SignalAddressError(message)
    missing = [part for part in parts[2:] if not Path(part.partition("::")[0]).is_file()]
    if missing:
        message = f"the option security names {', '.join(missing)}, which is no file; mend the path"
        raise SignalAddressError(message)
    return text
