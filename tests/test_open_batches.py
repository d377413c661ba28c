"""A batch that was killed is taken up again as the same one, also where frames came since."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from drawn_line import write
from drawn_night import PRODUCT, draw_part

from pipeline import batch
from pipeline.batch import judge_chunk, plan_batch, summarise_batch
from pipeline.open_batches import LONGEST


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
