"""Network cameras that speak RTSP, with a password."""

from __future__ import annotations

from pathlib import Path

import pytest
from camera_samples import next_shot, read_on
from rtsp_server import rtsp_camera

from pipeline.cameras import CameraLostError
from pipeline.cameras.live_video import LiveVideoCamera

pytestmark = pytest.mark.server


def test_an_rtsp_camera_gives_frames_for_its_password(tmp_path: Path) -> None:
    """The name and the errors do not show it."""
    with rtsp_camera(tmp_path) as server:
        camera = LiveVideoCamera(server.address)
        camera.open()
        shots = [next_shot(camera) for _ in range(5)]
        camera.close()
        port = server.server_address[1]
        with pytest.raises(CameraLostError, match="check address, password") as refused:
            LiveVideoCamera(f"rtsp://admin:wrong@127.0.0.1:{port}/live").open()
    assert [shot.image.shape for shot in shots if shot.image is not None] == [(240, 320, 3)] * 5
    assert camera.name == f"rtsp://127.0.0.1:{port}/live"
    assert "wrong" not in str(refused.value)


def test_an_rtsp_camera_that_is_unplugged_is_lost_and_comes_back(tmp_path: Path) -> None:
    """Within seconds, and under the same address."""
    with rtsp_camera(tmp_path) as server:
        camera = LiveVideoCamera(server.address)
        camera.open()
        next_shot(camera)
        server.unplug()
        with pytest.raises(CameraLostError):
            read_on(camera)
        with pytest.raises(CameraLostError):
            camera.open()
    with rtsp_camera(tmp_path, server.server_address[1]):
        camera.open()
        assert next_shot(camera).image is not None
        camera.close()
