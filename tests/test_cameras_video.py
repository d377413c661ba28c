"""Video through OpenCV: files at their own pace or as fast as they are read, and live streams that break."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_samples import next_shot, number_of, read_on
from video_sources import ffmpeg, free_port, mjpeg_server, took, udp_stream, write_pictures, write_video

from pipeline.cameras import CameraLostError, EndOfFramesError, capture
from pipeline.cameras.live_video import LiveVideoCamera
from pipeline.cameras.naming import without_secrets
from pipeline.cameras.video_file import VideoFileCamera


def test_a_video_file_gives_every_frame_and_ends(tmp_path: Path) -> None:
    """In order, numbered from 0, then the end and no lost camera."""
    camera = VideoFileCamera(write_video(tmp_path / "line.mkv", 12))
    camera.open()
    shots = [next_shot(camera) for _ in range(12)]
    assert [shot.number for shot in shots] == list(range(12))
    assert [number_of(shot) for shot in shots] == list(range(12))
    with pytest.raises(EndOfFramesError, match="after 12 frames"):
        camera.read(1)
    assert not camera.live


def test_a_video_file_can_be_played_again(tmp_path: Path) -> None:
    """Opened again, it begins anew."""
    camera = VideoFileCamera(write_video(tmp_path / "line.mkv", 3))
    for _ in range(2):
        camera.open()
        assert (number_of(next_shot(camera)), number_of(next_shot(camera))) == (0, 1)
    camera.close()
    camera.close()
    with pytest.raises(CameraLostError, match="open it first"):
        camera.read(0)


def test_at_its_own_pace_frames_come_when_they_are_due(tmp_path: Path) -> None:
    """Ten frames at 20 a second take half a second; one that is not due is waited for as long as asked."""
    camera = VideoFileCamera(write_video(tmp_path / "line.mkv", 11, rate=20), pace=True)
    camera.open()
    begin = time.monotonic()
    first = next_shot(camera)
    assert camera.read(0.005) is None
    shots = [next_shot(camera) for _ in range(10)]
    assert 0.45 < took(begin) < 5
    assert camera.live
    assert shots[-1].captured - first.captured == pytest.approx(0.5)


def test_a_late_reader_of_a_paced_file_gets_every_frame_with_the_moment_it_was_due(tmp_path: Path) -> None:
    """So that the delay shows in the latency, as it does with a camera, and nothing is dropped."""
    camera = VideoFileCamera(write_video(tmp_path / "line.mkv", 8, rate=20), pace=True)
    camera.open()
    time.sleep(0.4)
    now = time.monotonic()
    shots = [camera.read(0) for _ in range(8)]
    assert [shot.number for shot in shots if shot] == list(range(8))
    assert shots[0] is not None
    assert now - shots[0].captured == pytest.approx(0.4, abs=0.2)


def test_no_video_is_a_lost_camera(tmp_path: Path) -> None:
    """A path that is wrong and a file that is no video are told apart."""
    (tmp_path / "notes.mp4").write_bytes(b"no video")
    with pytest.raises(CameraLostError, match="not a video that FFmpeg reads"):
        VideoFileCamera(tmp_path / "notes.mp4").open()
    with pytest.raises(CameraLostError, match="no such file"):
        VideoFileCamera(tmp_path / "gone.mp4").open()


def test_a_file_that_goes_away_is_no_end(tmp_path: Path) -> None:
    """A share that was unmounted while it played must not read as the end of the night."""
    path = write_video(tmp_path / "line.mkv", 3)
    camera = VideoFileCamera(path)
    camera.open()
    path.unlink()
    with pytest.raises(CameraLostError, match="no longer there"):
        read_on(camera)


@pytest.mark.server
def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    """A camera mounted on its side says so in the file, and the picture is turned."""
    wide = np.zeros((64, 96, 3), np.uint8)
    wide[:, :48] = (255, 0, 0)
    write_pictures(tmp_path / "wide.mp4", [wide] * 3)
    command = [ffmpeg(), "-v", "error", "-nostdin", "-i", str(tmp_path / "wide.mp4"), "-c", "copy"]
    subprocess.run([*command, "-metadata:s:v", "rotate=90", str(tmp_path / "turned.mp4")], check=True)
    camera = VideoFileCamera(tmp_path / "turned.mp4")
    camera.open()
    image = next_shot(camera).image
    assert image is not None
    assert image.shape == (96, 64, 3)
    red_rows = [int(image[y, :, 0].mean()) > 128 for y in (8, 88)]
    assert sorted(red_rows) == [False, True]


def test_an_http_stream_is_read_as_it_comes() -> None:
    """Frames in order, each with the moment it came; the name shows neither password nor token."""
    with mjpeg_server() as server:
        camera = LiveVideoCamera(server.address)
        camera.open()
        shots = [next_shot(camera) for _ in range(10)]
        camera.close()
    assert camera.name == f"http://127.0.0.1:{server.port}/video"
    numbers = [number_of(shot) for shot in shots]
    assert numbers == sorted(set(numbers))
    assert all(0 <= later.captured - shot.captured < 3 for shot, later in pairwise(shots))


def test_a_slow_reader_gets_the_newest_frames_and_sees_what_it_missed() -> None:
    """After a pause of two seconds at 50 frames a second a few frames wait, all of them young, behind a gap."""
    with mjpeg_server(rate=50) as server:
        camera = LiveVideoCamera(server.address)
        camera.open()
        before = next_shot(camera)
        time.sleep(2)
        now = time.monotonic()
        waited = next_shot(camera)
        camera.close()
    assert waited.number is not None
    assert before.number is not None
    assert waited.number - before.number > 20
    assert now - waited.captured < 1


def test_a_stream_that_breaks_is_a_lost_camera_and_comes_back() -> None:
    """Told at once, what came before is still given; while it is away opening fails; then it works again."""
    with mjpeg_server() as server:
        camera = LiveVideoCamera(server.address)
        camera.open()
        next_shot(camera)
        server.unplug()
        begin = time.monotonic()
        with pytest.raises(CameraLostError, match="no more frames") as lost:
            read_on(camera)
        assert took(begin) < 10
        assert "secret" not in str(lost.value)
        with pytest.raises(CameraLostError, match="does not answer") as refused:
            camera.open()
        assert "secret" not in str(refused.value)
        assert "1234" not in str(refused.value)
    with mjpeg_server(server.port):
        camera.open()
        assert next_shot(camera).image is not None
        camera.close()


def test_a_stream_that_hangs_is_a_lost_camera_within_seconds() -> None:
    """The connection stands and nothing comes: lost, and `read` comes back in time while it waits."""
    with mjpeg_server() as server:
        camera = LiveVideoCamera(server.address)
        camera.open()
        next_shot(camera)
        server.silent.set()
        begin = time.monotonic()
        with pytest.raises(CameraLostError):
            read_on(camera)
        assert took(begin) < 15
        camera.close()


def test_closing_does_not_wait_for_a_hanging_stream() -> None:
    """Shutting down takes no longer than a second, whatever the camera does."""
    with mjpeg_server() as server:
        camera = LiveVideoCamera(server.address)
        camera.open()
        next_shot(camera)
        server.silent.set()
        begin = time.monotonic()
        camera.close()
        assert took(begin) < 2


@pytest.mark.server
def test_an_mpeg_ts_stream_over_udp_breaks_and_comes_back() -> None:
    """Ffmpeg sends, is killed, and sends again."""
    port = free_port(socket.SOCK_DGRAM)
    camera = LiveVideoCamera(f"udp://127.0.0.1:{port}")
    with udp_stream(port) as process:
        camera.open()
        shot = next_shot(camera)
        assert shot.image is not None
        assert shot.image.shape == (240, 320, 3)
        process.kill()
        begin = time.monotonic()
        with pytest.raises(CameraLostError):
            read_on(camera)
        assert took(begin) < 15
    with udp_stream(port):
        camera.open()
        assert next_shot(camera).image is not None
    camera.close()


def test_a_udp_address_where_nobody_sends_is_given_up_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening does not hang."""
    monkeypatch.setattr(capture, "OPEN_SECONDS", 1.0)
    begin = time.monotonic()
    with pytest.raises(CameraLostError, match="does not answer"):
        LiveVideoCamera(f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}").open()
    assert took(begin) < 10


def test_nothing_is_written_to_the_terminal(tmp_path: Path) -> None:
    """Neither OpenCV nor FFmpeg speaks of a damaged video, a missing device or a stream that is not there."""
    video = write_video(tmp_path / "line.mkv", 30)
    data = bytearray(video.read_bytes())
    data[600:1600] = bytes(1000)
    video.write_bytes(data)
    code = (
        "from pipeline.cameras import *\n"
        "from pipeline.cameras.video_file import VideoFileCamera\n"
        "from pipeline.cameras.live_video import LiveVideoCamera\n"
        "from pathlib import Path\n"
        f"for camera in (VideoFileCamera(Path({str(video)!r})), LiveVideoCamera(97),"
        f" LiveVideoCamera('http://127.0.0.1:{free_port()}/')):\n"
        "    try:\n"
        "        camera.open()\n"
        "        while True: camera.read(1)\n"
        "    except (CameraLostError, EndOfFramesError) as error: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


class FakeCapture:
    """A USB camera with one size, or with any."""

    def __init__(self, *_: object) -> None:
        self.size = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0}

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """It is there."""
        return True

    def set(self, what: int, value: float) -> bool:
        """Any size will do."""
        self.size[what] = value
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        """A black picture of the size."""
        time.sleep(0.01)
        width, height = (int(side) for side in self.size.values())
        return True, np.zeros((height, width, 3), np.uint8)

    def release(self) -> None:
        """Nothing to do."""


def test_a_usb_camera_is_asked_for_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV takes 640 x 480 where nobody asks for more."""
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    camera = LiveVideoCamera(0, size=(1920, 1080))
    camera.open()
    image = next_shot(camera).image
    camera.close()
    assert image is not None
    assert image.shape == (1080, 1920, 3)
    assert camera.name == "/dev/video0"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://admin:pa@ss@10.0.0.7:554/live/main", "rtsp://10.0.0.7:554/live/main"),
        ("rtsp://10.0.0.7/user=admin_password=tl_channel=1", "rtsp://10.0.0.7/user=***_password=***_channel=1"),
        ("http://10.0.0.7/video.mjpg?user=a&pwd=b#c", "http://10.0.0.7/video.mjpg"),
        ("udp://239.0.0.1:5000", "udp://239.0.0.1:5000"),
    ],
)
def test_a_name_has_no_secrets(address: str, name: str) -> None:
    """Users, passwords and tokens are left out, wherever cameras want them."""
    assert without_secrets(address) == name
