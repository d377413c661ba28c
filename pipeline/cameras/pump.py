"""A thread that takes frames off a live device as they come, so that whoever reads slowly sees the newest ones."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from pipeline.cameras.camera import CameraLostError

if TYPE_CHECKING:
    from pipeline.cameras.camera import Shot

KEEP = 4  # newest frames that wait to be read
STOP_SECONDS = 0.5


class Device(Protocol):
    """An open device, used and released by one thread alone."""

    def take(self) -> Shot | None:
        """The next frame, None where none came within a moment (at most a few seconds).

        Raises:
            CameraLostError: it no longer answers.
        """

    def release(self) -> None:
        """Give it free; raises nothing."""


class FramePump:
    """Takes frames off a device and keeps the newest few; what nobody read in time is dropped, the oldest first.

    The frames' numbers show what was dropped.

    Args:
        device: what to take from; the pump releases it when it ends.
        name: the camera's name, for messages.
        silence: seconds without a frame after which the device counts as lost; None where it may be silent for long.
    """

    def __init__(self, device: Device, *, name: str, silence: float | None) -> None:
        self._device = device
        self._name = name
        self._silence = silence
        self._shots: deque[Shot] = deque(maxlen=KEEP)
        self._changed = threading.Condition()
        self._stopped = False
        self._ended: CameraLostError | None = None
        self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._thread.start()

    def read(self, seconds: float) -> Shot | None:
        """The oldest frame that waits; None where none came within `seconds`.

        Raises:
            CameraLostError: the device no longer answers, and all that came before has been read.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._shots or self._ended, seconds)
            if self._shots:
                return self._shots.popleft()
            if self._ended is not None:
                raise CameraLostError(*self._ended.args)
            if self._silence is not None and time.monotonic() - self._heard > self._silence:
                message = f"{self._name} has given no frame for {self._silence:.0f} s; check camera and network"
                raise CameraLostError(message)
            return None

    def stop(self) -> None:
        """End the thread; the device is released at once, or as soon as a call into it comes back."""
        self._stopped = True
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopped:
                shot = self._device.take()
                if shot is not None:
                    with self._changed:
                        self._shots.append(shot)
                        self._heard = time.monotonic()
                        self._changed.notify()
        except CameraLostError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - a thread's error would end unseen, and the camera with it
            what = f"{type(error).__name__}: {error}"
            self._end(CameraLostError(f"{self._name} failed ({what}); open it again, and report this"))
        finally:
            self._device.release()

    def _end(self, error: CameraLostError) -> None:
        with self._changed:
            self._ended = error
            self._changed.notify()
