"""docker/compose.yaml on this machine without containers: the same commands and variables, in the same order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml
from postgres_server import PostgresServer
from s3_server import S3Server
from signal_receivers import free_port

PROJECT = Path(__file__).resolve().parents[1]
COMPOSE = PROJECT / "docker" / "compose.yaml"
PATIENCE = 180.0
_VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")
_OURS = ("goldentwin:cpu", "goldentwin:gpu")


def compose() -> dict[str, Any]:
    """The file as it stands, its anchors resolved."""
    return dict(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


@dataclass
class NativePlant:
    """Services of the compose file as processes; `ports` are those that stand for a service's own."""

    folder: Path
    postgres: PostgresServer
    variables: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    s3: S3Server | None = None

    @property
    def secrets(self) -> Path:
        """The folder that stands for /run/secrets."""
        return self.folder / "secrets"

    @property
    def home(self) -> Path:
        """The folder that stands for the volume `home`."""
        return self.folder / "home"

    @property
    def backups(self) -> Path:
        """The folder that stands for the mounted /backups."""
        return self.folder / "backups"

    def make_secrets(self) -> None:
        """As an operator does, and PostgreSQL with the password and the databases that stand in the files."""
        self.secrets.mkdir(exist_ok=True)
        (self.secrets / "postgres_password").write_text(self.postgres.password)
        host = f"127.0.0.1:{self.postgres.port}"
        subprocess.run(
            [PROJECT / "docker" / "make-secrets", self.secrets],
            env=os.environ | {"POSTGRES_HOST": host},
            check=True,
            capture_output=True,
        )
        sql = (PROJECT / "docker" / "postgres" / "databases.sql").read_text(encoding="utf-8")
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            for statement in sql.split(";"):
                if "CREATE" in statement:
                    connection.execute(statement[statement.index("CREATE") :].encode())

    def start_s3(self) -> None:
        """Moto's server in place of the service `s3`, with the bucket and the keys that stand in the files."""
        key, secret = ((self.secrets / name).read_text() for name in ("s3_key", "s3_secret"))
        self.s3 = S3Server(log=self.folder / "s3.log", bucket="mlflow", key=key, secret=secret)
        self.s3.start()
        self.ports["s3"] = self.s3.port

    def start(self, name: str) -> None:
        """Start a service of ours after those it depends on, and wait until it is well, or done where it ends."""
        service = compose()["services"][name]
        assert service["image"] in _OURS
        self.ports.setdefault(name, free_port())
        self.processes[name] = self._spawn(name, self.command(name), self.environment(name))
        if check := service.get("healthcheck"):
            test = [self.native(part) for part in check["test"][1:]]
            test[0] = str(PROJECT / test[0])
            given = self.environment(name)
            _wait(lambda: subprocess.run(test, env=given, check=False, capture_output=True).returncode == 0, name, self)

    def finish(self, name: str) -> None:
        """Start a service that ends by itself, and wait for its end."""
        self.start(name)
        assert self.processes[name].wait(PATIENCE) == 0, self.log(name)

    def command(self, name: str) -> list[str]:
        """What the container would run."""
        service = compose()["services"][name]
        (entry,) = service.get("entrypoint", ["docker/entry/run"])
        return [str(PROJECT / entry), *map(self.native, service["command"])]

    def environment(self, name: str) -> dict[str, str]:
        """What the container would have, with loopback addresses for names."""
        given: Mapping[str, Any] = compose()["services"][name]["environment"]
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PREFECT_", "MLFLOW_", "GOLDENTWIN_", "AWS_"))
        }
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
            "GOLDENTWIN_PROJECT": str(PROJECT),
            "AWS_DEFAULT_REGION": "us-east-1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(self.folder / f"{name}-ui"),
            **{key: self.native(str(value), own=name) for key, value in given.items()},
            "HOST": "127.0.0.1",
            "PORT": str(self.ports.get(name, 0)),
        }

    def native(self, text: str, own: str = "") -> str:
        """The text of the compose file, for this machine."""
        text = _VARIABLE.sub(lambda found: self.variables.get(found[1], found[2] or ""), text)
        for name, port in (("mlflow", 5000), ("prefect", 4200), ("s3", 8333)):
            if name in self.ports:
                text = text.replace(f"{name}:{port}", f"127.0.0.1:{self.ports[name]}")
                text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{self.ports[name]}")
        for there, here in (
            ("/run/secrets", self.secrets),
            ("/var/lib/goldentwin", self.home),
            ("/etc/goldentwin/site.yaml", self.folder / "site.yaml"),
            ("/backups", self.backups),
            ("/tmp/prefect", self.folder / f"prefect of {own}"),  # noqa: S108 - the container's
        ):
            text = text.replace(there, str(here))
        return text

    def log(self, name: str) -> str:
        """The end of what a service wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """End all of it, the last one first."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.s3 is not None:
            self.s3.kill()

    def _spawn(self, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=PROJECT, env=environment, stdout=log, stderr=log, start_new_session=True
            )


@contextmanager
def native_plant(folder: Path, postgres: PostgresServer, site: str, variables: dict[str, str]) -> Iterator[NativePlant]:
    """PostgreSQL, S3, MLflow with users and Prefect are up, and set up; no worker yet."""
    plant = NativePlant(folder=folder, postgres=postgres, variables=variables)
    (folder / "site.yaml").write_text(site, encoding="utf-8")
    plant.home.mkdir(exist_ok=True)
    try:
        plant.make_secrets()
        plant.start_s3()
        for name in ("mlflow", "prefect"):
            plant.ports[name] = free_port()
            plant.start(name)
        plant.finish("set-up")
        yield plant
    finally:
        plant.stop()


def _wait(what: Any, name: str, plant: NativePlant) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, plant.log(name)
        assert plant.processes[name].poll() is None, plant.log(name)
        time.sleep(0.5)
