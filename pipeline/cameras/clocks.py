"""When and as which a frame was taken: the camera's own clock and count, told on ours."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

DRIFT = 1e-4  # clocks of cameras and computers go apart by no more than this share of the time
LAST_SHORT_BLOCK = 65535


class DeviceClock:
    """Learns what the camera's clock shows against `time.monotonic()`.

    A frame is never taken after it came; the one with the shortest way tells the difference of the clocks best
    (Cristian, "Probabilistic clock synchronization", 1989). So a frame that waited in a buffer has its true age,
    however long it waited. A clock that goes backwards was set anew, as when the camera was restarted.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._learned = self._newest = 0.0

    def captured(self, device_seconds: float | None) -> float:
        """The moment of a frame that comes now, on `time.monotonic()`; now, where the camera has no clock."""
        now = time.monotonic()
        if not device_seconds:
            return now
        offset = now - device_seconds
        if self._offset is not None and device_seconds >= self._newest:
            offset = min(offset, self._offset + DRIFT * (now - self._learned))
        self._offset, self._learned, self._newest = offset, now, device_seconds
        return device_seconds + offset


class BlockCount:
    """A camera's block ids as one count that goes on.

    GigE Vision 1 counts from 1 to 65535 and then from 1 again, which at 25 frames a second is every 44 minutes.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._number = 0

    def number(self, block: int) -> int:
        """The number of the frame with this id; its gaps are those of the ids."""
        step = block if self._last is None else block - self._last
        if self._last is not None and self._last <= LAST_SHORT_BLOCK and step < -LAST_SHORT_BLOCK // 2:
            step += LAST_SHORT_BLOCK
        self._last = block
        self._number += step
        return self._number


def in_utc(captured: float) -> datetime:
    """A moment on `time.monotonic()`, in UTC."""
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - captured)
