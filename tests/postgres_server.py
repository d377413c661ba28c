"""A real PostgreSQL server for tests: own folder, free loopback port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 60
USER = "goldentwin"


def postgres_programs() -> Path | None:
    """The folder with initdb and postgres, or None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


@dataclass(kw_only=True)
class PostgresServer:
    """A running server; `new_database()` gives the URL of an empty place in it."""

    port: int
    password: str = field(default_factory=lambda: secrets.token_hex(8))
    databases: int = 0

    def url(self, database: str, *, password: str | None = None) -> str:
        """The URL of `database`, with the right password or another one."""
        return f"postgresql://{USER}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new, empty schema: for a test as good as a database, and some hundred files cheaper."""
        self.databases += 1
        name = f"records_{self.databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")  # the name is our own
        return self.url(f"postgres?options=-csearch_path%3D{name}")


@contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresServer]:
    """Start a server and stop it at the end."""
    server = PostgresServer(port=_free_port())
    folder = Path(tempfile.mkdtemp(prefix="goldentwin-postgres-"))
    try:
        process = _start(programs, folder, server)
        try:
            _wait_until_ready(process, server, folder / "log")
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, without a checkpoint: nothing is kept
            process.wait(timeout=START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(programs: Path, folder: Path, server: PostgresServer) -> subprocess.Popen[bytes]:
    account = _account()
    (folder / "password").write_text(server.password)
    if account:
        for path in (folder, folder / "password"):
            shutil.chown(path, account["user"], account["group"])
    data = str(folder / "data")
    make = [programs / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", folder / "password"]
    make += ["-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **account)
    settings = {"listen_addresses": "127.0.0.1", "port": server.port, "unix_socket_directories": "", "fsync": "off"}
    command = [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **account)


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as the user it is installed with, or as nobody."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _wait_until_ready(process: subprocess.Popen[bytes], server: PostgresServer, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(server.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"PostgreSQL did not start:\n{log.read_text(errors='replace')}"
                raise RuntimeError(message) from None
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
