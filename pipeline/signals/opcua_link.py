"""One session with an OPC UA server, on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from pipeline.signals.opcua_variables import (
    ACKNOWLEDGED,
    BEGIN,
    HEARTBEAT,
    OPTIONAL,
    REQUIRED,
    SEQUENCE,
    Forms,
    data_value,
    next_beat,
    unusable,
)
from pipeline.signals.sink import SinkLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from asyncua.common.node import Node

_T = TypeVar("_T")
_SESSION_MILLISECONDS = 30_000  # a killed client's session is to go: small PLCs hold few
_PERIOD_MILLISECONDS = 50
_QUEUE = 1000


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where the PLC is and how it is spoken to. `security` is `POLICY,MODE,CERT,KEY`; `name` may be shown."""

    name: str
    url: str
    node: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    security: str | None = field(default=None, repr=False)
    application_uri: str = "urn:goldentwin:client"
    timeout: float = 5.0


class ServerLink:
    """Reads and writes the variables under one node; `acknowledged` gets each new value of `Acknowledged`."""

    def __init__(self, settings: ServerSettings, *, acknowledged: Callable[[int], None] | None) -> None:
        self.settings = settings
        self._acknowledged = acknowledged
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="opcua", daemon=True)
        self._client: Client | None = None
        self._nodes: dict[str, Node] = {}
        self._types: dict[str, ua.VariantType] = {}
        self._beat = 0

    def connect(self) -> None:
        """Connect, and find the variables.

        Raises:
            SinkLostError: no server answers, it refuses, or a variable is missing or of an unfit type.
        """
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # what it reports with tracebacks, we say ourselves
        self._thread.start()
        self._run(self._connected(), patience=4)

    def read_sequence(self) -> int:
        """The value of `Sequence`.

        Raises:
            SinkLostError: the server does not answer.
        """
        return int(self._run(self._nodes[SEQUENCE].read_value()) or 0)

    def write_signal(self, sequence: int, values: Mapping[str, Forms]) -> None:
        """Write `Begin`, then the values, then `Sequence`, each after the server has taken the one before.

        Raises:
            SinkLostError: the server does not answer, or refuses.
        """
        self._run(self._written({BEGIN: sequence}, values, {SEQUENCE: sequence}), patience=3)

    def write_state(self, state: Mapping[str, Forms]) -> None:
        """Write the state, and count the heartbeat on.

        Raises:
            SinkLostError: the server does not answer, or refuses.
        """
        self._beat = next_beat(self._beat, self._types[HEARTBEAT])
        self._run(self._written({**state, HEARTBEAT: self._beat}))

    def close(self, *, politely: bool) -> None:
        """End the session, `politely` or by hanging up, and the thread. In any state, and twice."""
        client, self._client = self._client, None
        if self._thread.is_alive():
            with contextlib.suppress(SinkLostError):
                self._run(_ended(client, seconds=self.settings.timeout if politely else 0.0))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T], *, patience: int = 1) -> _T:
        """The result of `work` on the loop's thread, in time for so many of the server's answers."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        name = self.settings.name
        try:
            return future.result(timeout=self.settings.timeout * (patience + 0.5))
        except (TimeoutError, asyncio.CancelledError) as error:
            future.cancel()
            message = f"{name} did not answer in {self.settings.timeout:g} s; see that the PLC's server runs"
            raise SinkLostError(message) from error
        except (UaError, ValueError) as error:
            said = type(error).__name__ if isinstance(error, UaStatusCodeError) else str(error)
            message = f"{name} refuses ({said}); mend user, rights, security or the variables' types"
            raise SinkLostError(message) from error
        except (OSError, EOFError) as error:
            message = f"{name} is not connected ({type(error).__name__}); start the PLC's server or mend the address"
            raise SinkLostError(message) from error

    async def _connected(self) -> None:
        settings = self.settings
        client = self._client = Client(settings.url, timeout=settings.timeout)
        client.name = client.description = "goldentwin"
        client.application_uri = settings.application_uri
        client.session_timeout = _SESSION_MILLISECONDS
        if settings.user is not None:
            client.set_user(settings.user)
            client.set_password(settings.password or "")
        if settings.security is not None:
            await client.set_security_string(settings.security)
        await client.connect()
        await self._find_variables(client.get_node(settings.node))
        self._beat = int(await self._nodes[HEARTBEAT].read_value() or 0)
        if self._acknowledged is not None:
            subscription = await client.create_subscription(_PERIOD_MILLISECONDS, _Changes(self._acknowledged))
            node, at_once = self._nodes[ACKNOWLEDGED], ua.Double(0)
            await subscription.subscribe_data_change(node, queuesize=_QUEUE, sampling_interval=at_once)

    async def _find_variables(self, parent: Node) -> None:
        """By their names, in whatever namespace."""
        wanted = REQUIRED | OPTIONAL | ({ACKNOWLEDGED} if self._acknowledged is not None else set())
        children = [(await child.read_browse_name(), child) for child in await parent.get_children()]
        self._nodes = {str(name.Name): child for name, child in children if name.Name in wanted}
        self._types = {name: await node.read_data_type_as_variant_type() for name, node in self._nodes.items()}
        problems = unusable(self._types)
        if self._acknowledged is not None and ACKNOWLEDGED not in self._nodes:
            problems.append(f"{ACKNOWLEDGED} is missing")
        if problems:
            message = f"{self.settings.name}: under {self.settings.node} {', '.join(problems)}; mend the PLC's program"
            raise SinkLostError(message)

    async def _written(self, *groups: Mapping[str, Forms]) -> None:
        """Write one group after the other, each in one request; variables that the PLC does not have are left out."""
        if self._client is None:
            raise ConnectionError
        for group in groups:
            there = {name: value for name, value in group.items() if name in self._nodes}
            if there:
                nodes = [self._nodes[name].nodeid for name in there]
                values = [data_value(value, self._types[name]) for name, value in there.items()]
                for status in await self._client.uaclient.write_attributes(nodes, values):
                    status.check()


class _Changes:
    """Gives on what `Acknowledged` became; called by asyncua, which knows the method by its name."""

    def __init__(self, acknowledged: Callable[[int], None]) -> None:
        self._acknowledged = acknowledged

    def datachange_notification(self, _node: Node, value: Any, _data: Any) -> None:
        if isinstance(value, int) and value > 0:
            self._acknowledged(value)


async def _ended(client: Client | None, *, seconds: float) -> None:
    """End the session, given `seconds` for it, then hang up and end whatever else is under way on this loop."""
    if client is not None:
        if seconds:
            with contextlib.suppress(TimeoutError, UaError, OSError):
                await asyncio.wait_for(client.disconnect(), seconds)
        _hang_up(client)
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # lets the transport close its socket


def _hang_up(client: Client) -> None:
    """Cut the connection, and with it what was written and is still on its way: it is not to arrive after newer."""
    protocol = client.uaclient.protocol
    if protocol is not None and protocol.transport is not None:
        connection = protocol.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        protocol.transport.abort()
