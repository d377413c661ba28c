"""A camera that is opened again and again after it was lost, while whoever reads it goes on in time."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.cameras.camera import CameraLostError

if TYPE_CHECKING:
    from pipeline.cameras.camera import Camera, Shot

FIRST_SECONDS, LAST_SECONDS = 0.5, 30.0
STOP_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class CameraNews:
    """The camera was lost, or is back; `said` for people, `at` in UTC."""

    up: bool
    said: str
    at: datetime


class ReconnectingCamera:
    """Reads one camera for days: a loss is news, and the camera is opened again in the background.

    The pause between two attempts doubles from `first_seconds` to `last_seconds`, each shortened by up to half at
    random, so that many lines do not come back to one switch in the same moment. It begins small again once a frame
    has come.

    Args:
        camera: the camera, not open.
        first_seconds: the first pause.
        last_seconds: the longest pause.
    """

    def __init__(
        self, camera: Camera, *, first_seconds: float = FIRST_SECONDS, last_seconds: float = LAST_SECONDS
    ) -> None:
        self._camera = camera
        self._first, self._last = first_seconds, last_seconds
        self._pause = first_seconds
        self._turn = threading.Lock()  # one attempt at a time, also after a hanging one was given up
        self._attempt: _Attempt | None = None
        self._lost_since: float | None = None
        self.up = False

    @property
    def name(self) -> str:
        """The camera's address without secrets."""
        return self._camera.name

    @property
    def live(self) -> bool:
        """Whether a frame that is not read in time is lost."""
        return self._camera.live

    @property
    def every_frame_a_part(self) -> bool:
        """Whether each frame is of a part of its own."""
        return self._camera.every_frame_a_part

    def open(self) -> None:
        """Begin to open the camera; comes back at once. Whether it worked, `read` and `up` tell."""
        self.close()
        self._attempt = _Attempt(self._camera, self._turn, after=0.0)

    def read(self, seconds: float) -> Shot | CameraNews | None:
        """The next frame, or that the camera was lost or is back; None where neither came within `seconds`.

        That the camera was opened for the first time is no news, that it could not be is.

        Raises:
            EndOfFramesError: there will be no further frame.
            Exception: whatever else opening the camera raises; trying again would not help.
        """
        if self._attempt is not None:
            return self._opened(self._attempt, seconds)
        if not self.up:
            message = f"{self.name} is not open; open it first"
            raise CameraLostError(message)
        try:
            shot = self._camera.read(seconds)
        except CameraLostError as error:
            return self._lost(error)
        if shot is not None:
            self._pause = self._first
        return shot

    def close(self) -> None:
        """Give the camera free and try no more; comes back at once, also where the camera hangs."""
        self.up = False
        self._lost_since = None
        self._pause = self._first
        if self._attempt is None or self._attempt.stop():
            self._camera.close()
        self._attempt = None

    def _opened(self, attempt: _Attempt, seconds: float) -> CameraNews | None:
        """What has become of the attempt within `seconds`."""
        if not attempt.done.wait(seconds):
            return None
        self._attempt = None
        if isinstance(attempt.error, CameraLostError):
            return self._lost(attempt.error)
        if attempt.error is not None:
            raise attempt.error
        self.up = True
        if self._lost_since is None:
            return None
        away = time.monotonic() - self._lost_since
        self._lost_since = None
        return CameraNews(up=True, said=f"{self.name} is back after {away:.0f} s", at=datetime.now(UTC))

    def _lost(self, error: CameraLostError) -> CameraNews | None:
        """Try again after a pause; news where the camera was not known to be lost."""
        known = self._lost_since is not None
        self.up = False
        self._lost_since = self._lost_since or time.monotonic()
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._pause = min(self._pause * 2, self._last)
        self._attempt = _Attempt(self._camera, self._turn, after=pause)
        return None if known else CameraNews(up=False, said=str(error), at=datetime.now(UTC))


class _Attempt:
    """One attempt to open a camera, in a thread of its own, after a pause; `error` is None where it is open then."""

    def __init__(self, camera: Camera, turn: threading.Lock, *, after: float) -> None:
        self.done = threading.Event()
        self.error: Exception | None = None
        self._camera = camera
        self._turn = turn
        self._after = after
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"opening {camera.name}", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Give up; False where the camera still hangs in opening, and is closed as soon as that comes back."""
        self._stop.set()
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with self._turn:
            try:
                self._camera.close()
                if not self._stop.wait(self._after):
                    self._camera.open()
            except Exception as error:  # noqa: BLE001 - told to the reader, who raises it
                self.error = error
            if self._stop.is_set():
                with contextlib.suppress(Exception):
                    self._camera.close()
        self.done.set()
