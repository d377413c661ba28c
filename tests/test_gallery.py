"""Which golden a frame is most like: the one a person would put beside it, whatever defect the frame has."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawn_line import PLATES, calibrated, enrol
from drawn_night import PRODUCT, draw_part

from inspection.recipe import RegistrationMethod
from pipeline import batch
from pipeline.batch import judge_chunk, summarise_batch
from pipeline.goldens_of_the_night import goldens_of_the_night
from pipeline.opening import open_inspector
from pipeline.planning import plan_batch
from pipeline.records import ReviewRecords, VerdictRecords
from pipeline.review.pushing import Pushed
from pipeline.tracking.traces import Destination, build_trace
from pipeline.workspace import Workspace


def stamped(seed, top=None, **scratched):
    """A plate, with a dark stamp at the height `top` as some variants have it."""
    picture = draw_part(seed, **scratched).copy()
    if top is not None:
        picture[top : top + 14, 52:76] = 60
    return picture


TOPS = (None, 22, 92)  # of the three goldens


@pytest.fixture
def line(home):
    """Three goldens: without a stamp, with one above, with one below."""
    workspace = Workspace.locate(home=home)
    enrol(workspace, PRODUCT, [stamped(seed, top) for seed, top in enumerate(TOPS)], PLATES)
    calibrated(workspace, PRODUCT)
    return workspace


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("scratched", [False, True])
def test_a_frame_is_put_beside_the_golden_of_its_own_kind(line, number, scratched):
    """A part with the stamp above beside the golden with the stamp above, also where a scratch runs across it."""
    inspector = open_inspector(line, PRODUCT, engine="onnx")
    frame = stamped(50 + number, TOPS[number], scratched=scratched)
    found = inspector.gallery.nearest(frame, inspector.judge([frame])[0].matrix)
    assert found.name == inspector.reference_set.goldens[number].name
    assert np.array_equal(found.picture, inspector.reference_set.images()[number])


def test_the_golden_is_shown_where_the_first_one_lies(home):
    """A golden that lies elsewhere than the first is moved onto it, so that a place is the same place in both."""
    workspace = Workspace.locate(home=home)
    moved = np.roll(stamped(1, 22), (5, -4), axis=(0, 1))
    recipe = replace(PLATES, registration=RegistrationMethod.SHIFT)
    enrol(workspace, PRODUCT, [stamped(0), moved, stamped(2)], recipe)
    inspector = calibrated(workspace, PRODUCT)
    frame = np.roll(stamped(50, 22), (-3, 6), axis=(0, 1))
    found = inspector.gallery.nearest(frame, inspector.judge([frame])[0].matrix)
    assert found.name == inspector.reference_set.goldens[1].name
    inner = slice(10, 118), slice(10, 118)
    off = np.abs(found.picture[inner].astype(int) - stamped(1, 22)[inner]).mean()
    assert off < 0.3 * np.abs(moved[inner].astype(int) - stamped(1, 22)[inner]).mean()


def test_large_frames_are_brought_to_the_working_size_as_judging_does(home):
    """Frames of three times the working size, moved in the picture, still find their golden at the full size."""
    large = [cv2.resize(stamped(seed, top), (384, 384), interpolation=cv2.INTER_CUBIC) for seed, top in enumerate(TOPS)]
    workspace = Workspace.locate(home=home)
    enrol(workspace, PRODUCT, large, replace(PLATES, registration=RegistrationMethod.SHIFT))
    inspector = calibrated(workspace, PRODUCT)
    for number, golden in enumerate(large):
        frame = np.roll(golden, (9, -12), axis=(0, 1))
        found = inspector.gallery.nearest(frame, inspector.judge([frame])[0].matrix)
        assert found.name == inspector.reference_set.goldens[number].name
        assert found.picture.shape == golden.shape


def test_judging_does_not_make_the_gallery(line):
    """What describes the goldens once more waits for the first picture."""
    inspector = open_inspector(line, PRODUCT, engine="onnx")
    inspector.judge([stamped(50), stamped(51, scratched=True)])
    assert "gallery" not in vars(inspector)


def test_a_golden_altered_on_disk_is_not_shown(line):
    """The first golden, which is in memory, stands in for it; a picture stops no night."""
    inspector = open_inspector(line, PRODUCT, engine="onnx")
    golden = inspector.reference_set.goldens[2]
    (inspector.reference_set.folder / golden.file).write_bytes(b"something else")
    found = inspector.gallery.nearest(stamped(50, TOPS[2]), None)
    assert found.name == inspector.reference_set.goldens[0].name
    assert np.array_equal(found.picture, inspector.first_golden)


def test_records_and_traces_name_the_golden_beside_which_a_part_was_shown(line, tmp_path):
    """Of flagged parts, and of no part that has no picture."""
    for number, top in enumerate(TOPS):
        cv2.imwrite(str(tmp_path / f"bad{number}.png"), stamped(50 + number, top, scratched=True)[..., ::-1])
        cv2.imwrite(str(tmp_path / f"good{number}.png"), stamped(60 + number, top)[..., ::-1])
    plan = plan_batch(line, PRODUCT, "default", tmp_path, engine="onnx")
    judge_chunk(plan, plan.chunks[0])
    names = [golden.name for golden in open_inspector(line, PRODUCT).reference_set.goldens]
    with VerdictRecords(line.records_url) as records, ReviewRecords(line.records_url) as reviews:
        told = {row["part_id"]: row["nearest_golden"] for row in records.rows()}
        items = {item.row["part_id"]: item for item in reviews.items()}
    flagged = {f"bad{number}": name for number, name in enumerate(names)}
    assert {part: told[part] for part in flagged} == flagged
    assert all(told[part] is None for part in told if part not in items)
    where = Destination(experiment="1", time=0, run="", address="http://here")
    trace = build_trace(items["bad2"], line, where, place=0, tells=False)
    assert trace.info.tags["goldentwin.nearest_golden"] == names[2]
    assert trace.span.outputs["nearest_golden"] == names[2]


def test_the_night_s_run_tells_how_often_each_golden_was_nearest(line, tmp_path, monkeypatch):
    """Flagged parts of two kinds: their goldens come first with their counts, the third is named as never nearest."""
    logs = []
    monkeypatch.setattr(batch, "post", lambda _, log: logs.append(log) or True)
    monkeypatch.setattr(batch, "push_reviews", lambda *_, **__: Pushed(pushed={}, lost=(), addresses={}))
    for number, top in enumerate((TOPS[2], TOPS[2], TOPS[1])):
        cv2.imwrite(str(tmp_path / f"bad{number}.png"), stamped(50 + number, top, scratched=True)[..., ::-1])
    plan = plan_batch(line, PRODUCT, "default", tmp_path, engine="onnx")
    judge_chunk(plan, plan.chunks[0])
    summarise_batch(plan, 1.0)
    entry = logs[0].entry()
    first, second, third = plan.goldens
    assert entry.texts["goldens.csv"].split() == [
        "golden,flagged,passed_reviewed", f"{third},2,0", f"{second},1,0", f"{first},0,0",
    ]  # fmt: skip
    assert f"| `{third}` | 2 | 0 |" in entry.note.description
    assert f"Nearest to none of them: `{first}`" in entry.note.description


def test_of_one_golden_or_a_night_without_pictures_nothing_is_told():
    """No table that could only say the obvious."""
    row = {"nearest_golden": "a", "verdict": "FLAG"}
    assert goldens_of_the_night(["a"], [row]) is None
    assert goldens_of_the_night(["a", "b"], [{**row, "nearest_golden": None}]) is None
    assert goldens_of_the_night(["a", "b"], [row]).counts == [("a", 1, 0), ("b", 0, 0)]
