"""The deployment file: what it asks for is there, and a real server and worker take a night from it."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from drawn_night import (
    PRODUCT,
    enrol,
    environment,
    missing_and_doubled,
    recorded_frames,
    write_frames,
    write_goldens,
)

from pipeline.servers import start_prefect_server, wait_until_healthy
from pipeline.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]
FILE = PROJECT / "flows" / "prefect.yaml"
FRAMES = 80
PATIENCE_SECONDS = 100


@pytest.fixture(scope="module")
def deployments():
    """The deployments in the file."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]


def test_every_deployment_asks_for_parameters_the_flow_has(deployments):
    """A misspelt parameter would be found at two in the morning otherwise."""
    from flows.line import line_inspection
    from flows.nightly import nightly_inspection
    from flows.retaining import retain_home
    from flows.reviewing import exchange_reviews
    from flows.training import train_network

    flows = {
        "flows/line.py:line_inspection": line_inspection,
        "flows/nightly.py:nightly_inspection": nightly_inspection,
        "flows/retaining.py:retain_home": retain_home,
        "flows/reviewing.py:exchange_reviews": exchange_reviews,
        "flows/training.py:train_network": train_network,
    }
    for deployment in deployments:
        inspect.signature(flows[deployment["entrypoint"]].fn).bind(**deployment.get("parameters", {}))


def test_nights_are_scheduled_and_take_turns_on_the_gpu_queue(deployments):
    """Cron and time zone are given for nights, training waits for somebody, lines have workers of their own."""
    from prefect.client.schemas.schedules import CronSchedule

    for deployment in deployments:
        if "line" in deployment["tags"]:
            assert deployment["work_pool"] == {"name": "line-pool"}
            assert "schedules" not in deployment
            continue
        assert deployment["work_pool"] == {"name": "gpu-pool", "work_queue_name": "gpu"}
        if "training" in deployment["tags"]:
            assert "schedules" not in deployment
            continue
        (schedule,) = deployment["schedules"]
        due = CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"]).cron
        (kind,) = {"nightly", "review", "retention"} & set(deployment["tags"])
        assert due == {"nightly": "0 2 * * *", "review": "20 * * * *", "retention": "40 4 * * *"}[kind]


def test_file_names_no_folder_of_this_machine():
    """The project's folder comes from the worker's environment."""
    text = FILE.read_text(encoding="utf-8")
    assert "{{ $GOLDENTWIN_PROJECT }}" in text
    assert str(PROJECT) not in text


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A Prefect server with our deployments, a worker, and a product with goldens and frames."""
    folder = tmp_path_factory.mktemp("site")
    home = folder / "home"
    server = start_prefect_server(Workspace.locate(home=home), port=0)
    site = SimpleNamespace(home=home, frames=write_frames(folder / "frames", FRAMES), folder=folder)
    site.environment = environment(home) | {
        "PREFECT_API_URL": f"{server.address}/api",
        "PREFECT_HOME": str(folder / "prefect"),
        "GOLDENTWIN_PROJECT": str(PROJECT),
    }
    try:
        enrol(home, write_goldens(folder / "goldens"))
        wait_until_healthy(server)
        for pool in ("gpu-pool", "line-pool"):
            prefect(site, "work-pool", "create", pool, "--type", "process")
        prefect(site, "--no-prompt", "deploy", "--all", "--prefect-file", "flows/prefect.yaml")
        worker = start_worker(site)
        yield site
        worker.terminate()
        worker.wait(30)
    finally:
        server.stop()


def prefect(site, *arguments):
    """Run Prefect's command in the project's folder; it has to succeed."""
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=site.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def start_worker(site):
    """Start a worker as flows/README.md says."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "gpu-pool", "--work-queue", "gpu"]
    with (site.folder / "worker.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--limit", "1"], cwd=site.folder, env=site.environment, stdout=log, stderr=log
        )


def run_night(site, *options):
    """Start a run of the deployment on the site's frames."""
    parameters = {"product": PRODUCT, "frames": site.frames, "chunk_size": 4}
    given = [part for name, value in parameters.items() for part in ("--param", f"{name}={value}")]
    return prefect(site, "deployment", "run", "nightly-inspection/bottle-night", *given, *options)


def run_process(site):
    """The number of the process that the worker started for a run of this site, once it is there."""
    for entry in Path("/proc").iterdir():
        try:
            if (
                b"prefect.engine" in (entry / "cmdline").read_bytes()
                and str(site.home).encode() in (entry / "environ").read_bytes()
            ):
                return int(entry.name)
        except (OSError, ValueError):
            continue
    return None


@pytest.mark.server
@pytest.mark.slow
def test_worker_finishes_a_killed_night(site):
    """A worker takes a run; killed with -9 halfway and run again by hand, every frame has one row."""
    run_night(site)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not recorded_frames(site.home):
        assert time.monotonic() < deadline, (site.folder / "worker.log").read_text()
        time.sleep(0.05)
    os.kill(run_process(site), signal.SIGKILL)
    assert 0 < len(recorded_frames(site.home)) < FRAMES
    output = run_night(site, "--watch", "--watch-timeout", str(PATIENCE_SECONDS))
    assert "Completed" in output
    assert missing_and_doubled(recorded_frames(site.home), site.frames) == (set(), set())
