"""What every camera does, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from inspection.errors import GoldentwinError

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray


class CameraLostError(GoldentwinError):
    """The camera does not answer, or does no longer; opening it again may help."""


class EndOfFramesError(GoldentwinError):
    """The camera has given all frames it will ever give: the end of a video file."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture as a camera gave it.

    `image` is RGB uint8 (H, W, 3), or None, and then `problem` says why (without the word for the kind of reason).
    `captured_at` is the moment it was taken or came, in UTC; `captured` the same on `time.monotonic()`, in seconds,
    from which latency is counted. `frame` and `part_id` are names that came with it, "" where there are none: then
    the line counts. `number` is the camera's own count of frames, whose gaps show frames lost on the way to us; None
    where it has none. `data` are the bytes of the file it came as, `suffix` the file's; None and "" for a live picture.
    """

    image: NDArray[np.uint8] | None
    captured_at: datetime
    captured: float
    problem: str | None = None
    frame: str = ""
    part_id: str = ""
    number: int | None = None
    data: bytes | None = None
    suffix: str = ""


class Camera(Protocol):
    """Gives frames, one after the other, to one thread; `open`, `read`, `close`, and `open` again after it was lost.

    `name` is its address without secrets. `live` says whether frames that nobody takes are lost (a camera), or wait
    (a folder, a file). `every_frame_a_part` says whether each frame shows a part (a triggered camera, a folder), or
    parts must be found among them (a video).
    """

    @property
    def name(self) -> str:
        """Its address, without user names, passwords or tokens."""

    @property
    def live(self) -> bool:
        """Whether a frame that is not read in time is lost."""

    @property
    def every_frame_a_part(self) -> bool:
        """Whether each frame is of a part of its own."""

    def open(self) -> None:
        """Begin to take frames.

        Raises:
            CameraLostError: it does not answer; the message names what to do.
        """

    def read(self, seconds: float) -> Shot | None:
        """The next frame; None where none came within `seconds`.

        Raises:
            CameraLostError: it no longer answers.
            EndOfFramesError: there will be no further frame.
        """

    def close(self) -> None:
        """Give the device free. May be called in any state, and twice."""
