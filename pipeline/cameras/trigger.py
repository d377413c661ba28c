"""The clock of a camera that is triggered by the line: it waits for nobody, and what is not read in time is lost."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.cameras.camera import CameraLostError, EndOfFramesError
from pipeline.cameras.clocks import in_utc
from pipeline.cameras.problems import CameraSetupError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

KEEP = 4  # pictures that a camera's own memory holds
FASTEST = 1000.0  # frames a second


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time in which the camera does not answer: it begins `at` seconds after the first `open`."""

    at: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One trigger: its number from 0, and when it was, on `time.monotonic()` and in UTC."""

    number: int
    captured: float
    captured_at: datetime


class Trigger:
    """Fires at a steady rate from the first `open` on, also while the camera is lost or closed.

    Args:
        name: the camera's name, for messages.
        frames_per_second: how often it fires.
        frames: after how many it ends; None: never.
        outages: when the camera does not answer; what is triggered then is lost.

    Raises:
        CameraSetupError: the rate is not above 0 and at most 1000 a second, or there is not one frame.
    """

    def __init__(
        self, *, name: str, frames_per_second: float, frames: int | None = None, outages: Sequence[Outage] = ()
    ) -> None:
        if not 0 < frames_per_second <= FASTEST or (frames is not None and frames < 1):
            message = (
                f"{name}: a camera gives 1 frame or more, above 0 and up to {FASTEST:.0f} a second; mend fps, frames"
            )
            raise CameraSetupError(message)
        self._name = name
        self._rate = frames_per_second
        self._frames = frames
        self._outages = outages
        self._began: float | None = None
        self._next = 0
        self._open = False

    def open(self) -> None:
        """Start the clock, or take up again what it gives from now on.

        Raises:
            CameraLostError: the camera does not answer now.
        """
        now = time.monotonic()
        if self._began is None:
            self._began = now
        self._check_answer(now - self._began)
        self._next = max(self._next, math.ceil((now - self._began) * self._rate))
        self._open = True

    def wait(self, seconds: float) -> Tick | None:
        """The next trigger; None where it does not come within `seconds`. The newest few wait to be asked for.

        Raises:
            CameraLostError: an outage has begun, or it is not open.
            EndOfFramesError: all frames were triggered.
        """
        if self._began is None or not self._open:
            message = f"{self._name} is not open; open it first"
            raise CameraLostError(message)
        passed = time.monotonic() - self._began
        self._check_answer(passed)
        self._next = max(self._next, math.floor(passed * self._rate) - KEEP + 1)
        if self._frames is not None and self._next >= self._frames:
            message = f"{self._name} has ended after {self._frames} frames"
            raise EndOfFramesError(message)
        due = self._next / self._rate
        time.sleep(max(min(due - passed, seconds), 0.0))
        passed = time.monotonic() - self._began
        self._check_answer(passed)
        if due > passed:
            return None
        self._next += 1
        captured = self._began + due
        return Tick(number=self._next - 1, captured=captured, captured_at=in_utc(captured))

    def close(self) -> None:
        """The clock goes on; nothing is kept meanwhile."""
        self._open = False

    def _check_answer(self, passed: float) -> None:
        if any(outage.at <= passed < outage.at + outage.seconds for outage in self._outages):
            self._open = False
            message = f"{self._name} does not answer, as it was told to; it comes back by itself"
            raise CameraLostError(message)
