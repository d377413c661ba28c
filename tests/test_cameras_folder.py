"""A folder that camera software fills: each picture once, complete, in order."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from camera_samples import all_there, encoded, next_shot, number_of, put

from pipeline.cameras import CameraLostError
from pipeline.cameras.folder import FolderCamera


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    made = tmp_path / "frames"
    made.mkdir()
    return made


@pytest.fixture
def camera(folder: Path) -> Iterator[FolderCamera]:
    """A camera on it, open, that settles in half a second."""
    opened = FolderCamera(folder, settle_seconds=0.5)
    opened.open()
    yield opened
    opened.close()


def test_what_lies_there_comes_in_natural_order_with_sub_folders(folder: Path) -> None:
    """`2.png` before `10.png`, sub-folders too; hidden and other files are no frames."""
    for name in ("10.png", "2.jpg", "night/1.png", ".hidden.png", ".cache/3.png", "notes.txt"):
        put(folder / name, encoded(1, ".jpg" if name.endswith("jpg") else ".png"))
    camera = FolderCamera(folder)
    camera.open()
    assert [shot.frame for shot in all_there(camera)] == ["2.jpg", "10.png", "night/1.png"]


def test_a_shot_has_the_files_bytes_name_part_and_time(camera: FolderCamera, folder: Path) -> None:
    """The bytes are kept for the record, the part goes by the file's stem, the time is the file's."""
    data = encoded(7)
    path = put(folder / "line 1" / "A-17.PNG", data)
    shot = next_shot(camera)
    assert (shot.frame, shot.part_id, shot.suffix, shot.data) == ("line 1/A-17.PNG", "A-17", ".png", data)
    assert number_of(shot) == 7
    assert shot.captured_at == datetime.fromtimestamp(path.stat().st_mtime_ns / 1e9, UTC)


def test_new_pictures_come_once_and_soon(camera: FolderCamera, folder: Path) -> None:
    """A picture that is put there while the camera runs comes within the pause of an idle camera, and only once."""
    for number in range(5):
        put(folder / f"{number}.png", encoded(number))
        begin = time.monotonic()
        shot = next_shot(camera)
        assert number_of(shot) == number
        assert 0 <= shot.captured - begin < 2
    assert all_there(camera) == []


def test_nothing_new_is_told_in_time(camera: FolderCamera) -> None:
    """`read` comes back after the seconds it was given, neither at once nor late."""
    begin = time.monotonic()
    assert camera.read(0.2) is None
    assert 0.19 < time.monotonic() - begin < 2


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif"])
def test_a_half_written_picture_waits_until_it_is_whole(folder: Path, suffix: str) -> None:
    """Written in two pieces with a pause between, it comes once, whole, without a problem; others pass it meanwhile."""
    camera = FolderCamera(folder, settle_seconds=30)
    camera.open()
    data = encoded(3, suffix)
    with (folder / f"1{suffix}").open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        put(folder / "2.png", encoded(4))
        assert [shot.frame for shot in all_there(camera)] == ["2.png"]
        file.write(data[len(data) // 2 :])
    shot = next_shot(camera)
    assert (shot.frame, shot.data, shot.problem) == (f"1{suffix}", data, None)
    assert all_there(camera) == []


def test_a_picture_that_grows_slowly_is_not_given_up(camera: FolderCamera, folder: Path) -> None:
    """Settling counts from the last change, so that a slow copy is waited for."""
    data = encoded(3, ".jpg")

    def copy_slowly() -> None:
        with (folder / "1.jpg").open("wb") as file:
            for at in range(0, len(data), len(data) // 6):
                file.write(data[at : at + len(data) // 6])
                file.flush()
                time.sleep(0.2)

    copying = threading.Thread(target=copy_slowly)
    copying.start()
    shot = next_shot(camera)
    copying.join()
    assert (shot.problem, shot.data) == (None, data)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("cut.jpg", encoded(3, ".jpg")[:-40], "truncated"),
        ("cut.png", encoded(3)[:-40], "truncated or damaged"),
        ("empty.png", b"", "empty"),
        ("text.png", b"no picture", "not an image"),
    ],
)
def test_what_does_not_become_a_picture_is_given_with_its_problem(
    camera: FolderCamera, folder: Path, name: str, data: bytes, said: str
) -> None:
    """It is never dropped: once it has settled it comes, without an image, once."""
    (folder / name).write_bytes(data)
    shot = next_shot(camera)
    assert (shot.frame, shot.image, shot.data) == (name, None, data)
    assert said in str(shot.problem)
    assert not str(shot.problem).startswith(name)
    assert all_there(camera) == []


def test_a_link_that_leads_nowhere_and_a_folder_named_like_a_picture_are_given(
    camera: FolderCamera, folder: Path
) -> None:
    """All that a batch takes for a frame is one here too."""
    (folder / "1.png").symlink_to(folder / "nothing")
    (folder / "2.png").mkdir()
    given = {shot.frame: str(shot.problem) for shot in (next_shot(camera), next_shot(camera))}
    assert "target is gone" in given["1.png"]
    assert "a folder" in given["2.png"]


def test_a_file_renamed_before_it_was_complete_was_no_frame(camera: FolderCamera, folder: Path) -> None:
    """Software that writes under one name and renames gives one frame, under the last name."""
    data = encoded(3, ".jpg")
    (folder / "writing.jpg").write_bytes(data[:-5])
    assert camera.read(0.1) is None
    (folder / "writing.jpg").rename(folder / "done.jpg")
    (folder / "done.jpg").write_bytes(data)
    assert [shot.frame for shot in all_there(camera, 1.0)] == ["done.jpg"]


def test_known_names_are_not_given_again(folder: Path) -> None:
    """What was recorded before a restart is passed over."""
    for number in range(4):
        put(folder / f"{number}.png", encoded(number))
    camera = FolderCamera(folder, seen={"0.png", "2.png"})
    camera.open()
    assert [shot.frame for shot in all_there(camera)] == ["1.png", "3.png"]


def test_names_of_files_that_are_gone_are_forgotten(camera: FolderCamera, folder: Path) -> None:
    """After thirty pictures that came and went, only those that lie there are remembered."""
    for number in range(30):
        path = put(folder / f"{number}.png", encoded(1))
        next_shot(camera)
        if number < 29:
            path.unlink()
    put(folder / "last.png", encoded(1))
    next_shot(camera)
    assert camera._known == {"29.png", "last.png"}


def test_a_folder_that_goes_away_is_a_lost_camera(camera: FolderCamera, folder: Path) -> None:
    """It can be opened again, and gives nothing twice; the message names the folder."""
    put(folder / "1.png", encoded(1))
    next_shot(camera)
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(CameraLostError, match="no such folder"):
        next_shot(camera)
    with pytest.raises(CameraLostError, match=str(folder)):
        camera.open()
    folder.with_name("elsewhere").rename(folder)
    put(folder / "2.png", encoded(2))
    camera.open()
    assert [shot.frame for shot in all_there(camera)] == ["2.png"]


def test_an_empty_mount_point_does_not_make_frames_come_twice(camera: FolderCamera, folder: Path) -> None:
    """An unmounted share leaves an empty folder behind: a lost camera, and nothing is forgotten."""
    put(folder / "1.png", encoded(1))
    next_shot(camera)
    folder.rename(folder.with_name("share"))
    folder.mkdir()
    with pytest.raises(CameraLostError, match="another folder is in its place"):
        next_shot(camera)
    camera.open()
    assert camera.read(0.3) is None
    folder.rmdir()
    folder.with_name("share").rename(folder)
    with pytest.raises(CameraLostError):
        next_shot(camera)
    camera.open()
    assert camera.read(0.3) is None


def test_what_was_in_hand_when_the_camera_was_closed_comes_after_it_was_opened_again(
    camera: FolderCamera, folder: Path
) -> None:
    """Closing loses no picture that was found and not given."""
    for number in range(3):
        put(folder / f"{number}.png", encoded(number))
    assert number_of(next_shot(camera)) == 0
    camera.close()
    camera.close()
    with pytest.raises(CameraLostError, match="open it first"):
        camera.read(0.1)
    camera.open()
    assert [number_of(shot) for shot in all_there(camera)] == [1, 2]


def test_a_sidecar_names_the_part_and_the_moment(camera: FolderCamera, folder: Path) -> None:
    """`NAME.json` beside the picture, written before it; a time with a zone becomes UTC."""
    (folder / "1.json").write_text(
        json.dumps({"part_id": "P 4711", "captured_at": "2026-11-25T10:00:00+01:00", "operator": "anna"})
    )
    put(folder / "1.png", encoded(1))
    shot = next_shot(camera)
    assert (shot.part_id, shot.captured_at) == ("P 4711", datetime(2026, 11, 25, 9, tzinfo=UTC))


def test_without_sidecars_the_name_decides(folder: Path) -> None:
    """JSON files beside the pictures can be left alone."""
    (folder / "1.json").write_text('{"part_id": "other"}')
    put(folder / "1.png", encoded(1))
    camera = FolderCamera(folder, sidecar=False)
    camera.open()
    assert next_shot(camera).part_id == "1"


@pytest.mark.parametrize("text", ['{"part_id": ', "[1]", '{"part_id": {}}', '{"captured_at": "today"}'])
def test_a_damaged_sidecar_makes_the_frame_a_problem(camera: FolderCamera, folder: Path, text: str) -> None:
    """Nobody knows which part it shows, so it must not be judged under another's name."""
    (folder / "1.json").write_text(text)
    put(folder / "1.png", encoded(1))
    shot = next_shot(camera)
    assert shot.image is None
    assert "the sidecar 1.json can't be used" in str(shot.problem)


def test_a_sidecar_that_is_still_being_written_is_waited_for(folder: Path) -> None:
    """The picture comes as soon as its sidecar can be read."""
    camera = FolderCamera(folder, settle_seconds=30)
    camera.open()
    (folder / "1.json").write_text('{"part_id"')
    put(folder / "1.png", encoded(1))
    assert camera.read(0.3) is None
    (folder / "1.json").write_text('{"part_id": 5}')
    assert next_shot(camera).part_id == "5"


def test_names_that_are_no_utf8_can_be_printed(camera: FolderCamera, folder: Path) -> None:
    """A name of broken bytes is a frame like any other, and its name is text."""
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(encoded(2))
    shot = next_shot(camera)
    assert shot.frame == "caf\\udce9.png"
    assert shot.image is not None
    assert np.array_equal(shot.image, np.full_like(shot.image, 28))
