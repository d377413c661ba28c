"""Batches: what was judged is not judged again, what was not is, and doing any step twice changes nothing."""

from __future__ import annotations

import os
import pickle
import shutil

import cv2
import numpy as np
import pytest
from bad_inputs import write_bad_inputs
from drawn_line import enrol, write
from drawn_night import PRODUCT, draw_part

from inspection.calibration import Policy, calibrate_scores
from inspection.errors import CalibrationError, NotEnrolledError, RecordsError, UnreadableImageError
from inspection.verdicts import Verdict
from pipeline import batch, sharding
from pipeline.batch import judge_chunk, summarise_batch
from pipeline.opening import keep_calibration, open_inspector
from pipeline.planning import plan_batch
from pipeline.records import VerdictRecords
from pipeline.review import choosing
from pipeline.review.pushing import Pushed


@pytest.fixture
def line(plates, home):
    """A home of the test's own with enrolled and calibrated plates."""
    return plates.copy(home)


@pytest.fixture
def night(tmp_path):
    """Ten plates, of which the first and the sixth are scratched."""
    return write(tmp_path / "night", [draw_part(300 + n, scratched=n % 5 == 0) for n in range(10)])


@pytest.fixture(autouse=True)
def posted(monkeypatch):
    """What would have been posted to MLflow."""
    logs = []
    monkeypatch.setattr(batch, "post", lambda _, log: logs.append(log) or True)
    monkeypatch.setattr(batch, "find_run", lambda *_: None)
    monkeypatch.setattr(batch, "push_reviews", lambda *_, **__: Pushed(pushed={}, lost=(), addresses={}))
    return logs


def plan(workspace, frames, **options):
    """The plan, in chunks of four unless told otherwise."""
    return plan_batch(workspace, PRODUCT, "default", frames, engine="onnx", **({"chunk_size": 4} | options))


def judge(planned):
    """Judge all chunks of a plan, and sum up."""
    for chunk in planned.chunks:
        judge_chunk(planned, chunk)
    return summarise_batch(planned, 1.0)


def rows(workspace, **filters):
    """What is recorded."""
    with VerdictRecords(workspace.records_url) as records:
        return records.rows(**filters)


def planned_frames(planned):
    """The frames of all chunks, in order."""
    return [file.frame for chunk in planned.chunks for file in chunk]


def test_batch_judges_every_frame(line, night, posted):
    """Planned in chunks, judged, recorded: every frame once, with the worst first in the summary."""
    planned = plan(line, night)
    assert [len(chunk) for chunk in planned.chunks] == [4, 4, 2]
    assert planned.total == 10
    assert planned.provisional
    summary = judge(planned)
    assert summary.counts == {Verdict.PASS: 8, Verdict.FLAG: 2, Verdict.CANNOT_INSPECT: 0}
    assert {row["frame"] for row in summary.flagged} == {"00.png", "05.png"}
    assert summary.flagged[0]["similarity"] <= summary.flagged[1]["similarity"]
    assert len(rows(line)) == 10
    assert [log.batch for log in posted] == [planned.batch]


def test_plan_travels_to_another_process(line, night):
    """A plan can be pickled, as a worker needs it."""
    planned = plan(line, night)
    assert pickle.loads(pickle.dumps(planned)) == planned  # noqa: S301 - our own bytes


def test_judged_frames_are_not_planned_again(line, night):
    """Run again, nothing is left to do, it is the same batch, and the summary is the same."""
    first = plan(line, night)
    summary = judge(first)
    again = plan(line, night)
    assert again.chunks == ()
    assert again.total == 10
    assert again.batch == first.batch
    repeated = judge(again)
    assert repeated.counts == summary.counts
    assert repeated.flagged == summary.flagged
    assert len(rows(line)) == 10


def test_judging_a_chunk_twice_changes_nothing(line, night):
    """A chunk that is judged again after a worker died adds no rows and changes none."""
    planned = plan(line, night)
    judge(planned)
    before = rows(line)
    evidence = {path: path.read_bytes() for path in line.evidence.rglob("*.jpg")}
    result = judge_chunk(planned, planned.chunks[0])
    assert sum(result.counts.values()) == 4
    assert rows(line) == before
    assert {path: path.read_bytes() for path in line.evidence.rglob("*.jpg")} == evidence


def test_killed_batch_goes_on_where_it_stood(line, night):
    """After a kill between chunks only the missing frames are planned, under the same batch."""
    first = plan(line, night)
    judge_chunk(first, first.chunks[1])
    again = plan(line, night)
    assert planned_frames(again) == ["00.png", "01.png", "02.png", "03.png", "08.png", "09.png"]
    assert again.batch == first.batch
    assert sum(judge(again).counts.values()) == 10


def test_failing_chunk_loses_nothing(line, night, monkeypatch):
    """A chunk that fails in its middle records nothing of itself, and the next run judges all of it."""
    planned = plan(line, night)
    judge_chunk(planned, planned.chunks[0])
    draw = choosing.draw_strip

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(choosing, "draw_strip", full_disk)
    with pytest.raises(OSError, match="No space left"):
        judge_chunk(planned, planned.chunks[1])
    assert len(rows(line)) == 4
    monkeypatch.setattr(choosing, "draw_strip", draw)
    again = plan(line, night)
    assert planned_frames(again) == [f"{n:02}.png" for n in range(4, 10)]
    assert judge(again).counts == {Verdict.PASS: 8, Verdict.FLAG: 2, Verdict.CANNOT_INSPECT: 0}


def test_unwritable_records_are_an_error(line, night, monkeypatch):
    """A chunk whose rows can't be written is not counted as done."""
    planned = plan(line, night)
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", f"sqlite:///{line.home}/no/such/folder/records.db")
    (line.home / "no").write_text("in the way")
    with pytest.raises(RecordsError):
        judge_chunk(planned, planned.chunks[0])


def test_changed_bytes_are_judged_anew(line, night):
    """A file that holds another picture under the same name is another frame."""
    judge(plan(line, night))
    cv2.imwrite(str(night / "03.png"), draw_part(303, scratched=True)[..., ::-1])
    again = plan(line, night)
    assert planned_frames(again) == ["03.png"]
    judge(again)
    verdicts = {row["frame_sha256"]: row["verdict"] for row in rows(line) if row["frame"] == "03.png"}
    assert sorted(verdicts.values()) == ["FLAG", "PASS"]
    assert plan(line, night).chunks == ()


def test_touched_files_are_not_judged_anew(line, night):
    """A file copied or touched is the same frame as long as its bytes are."""
    judge(plan(line, night))
    for path in night.iterdir():
        os.utime(path, (1e9, 1e9))
    assert plan(line, night).chunks == ()


def test_growing_folder(line, night):
    """Frames that arrive after the plan are left to the next batch, which judges them alone."""
    planned = plan(line, night)
    write(night, [draw_part(400)], ".bmp")
    judge(planned)
    again = plan(line, night)
    assert planned_frames(again) == ["00.bmp"]
    assert again.total == 11
    summary = judge(again)
    assert summary.judged == 1
    assert len(rows(line)) == 11


def test_vanishing_frames_are_told(line, night):
    """A frame that is gone when its turn comes is CANNOT_INSPECT; once it is back it is judged."""
    planned = plan(line, night)
    (night / "02.png").rename(night / "away")
    assert judge(planned).counts[Verdict.CANNOT_INSPECT] == 1
    (row,) = rows(line, verdict=Verdict.CANNOT_INSPECT)
    assert row["frame"] == "02.png"
    assert "no such file" in row["reason"]
    (night / "away").rename(night / "02.png")
    assert planned_frames(plan(line, night)) == ["02.png"]


def test_bad_files_are_recorded_once(line, tmp_path):
    """A hundred bad inputs: each has its row, none is PASS, and a second run has nothing to do."""
    write_bad_inputs(tmp_path / "bad")
    summary = judge(plan(line, tmp_path / "bad", chunk_size=64))
    assert sum(summary.counts.values()) == 100
    assert summary.counts[Verdict.PASS] == 0
    assert plan(line, tmp_path / "bad").chunks == ()


def test_recalibration_judges_anew(line, night):
    """On other grounds every frame gets a new verdict, in a batch of its own; the old rows stay."""
    first = plan(line, night)
    judge(first)
    inspector = open_inspector(line, PRODUCT, engine="onnx")
    strict = calibrate_scores(np.array([0.99, 0.995]), np.array([0.97]), policy=Policy(), binding=inspector.binding)
    keep_calibration(line, PRODUCT, "default", strict)
    second = plan(line, night)
    assert len(planned_frames(second)) == 10
    assert second.batch != first.batch
    assert not second.provisional
    assert judge(second).counts[Verdict.FLAG] == 10
    assert len(rows(line)) == 20


def test_new_grounds_stop_a_running_batch(line, night):
    """A chunk planned on other grounds is refused, instead of mixing verdicts of both."""
    planned = plan(line, night)
    enrol(line, PRODUCT, [draw_part(7)])
    with pytest.raises(CalibrationError, match="changed; run the batch again"):
        judge_chunk(planned, planned.chunks[0])
    assert rows(line) == []


def test_evidence_shows_what_was_flagged(line, night):
    """Each flagged frame has its picture, named in its row; the contact sheet shows them; others have none."""
    summary = judge(plan(line, night))
    for row in rows(line):
        if row["verdict"] == "FLAG":
            picture = cv2.imread(str(line.home / row["evidence"]))
            assert picture.shape[1] > 2 * picture.shape[0]
        else:
            assert row["evidence"] is None
    assert len([path for path in line.evidence.rglob("*.jpg") if path.parent.name != "review"]) == 2
    assert cv2.imread(str(summary.contact_sheet)) is not None
    assert summary.contact_sheet.is_relative_to(line.reports)


def test_lost_evidence_spoils_no_summary(line, night):
    """Pictures that someone removed are left out of the contact sheet; without any there is none."""
    planned = plan(line, night)
    judge(planned)
    shutil.rmtree(line.evidence)
    assert summarise_batch(planned, 1.0).contact_sheet is None


def test_batch_without_findings(line, tmp_path, posted):
    """Nothing flagged: no contact sheet. No frames at all: nothing is posted."""
    good = write(tmp_path / "good", [draw_part(500)])
    assert judge(plan(line, good)).contact_sheet is None
    (tmp_path / "empty").mkdir()
    summary = judge(plan(line, tmp_path / "empty"))
    assert summary.total == 0
    assert not summary.tracked
    assert len(posted) == 1


def test_frames_of_two_folders_keep_apart(line, night, tmp_path):
    """Frames of the same name in two folders are two frames, each with its own row and evidence."""
    other = write(tmp_path / "other", [draw_part(600, scratched=True)])
    summary = judge(plan(line, [night, other]))
    assert summary.total == 11
    assert len(rows(line)) == 11
    assert len({row["evidence"] for row in summary.flagged}) == 3


def test_plan_refuses_what_could_not_be_judged(line, night, tmp_path):
    """No such folder, no such product, no calibration: told before anything is read."""
    with pytest.raises(UnreadableImageError, match="does not exist"):
        plan(line, tmp_path / "nowhere")
    with pytest.raises(NotEnrolledError):
        plan_batch(line, "nut", "default", night, engine="onnx")
    shutil.rmtree(line.calibrations)
    with pytest.raises(CalibrationError, match="goldentwin calibrate plate --view default"):
        plan(line, night)


def test_file_gone_while_planning_is_no_error(line, night, monkeypatch):
    """A file that another program moves away between listing and planning stops no batch."""
    listed = sharding.list_frames

    def then_moved(sources):
        files = listed(sources)
        (night / "04.png").unlink()
        return files

    monkeypatch.setattr(sharding, "list_frames", then_moved)
    assert "04.png" in planned_frames(plan(line, night))
