"""Prefect with a password: `goldentwin batch` is let in with it, and judges the night all the same without."""

from __future__ import annotations

import subprocess

import pytest
from drawn_night import COMMAND, PRODUCT, environment, missing_and_doubled, recorded_frames, write_frames
from mlflow_server import asked
from prefect_server import AUTH, running_prefect

FRAMES = 24
USER, _, PASSWORD = AUTH.partition(":")

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def prefect(tmp_path_factory):
    """The server's address."""
    with running_prefect(tmp_path_factory.mktemp("prefect")) as place:
        yield f"http://{place}/api"


def batch(home, frames, prefect, **variables):
    """Run the command to its end."""
    given = environment(home) | {"PREFECT_API_URL": prefect, "PREFECT_HOME": str(home / "prefect"), **variables}
    command = [COMMAND, "batch", PRODUCT, "--frames", str(frames), "--chunk-size", "12"]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=200)


def states(prefect):
    """Of all runs of the nightly flow, as the server knows them."""
    body = {"flows": {"name": {"any_": ["nightly-inspection"]}}}
    status, runs = asked(f"{prefect}/flow_runs/filter", "POST", login=(USER, PASSWORD), body=body)
    assert status == 200
    return [run["state_name"] for run in runs]


def test_a_batch_runs_on_a_server_with_a_password(plates, prefect, tmp_path):
    """The password comes from a file; the run is Prefect's, and no password stands in what the command says."""
    home = plates.copy(tmp_path / "home").home
    frames = write_frames(tmp_path / "frames", FRAMES)
    (tmp_path / "auth").write_text(f"{AUTH}\n")
    before = states(prefect)
    done = batch(home, frames, prefect, PREFECT_API_AUTH_STRING_FILE=str(tmp_path / "auth"))
    assert done.returncode == 0, done.stderr
    assert "without Prefect" not in done.stderr
    assert states(prefect) == [*before, "Completed"]
    assert missing_and_doubled(recorded_frames(home), frames) == (set(), set())
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("given", [{}, {"PREFECT_API_AUTH_STRING": "plant:a-wrong-one"}])
def test_a_batch_without_the_password_is_judged_all_the_same(plates, prefect, tmp_path, given):
    """Prefect takes no part, one line says which variable mends it, and every frame has its row."""
    home = plates.copy(tmp_path / "home").home
    frames = write_frames(tmp_path / "frames", FRAMES)
    before = states(prefect)
    done = batch(home, frames, prefect, **given)
    assert done.returncode == 0, done.stderr
    assert "inspecting without Prefect" in done.stderr
    assert "PREFECT_API_AUTH_STRING" in done.stderr
    assert "a-wrong-one" not in done.stdout + done.stderr
    assert states(prefect) == before
    assert missing_and_doubled(recorded_frames(home), frames) == (set(), set())
