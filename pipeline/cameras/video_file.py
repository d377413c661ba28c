"""A video file, frame by frame: as fast as it is read, or at its own pace as a camera would give it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import cv2

from pipeline.cameras.camera import CameraLostError, EndOfFramesError, Shot
from pipeline.cameras.capture import open_video, rgb
from pipeline.cameras.clocks import in_utc

if TYPE_CHECKING:
    from pathlib import Path

USUAL_RATE = 25.0  # frames a second where the file does not say
FASTEST = 1000.0


class VideoFileCamera:
    """Gives the frames of a video file, upright; `number` counts them from 0.

    Args:
        path: the file.
        pace: whether to give each frame when it is due at the file's frame rate, counted from `open`. A frame read
            late has still the moment when it was due as its `captured`; none is dropped.
    """

    every_frame_a_part = False

    def __init__(self, path: Path, *, pace: bool = False) -> None:
        self.name = str(path)
        self.live = pace
        self._path = path
        self._capture: Any = None
        self._number = 0
        self._seconds_a_frame = 1 / USUAL_RATE
        self._began = 0.0

    def open(self) -> None:
        """Begin with the first frame.

        Raises:
            CameraLostError: there is no such file, or it is no video that FFmpeg reads.
        """
        self.close()
        self._capture = open_video(str(self._path.absolute()))  # absolute: never taken for an address
        if self._capture is None:
            why = "not a video that FFmpeg reads" if self._path.is_file() else "no such file"
            message = f"{self.name} can't be played, {why}; check the path, or convert it with ffmpeg"
            raise CameraLostError(message)
        self._seconds_a_frame = 1 / _rate(self._capture)
        self._number = 0
        self._began = time.monotonic()

    def read(self, seconds: float) -> Shot | None:
        """The next frame; None where it is not due within `seconds`.

        Raises:
            EndOfFramesError: the file has ended.
            CameraLostError: it is not open, or is no longer there.
        """
        if self._capture is None:
            message = f"{self.name} is not open; open it first"
            raise CameraLostError(message)
        captured = self._when_due(seconds) if self.live else time.monotonic()
        if captured is None:
            return None
        there, picture = self._capture.read()
        if not there:
            self._end()
        shot = Shot(
            image=rgb(picture),
            captured_at=in_utc(captured),
            captured=captured,
            number=self._number,
        )
        self._number += 1
        return shot

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def _when_due(self, seconds: float) -> float | None:
        due = self._began + self._number * self._seconds_a_frame
        wait = due - time.monotonic()
        time.sleep(max(min(wait, seconds), 0.0))
        return due if wait <= seconds else None

    def _end(self) -> None:
        if self._path.is_file():
            message = f"{self.name} has ended after {self._number} frames"
            raise EndOfFramesError(message)
        message = f"{self.name} is no longer there, after {self._number} frames; put it back, it begins anew"
        raise CameraLostError(message)


def _rate(capture: Any) -> float:
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if math.isfinite(rate) and 0 < rate <= FASTEST else USUAL_RATE
