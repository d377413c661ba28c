"""Retention on disk and in the records: every line of the policy, dry runs that tell the truth, kills in the middle."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from aged_home import (
    PICTURE,
    PRODUCT,
    TONIGHT,
    VIEW,
    ago,
    answer,
    by_kind,
    files,
    item,
    line_event,
    make_old,
    part,
    row,
    tonight,
)

from flows.commands import run
from inspection.errors import RecordsError, RetentionError
from pipeline import evidence
from pipeline.keeping import open_audit
from pipeline.records import LineEventRecords, RetentionRecords, ReviewRecords, VerdictRecords
from pipeline.retention.retaining import retain
from pipeline.retention.tally import Kind
from pipeline.review.exporting import export_labelled
from pipeline.review.pulling import review_status
from pipeline.review.pushing import push_reviews


@pytest.fixture
def line(workspace):
    """A home whose newest batch is of tonight."""
    tonight(workspace)
    return workspace


def policy(line, text):
    """Write the policy."""
    line.retention.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "days", "gone"),
    [
        ({"flagged": False, "chosen": False}, 364, 0),
        ({"flagged": False, "chosen": False}, 366, 1),
        ({"flagged": False}, 366, 1),
        ({}, 1824, 0),
        ({}, 1826, 1),
        ({"flagged": False, "answered": True}, 1824, 0),
    ],
)
def test_records_go_after_their_days(line, given, days, gone):
    """Those of passed parts after a year, of flagged and reviewed ones after five; with all that hangs on them."""
    key = part(line, "old.png", days=days, **given)
    assert by_kind(retain(line)).get(Kind.RECORDS, 0) == gone
    assert (row(line, key) is None) == bool(gone)
    with ReviewRecords(line.records_url) as records:
        assert [one.key for one in records.items() if one.key == key] == [key] * (
            not gone and given.get("chosen", True)
        )


def test_counts_of_a_night_outlive_its_rows(line):
    """What reviewed parts stand for must not change, so counts stay what they were."""
    part(line, "good.png", days=400, flagged=False, chosen=False, batch="night")
    part(line, "seen.png", days=400, flagged=False, answered=True, batch="night")
    before = review_status(line, PRODUCT, VIEW).nights
    assert by_kind(retain(line))[Kind.RECORDS] == 1
    assert review_status(line, PRODUCT, VIEW).nights == before
    with VerdictRecords(line.records_url) as records:
        assert records.aged_batches(product=PRODUCT, view=VIEW) == {"night"}


@pytest.mark.parametrize(
    ("given", "days", "gone"),
    [
        ({"chosen": False}, 89, False),
        ({"chosen": False}, 91, True),
        ({}, 179, False),  # it waits in an open queue
        ({}, 181, True),
        ({"answered": True}, 1824, False),
        ({"answered": True}, 1826, True),
    ],
)
def test_evidence_goes_after_its_days_and_the_row_says_so(line, given, days, gone):
    """A picture that is gone is "" in the row, and the folder of its batch goes with it."""
    key = part(line, "old.png", days=days, **given)
    told = row(line, key)["evidence"]
    assert by_kind(retain(line)).get(Kind.EVIDENCE, 0) == gone
    assert (row(line, key) or {"evidence": ""})["evidence"] == ("" if gone else told)
    assert (line.evidence / PRODUCT / VIEW / "batch-old.png").exists() != gone


@pytest.mark.parametrize(
    ("text", "given", "days", "gone"),
    [
        ("", {}, 179, False),
        ("", {}, 181, True),
        ("open_queues = 30", {}, 89, False),
        ("open_queues = 30", {}, 91, True),
        ("", {"answered": True}, 30_000, False),
        ("labelled_frames = 3000", {"answered": True}, 2999, False),
        ("labelled_frames = 3000", {"answered": True}, 3001, True),
    ],
)
def test_frames_go_after_their_days_and_labelled_ones_only_if_told(line, text, given, days, gone):
    """The record of a labelled frame stays with it, or its label would be lost."""
    policy(line, text)
    key = part(line, "old.png", days=days, **given)
    kept = line.home / item(line, key).frame_file
    assert by_kind(retain(line)).get(Kind.FRAMES, 0) == gone
    assert kept.exists() != gone
    assert gone or item(line, key).frame_file


def test_a_queue_stays_open_while_somebody_answers(line):
    """Parts that wait in it keep picture, frame and record; so does one that nobody could push yet."""
    policy(line, "open_queues = 30")
    key = part(line, "waits.png", days=2000, batch="night", queue="night 1")
    part(line, "seen.png", days=2000, batch="night", queue="night 1")
    part(line, "unpushed.png", days=20, pushed=False)
    seen = part(line, "seen.png", days=2000, batch="night", queue="night 1")
    with ReviewRecords(line.records_url) as records:
        records.add_answers([answer(seen, 29)])
    retain(line)
    assert (line.home / item(line, key).picture).is_file()
    assert (line.home / item(line, key).frame_file).is_file()
    with RetentionRecords(line.records_url, open_since=ago(10)) as records:
        assert not any(use.waiting for use in records.pictures("night").values())


def test_the_newest_batch_stays_whatever_its_age(line):
    """Of every product and view; so do batches that were begun and not summarised."""
    with VerdictRecords(line.records_url) as records, records._database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM verdicts")
    part(line, "older.png", days=2100, batch="older")
    part(line, "newest.png", days=2000, batch="newest")
    part(line, "begun.png", days=2100, batch="begun")
    (line.home / "open_batches").mkdir()
    (line.home / "open_batches" / "x.json").write_text(json.dumps({"batch": "begun", "at": ago(1).isoformat()}))
    assert by_kind(retain(line)) == {Kind.RECORDS: 1, Kind.EVIDENCE: 1, Kind.FRAMES: 1}
    with VerdictRecords(line.records_url) as records:
        assert {one["batch"] for one in records.rows()} == {"newest", "begun"}


def test_reports_of_batches_go_and_others_stay(line):
    """Contact sheets and watch pages after a year; calibrations, evaluations, promotions never."""
    folder = line.reports / PRODUCT / VIEW
    folder.mkdir(parents=True)
    names = [
        "batch-a.jpg",
        "watch-a.html",
        "watch-a.png",
        "calibration-a.png",
        "evaluation-a.png",
        f"batch-{TONIGHT}.jpg",
    ]
    for name in names:
        (folder / name).write_bytes(b"x" * 10)
        make_old(folder / name, 366)
    (folder / "batch-b.jpg").write_bytes(b"x")
    assert by_kind(retain(line)) == {Kind.BATCH_REPORTS: 3}
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names[3:], "batch-b.jpg"])


def test_line_events_go_after_a_year(line):
    """The younger ones stay."""
    line_event(line, 364)
    line_event(line, 366)
    assert by_kind(retain(line)) == {Kind.LINE_EVENTS: 1}
    with LineEventRecords(line.records_url) as records:
        assert [one.said for one in records.events("line1")] == ["364 days ago"]


def test_the_audit_record_calibrations_and_outbox_are_never_touched(line):
    """However old they are; and a batch that MLflow is still to be told of keeps its things."""
    with open_audit(line) as audit:
        audit.append(who="anna", action="calibrate", product=PRODUCT, view=VIEW, evidence={})
    kept = [
        folder / "x.json"
        for folder in (line.calibrations, line.twins, line.champions, line.challengers, line.cache, line.outbox / "job")
    ]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        make_old(path, 9999)
    retain(line, now=ago(-9999))
    assert all(path.exists() for path in kept)
    with open_audit(line) as audit:
        assert (len(audit.rows()), audit.verify()) == (1, None)


@pytest.mark.parametrize("path", ["../outside.jpg", "evidence/../records.db", "records.db", "/etc/hostname"])
def test_nothing_but_evidence_is_removed_as_evidence(line, path):
    """A path that leads elsewhere is refused."""
    with pytest.raises(RecordsError, match="no evidence picture"):
        evidence.remove_evidence(line, path)
    assert (line.home / "records.db").exists()


def test_pictures_that_no_row_names_stay_as_long_as_reviewed_ones(line):
    """They may be of another database of this home."""
    for days in (1800, 1830):
        path = evidence.write_evidence(line.evidence / "nut" / "top" / f"b{days}", "x.png", PICTURE)
        make_old(path, days)
    assert by_kind(retain(line)) == {Kind.EVIDENCE: 1}
    assert (line.evidence / "nut" / "top" / "b1800").is_dir()


def test_an_empty_database_beside_kept_frames_is_refused(line, monkeypatch):
    """Or a wrong address would cost all labels."""
    part(line, "old.png", days=3000, answered=True)
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", f"sqlite:///{line.home / 'other.db'}")
    before = files(line)
    with pytest.raises(RetentionError, match="GOLDENTWIN_DATABASE_URL"):
        retain(line)
    assert files(line) == before


def test_without_records_nothing_goes_and_nothing_is_made(workspace):
    """Nobody knows then what was reviewed."""
    assert by_kind(retain(workspace)) == {}
    assert not workspace.home.exists()


def test_two_at_once_take_turns(line, monkeypatch):
    """The second one says who is in its way."""
    from filelock import FileLock

    from pipeline.retention import retaining

    monkeypatch.setattr(retaining, "_LOCK_SECONDS", 0.05)
    with FileLock(line.home / ".retain.lock"), pytest.raises(RetentionError, match="another process"):
        retain(line)


def test_aged_parts_are_no_longer_pushed_and_the_status_says_so(line):
    """Their pictures are gone on purpose, which is not "lost"; what waits is still counted as waiting."""
    part(line, "old.png", days=200, pushed=False)
    retain(line)
    (night,) = [one for one in review_status(line, PRODUCT, VIEW).nights if one.batch == "batch-old.png"]
    assert (night.waiting, night.pushed, night.aged_out) == (0, 0, 1)
    assert push_reviews(line, batch="batch-old.png").lost == ()


def test_an_exported_set_leaves_out_frames_that_aged_out(line, tmp_path):
    """And keeps those that were linked before."""
    policy(line, "labelled_frames = 1000")
    part(line, "old.png", days=1001, answered=True)
    part(line, "young.png", days=999, answered=True)
    assert export_labelled(line, PRODUCT, VIEW, tmp_path / "before").lost == 0
    retain(line)
    done = export_labelled(line, PRODUCT, VIEW, tmp_path / "after")
    assert (done.lost, done.counts) == (1, {"defect": 1})
    assert len(list((tmp_path / "before" / "defect").iterdir())) == 2


def test_the_command_says_the_same_in_both_forms(line, capsys):
    """For people a line a kind, for machines an object; with --dry-run what would go."""
    part(line, "old.png", days=200)
    assert run(["retain", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "would go" in said
    assert "batch artifacts" in said
    assert run(["retain", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["dry_run"], done["kinds"]["evidence"]["gone"], done["kinds"]["frames"]["gone"]) == (False, 1, 1)
    policy(line, "evidense = 3")
    assert run(["retain"]) == 1
    assert "evidense" in capsys.readouterr().err


def test_a_survey_that_runs_out_of_time_says_so(line):
    """The doctor does not wait."""
    from pipeline.retention.retaining import survey

    part(line, "old.png", days=200)
    assert survey(line, until=0.0).whole is False
    assert replace(survey(line, until=1e12), kinds=()).whole is True
