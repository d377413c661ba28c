"""Simulated and replayed lines: steady, waiting for nobody, and out of order when they are told to be."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from camera_samples import encoded, next_shot, number_of, put, read_on

from inspection.errors import GoldentwinError
from pipeline.cameras import CameraLostError, EndOfFramesError, replayed
from pipeline.cameras.replayed import ReplayCamera
from pipeline.cameras.simulated import SimulatedCamera
from pipeline.cameras.trigger import KEEP, Outage, Trigger


def numbers(trigger: Trigger, count: int) -> list[int]:
    """The numbers of the next triggers."""
    ticks = [trigger.wait(5) for _ in range(count)]
    return [tick.number for tick in ticks if tick is not None]


def test_triggers_come_at_a_steady_rate() -> None:
    """The sixth of 8 a second is due 5/8 s after the first; one that is not due is waited for as long as asked."""
    trigger = Trigger(name="line", frames_per_second=8)
    trigger.open()
    first = trigger.wait(1)
    begin = time.monotonic()
    assert trigger.wait(0.001) is None
    assert time.monotonic() - begin < 0.1
    assert numbers(trigger, 4) == [1, 2, 3, 4]
    last = trigger.wait(1)
    assert first is not None
    assert last is not None
    assert last.captured - first.captured == pytest.approx(0.625)
    assert (last.captured_at - first.captured_at).total_seconds() == pytest.approx(0.625, abs=0.1)


def test_what_is_not_read_in_time_is_lost_and_leaves_a_gap() -> None:
    """After a pause only the newest few wait, and their moment is when they were triggered, not when they were read."""
    trigger = Trigger(name="line", frames_per_second=100)
    trigger.open()
    assert numbers(trigger, 1) == [0]
    time.sleep(0.5)
    now = time.monotonic()
    tick = trigger.wait(1)
    assert tick is not None
    assert tick.number > 40
    assert 0 <= now - tick.captured <= (KEEP + 1) / 100 + 0.2
    assert numbers(trigger, 1) == [tick.number + 1]


def test_it_ends_when_it_was_told_to() -> None:
    """After the last frame comes the end and no lost camera."""
    trigger = Trigger(name="line", frames_per_second=200, frames=3)
    trigger.open()
    assert numbers(trigger, 3)[-1] == 2
    with pytest.raises(EndOfFramesError, match="after 3 frames"):
        trigger.wait(1)


def test_an_outage_is_a_lost_camera_and_a_gap() -> None:
    """Lost when it begins, not to be opened while it lasts, and what was triggered meanwhile never comes."""
    trigger = Trigger(name="line", frames_per_second=50, outages=[Outage(at=0.1, seconds=0.4)])
    trigger.open()
    given = []
    with pytest.raises(CameraLostError):
        given += [numbers(trigger, 1) for _ in range(100)]
    with pytest.raises(CameraLostError, match="does not answer"):
        trigger.open()
    time.sleep(0.5)
    trigger.open()
    assert numbers(trigger, 1)[0] >= 25


def test_one_that_is_not_open_gives_nothing() -> None:
    """Before `open` and after `close`."""
    trigger = Trigger(name="line", frames_per_second=50)
    with pytest.raises(CameraLostError, match="open it first"):
        trigger.wait(0)
    trigger.open()
    trigger.close()
    with pytest.raises(CameraLostError, match="open it first"):
        trigger.wait(0)


@pytest.fixture(scope="module")
def boards() -> SimulatedCamera:
    """A small simulated line, drawn once: 12 boards, half of them with a defect, 50 a second."""
    camera = SimulatedCamera(seed=3, frames_per_second=50, defects=0.5, size=192, boards=12)
    camera.open()
    return camera


def test_boards_are_shown_again_with_new_numbers(boards: SimulatedCamera) -> None:
    """The thirteenth picture is the first board's again."""
    boards.open()
    shots = {shot.number: shot.image for shot in (next_shot(boards) for _ in range(30))}
    again = [number for number in shots if number is not None and number + 12 in shots]
    assert again
    first, later = shots[again[0]], shots[again[0] + 12]
    assert first is not None
    assert later is not None
    assert (first.shape, first.dtype) == ((192, 192, 3), np.uint8)
    assert np.array_equal(first, later)
    first[:] = 0
    assert later.any()


def test_which_board_has_a_defect_is_known(boards: SimulatedCamera) -> None:
    """For whoever counts what was found; the same seed gives the same defects."""
    fates = [boards.defect(number) for number in range(12)]
    assert 0 < sum(fate is not None for fate in fates) < 12
    assert fates == [SimulatedCamera(seed=3, defects=0.5, size=192, boards=12).defect(12 + i) for i in range(12)]
    assert (boards.live, boards.every_frame_a_part) == (True, True)


@pytest.mark.parametrize("wrong", [{"defects": 1.5}, {"boards": 0}, {"boards": 100_000}, {"seed": -1}, {"frames": 0}])
def test_what_can_not_be_simulated_is_refused(wrong: dict[str, int]) -> None:
    """Before anything is drawn."""
    with pytest.raises(GoldentwinError, match="simulated line"):
        SimulatedCamera(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0, -1, float("nan"), 1e9])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    """Zero, backwards, no number or too fast."""
    with pytest.raises(GoldentwinError, match="mend fps"):
        Trigger(name="line", frames_per_second=rate)


def replayed_folder(folder: Path, count: int = 5) -> Path:
    """A folder of numbered pictures."""
    for number in range(count):
        put(folder / f"{number}.png", encoded(number))
    return folder


def test_a_folder_is_played_as_a_live_camera(tmp_path: Path) -> None:
    """In natural order, numbered, without names as live frames are, and then it ends."""
    camera = ReplayCamera(replayed_folder(tmp_path / "night"), frames_per_second=10)
    camera.open()
    shots = [next_shot(camera) for _ in range(5)]
    assert [(shot.number, number_of(shot)) for shot in shots] == [(i, i) for i in range(5)]
    assert {(shot.frame, shot.part_id, shot.data) for shot in shots} == {("", "", None)}
    with pytest.raises(EndOfFramesError):
        camera.read(1)
    assert camera.file(3).frame == "3.png"
    assert camera.live


def test_in_a_loop_it_begins_anew(tmp_path: Path) -> None:
    """The numbers go on."""
    camera = ReplayCamera(replayed_folder(tmp_path / "night", 3), frames_per_second=100, loop=True)
    camera.open()
    shots = [next_shot(camera) for _ in range(8)]
    assert all(number_of(shot) == (shot.number or 0) % 3 for shot in shots)
    assert shots[-1].number is not None
    assert shots[-1].number >= 7


def test_pictures_beyond_the_memory_bound_are_decoded_when_they_are_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder larger than memory can be played."""
    monkeypatch.setattr(replayed, "MOST_BYTES", 2 * 64 * 64 * 3)
    camera = ReplayCamera(replayed_folder(tmp_path / "night"), frames_per_second=10)
    camera.open()
    assert len(camera._ahead) == 2
    assert [number_of(next_shot(camera)) for _ in range(5)] == list(range(5))


def test_a_picture_that_can_not_be_read_is_a_frame_with_a_problem(tmp_path: Path) -> None:
    """A frame like any other: its part was there."""
    (tmp_path / "1.png").write_bytes(b"no picture")
    camera = ReplayCamera(tmp_path, frames_per_second=10)
    camera.open()
    shot = next_shot(camera)
    assert shot.image is None
    assert str(shot.problem).startswith("not an image")


def test_without_pictures_there_is_nothing_to_play(tmp_path: Path) -> None:
    """An empty folder, or none; opened again once pictures are there, it plays."""
    camera = ReplayCamera(tmp_path / "night", frames_per_second=10)
    with pytest.raises(CameraLostError, match="no picture there"):
        camera.open()
    with pytest.raises(CameraLostError, match="open it first"):
        read_on(camera)
    replayed_folder(tmp_path / "night", 1)
    camera.open()
    assert next_shot(camera).number == 0
