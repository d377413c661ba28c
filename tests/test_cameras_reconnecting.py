"""A camera that is lost again and again: each loss is news, and whoever reads goes on in time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from camera_samples import encoded, numbered, put

from inspection.errors import GoldentwinError
from pipeline.cameras import CameraLostError, EndOfFramesError, Shot
from pipeline.cameras.folder import FolderCamera
from pipeline.cameras.reconnecting import CameraNews, ReconnectingCamera
from pipeline.cameras.simulated import SimulatedCamera
from pipeline.cameras.trigger import Outage


class ScriptedCamera:
    """Does what a test says: `opening` runs when it is opened, `reading` when it is read."""

    name = "scripted"
    live = True
    every_frame_a_part = True

    def __init__(self) -> None:
        self.opening: Callable[[], None] = lambda: None
        self.reading: Callable[[], Shot | None] = a_shot
        self.opened: list[float] = []
        self.is_open = False

    def open(self) -> None:
        """As the script says."""
        self.opened.append(time.monotonic())
        self.opening()
        self.is_open = True

    def read(self, seconds: float) -> Shot | None:
        """As the script says."""
        assert self.is_open
        shot = self.reading()
        if shot is None:
            time.sleep(seconds)
        return shot

    def close(self) -> None:
        """Noted."""
        self.is_open = False


def a_shot() -> Shot:
    """Some picture."""
    return Shot(image=numbered(1), captured_at=datetime.now(UTC), captured=time.monotonic())


def lose() -> Shot | None:
    """The camera does not answer."""
    message = "scripted does not answer; plug it in"
    raise CameraLostError(message)


def refuse() -> None:
    """The same when it is opened."""
    lose()


def next_thing(camera: ReconnectingCamera, seconds: float = 10) -> Shot | CameraNews:
    """The next shot or news, while every call comes back in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begin = time.monotonic()
        came = camera.read(0.05)
        assert time.monotonic() - begin < 1.5
        if came is not None:
            return came
    message = "nothing came"
    raise AssertionError(message)


def wait_for(true: Callable[[], bool]) -> None:
    """Wait until something has become so."""
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def scripted() -> ScriptedCamera:
    """A camera that works until a test says otherwise."""
    return ScriptedCamera()


def test_while_it_works_frames_come_through(scripted: ScriptedCamera) -> None:
    """That it was opened is no news."""
    camera = ReconnectingCamera(scripted)
    camera.open()
    assert isinstance(next_thing(camera), Shot)
    assert camera.up
    assert (camera.name, camera.live, camera.every_frame_a_part) == ("scripted", True, True)
    camera.close()
    assert not scripted.is_open
    assert not camera.up


def test_a_loss_is_told_once_and_the_return_too(scripted: ScriptedCamera) -> None:
    """Lost, then silence while attempts fail, then back, then frames."""
    camera = ReconnectingCamera(scripted, first_seconds=0.01, last_seconds=0.02)
    camera.open()
    next_thing(camera)
    scripted.opening, scripted.reading = refuse, lose
    lost = next_thing(camera)
    assert isinstance(lost, CameraNews)
    assert (lost.up, lost.said, camera.up) == (False, "scripted does not answer; plug it in", False)
    assert [camera.read(0.03) for _ in range(10)] == [None] * 10
    assert len(scripted.opened) > 3
    scripted.opening, scripted.reading = lambda: None, a_shot
    back = next_thing(camera)
    assert isinstance(back, CameraNews)
    assert (back.up, camera.up) == (True, True)
    assert "is back after" in back.said
    assert isinstance(next_thing(camera), Shot)


def test_a_camera_that_is_not_there_at_the_start_is_news(scripted: ScriptedCamera) -> None:
    """The line starts all the same, and goes on when the camera comes."""
    scripted.opening = refuse
    camera = ReconnectingCamera(scripted, first_seconds=0.01, last_seconds=0.02)
    camera.open()
    lost = next_thing(camera)
    assert isinstance(lost, CameraNews)
    assert not lost.up
    scripted.opening = lambda: None
    back = next_thing(camera)
    assert isinstance(back, CameraNews)
    assert back.up


def test_pauses_grow_and_begin_small_again_after_a_frame(scripted: ScriptedCamera) -> None:
    """Each attempt waits about twice as long as the one before, up to the last; a frame resets that."""
    camera = ReconnectingCamera(scripted, first_seconds=0.08, last_seconds=0.32)
    scripted.opening = refuse
    camera.open()
    while len(scripted.opened) < 7:
        camera.read(0.01)
    pauses = [later - earlier for earlier, later in pairwise(scripted.opened)]
    assert 0.03 < pauses[0] < 0.3
    assert all(0.15 < pause < 0.9 for pause in pauses[3:])
    scripted.opening = lambda: None
    while not isinstance(next_thing(camera), Shot):
        pass
    scripted.reading = lose
    begin = time.monotonic()
    next_thing(camera)
    count = len(scripted.opened)
    wait_for(lambda: len(scripted.opened) > count)
    assert scripted.opened[count] - begin < 0.3


def test_reading_goes_on_in_time_while_opening_hangs_and_closing_does_not_wait(scripted: ScriptedCamera) -> None:
    """A camera that takes seconds to open blocks neither the line nor its end; it is closed when it comes back."""
    hanging = threading.Event()

    def hang() -> None:
        hanging.wait(10)

    scripted.opening = hang
    camera = ReconnectingCamera(scripted)
    camera.open()
    begin = time.monotonic()
    assert camera.read(0.1) is None
    assert time.monotonic() - begin < 1
    camera.close()
    assert time.monotonic() - begin < 3
    hanging.set()
    wait_for(lambda: scripted.is_open is False)
    camera.open()
    assert isinstance(next_thing(camera), Shot)


def test_closing_while_it_waits_for_the_next_attempt_is_immediate(scripted: ScriptedCamera) -> None:
    """Nobody waits half a minute for a line to stop."""
    scripted.opening = refuse
    camera = ReconnectingCamera(scripted, first_seconds=30, last_seconds=30)
    camera.open()
    next_thing(camera)
    begin = time.monotonic()
    camera.close()
    assert time.monotonic() - begin < 0.4
    assert len(scripted.opened) == 1


def test_the_end_of_a_file_is_passed_on(scripted: ScriptedCamera) -> None:
    """A video that has ended is not opened again."""

    def end() -> Shot | None:
        message = "scripted has ended"
        raise EndOfFramesError(message)

    scripted.reading = end
    camera = ReconnectingCamera(scripted)
    camera.open()
    with pytest.raises(EndOfFramesError, match="scripted has ended"):
        next_thing(camera)


def test_an_error_that_trying_again_does_not_mend_is_raised(scripted: ScriptedCamera) -> None:
    """A missing library, say: the line must not pretend that the camera may come."""

    def miss() -> None:
        message = "install it"
        raise GoldentwinError(message)

    scripted.opening = miss
    camera = ReconnectingCamera(scripted)
    camera.open()
    with pytest.raises(GoldentwinError, match="install it"):
        next_thing(camera)


def test_one_that_was_never_opened_says_so(scripted: ScriptedCamera) -> None:
    """And may be closed all the same."""
    camera = ReconnectingCamera(scripted)
    camera.close()
    with pytest.raises(CameraLostError, match="open it first"):
        camera.read(0)


def test_a_folder_that_was_unmounted_comes_back_without_losing_a_picture(tmp_path: Path) -> None:
    """What was put there meanwhile is given, and nothing twice."""
    folder = tmp_path / "frames"
    put(folder / "1.png", encoded(1))
    camera = ReconnectingCamera(FolderCamera(folder), first_seconds=0.02, last_seconds=0.05)
    camera.open()
    first = next_thing(camera)
    folder.rename(tmp_path / "away")
    lost = next_thing(camera)
    put(tmp_path / "away" / "2.png", encoded(2))
    (tmp_path / "away").rename(folder)
    back, second = next_thing(camera), next_thing(camera)
    camera.close()
    assert isinstance(lost, CameraNews)
    assert isinstance(back, CameraNews)
    assert isinstance(first, Shot)
    assert isinstance(second, Shot)
    assert (lost.up, back.up, first.frame, second.frame) == (False, True, "1.png", "2.png")


def test_five_outages_of_a_simulated_line_are_five_losses_and_returns() -> None:
    """And the numbers show a gap for each."""
    outages = [Outage(at=0.4 + i, seconds=0.5) for i in range(5)]
    line = SimulatedCamera(size=192, boards=1, frames_per_second=50, frames=270, outages=outages)
    line.open()  # draws
    camera = ReconnectingCamera(line, first_seconds=0.02, last_seconds=0.05)
    camera.open()
    came: list[Shot | CameraNews] = []
    with contextlib.suppress(EndOfFramesError):
        while len(came) < 1000:
            came.append(next_thing(camera))
    camera.close()
    news = [one.up for one in came if isinstance(one, CameraNews)]
    numbers = [one.number or 0 for one in came if isinstance(one, Shot)]
    assert news == [False, True] * 5
    assert sum(later - earlier > 5 for earlier, later in pairwise(numbers)) >= 5
