"""The line flow on a real Prefect server with a real worker: cancelled in order, started again when killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from drawn_night import PRODUCT, draw_part, write_frames
from line_killer import contradictions, told
from prefect_site import prefect_site

from flows.sites import Line, Site, deployments


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
    frames, signals = tmp_path / "frames", tmp_path / "signals.jsonl"
    frames.mkdir()
    line = Line(line="line1", product=PRODUCT, source=str(frames), signals=[f"file:{signals}"], host="hall1")
    with prefect_site(home, tmp_path) as site:
        site.frames, site.signals = frames, signals
        plant = Site(timezone="UTC", products=[], lines=[line])
        site.deploy([one for one in deployments(plant) if one["name"] == "line1"])
        site.prefect("automation", "create", "--from-file", "flows/automations.yaml")
        site.start_worker("line-pool", "hall1")
        yield site


def events(site, name):
    """Events of this name that the server has."""
    return site.post("events/filter", {"filter": {"event": {"name": [name]}}})["events"]


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
@pytest.mark.timeout(600)
def test_a_killed_line_is_started_again_and_a_cancelled_one_ends_in_order(site):
    """Killed with -9: Prefect sees it, its deployment starts another; cancelled, it tells the line and Prefect so."""
    give(site, 0, 30)
    site.prefect("deployment", "run", "line-inspection/line1")
    site.wait_for(lambda: len(told(site.signals)) >= 30)
    os.kill(line_process(site), signal.SIGKILL)
    give(site, 30, 30)
    site.wait_for(lambda: len(told(site.signals)) >= 60)
    site.prefect("deployment", "run", "line-inspection/line1", "--param", "again=true")  # as for a crash told twice
    crashed, running, *waiting = site.states("line-inspection")
    assert (crashed, running) == ("Crashed", "Running")
    assert waiting
    assert set(waiting) <= {"Scheduled", "Late", "Pending"}
    site.prefect("flow-run", "cancel", site.runs("line-inspection")[1]["id"])
    site.wait_for(lambda: site.states("line-inspection")[1] == "Cancelled")
    site.wait_for(lambda: set(site.states("line-inspection")[2:]) == {"Completed"})
    site.wait_for(lambda: line_process(site) is None)
    state = json.loads(site.signals.with_name("signals.state.json").read_text(encoding="utf-8"))
    assert state["state"] == "stopped"
    site.wait_for(lambda: events(site, "goldentwin.line.stopped"))
    assert contradictions(site.home, site.frames, site.signals) == {}
