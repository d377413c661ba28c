"""The line flow on a real Prefect server with a real worker: cancelled in order, started again when killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from drawn_night import PRODUCT, draw_part, environment, write_frames
from line_killer import contradictions, told

from pipeline.servers import start_prefect_server, wait_until_healthy
from pipeline.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]
PATIENCE = 150.0


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
def test_the_flow_tells_prefect_of_the_line(plates, tmp_path):
    """A run with a name and a message, a bar through the shift, and events."""
    from prefect.client.orchestration import get_client

    from flows.line import line_inspection

    home = plates.copy(tmp_path / "home").home
    state = line_inspection(
        PRODUCT,
        str(write_frames(tmp_path / "frames", 12)),
        line="line7",
        frames=12,
        home=str(home),
        references=str(home / "reference_images"),
        return_state=True,
    )
    assert state.is_completed()
    assert state.message.startswith("12 parts: 10 passed, 2 flagged, 0 not inspected")
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
    assert run.name.startswith(f"line7 {PRODUCT}/default since ")
    assert "line:line7" in run.tags


@pytest.fixture
def site(plates, tmp_path):
    """A Prefect server with a deployed line, the automation that starts it again, and a worker."""
    home = plates.copy(tmp_path / "home").home
    server = start_prefect_server(Workspace.locate(home=home), port=0)
    site = SimpleNamespace(home=home, folder=tmp_path, frames=tmp_path / "frames", signals=tmp_path / "signals.jsonl")
    site.frames.mkdir()
    site.environment = environment(home) | {
        "PREFECT_API_URL": f"{server.address}/api",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "GOLDENTWIN_PROJECT": str(PROJECT),
    }
    worker = None
    try:
        wait_until_healthy(server)
        prefect(site, "work-pool", "create", "line-pool", "--type", "process")
        prefect(site, "--no-prompt", "deploy", "--name", "bottle-line", "--prefect-file", str(deployment_of(site)))
        prefect(site, "automation", "create", "--from-file", "flows/automations.yaml")
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "line-pool"]
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen(command, cwd=tmp_path, env=site.environment, stdout=log, stderr=log)
        yield site
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait(60)
        server.stop()


def deployment_of(site):
    """flows/prefect.yaml with the site's product, camera and receiver."""
    import yaml

    text = (PROJECT / "flows" / "prefect.yaml").read_text(encoding="utf-8")
    project = yaml.safe_load(text)
    (line,) = [one for one in project["deployments"] if one["name"] == "bottle-line"]
    line["parameters"] = {
        "product": PRODUCT,
        "line": "line1",
        "source": str(site.frames),
        "signals": [f"file:{site.signals}"],
    }
    file = site.folder / "prefect.yaml"
    file.write_text(yaml.safe_dump({**project, "deployments": [line]}), encoding="utf-8")
    return file


def prefect(site, *arguments):
    """Run Prefect's command in the project's folder; it has to succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        cwd=PROJECT,
        env=site.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def runs(site):
    """Names of the states of all runs of the line, oldest first."""
    text = prefect(site, "flow-run", "ls", "--flow-name", "line-inspection", "--output", "json")
    return sorted((run["created"], run["id"], run["state_name"]) for run in json.loads(text))


def events(site, name):
    """Events of this name that the server has."""
    request = urllib.request.Request(
        f"{site.environment['PREFECT_API_URL']}/events/filter",
        data=json.dumps({"filter": {"event": {"name": [name]}}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.load(reply)["events"]


def wait_for(site, what):
    """Wait until `what()` is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, (site.folder / "worker.log").read_text(encoding="utf-8")[-4000:]
        time.sleep(0.2)
    return found


def line_process(site):
    """The number of the process in which the line runs."""
    for entry in Path("/proc").iterdir():
        try:
            command, home = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"prefect.engine" in command and str(site.home).encode() in home:
            return int(entry.name)
    return None


def give(site, first, count):
    """Let the camera's software write frames."""
    import cv2

    for number in range(first, first + count):
        image = draw_part(1000 + number, scratched=number % 10 == 0)[..., ::-1]
        assert cv2.imwrite(str(site.frames / f"part{number:04}.png"), image)


@pytest.mark.server
@pytest.mark.slow
def test_a_killed_line_is_started_again_and_a_cancelled_one_ends_in_order(site):
    """Killed with -9: Prefect sees it, its deployment starts another; cancelled, it tells the line so."""
    give(site, 0, 30)
    prefect(site, "deployment", "run", "line-inspection/bottle-line")
    wait_for(site, lambda: len(told(site.signals)) >= 30)
    os.kill(line_process(site), signal.SIGKILL)
    give(site, 30, 30)
    wait_for(site, lambda: len(told(site.signals)) >= 60)
    states = [state for _, _, state in runs(site)]
    assert states[0] == "Crashed"
    assert states[1] == "Running"
    prefect(site, "flow-run", "cancel", runs(site)[1][1])
    wait_for(site, lambda: line_process(site) is None)
    state = json.loads(site.signals.with_name("signals.state.json").read_text(encoding="utf-8"))
    assert state["state"] == "stopped"
    wait_for(site, lambda: runs(site)[1][2] in {"Cancelled", "Cancelling"})
    wait_for(site, lambda: events(site, "goldentwin.line.stopped"))
    assert contradictions(site.home, site.frames, site.signals) == {}
