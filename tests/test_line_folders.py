"""A line at a folder: each picture once, whatever the folder is called and whatever lies beside its pictures."""

from __future__ import annotations

import json

import pytest
from drawn_night import PRODUCT, write_frames
from line_samples import ListSink, records, settings_of

from pipeline.line.opening import LineRequest, opened_line


@pytest.fixture
def workspace(plates, tmp_path):
    """A home with enrolled and calibrated plates, the test's own."""
    return plates.copy(tmp_path / "line home")


def told_of(workspace, source, *, seconds=2.5):
    """What a run over a folder tells."""
    sink = ListSink()
    settings = settings_of(workspace, PRODUCT, seconds=seconds)
    signals = ("file:" + str(workspace.home / "signals.jsonl"),)
    with opened_line(LineRequest(settings=settings, source=str(source), signals=signals), also=[sink]) as line:
        line.run()
    return sink.signals


def test_another_folder_with_the_same_names_is_judged(workspace, tmp_path):
    """Camera software that counts from 1 in each day's folder."""
    monday, tuesday = (write_frames(tmp_path / day, 3) for day in ("monday", "tuesday"))
    assert [len(told_of(workspace, folder)) for folder in (monday, tuesday)] == [3, 3]


@pytest.mark.parametrize("form", ["{}", "folder:{}", "{}?settle=3", "{}/"])
def test_a_folder_is_told_of_once_however_it_is_written(workspace, tmp_path, form):
    """Also after a restart under another spelling."""
    folder = write_frames(tmp_path / "frames", 3)
    assert len(told_of(workspace, form.format(folder))) == 3
    assert told_of(workspace, folder, seconds=1.0) == []


@pytest.mark.parametrize(
    "said",
    [
        {"part_id": "A", "captured_at": "0001-01-01T00:00:00"},
        {"part_id": "A", "captured_at": "9999-12-31T23:59:59"},
        {"part_id": "\ud800\x00 A"},
    ],
)
def test_what_a_sidecar_says_never_ends_a_line(workspace, tmp_path, said):
    """A time that nobody set, an id that no database takes: the part has its signal and record like all others."""
    folder = write_frames(tmp_path / "frames", 3)
    (folder / "part0001.json").write_text(json.dumps(said))
    signals = told_of(workspace, f"{folder}?settle=0.5")
    assert len(signals) == 3
    assert len(records(workspace)) == 3
    strange = "captured_at" in said
    assert [(one.reason or "").startswith("unreadable: ") for one in signals].count(True) == strange
    assert strange or "A" in {one.part_id for one in signals}


def test_two_parts_of_one_name_have_two_records(workspace, tmp_path):
    """Twice the exposure failed, and both files were called alike: as many records as signals."""
    folder = tmp_path / "frames"
    folder.mkdir()
    told = 0
    for _ in range(2):
        (folder / "0001.png").write_bytes(b"")
        told += len(told_of(workspace, f"{folder}?settle=0.3", seconds=1.5))
        (folder / "0001.png").unlink()
        told_of(workspace, folder, seconds=0.5)  # the name is forgotten once its file is gone
    assert told == 2
    assert len(records(workspace)) == 2
