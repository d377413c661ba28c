"""Evidence pictures on disk: one safe, unique name a frame, whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspection.errors import RecordsError
from pipeline.evidence import evidence_name, write_evidence

STRIP = np.full((40, 90, 3), (200, 60, 20), np.uint8)


def test_evidence_is_a_jpeg_in_the_right_colours(tmp_path):
    """What was RGB in memory has the same colours in the file, in a folder made for it."""
    path = write_evidence(tmp_path / "evidence" / "bolt", "a.png", STRIP)
    assert path.parent == tmp_path / "evidence" / "bolt"
    assert path.suffix == ".jpg"
    read = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(int)
    assert np.abs(read - STRIP).max() < 6


def test_writing_again_replaces_the_picture(tmp_path):
    """A batch that is run again leaves one picture a frame."""
    first = write_evidence(tmp_path, "a.png", STRIP)
    second = write_evidence(tmp_path, "a.png", STRIP // 2)
    assert first == second
    assert list(tmp_path.iterdir()) == [first]
    assert cv2.imread(str(first)).max() < 120


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a/b\\c:d*?.png",
        "Größe 子.png",
        "raw\udcff.png",
        "",
        ".",
        "...",
        "nul\x00\n.png",
        "d/" * 3000,
    ],
)
def test_any_frame_name_gives_a_safe_file_inside_the_folder(tmp_path, name):
    """Slashes, unicode, undecodable bytes, dots and endless paths stay one plain file name."""
    path = write_evidence(tmp_path / "evidence", name, STRIP)
    assert path.parent == tmp_path / "evidence"
    assert path.is_file()
    assert path.name.isascii()
    assert not path.name.startswith(".")
    assert len(path.name) <= 100


def test_names_that_look_alike_once_cleaned_stay_apart():
    """No two frames share a picture."""
    names = ["a b.png", "a_b.png", "a/b.png", "a-b.png", "ä.png", "ö.png", "x" * 500 + "1", "y" * 500 + "1"]
    assert len({evidence_name(name) for name in names}) == len(names)


def test_the_frame_is_recognised_in_the_name():
    """A person finds the picture of a frame by its name."""
    assert evidence_name("lot 7/part_0042.png").startswith("lot-7-part_0042.png-")


def test_a_crash_while_writing_leaves_the_old_picture(tmp_path, monkeypatch):
    """Half a picture never takes the place of a whole one, and no rest stays behind."""
    path = write_evidence(tmp_path, "a.png", STRIP)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RecordsError, match=r"No space left.*--home"):
        write_evidence(tmp_path, "a.png", STRIP // 2)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    """The error says where the picture should have gone."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(RecordsError, match="taken"):
        write_evidence(tmp_path / "taken" / "evidence", "a.png", STRIP)


def test_boto3_is_imported_only_where_it_is_used():
    """Who keeps evidence at home pays nothing for S3."""
    program = "import sys, pipeline.batch, pipeline.line.recording; print('boto3' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
