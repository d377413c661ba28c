"""A real Prefect server with a password, on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drawn_night import environment
from signal_receivers import free_port

from pipeline.servers import Server, wait_until_healthy

AUTH = "plant:prefect-password-of-the-test"


@contextmanager
def running_prefect(folder: Path, **variables: str) -> Iterator[str]:
    """Prefect's server with a password, as docs/operations.md says; its host and port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    given = environment(folder) | {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_API_AUTH_STRING": AUTH,
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=given | variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    server = Server(name="Prefect", address=f"http://127.0.0.1:{port}", process=process, log=folder / "server.log")
    try:
        wait_until_healthy(server)
        yield f"127.0.0.1:{port}"
    finally:
        server.stop()
