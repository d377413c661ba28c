"""A real MLflow server with users and passwords, on loopback, started as mlflow/README.md says."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drawn_night import environment
from signal_receivers import free_port

from pipeline.servers import Server, wait_until_healthy

PROJECT = Path(__file__).resolve().parents[1]
ADMIN, ADMIN_PASSWORD = "admin", "admin-password-of-the-test"
KEY = "flask-key-of-the-test"


@dataclass(frozen=True, kw_only=True)
class AskedServer:
    """A server that tests ask as somebody."""

    address: str
    passwords: dict[str, str] = field(default_factory=lambda: {ADMIN: ADMIN_PASSWORD})

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, user: str = "", password: str = ""
    ) -> tuple[int, Any]:
        """Status and answer; with the user's own password where none is given."""
        return asked(f"{self.address}{path}", method, login=(user, password or self.passwords.get(user, "")), body=body)


def asked(
    url: str,
    method: str = "GET",
    *,
    login: tuple[str, str] = ("", ""),
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    context: Any = None,
) -> tuple[int, Any]:
    """Status and answer (JSON where it is any) of one request."""
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    if login[0]:
        request.add_header("Authorization", f"Basic {base64.b64encode(':'.join(login).encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as reply:
            return reply.status, _content(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, _content(error.read())


@contextmanager
def running_mlflow(folder: Path, *options: str, **variables: str) -> Iterator[AskedServer]:
    """With users, on an SQLite store; `options` go to `mlflow server`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = (PROJECT / "mlflow" / "basic_auth.ini").read_text(encoding="utf-8")
    (folder / "basic_auth.ini").write_text(config.replace("/var/lib/mlflow/users.db", str(folder / "users.db")))
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts"), *options]
    given = environment(folder) | {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": KEY,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=given | variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    server = Server(name="MLflow", address=address, process=process, log=folder / "mlflow.log")
    try:
        wait_until_healthy(server)
        yield AskedServer(address=address)
    finally:
        server.stop()


def _content(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
