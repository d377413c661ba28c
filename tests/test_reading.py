"""Frames are found in files and folders, and read without ever failing on a bad one."""

import hashlib
import os
from pathlib import Path

import pytest
from bad_inputs import drawn_part, encoded, write_bad_inputs

from inspection.verdicts import Reason
from pipeline import reading
from pipeline.reading import FrameFile, list_frames, read_frame


@pytest.fixture(scope="module")
def bad_folder(tmp_path_factory):
    """A folder of a hundred odd entries, and what reading each must give."""
    folder = tmp_path_factory.mktemp("night") / "bad"
    return folder, write_bad_inputs(folder)


def touch(folder: Path, *names: str) -> None:
    """Write a small PNG under each name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(drawn_part(), "PNG"))


def test_a_folder_of_bad_input_is_listed_whole(bad_folder):
    """Every one of a hundred odd entries becomes a frame, the walk ends, and none is there twice."""
    folder, expectations = bad_folder
    assert sorted(file.frame for file in list_frames([folder])) == sorted(expectations)


def test_every_bad_input_reads_or_says_why_not(bad_folder):
    """Each of the hundred gives an image, or a problem in the words of its kind; nothing raises."""
    folder, expectations = bad_folder
    wrong = {}
    for file in list_frames([folder]):
        frame, expected = read_frame(file), expectations[file.frame]
        said = (frame.problem or "").startswith(f"{Reason.UNREADABLE.value}: ") and expected.says in frame.problem
        if expected.reads != (frame.image is not None) or said == expected.reads:
            wrong[file.frame] = frame.problem
    assert wrong == {}


def test_frames_are_in_natural_order_of_their_relative_path(tmp_path):
    """2.png comes before 10.png, and ids are posix paths relative to the folder that was given."""
    touch(tmp_path, "10.png", "2.png", "b/1.jpg", "a/3.PNG")
    assert [file.frame for file in list_frames([tmp_path])] == ["2.png", "10.png", "a/3.PNG", "b/1.jpg"]


def test_only_images_are_frames_of_a_folder_but_a_named_file_always_is(tmp_path):
    """Notes and hidden files are passed over in a walk; a file named explicitly is judged whatever it is."""
    touch(tmp_path, "1.png", "notes.txt", ".hidden.png", ".cache/2.png", "no_suffix")
    assert [file.frame for file in list_frames([tmp_path])] == ["1.png"]
    assert [file.frame for file in list_frames([tmp_path / "notes.txt"])] == ["notes.txt"]


def test_a_named_file_that_does_not_exist_is_a_frame_with_a_problem(tmp_path):
    """A typed name that leads nowhere is told, not dropped."""
    (file,) = list_frames([tmp_path / "gone.png"])
    frame = read_frame(file)
    assert (frame.image, frame.sha256, frame.captured_at) == (None, "", "")
    assert frame.problem.startswith("unreadable: no such file")


def test_an_entry_met_twice_is_one_frame(tmp_path):
    """The same folder twice, or a file named and found, does not give two verdicts."""
    touch(tmp_path, "1.png", "2.png")
    assert len(list_frames([tmp_path, tmp_path, tmp_path / "1.png"])) == 2


def test_the_part_is_named_by_the_stem(tmp_path):
    """Where nothing else names the part, its id is the file's stem."""
    touch(tmp_path, "lot7/part_0042.cam1.png")
    assert list_frames([tmp_path])[0].part_id == "part_0042.cam1"


def test_a_frame_carries_hash_and_time_of_its_file(tmp_path):
    """sha256 is of the file's bytes; captured_at is its modification time in UTC."""
    touch(tmp_path, "1.png")
    os.utime(tmp_path / "1.png", (0, 1_700_000_000.25))
    frame = read_frame(list_frames([tmp_path])[0])
    assert frame.sha256 == hashlib.sha256((tmp_path / "1.png").read_bytes()).hexdigest()
    assert frame.captured_at == "2023-11-14T22:13:20.250+00:00"
    assert frame.problem is None
    assert frame.image.shape == (72, 96, 3)


def test_a_bad_file_keeps_its_hash(tmp_path):
    """Bytes that are no image are hashed all the same, so that the record can be traced to them."""
    (tmp_path / "1.png").write_bytes(b"junk")
    frame = read_frame(list_frames([tmp_path])[0])
    assert frame.sha256 == hashlib.sha256(b"junk").hexdigest()


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (PermissionError(13, "denied"), "permission"),
        (OSError(5, "Input/output error"), "Input/output"),
        (MemoryError(), "memory"),
    ],
)
def test_whatever_reading_raises_becomes_a_problem(tmp_path, monkeypatch, error, word):
    """No permission (also for root, who is never refused), a failing disk, no memory: told, not raised."""
    touch(tmp_path, "1.png")

    def fail(_path):
        raise error

    monkeypatch.setattr(reading, "_bytes_of", fail)
    assert word in read_frame(list_frames([tmp_path])[0]).problem


def test_a_closed_sub_folder_is_a_frame_with_a_problem(tmp_path, monkeypatch):
    """Frames in a folder that can't be entered are not lost unseen: the folder itself is told."""
    touch(tmp_path, "1.png", "closed/2.png")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [file.frame for file in list_frames([tmp_path])] == ["1.png", "closed"]


def test_a_name_that_is_no_text_reads(tmp_path):
    """A file name of bytes that are not UTF-8 gets a printable frame id."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(encoded(drawn_part(), "PNG"))
    (file,) = list_frames([tmp_path])
    assert file.frame.encode("utf-8").decode() == "caf\\udce9.png"
    assert read_frame(file).image is not None


def test_an_impossible_path_is_a_problem():
    """A path with a null byte raises nothing."""
    assert read_frame(FrameFile(frame="x", path=Path("a\0b"), part_id="x")).problem.startswith("unreadable")
