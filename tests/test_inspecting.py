"""Inspecting files: every frame gets its verdict, in order, whatever lies in the folder."""

from __future__ import annotations

import logging
import threading
import time
import weakref

import numpy as np
import pytest
from bad_inputs import write_bad_inputs
from drawn_line import write
from drawn_night import draw_part

from inspection.verdicts import Verdict
from pipeline import inspecting
from pipeline.inspecting import inspect_frames
from pipeline.reading import FrameFile, list_frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve plates, every third scratched."""
    parts = [draw_part(200 + number, scratched=number % 3 == 0) for number in range(12)]
    return write(tmp_path_factory.mktemp("frames"), parts)


def test_frames_come_in_order(plates, folder):
    """Whichever is read first, verdicts come in the order of the files, each with its own frame's hash."""
    files = list_frames([folder])
    judged = list(inspect_frames(plates.inspector, files))
    assert [one.frame.frame for one in judged] == [file.frame for file in files]
    assert [one.judgement.verdict is Verdict.FLAG for one in judged] == [n % 3 == 0 for n in range(12)]
    assert len({one.frame.sha256 for one in judged}) == 12
    assert {(one.product, one.view) for one in judged} == {("plate", "default")}


def test_slow_reading_does_not_change_the_order(plates, folder, monkeypatch):
    """Frames that take long to read hold the others up, and are not overtaken."""
    read = inspecting.read_frame

    def slowly(file):
        time.sleep(0.1 if file.part_id in {"00", "05"} else 0)
        return read(file)

    monkeypatch.setattr(inspecting, "read_frame", slowly)
    files = list_frames([folder])
    assert [one.frame.frame for one in inspect_frames(plates.inspector, files)] == [file.frame for file in files]


def test_files_are_judged_as_pictures_are(plates, folder):
    """Through files and threads, similarities and regions are those of the inspector alone."""
    judged = [one.judgement for one in inspect_frames(plates.inspector, list_frames([folder]))]
    alone = plates.inspector.judge([draw_part(200 + n, scratched=n % 3 == 0) for n in range(12)])
    assert [one.similarity for one in judged] == [one.similarity for one in alone]
    assert [one.regions for one in judged] == [one.regions for one in alone]


@pytest.mark.parametrize("together", [1, 5])
def test_bad_files_in_the_middle_harm_nobody(plates, folder, tmp_path, monkeypatch, together):
    """A hundred bad inputs among good frames: all get a row, none of the bad ones passes, the good keep theirs."""
    monkeypatch.setattr(inspecting, "_BATCH_ON_CUDA", together)
    monkeypatch.setattr(type(plates.inspector), "on_gpu", together > 1)
    write_bad_inputs(tmp_path / "bad")
    good = list_frames([folder])
    files = [*good[:6], *list_frames([tmp_path / "bad"]), *good[6:]]
    judged = list(inspect_frames(plates.inspector, files))
    assert [one.frame.frame for one in judged] == [file.frame for file in files]
    outer = [*judged[:6], *judged[-6:]]
    assert [one.judgement.verdict is Verdict.FLAG for one in outer] == [n % 3 == 0 for n in range(12)]
    bad = judged[6:-6]
    assert len(bad) == 100
    assert not [one.frame.frame for one in bad if one.judgement.verdict is Verdict.PASS]
    refused = [one.judgement for one in bad if one.judgement.verdict is Verdict.CANNOT_INSPECT]
    assert all(one.reason and ": " in one.reason and one.similarity is None for one in refused)


def test_unforeseen_failure_is_a_reason(plates, folder, monkeypatch, caplog):
    """An exception while a frame is prepared costs this frame its verdict and no other; the log has the traceback."""
    prepare = plates.inspector.prepare
    broken = draw_part(204)

    def fails_once(image):
        if np.array_equal(image, broken):
            message = "unforeseen"
            raise RuntimeError(message)
        return prepare(image)

    monkeypatch.setattr(plates.inspector, "prepare", fails_once)
    with caplog.at_level(logging.ERROR):
        judged = [one.judgement for one in inspect_frames(plates.inspector, list_frames([folder]))]
    assert judged[4].verdict is Verdict.CANNOT_INSPECT
    assert "unforeseen" in judged[4].reason
    assert [n for n, one in enumerate(judged) if one.verdict is Verdict.CANNOT_INSPECT] == [4]
    assert "04.png could not be prepared" in caplog.text
    assert "RuntimeError" in caplog.text


def test_pictures_are_kept_only_when_asked_for(plates, folder):
    """Verdicts carry no pixels, for memory, unless evidence is to be drawn."""
    files = list_frames([folder])[:3]
    assert all(one.frame.image is None for one in inspect_frames(plates.inspector, files))
    kept = list(inspect_frames(plates.inspector, files, keep_images=True))
    np.testing.assert_array_equal(kept[1].frame.image, draw_part(201))


def test_pictures_in_memory_are_few(plates, folder, monkeypatch):
    """While a long list is inspected, only a handful of pictures are in memory, however long it is."""
    read, pictures, alive = inspecting.read_frame, [], []

    def counted(file):
        frame = read(file)
        pictures.append(weakref.ref(frame.image))
        return frame

    monkeypatch.setattr(inspecting, "read_frame", counted)
    for one in inspect_frames(plates.inspector, list_frames([folder]) * 5, keep_images=True):
        del one
        alive.append(sum(picture() is not None for picture in pictures))
    assert len(pictures) == 60
    assert max(alive) <= 8


def test_files_are_taken_as_they_come(plates, folder):
    """Frames are pulled from a generator only as far ahead as reading needs, so that a stream can be endless."""
    pulled = []

    def endless():
        for number in range(10_000):
            pulled.append(number)
            yield FrameFile(frame=f"{number}.png", path=folder / "01.png", part_id=str(number))

    verdicts = inspect_frames(plates.inspector, endless())
    assert [next(verdicts).frame.frame for _ in range(5)] == [f"{n}.png" for n in range(5)]
    assert len(pulled) < 15
    verdicts.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_nothing_to_inspect(plates):
    """No files, no verdicts."""
    assert list(inspect_frames(plates.inspector, [])) == []
