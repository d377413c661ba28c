"""The page's server: a thread beside the line, on this machine alone unless told otherwise."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from inspection.errors import GoldentwinError
from pipeline.line_page.app import page_app
from pipeline.line_page.guard import Guard, is_loopback, own_names
from pipeline.line_page.reading import LineReader, ShownLine

if TYPE_CHECKING:
    from types import TracebackType

HOST: Final = "127.0.0.1"
PORT: Final = 8765
TOKEN_VARIABLE: Final = "GOLDENTWIN_PAGE_TOKEN"  # noqa: S105 - where the token stands, not the token
SHORTEST_TOKEN: Final = 16
_PORTS_TRIED: Final = 20
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
_SOON_SECONDS: Final = 3.0  # more than the graceful second of uvicorn, also on a busy machine
_MOST_CONNECTIONS: Final = 64
_SILENCE_SECONDS: Final = 10.0


class PageError(GoldentwinError):
    """The page can't be served as asked."""


class PageServer:
    """Serves the page of some lines, while the block lasts or from `start` to `stop`.

    It asks the lines for their snapshots in its own thread and only when somebody looks; signals and log settings of
    the process stay as they are.

    Args:
        lines: what is shown; several lines bear different names.
        host: the address to be bound; one that other machines can reach wants a token.
        port: the first port tried, then the next ones, then any.
        token: what has to be shown; by default what `GOLDENTWIN_PAGE_TOKEN` says, None or empty for none. The page
            speaks plain HTTP: across a network that is not trusted, put it behind a server that speaks TLS.
        names: further host names under which it may be asked, such as that server's.

    Raises:
        PageError: other machines could reach the page and there is no token, or one shorter than 16 characters.
    """

    def __init__(
        self,
        lines: Sequence[ShownLine],
        *,
        host: str = HOST,
        port: int = PORT,
        token: str | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self._readers = [LineReader(line) for line in lines]
        self._host, self._wanted_port = host, port
        self._token = _checked_token(os.environ.get(TOKEN_VARIABLE) if token is None else token, host)
        self._names = own_names(host) | set(names)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """Where the page is, such as `http://127.0.0.1:8765/`."""
        shown = socket.gethostname() if self._host in {"0.0.0.0", "::", ""} else self._host  # noqa: S104 - compared
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}/"

    def start(self) -> None:
        """Bind the port and answer; returns once the page can be asked.

        Raises:
            PageError: the host can't be bound, or the server does not come up.
        """
        listening = _bound(self._host, self._wanted_port)
        self.port = int(listening.getsockname()[1])
        guard = Guard(page_app(self._readers), names=self._names, token=self._token, port=self.port)
        server = _Server(_config(guard))
        thread = threading.Thread(target=server.run, args=([listening],), name="line page", daemon=True)
        thread.start()
        self._server, self._thread = server, thread
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                listening.close()
                message = f"the page at {self.address} did not come up; stream without it"
                raise PageError(message)
            time.sleep(0.01)

    def stop(self) -> None:
        """Answer no more; requests that are not answered soon are cut off. Does nothing where it was not started."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_SOON_SECONDS)  # connections are closed in order
        self._server.force_exit = True
        self._thread.join(_STOP_SECONDS)  # a daemon: a line that hangs in its snapshot keeps nobody from ending
        self._server = self._thread = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


class _Connection(H11Protocol):
    """A connection that asks something soon: neither many nor silent ones may use up the files that the line needs."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(_SILENCE_SECONDS, self._end_silent)

    def _end_silent(self) -> None:
        if self.cycle is None:
            self.transport.close()


class _Server(uvicorn.Server):
    """Uvicorn leaves connections open that came while it was shutting down, or that it gave up waiting for."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # in which they are closed


def _config(guard: Guard) -> uvicorn.Config:
    """No log of its own, no lifespan, no web sockets; what a client does wrong is not the line's to hear of."""
    return uvicorn.Config(
        guard,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        http=_Connection,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )


def _checked_token(token: str | None, host: str) -> str | None:
    if not token:
        if is_loopback(host):
            return None
        message = f"the page at {host} can be reached from other machines; set {TOKEN_VARIABLE} to a secret of at least"
        message += f" {SHORTEST_TOKEN} characters"
        raise PageError(message)
    if len(token) < SHORTEST_TOKEN:
        message = (
            f"the page's access token has {len(token)} characters; give {TOKEN_VARIABLE} at least {SHORTEST_TOKEN}"
        )
        raise PageError(message)
    return token


def _bound(host: str, wanted: int) -> socket.socket:
    """A listening socket on `wanted`, else on one of the next ports, else on any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (*range(wanted, min(wanted + _PORTS_TRIED, 65_536)), 0):
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left counts as free
            listening.bind((host, port))
            listening.listen(_MOST_CONNECTIONS)
        except OSError as error:
            listening.close()
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                message = f"the page can't be bound to {host}: {error}; name an address of this machine"
                raise PageError(message) from error
        else:
            return listening
    message = f"no free port on {host}"
    raise PageError(message)
