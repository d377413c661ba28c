"""A plant on this machine: a real Prefect server, our deployments on it, and workers that stand for hosts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from drawn_night import environment

from pipeline.servers import start_prefect_server, wait_until_healthy
from pipeline.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]
PATIENCE = 150.0
T = TypeVar("T")


@dataclass
class PrefectSite:
    """A server at `address`, and the environment that its workers and commands have."""

    home: Path
    folder: Path
    address: str
    environment: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def prefect(self, *arguments: str) -> str:
        """Run Prefect's command in the project's folder; it has to succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, deployments: Sequence[dict[str, Any]]) -> None:
        """Deploy these, as they would stand in `prefect.yaml`, and make their pools."""
        pools = {one["work_pool"]["name"] for one in deployments}
        known = {one["name"] for one in self.post("work_pools/filter", {})}
        for pool in sorted(pools - known):
            self.prefect("work-pool", "create", pool, "--type", "process")
        pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(PROJECT)}}]
        file = self.folder / "prefect.yaml"
        file.write_text(yaml.safe_dump({"name": "site", "pull": pull, "deployments": list(deployments)}))
        self.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))

    def start_worker(self, pool: str, *queues: str, limit: int = 1, **variables: str) -> subprocess.Popen[bytes]:
        """A worker, as flows/README.md says, in a process group of its own: a host."""
        named = [part for queue in queues for part in ("--work-queue", queue)]
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, *named, "--limit", str(limit)]
        with (self.folder / f"worker{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                command, cwd=self.folder, env=self.environment | variables, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def post(self, path: str, body: Any) -> Any:
        """Ask the server's API."""
        request = urllib.request.Request(
            f"{self.address}/api/{path}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """All runs of a flow, oldest first."""
        asked = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return list(self.post("flow_runs/filter", asked))

    def states(self, flow: str) -> list[str]:
        """The names of the states of all runs of a flow, oldest first."""
        return [run["state_name"] for run in self.runs(flow)]

    def wait_for(
        self, what: Callable[[], T], patience: float = PATIENCE, *, said: Callable[[], object] = lambda: ""
    ) -> T:
        """Wait until `what()` is true; where it is not in time, `said()` comes before the workers' words."""
        deadline = time.monotonic() + patience
        while not (found := what()):
            assert time.monotonic() < deadline, f"{said()}\n{self.last_words()}"
            time.sleep(0.2)
        return found

    def last_words(self) -> str:
        """The ends of the workers' logs."""
        return "\n".join(log.read_text(errors="replace")[-2500:] for log in sorted(self.folder.glob("worker*.log")))


def kill_host(worker: subprocess.Popen[bytes]) -> None:
    """The worker and all that it started, at once and without a word."""
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


@contextmanager
def prefect_site(home: Path, folder: Path, **variables: str) -> Iterator[PrefectSite]:
    """A Prefect server for this home; gone, with all workers, at the end."""
    server = start_prefect_server(Workspace.locate(home=home), port=0)
    given = environment(home) | {
        "PREFECT_API_URL": f"{server.address}/api",
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "GOLDENTWIN_PROJECT": str(PROJECT),
    }
    site = PrefectSite(home=home, folder=folder, address=server.address, environment=given | variables)
    try:
        wait_until_healthy(server)
        yield site
    finally:
        for worker in site.workers:
            if worker.poll() is None:
                worker.terminate()
                try:
                    worker.wait(60)
                except subprocess.TimeoutExpired:
                    kill_host(worker)
        server.stop()
