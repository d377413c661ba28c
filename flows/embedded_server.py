"""The embedded Prefect server: a process that lives exactly as long as the command that needs it.

Prefect can start such a server by itself, but that one prints tracebacks into the user's terminal when it stops and
stays behind when the command is killed. This one writes to a log file and stops when its standard input closes, which
the operating system does for us even after kill -9.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.settings import STARTUP_SECONDS, prefect_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    import uvicorn

LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.1


class ServerStartError(RuntimeError):
    """The embedded server did not come up; the message names its log file."""


@contextmanager
def embedded_server(home: Path) -> Iterator[EmbeddedServer]:
    """Start the server without waiting for it, and stop it at the end of the block."""
    server = EmbeddedServer(home)
    try:
        yield server
    finally:
        server.stop()


class EmbeddedServer:
    """A Prefect API on a free port of this machine, with its database in `<home>/prefect`."""

    def __init__(self, home: Path) -> None:
        """Start the process; it is ready when `wait` returns."""
        self.log = home / "prefect" / "embedded_server.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._ready = False
        port = _free_port()
        self.api_url = f"http://{LOOPBACK}:{port}/api"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, run by our own interpreter
                [sys.executable, "-m", "flows.embedded_server", str(port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_server_environment(home),
            )

    def wait(self, seconds: float = STARTUP_SECONDS) -> None:
        """Block until the API answers.

        Raises:
            ServerStartError: the process ended, or `seconds` passed without an answer.
        """
        deadline = time.monotonic() + seconds
        while not _healthy(self.api_url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = f"the embedded Prefect server did not start; its log is {self.log}"
                raise ServerStartError(message)
            time.sleep(POLL_SECONDS)
        self._ready = True

    def stop(self) -> None:
        """Let the process end; kill it if nobody used it yet, or if it takes longer than it should."""
        if self._process.stdin:
            self._process.stdin.close()
        if not self._ready:
            self._process.kill()
        try:
            self._process.wait(timeout=2 * GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _server_environment(home: Path) -> dict[str, str]:
    own = {**prefect_environment(home), "PREFECT_UI_ENABLED": "false", "PREFECT_SERVER_LOGGING_LEVEL": "ERROR"}
    inherited = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    packages = os.pathsep.join(filter(None, [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")]))
    return {**inherited, **own, "PYTHONPATH": packages}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _healthy(api_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=2) as reply:  # noqa: S310 - our own http address
            return bool(reply.status == 200)  # noqa: PLR2004 - HTTP's OK
    except OSError:
        return False


def serve(port: int) -> None:
    """Serve the API on `port` until standard input closes."""
    import uvicorn  # noqa: PLC0415 - only the server's own process pays for the import
    from prefect.server.api.server import create_app  # noqa: PLC0415 - the same

    config = uvicorn.Config(
        create_app(ephemeral=True, final=True), host=LOOPBACK, port=port, log_level="error", lifespan="on"
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
    server.run()


def _stop_with_parent(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True
    time.sleep(GRACE_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
