"""Live video through OpenCV: RTSP, HTTP MJPEG, MPEG-TS over UDP, and cameras at USB."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pipeline.cameras.camera import CameraLostError, Shot
from pipeline.cameras.capture import READ_SECONDS, open_device, open_video, rgb
from pipeline.cameras.naming import without_secrets
from pipeline.cameras.pump import FramePump

SILENCE = READ_SECONDS + 2  # seconds; OpenCV's own limit comes first, where the source knows one


class LiveVideoCamera:
    """A free-running video stream or USB camera, whose frames parts must be found in.

    A thread reads it all the time, so that a slow reader gets the newest frames without a growing delay; `number`
    counts all frames that came, also those that nobody read.

    Args:
        address: `rtsp://`, `rtsps://`, `http://`, `https://`, `udp://`, or the number of a `/dev/video` device.
        size: width and height in pixels to ask a USB camera for; it gives 640 x 480 where it is not asked.
    """

    live = True
    every_frame_a_part = False

    def __init__(self, address: str | int, *, size: tuple[int, int] | None = None) -> None:
        self.name = f"/dev/video{address}" if isinstance(address, int) else without_secrets(address)
        self._address = address
        self._size = size
        self._pump: FramePump | None = None

    def open(self) -> None:
        """Connect; a stream is probed first, which takes a second or two.

        Raises:
            CameraLostError: it does not answer, asks for another password, or gives no video that FFmpeg reads.
        """
        self.close()
        address = self._address
        opened = open_device(address, self._size) if isinstance(address, int) else open_video(_for_ffmpeg(address))
        if opened is None:
            message = f"{self.name} does not answer or gives no video; check address, password, network and cable"
            raise CameraLostError(message)
        self._pump = FramePump(_Video(opened, self.name), name=self.name, silence=SILENCE)

    def read(self, seconds: float) -> Shot | None:
        """The next frame; None where none came within `seconds`.

        Raises:
            CameraLostError: the stream has ended, or nothing has come for seconds.
        """
        if self._pump is None:
            message = f"{self.name} is not open; open it first"
            raise CameraLostError(message)
        return self._pump.read(seconds)

    def close(self) -> None:
        """Disconnect."""
        if self._pump is not None:
            self._pump.stop()
        self._pump = None


class _Video:
    def __init__(self, capture: Any, name: str) -> None:
        self._capture = capture
        self._name = name
        self._number = 0

    def take(self) -> Shot:
        there, picture = self._capture.read()
        captured, captured_at = time.monotonic(), datetime.now(UTC)
        if not there:
            message = f"{self._name} gives no more frames; check camera and network"
            raise CameraLostError(message)
        self._number += 1
        return Shot(image=rgb(picture), captured_at=captured_at, captured=captured, number=self._number - 1)

    def release(self) -> None:
        self._capture.release()


def _for_ffmpeg(address: str) -> str:
    """For UDP, a burst that overruns FFmpeg's buffer costs frames and not the connection."""
    return f"{address}?overrun_nonfatal=1" if urlsplit(address).scheme == "udp" else address
