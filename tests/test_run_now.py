"""The nightly flow in the caller's own process: Prefect may be dead, the frames are judged."""

from __future__ import annotations

import contextlib
import logging
import os

import pytest
from night_samples import night_plan, night_summary, portion_result

from flows import run_now
from flows.embedded_server import EmbeddedServer, ServerStartError
from flows.night import Night
from flows.settings import prefect_environment, prepare_prefect
from inspection.errors import NotEnrolledError

DEAD_API = "http://127.0.0.1:9/api"


@pytest.fixture
def night(workspace, tmp_path):
    """A night of the bottle."""
    return Night(workspace=workspace, product="bottle", frames=tmp_path / "frames")


@pytest.fixture
def judged(monkeypatch, workspace):
    """The portions that were judged without Prefect."""
    portions = []

    def judge(plan, chunk):
        portions.append(chunk)
        return portion_result(plan, chunk)

    monkeypatch.setattr(Night, "open", lambda _night: None)
    monkeypatch.setattr(Night, "plan", lambda _night: night_plan(workspace))
    monkeypatch.setattr(run_now, "judge_chunk", judge)
    monkeypatch.setattr(run_now, "summarise_batch", lambda _plan, seconds: night_summary(seconds=seconds))
    monkeypatch.setattr(run_now, "prepare_prefect", lambda _home: None)
    return portions


def test_dead_prefect_server_does_not_stop_the_night(night, judged, monkeypatch, caplog):
    """With PREFECT_API_URL at a dead address every portion is judged, with one line of warning."""
    monkeypatch.setenv("PREFECT_API_URL", DEAD_API)
    with caplog.at_level(logging.WARNING):
        summary = run_now.run_nightly(night)
    assert len(judged) == 2
    assert summary.counts == night_summary().counts
    warnings = [record.message for record in caplog.records if record.name == "flows.run_now"]
    assert len(warnings) == 1
    assert "without Prefect" in warnings[0]
    assert "\n" not in warnings[0]


def test_embedded_server_that_does_not_start_does_not_stop_the_night(night, judged, monkeypatch, caplog):
    """Where Prefect's own server can't start, the same steps run without it."""

    @contextlib.contextmanager
    def broken(_home):
        message = "the embedded Prefect server did not start"
        raise ServerStartError(message)
        yield

    monkeypatch.setattr(run_now, "named_api", lambda _home: None)
    monkeypatch.setattr(run_now, "embedded_server", broken)
    run_now.run_nightly(night)
    assert len(judged) == 2
    assert "did not start" in caplog.text


def test_watcher_hears_of_every_portion(night, judged, monkeypatch):
    """Whoever waits in the terminal is told how far the night has come."""
    monkeypatch.setenv("PREFECT_API_URL", DEAD_API)
    heard = []
    run_now.run_nightly(night, watcher=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 2), (2, 2)]
    assert len(judged) == 2


def test_usage_errors_are_not_tried_again_without_prefect(night, judged, monkeypatch):
    """A product without goldens ends the night at once, with the typed error."""

    def refuse(_night):
        message = "bottle has no goldens: run `goldentwin enrol bottle --from DIR`"
        raise NotEnrolledError(message)

    monkeypatch.setattr(run_now, "_run_with_prefect", refuse)
    with pytest.raises(NotEnrolledError, match="goldentwin enrol"):
        run_now.run_nightly(night)
    assert judged == []


def test_server_that_ends_at_once_is_reported_with_its_log(tmp_path, monkeypatch):
    """Nobody waits two minutes for a server that is already dead."""
    monkeypatch.setattr("flows.embedded_server.sys.executable", "/bin/false")
    server = EmbeddedServer(tmp_path)
    with pytest.raises(ServerStartError, match=r"embedded_server\.log"):
        server.wait()
    server.stop()


def test_the_users_own_settings_stay(tmp_path, monkeypatch):
    """PREFECT_HOME and the like are set only where the user has not set them."""
    monkeypatch.delenv("PREFECT_HOME")
    assert prefect_environment(tmp_path)["PREFECT_HOME"] == str(tmp_path / "prefect")
    monkeypatch.setenv("PREFECT_HOME", "/elsewhere")
    for name in set(prefect_environment(tmp_path)) - {"PREFECT_HOME"}:
        monkeypatch.setenv(name, "mine")
    prepare_prefect(tmp_path)
    assert os.environ["PREFECT_HOME"] == "/elsewhere"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "mine"
