"""Retention killed in the middle, beside others, and dry: nothing is lost, and what is said is so."""

from __future__ import annotations

import os

import pytest
from aged_home import by_kind, dangling, files, item, line_event, part, row, tonight

from inspection.errors import RecordsError
from pipeline import evidence
from pipeline.records import RetentionRecords, ReviewRecords, VerdictRecords
from pipeline.records import retention as retention_records
from pipeline.retention import frames, ground, pictures
from pipeline.retention.retaining import retain
from pipeline.retention.tally import Kind


@pytest.fixture
def line(workspace):
    """A home whose newest batch is of tonight."""
    tonight(workspace)
    return workspace


def everything(line):
    """Something of every kind that goes, and something that stays."""
    for number, days in enumerate((100, 200, 400, 1900)):
        part(line, f"f{number}.png", days=days)
        part(line, f"p{number}.png", days=days, flagged=False, chosen=bool(number % 2))
        part(line, f"r{number}.png", days=days, answered=True)
        line_event(line, days)


def test_a_dry_run_removes_nothing_and_says_what_then_goes(line):
    """The same numbers, kind by kind; a second run has nothing to do."""
    everything(line)
    before = files(line)
    told = retain(line, dry_run=True)
    assert files(line) == before
    assert dangling(line) == []
    done = retain(line)
    assert done.kinds == told.kinds
    assert sum(one.bytes_gone for one in done.kinds if one.kind is Kind.EVIDENCE) > 0
    assert set(by_kind(done)) == {Kind.EVIDENCE, Kind.FRAMES, Kind.RECORDS, Kind.LINE_EVENTS}
    again = retain(line)
    assert by_kind(again) == {}
    assert [one.kept for one in again.kinds] == [one.kept for one in done.kinds]


class KilledAt:
    """Does what it is in the place of so many times, and is killed before the next."""

    def __init__(self, whole, times):
        self.whole, self.left = whole, times

    def __call__(self, *given, **named):
        """Do it, or be killed."""
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.whole(*given, **named)


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize(
    ("where", "name"),
    [
        (RetentionRecords, "forget_pictures"),
        (pictures, "remove_evidence"),
        (RetentionRecords, "forget_frames"),
        (frames, "_unlink"),
        (RetentionRecords, "remove_records"),
        (os, "rename"),
        (os, "unlink"),
    ],
)
def test_a_kill_leaves_no_row_that_points_to_nothing_and_the_next_run_ends_it(line, monkeypatch, where, name, times):
    """Wherever it comes, the result is that of a run that was not killed."""
    everything(line)
    hit = KilledAt(getattr(where, name), times)
    monkeypatch.setattr(ground, "PORTION", 2)
    monkeypatch.setattr(retention_records, "_PORTION", 2)
    with monkeypatch.context() as patch:
        patch.setattr(where, name, lambda *given, **named: hit(*given, **named))  # noqa: PLW0108 - becomes a method
        with pytest.raises(KeyboardInterrupt):
            retain(line)
    assert dangling(line) == []
    retain(line)
    assert dangling(line) == []
    with VerdictRecords(line.records_url) as records, ReviewRecords(line.records_url) as reviews:
        pointed = {one["evidence"] for one in records.rows()}
        pointed |= {path for one in reviews.items() for path in (one.picture, one.frame_file)}
    assert files(line) == pointed - {"", None}
    assert by_kind(retain(line)) == {}


def test_a_frame_that_a_batch_wants_again_stays(line, monkeypatch):
    """The batch renews the frame's time while retention is about to remove it."""
    key = part(line, "old.png", days=200)
    path = line.home / item(line, key).frame_file
    whole = RetentionRecords.forget_frames

    def meanwhile(self, names, **given):
        whole(self, names, **given)
        part(line, "again.png", days=0, batch="again")
        os.utime(path)

    monkeypatch.setattr(RetentionRecords, "forget_frames", meanwhile)
    assert by_kind(retain(line)) == {Kind.EVIDENCE: 1}
    assert path.is_file()


def test_a_picture_that_cannot_be_removed_is_told_and_tried_again(line, monkeypatch):
    """The others go; the row says already that it has aged out."""
    key = part(line, "stuck.png", days=200)
    part(line, "other.png", days=200)

    def refused(workspace, name):
        if "stuck" in name:
            raise RecordsError(name)
        evidence.remove_evidence(workspace, name)

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "remove_evidence", refused)
        done = retain(line)
    assert by_kind(done)[Kind.EVIDENCE] == 1
    assert ["stuck" in problem for problem in done.problems] == [True]
    assert row(line, key)["evidence"] == ""
    assert by_kind(retain(line)) == {Kind.EVIDENCE: 1}
