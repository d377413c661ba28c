"""What a night tells of reviews and drift in Prefect, and the flow that exchanges reviews with MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from night_samples import night_summary
from reviewed_night import PARTS, judged_night, recipe_with

from flows import artifacts
from flows.night_page import night_page
from inspection.recipe import ReviewSettings
from pipeline.records import ReviewRecords
from pipeline.watch.drift import Alarm, Cause
from pipeline.watch.watching import Watched


def watched(*alarms):
    """What a watch found."""
    headline = "lamp: 15% darker than at calibration" if alarms else "quiet"
    names = {"product": "bottle", "view": "default", "batch": "b", "page": Path("w.html"), "picture": Path("w.png")}
    return Watched(headline=headline, alarms=alarms, frames=200, **names)


def test_the_page_links_the_queue_and_says_whether_the_line_changed():
    """A changed line stands out; without a queue nothing is linked."""
    lamp = Alarm(cause=Cause.LAMP, first=50, known_after=200, said="lamp: 15 % darker")
    page = night_page(night_summary(watched=watched(lamp), queues={"night 2026-11-23": "http://127.0.0.1:5000/#/q"}))
    assert "> **The line has changed.** lamp: 15% darker than at calibration" in page
    assert "in MLflow](http://127.0.0.1:5000/#/q)" in page
    quiet = night_page(night_summary(watched=watched()))
    assert "quiet" in quiet
    assert "has changed" not in quiet
    assert "in MLflow](" not in quiet


def test_an_event_tells_of_drift_and_of_nothing_else(monkeypatch):
    """With product, view and causes; a quiet night emits none."""
    events = []
    monkeypatch.setattr(artifacts, "emit_event", lambda **event: events.append(event))
    artifacts.tell_drift(night_summary(watched=watched()))
    artifacts.tell_drift(night_summary())
    assert events == []
    lamp = Alarm(cause=Cause.LAMP, first=50, known_after=200, said="lamp: 15 % darker")
    artifacts.tell_drift(night_summary(watched=watched(lamp)))
    assert events[0]["event"] == "goldentwin.drift"
    assert events[0]["payload"]["causes"] == ["lamp"]
    assert events[0]["payload"]["alarms"] == [{"cause": "lamp", "said": "lamp: 15 % darker", "first_frame": 50}]
    assert events[0]["resource"]["prefect.resource.id"].startswith("goldentwin.line.bottle.")


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("prefect_api")
def test_the_flow_pushes_what_waits_and_pulls_answers(plates, home, tmp_path):
    """Run twice, it changes nothing more."""
    from flows.reviewing import exchange_reviews

    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=1.0))
    judged_night(line, tmp_path / "night")
    given = {"home": str(line.home), "return_state": True}
    assert f"{PARTS} parts pushed, 0 new answers" in exchange_reviews("plate", **given).message
    assert "0 parts pushed" in exchange_reviews("plate", **given).message
    with ReviewRecords(line.records_url) as records:
        assert all(item.trace for item in records.items())
