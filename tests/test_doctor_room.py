"""The doctor's look at what fills the home, and at what retention would free."""

from __future__ import annotations

import time

import pytest
from aged_home import files, part, tonight

from pipeline.doctor import Status, room


def test_each_kind_is_counted_and_nothing_twice(workspace):
    """Evidence, frames, mlflow, records, cache, reports, spools of lines; all else is `other`."""
    sizes = {"evidence": 10, "frames": 20, "mlflow": 30, "cache": 40, "reports": 50, "lines": 60, "outbox": 70}
    for kind, size in {**sizes, "twins": 80}.items():
        folder = workspace.home / kind / "a" / "b"
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * size)
    (workspace.home / "records.db").write_bytes(b"x" * 5)
    (workspace.home / "records.db-wal").write_bytes(b"x" * 6)
    (workspace.home / "elsewhere").symlink_to("/")
    found = {use.kind: use.size for use in room.disk_use(workspace, seconds=60) if use.kind != "other"}
    assert found == {**sizes, "records": 11, "prefect": 0}
    (other,) = [use for use in room.disk_use(workspace, seconds=60) if use.kind == "other"]
    assert (other.files, 80 <= other.size < 200) == (2, True)


def test_what_has_had_its_days_is_told_and_left(workspace):
    """With the command that removes it."""
    tonight(workspace)
    part(workspace, "old.png", days=200)
    before = files(workspace)
    taken, retention = room.examine_room(workspace)
    assert "evidence" in taken.detail
    assert retention.status is Status.OK
    assert "1 evidence" in retention.detail
    assert "goldentwin retain" in retention.detail
    assert files(workspace) == before


def test_a_policy_that_contradicts_itself_is_a_warning(workspace):
    """With its remedy."""
    tonight(workspace)
    workspace.retention.write_text("evidence = 4000\n")
    finding = room.examine_room(workspace)[1]
    assert finding.status is Status.WARN
    assert "evidence (4000 days)" in finding.detail
    assert finding.remedy


@pytest.mark.slow
def test_a_home_of_a_hundred_thousand_files_takes_no_longer_than_allowed(workspace):
    """Where there is no time for all, `at least` is said; a second is not exceeded by much."""
    tonight(workspace)
    folder = workspace.evidence / "bolt" / "top"
    for batch in range(100):
        (folder / f"b{batch}").mkdir()
        for number in range(1000):
            (folder / f"b{batch}" / f"{number}.jpg").touch()
    began = time.monotonic()
    uses = room.disk_use(workspace, seconds=0.01)
    assert time.monotonic() - began < 1.0
    assert not all(use.whole for use in uses)
    began = time.monotonic()
    assert len(room.examine_room(workspace)) == 2
    assert time.monotonic() - began < room.WALK_SECONDS + room.SURVEY_SECONDS
