"""A folder's pictures played as a live triggered camera would give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspection.verdicts import Reason
from pipeline.cameras.camera import CameraLostError, Shot
from pipeline.cameras.trigger import Trigger
from pipeline.reading import FrameFile, list_frames, read_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from pipeline.cameras.trigger import Outage

MOST_BYTES = 512_000_000  # of pictures decoded ahead; the others are decoded when they are due


class ReplayCamera:
    """The pictures of a folder in natural order, at a steady rate; what is not read in time is lost.

    The pictures are decoded at `open`, as many as half a gigabyte holds. As with a camera, frames have a `number` and
    no name; `file(number)` says which picture it was.

    Args:
        folder: where the pictures lie, sub-folders too.
        frames_per_second: how often one comes.
        loop: whether to begin anew after the last; `number` goes on.
        outages: when the camera does not answer.

    Raises:
        CameraSetupError: the rate is out of range.
    """

    live = True
    every_frame_a_part = True

    def __init__(
        self, folder: Path, *, frames_per_second: float = 5.0, loop: bool = False, outages: Sequence[Outage] = ()
    ) -> None:
        self.name = f"replay of {folder}"
        self._folder = folder
        self._rate, self._loop, self._outages = frames_per_second, loop, outages
        self._trigger = Trigger(name=self.name, frames_per_second=frames_per_second, outages=outages)
        self._files: list[FrameFile] = []
        self._ahead: list[tuple[NDArray[np.uint8] | None, str | None]] = []

    def open(self) -> None:
        """Find and decode the pictures, once, and start the line.

        Raises:
            CameraLostError: the folder holds no picture, or an outage is simulated.
        """
        if not self._files:
            self._files = list_frames([self._folder]) if self._folder.is_dir() else []
            if not self._files:
                message = f"{self.name}: no picture there; give a folder with PNG, JPEG, TIFF or BMP files"
                raise CameraLostError(message)
            self._decode_ahead()
            frames = None if self._loop else len(self._files)
            self._trigger = Trigger(name=self.name, frames_per_second=self._rate, frames=frames, outages=self._outages)
        self._trigger.open()

    def read(self, seconds: float) -> Shot | None:
        """The next picture; None where none comes within `seconds`.

        Raises:
            CameraLostError: an outage is simulated, or it is not open.
            EndOfFramesError: the last picture was triggered, and it does not loop.
        """
        tick = self._trigger.wait(seconds)
        if tick is None:
            return None
        image, problem = self._picture(tick.number % len(self._files))
        return Shot(
            image=image, problem=problem, captured_at=tick.captured_at, captured=tick.captured, number=tick.number
        )

    def close(self) -> None:
        """Stop reading; the line goes on."""
        self._trigger.close()

    def file(self, number: int) -> FrameFile:
        """The picture of a frame's number, once the camera was opened."""
        return self._files[number % len(self._files)]

    def _decode_ahead(self) -> None:
        left = MOST_BYTES
        for file in self._files:
            picture = _decoded(file)
            left -= 0 if picture[0] is None else picture[0].nbytes
            if left < 0:
                return
            self._ahead.append(picture)

    def _picture(self, at: int) -> tuple[NDArray[np.uint8] | None, str | None]:
        if at >= len(self._ahead):
            return _decoded(self._files[at])
        image, problem = self._ahead[at]
        return None if image is None else image.copy(), problem


def _decoded(file: FrameFile) -> tuple[NDArray[np.uint8] | None, str | None]:
    frame = read_frame(file)
    return frame.image, None if frame.problem is None else frame.problem.removeprefix(f"{Reason.UNREADABLE.value}: ")
