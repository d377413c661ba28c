"""Retention beside a running batch and other writers, on SQLite and PostgreSQL, and what later steps make of it."""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from aged_home import Ageing, by_kind, dangling, files, line_event, part, tonight
from drawn_line import write
from drawn_night import PRODUCT, draw_part
from record_writer import start_writer
from reviewed_night import judged_night, recipe_with
from verdict_samples import judged

from inspection.calibration import Policy
from inspection.errors import CalibrationError
from inspection.recipe import ReviewSettings
from inspection.verdicts import Verdict
from pipeline.batch import judge_chunk
from pipeline.planning import plan_batch
from pipeline.records import RetentionRecords, ReviewRecords, VerdictRecords, pages
from pipeline.retention.retaining import retain
from pipeline.review import recalibrating
from pipeline.review.items import Answer
from pipeline.review.recalibrating import calibrate_reviewed

LATER = datetime.now(UTC) + timedelta(days=400)


@pytest.mark.slow
def test_beside_a_running_batch_nothing_of_it_goes_and_nothing_dangles(plates, home, tmp_path):
    """Retention runs again and again while a night is judged; what is old goes meanwhile."""
    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=1.0))
    for number in range(30):
        part(line, f"old{number}.png", days=2000)
    write(tmp_path / "night", [draw_part(n, scratched=n % 4 == 0) for n in range(300, 340)])
    plan = plan_batch(line, PRODUCT, "default", tmp_path / "night", engine="onnx", chunk_size=4)
    ended, gone, problems = threading.Event(), [], []

    def again_and_again():
        while not ended.is_set():
            done = retain(line)
            gone.append(by_kind(done))
            problems.extend([*done.problems, *dangling(line)])

    thread = threading.Thread(target=again_and_again)
    thread.start()
    try:
        for chunk in plan.chunks:
            judge_chunk(plan, chunk)
    finally:
        ended.set()
        thread.join(60)
    retain(line)
    assert problems == []
    assert sum(one.get(Ageing.RECORDS, 0) for one in gone) >= 29, "all but what was the newest batch at first"
    with VerdictRecords(line.records_url) as records, ReviewRecords(line.records_url) as reviews:
        assert sum(records.counts(plan.batch).values()) == 40
        items = reviews.items(batch=plan.batch)
    assert len(items) == 40
    assert all((line.home / path).is_file() for one in items for path in (one.picture, one.frame_file))


def test_another_process_records_while_rows_go(workspace, monkeypatch):
    """Each removal is a short transaction: the writer's rows all come, none waits for the whole."""
    tonight(workspace)
    with VerdictRecords(workspace.records_url) as records:
        records.add([judged(f"old{number}.png") for number in range(6000)], batch="old")
        with records._database.writing() as connection:
            connection.exec_driver_sql("UPDATE verdicts SET judged_at = '2020-01-01 00:00:00' WHERE batch = 'old'")
    held = []
    whole = RetentionRecords.remove_records

    def timed(self, gone):
        began = time.perf_counter()
        whole(self, gone)
        held.append(len(gone))
        return time.perf_counter() - began

    monkeypatch.setattr(RetentionRecords, "remove_records", timed)
    writer = start_writer(workspace.records_url, 0, 400, 20)
    assert by_kind(retain(workspace)) == {Ageing.RECORDS: 6000}
    assert sum(map(int, writer.communicate()[0].split())) == 400
    assert (max(held), len(held)) == (500, 12)


@pytest.mark.parametrize("older", [False, True])
def test_sqlite_gives_free_pages_back(workspace, monkeypatch, older):
    """Page by page; a file that an older goldentwin made is written anew once, and can do so from then on."""
    monkeypatch.setattr(pages, "LEAST_BYTES", 100_000)
    tonight(workspace)
    file = workspace.home / "records.db"
    if older:
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA auto_vacuum=NONE")
            connection.execute("VACUUM")
        connection.close()
    with VerdictRecords(workspace.records_url) as records:
        records.add([judged(f"old{number}.png") for number in range(3000)], batch="old")
        with records._database.writing() as connection:
            connection.exec_driver_sql("UPDATE verdicts SET judged_at = '2020-01-01 00:00:00' WHERE batch = 'old'")
    before = file.stat().st_size
    done = retain(workspace)
    assert done.given_back > 0.8 * before
    assert file.stat().st_size < 0.2 * before
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_few_free_pages_are_left_for_the_rows_to_come(workspace):
    """Giving back costs writes: it has to be worth it."""
    tonight(workspace)
    part(workspace, "old.png", days=2000)
    assert retain(workspace).given_back == 0


@pytest.mark.server
def test_on_postgresql_it_is_the_same(workspace, postgres, monkeypatch):
    """A dry run tells the truth, rows say what is gone, the counts of nights stay, a second run finds nothing."""
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", postgres.new_database())
    tonight(workspace)
    for number, days in enumerate((100, 200, 400, 1900)):
        part(workspace, f"f{number}.png", days=days)
        part(workspace, f"p{number}.png", days=days, flagged=False, chosen=bool(number % 2), batch="mixed")
        part(workspace, f"r{number}.png", days=days, answered=True)
        line_event(workspace, days)
    before = files(workspace)
    told = retain(workspace, dry_run=True)
    assert files(workspace) == before
    done = retain(workspace)
    assert (done.kinds, done.problems, done.given_back) == (told.kinds, (), 0)
    assert by_kind(done) == {Ageing.EVIDENCE: 6, Ageing.FRAMES: 5, Ageing.RECORDS: 3, Ageing.LINE_EVENTS: 2}
    assert dangling(workspace) == []
    with VerdictRecords(workspace.records_url) as records:
        assert records.counts("mixed")[Verdict.PASS] == 4
    assert by_kind(retain(workspace)) == {}


def answer_half(line, night):
    """All flagged parts and every second other one are answered, by somebody who knows the truth."""
    with ReviewRecords(line.records_url) as records:
        for number, item in enumerate(records.items(batch=night.batch)):
            if item.row["verdict"] == "FLAG" or number % 2:
                value = "defect" if item.row["frame"] in night.defective else "good"
                given = {"id": item.key, "key": item.key, "question": "verdict", "value": value}
                records.add_answers([Answer(**given, comment="", reviewer="anna", answered_at=datetime.now(UTC))])


@pytest.mark.slow
def test_a_night_whose_parts_aged_out_takes_no_part_in_calibration(plates, home, tmp_path, monkeypatch):
    """Its reviewed parts would stand for others that nobody knows any more; a whole night beside it is enough."""
    monkeypatch.setattr(recalibrating, "post", lambda *_: True)
    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=1.0))
    policy = Policy(max_overkill=0.1)
    answer_half(line, judged_night(line, tmp_path / "night", parts=60))
    judged_night(line, tmp_path / "newest", parts=1, first=900)
    assert by_kind(retain(line, now=LATER))[Ageing.RECORDS] > 10
    with pytest.raises(CalibrationError, match="aged out"):
        calibrate_reviewed(line, PRODUCT, "default", policy=policy, engine="onnx")
    answer_half(line, judged_night(line, tmp_path / "other", parts=60, first=500))
    done = calibrate_reviewed(line, PRODUCT, "default", policy=policy, engine="onnx")
    assert any("1 reviewed nights took no part" in said for said in done.calibration.warnings)
