"""GigE Vision cameras through Aravis, against its fake camera on loopback."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from camera_samples import next_shot, read_on
from programs import program
from video_sources import took

from pipeline.cameras import CameraLostError, aravis_library
from pipeline.cameras.aravis import AravisCamera
from pipeline.cameras.problems import CameraSetupError

FAKE_CAMERA = "arv-fake-gv-camera-0.8"


@contextmanager
def fake_gige_camera(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Aravis' fake GigE camera on loopback, 25 frames a second of 512 x 512 grey pixels."""
    process = subprocess.Popen([program(FAKE_CAMERA, "aravis-tools"), "-i", "127.0.0.1", "-s", "GT01", *options])
    time.sleep(0.5)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def opened(camera: AravisCamera) -> AravisCamera:
    """The camera, open; one that has just been started, or let go, may need a moment."""
    until = time.monotonic() + 15
    while True:
        try:
            camera.open()
        except CameraLostError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return camera


@pytest.mark.server
@pytest.mark.parametrize("name", ["127.0.0.1", "GT01"], ids=["address", "serial number"])
def test_a_gige_camera_gives_numbered_frames(name: str) -> None:
    """By its address or its serial number."""
    with fake_gige_camera():
        camera = opened(AravisCamera(name))
        shots = [next_shot(camera) for _ in range(5)]
        camera.close()
    numbers = [shot.number for shot in shots]
    assert numbers == [(numbers[0] or 0) + i for i in range(5)]
    assert all(shot.image is not None and shot.image.shape == (512, 512, 3) for shot in shots)
    assert all(shot.image is not None and shot.image.std() > 1 for shot in shots)
    assert 0 <= time.monotonic() - shots[-1].captured < 2


@pytest.mark.server
@pytest.mark.slow
def test_a_gige_camera_that_loses_power_is_lost_and_comes_back() -> None:
    """Told within seconds; while it is away it can't be opened; then it works again."""
    camera = AravisCamera("127.0.0.1")
    with fake_gige_camera() as process:
        opened(camera)
        next_shot(camera)
        process.kill()
        begin = time.monotonic()
        with pytest.raises(CameraLostError, match="no longer answers"):
            read_on(camera)
        assert took(begin) < 10
        with pytest.raises(CameraLostError, match="can't be opened"):
            camera.open()
    with fake_gige_camera():
        opened(camera)
        assert next_shot(camera).image is not None
        camera.close()


@pytest.mark.server
@pytest.mark.parametrize("trigger", [None, "Software"], ids=["free-running", "triggered"])
def test_a_gige_camera_that_was_switched_off_and_on_is_lost(trigger: str | None) -> None:
    """It answers again, but has forgotten us and would never send a frame."""
    with fake_gige_camera():
        camera = opened(AravisCamera("127.0.0.1", trigger=trigger))
    with fake_gige_camera():
        with pytest.raises(CameraLostError):
            read_on(camera)
        opened(camera)
        camera.close()


@pytest.mark.server
def test_a_gige_camera_that_is_not_triggered_is_not_lost() -> None:
    """Three seconds without a part on the belt are no loss; a trigger that it has not is refused."""
    with fake_gige_camera():
        camera = opened(AravisCamera("127.0.0.1", trigger="Software"))
        assert camera.read(3) is None
        camera.close()
        with pytest.raises(CameraSetupError, match="can't be triggered by Line77"):
            opened(AravisCamera("127.0.0.1", trigger="Line77"))
    assert camera.every_frame_a_part


@pytest.mark.server
def test_a_frame_of_which_packets_were_lost_is_a_problem_and_not_a_picture() -> None:
    """Half a picture must not be judged; that its part was there is known."""
    with fake_gige_camera("-r", "20"):
        camera = opened(AravisCamera("127.0.0.1"))
        problems = [str(shot.problem) for shot in (next_shot(camera) for _ in range(30)) if shot.image is None]
        camera.close()
    assert any("packets of it were lost" in problem for problem in problems)


def test_without_aravis_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no Python package."""
    aravis_library.load_aravis.cache_clear()
    monkeypatch.setattr(aravis_library, "NAMES", ("libnothing.so",))
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    with pytest.raises(CameraSetupError, match=r"apt-get install libaravis-0\.8-0"):
        AravisCamera("127.0.0.1").open()
    aravis_library.load_aravis.cache_clear()
