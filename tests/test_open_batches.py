"""A batch that was killed is taken up again as the same one, also where frames came since; it links to its run."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from drawn_line import write
from drawn_night import PRODUCT, draw_part

from pipeline import batch
from pipeline.batch import judge_chunk, summarise_batch
from pipeline.open_batches import LONGEST
from pipeline.planning import plan_batch
from pipeline.tracking.run_link import RunLink


@pytest.fixture
def line(plates, home):
    """A home of the test's own with enrolled and calibrated plates."""
    return plates.copy(home)


@pytest.fixture
def night(tmp_path):
    """Ten plates."""
    return write(tmp_path / "night", [draw_part(300 + n) for n in range(10)])


@pytest.fixture(autouse=True)
def unposted(monkeypatch):
    """Nothing is posted to MLflow."""
    monkeypatch.setattr(batch, "post", lambda _workspace, _log: True)
    monkeypatch.setattr(batch, "find_run", lambda *_: None)


def plan(workspace, frames):
    """The plan, in chunks of four."""
    return plan_batch(workspace, PRODUCT, "default", frames, engine="onnx", chunk_size=4)


def judge(planned):
    """Judge all chunks of a plan, and sum up."""
    for chunk in planned.chunks:
        judge_chunk(planned, chunk)
    return summarise_batch(planned, 1.0)


def test_killed_batch_stays_one_in_a_folder_that_grows(line, night):
    """Frames that came after the kill belong to it too; those that come after its summary are another batch."""
    first = plan(line, night)
    judge_chunk(first, first.chunks[0])
    write(night, [draw_part(400)], first=50)
    again = plan(line, night)
    assert again.batch == first.batch
    assert sum(judge(again).counts.values()) == 11
    write(night, [draw_part(401)], first=60)
    late = plan(line, night)
    assert late.batch != first.batch
    assert sum(judge(late).counts.values()) == 1


def test_a_damaged_mark_of_an_open_batch_costs_nothing(line, night):
    """It is a new batch then."""
    first = plan(line, night)
    mark = line.home / "open_batches" / f"{first.key}.json"
    mark.write_text("{", encoding="utf-8")
    assert plan(line, night).batch == first.batch
    judge(first)
    assert not mark.exists()


def test_another_nights_batch_is_not_taken_up(line, night):
    """One that was begun too long ago keeps its own rows."""
    first = plan(line, night)
    judge_chunk(first, first.chunks[0])
    mark = line.home / "open_batches" / f"{first.key}.json"
    old = datetime.now(UTC) - LONGEST
    mark.write_text(json.dumps({"batch": first.batch, "at": old.isoformat()}), encoding="utf-8")
    write(night, [draw_part(400)], first=50)
    assert plan(line, night).batch != first.batch


def test_summary_links_to_its_run_where_mlflow_has_it(line, night, monkeypatch):
    """The link is MLflow's; without MLflow, or when it fails just then, there is none, and no night is held up."""
    link = RunLink(run_id="1a2b", address="http://mlflow/#/experiments/1/runs/1a2b")
    monkeypatch.setattr(batch, "find_run", lambda *_: link)
    planned = plan(line, night)
    assert judge(planned).run == link
    monkeypatch.setattr(batch, "find_run", _no_answer)
    assert summarise_batch(planned, 1.0).run is None
    monkeypatch.setattr(batch, "post", lambda *_: False)
    monkeypatch.setattr(batch, "find_run", lambda *_: link)
    assert summarise_batch(planned, 1.0).run is None


def _no_answer(*_):
    message = "no answer"
    raise ConnectionError(message)
