"""A free-running camera: the bottle video over HTTP MJPEG in real time, through the command, one frame a bottle."""

from __future__ import annotations

import json
import subprocess

import cv2
import pytest
from drawn_line import calibrated, enrol
from drawn_night import COMMAND, environment
from video_sources import ffmpeg, free_port

from pipeline.records import VerdictRecords
from pipeline.workspace import Workspace

PLACED = 4  # counted by eye: put down at 13.5, 24.5, 29.0 and 36.5 s; three more stand there from the start


@pytest.mark.real_data
@pytest.mark.server
@pytest.mark.slow
def test_each_placed_bottle_is_judged_once(real_data, tmp_path):
    """In the records and in the signals; the frames in between are no parts."""
    file = real_data / "line_video" / "bottle-detection.mp4"
    workspace = Workspace(home=tmp_path / "home", references=tmp_path / "home" / "reference_images")
    enrol(workspace, "bottle", [first_frame(file)])
    calibrated(workspace, "bottle")
    url = f"http://127.0.0.1:{free_port()}/feed"
    play = [ffmpeg(), "-nostdin", "-v", "error", "-re", "-i", str(file), "-c:v", "mjpeg", "-q:v", "3"]
    with subprocess.Popen([*play, "-f", "mpjpeg", "-listen", "1", url]) as camera:
        command = [COMMAND, "stream", "bottle", "--source", url, "--seconds", "46", "--json"]
        done = subprocess.run(
            command, env=environment(workspace.home), capture_output=True, text=True, check=False, timeout=200
        )
        camera.terminate()
    assert done.returncode == 0, done.stderr
    *signals, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert abs(len(signals) - PLACED) <= 1
    assert summary["captured"] == len(signals)
    with VerdictRecords(workspace.records_url) as records:
        rows = records.rows()
    assert sorted(row["frame"] for row in rows) == sorted(signal["frame"] for signal in signals)
    assert all(row["similarity"] is not None for row in rows)


def first_frame(file):
    """The table with its three bottles, (360, 640, 3) RGB uint8."""
    video = cv2.VideoCapture(str(file))
    _, picture = video.read()
    video.release()
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
