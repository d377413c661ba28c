"""The local MLflow and Prefect servers of `goldentwin ui`: child processes on this machine, on this home's stores."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.errors import GoldentwinError
from pipeline import lifeline
from pipeline.tracking.connection import artifact_root, is_server, prepare_environment, tracking_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

    from pipeline.workspace import Workspace

HOST = "127.0.0.1"
MLFLOW_PORT = 5000
PREFECT_PORT = 4200
START_SECONDS = 180.0
STOP_SECONDS = 10.0
_PORTS_TRIED = 20


class ServerError(GoldentwinError):
    """A local server did not start."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers at `address`. `process` is None where somebody else runs it; `log` is its output."""

    name: str
    address: str
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    @property
    def alive(self) -> bool:
        """Whether it still runs, as far as we can tell."""
        return self.process is None or self.process.poll() is None

    def stop(self) -> None:
        """End it with all its children: asked first, killed after `STOP_SECONDS`."""
        if self.process is None:
            return
        _signal_group(self.process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        _signal_group(self.process, signal.SIGKILL)  # what outlived its parent
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


@contextmanager
def running_servers(
    workspace: Workspace, *, mlflow_port: int = MLFLOW_PORT, prefect_port: int = PREFECT_PORT
) -> Iterator[tuple[Server, Server]]:
    """Run MLflow's and Prefect's servers: up on entry, gone on exit, whatever ends the process, kill -9 too.

    Raises:
        ServerError: one of them did not start; the message names its log.
    """
    with _orderly_termination(), ExitStack() as stack:
        mlflow = start_mlflow_server(workspace, mlflow_port)
        stack.callback(mlflow.stop)
        prefect = start_prefect_server(workspace, prefect_port)
        stack.callback(prefect.stop)
        wait_until_healthy(mlflow)
        wait_until_healthy(prefect)
        yield mlflow, prefect


def start_mlflow_server(workspace: Workspace, port: int = MLFLOW_PORT) -> Server:
    """Start MLflow's server on the store that runs are logged to; another port is taken where `port` is in use.

    Where `MLFLOW_TRACKING_URI` names a server, that one is given and none is started. Artifacts are read and written
    where the embedded store has them, so that what is logged without a server and with one is the same.
    """
    uri = tracking_uri(workspace)
    if is_server(uri):
        return Server(name="MLflow", address=uri)
    workspace.mlflow.mkdir(parents=True, exist_ok=True)
    prepare_environment()
    free = free_port(port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(free), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--default-artifact-root", artifact_root(workspace), "--no-serve-artifacts"]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return _start("MLflow", f"http://{HOST}:{free}", command, folder=workspace.mlflow, environment=environment)


def start_prefect_server(workspace: Workspace, port: int = PREFECT_PORT) -> Server:
    """Start Prefect's server on this home's `PREFECT_HOME`; another port is taken where `port` is in use.

    Where `PREFECT_API_URL` names a server, that one is given and none is started.
    """
    if outside := os.environ.get("PREFECT_API_URL"):
        return Server(name="Prefect", address=outside.rstrip("/").removesuffix("/api"))
    workspace.prefect.mkdir(parents=True, exist_ok=True)
    free = free_port(port)
    address = f"http://{HOST}:{free}"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(free)]
    environment = {
        "PREFECT_HOME": str(workspace.prefect),
        "PREFECT_SERVER_UI_API_URL": f"{address}/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(workspace.prefect / "ui"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    return _start("Prefect", address, command, folder=workspace.prefect, environment=environment)


def wait_until_healthy(server: Server, seconds: float = START_SECONDS) -> None:
    """Wait until the server answers.

    Raises:
        ServerError: it ended, or did not answer in time; the message has the end of its log.
    """
    path = "/api/health" if server.name == "Prefect" else "/health"
    deadline = time.monotonic() + seconds
    while not _answers(server.address + path):
        if not server.alive or time.monotonic() > deadline:
            state = "ended" if not server.alive else f"did not answer within {seconds:.0f} s"
            message = f"{server.name}'s server at {server.address} {state}{_last_words(server.log)}"
            raise ServerError(message)
        time.sleep(0.2)


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else one of the next ports, else any free one."""
    for port in (*range(wanted, wanted + _PORTS_TRIED), 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left counts as free
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    message = f"no free port on {HOST}"
    raise ServerError(message)


def _start(name: str, address: str, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> Server:
    """Start `command` in a session of its own: ctrl-C reaches us alone, and it ends with us, whatever ends us."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-I", lifeline.__file__, *command],
            stdin=subprocess.PIPE,  # held open until we end: its lifeline
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    return Server(name=name, address=address, process=process, log=log)


@contextmanager
def _orderly_termination() -> Iterator[None]:
    """Turn SIGTERM and a closed terminal into SystemExit, so that the children are ended; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _exit) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:  # noqa: S310 - a local address of ours
            return bool(answer.status == 200)  # noqa: PLR2004
    except (OSError, ValueError):
        return False


def _last_words(log: Path | None) -> str:
    if log is None or not log.is_file():
        return ""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return "".join(f"\n    {line}" for line in [f"see {log}", *lines[-5:]])
