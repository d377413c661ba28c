"""OpenCV's video capture, quiet, with time limits, and its pictures as RGB."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPEN_SECONDS, READ_SECONDS = 8.0, 4.0  # a stream is probed before it opens; UDP waits for its next key frame
FFMPEG_QUIET = "-8"  # AV_LOG_QUIET


def open_video(address: str) -> Any | None:
    """FFmpeg's view of a file or stream, turned upright as its metadata say; None where it does not open in time."""
    _be_quiet()
    limits = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(OPEN_SECONDS * 1000)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(READ_SECONDS * 1000)),
    ]
    return _opened(cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits))


def open_device(device: int, size: tuple[int, int] | None) -> Any | None:
    """The camera `/dev/video<device>` at width x height pixels, if it has that; None where it does not open."""
    _be_quiet()
    capture = _opened(cv2.VideoCapture(device, cv2.CAP_V4L2))
    if capture is not None and size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    return capture


def rgb(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """What OpenCV gave, BGR, BGRA or grey, of 8 or 16 bits, as RGB uint8 (H, W, 3), C-contiguous."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    if picture.ndim == 2 or picture.shape[2] == 1:  # noqa: PLR2004 - grey
        return _array(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB))
    conversion = cv2.COLOR_BGRA2RGB if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB  # noqa: PLR2004 - with alpha
    return _array(cv2.cvtColor(picture, conversion))


def _array(picture: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture, np.uint8)


def _opened(capture: Any) -> Any | None:
    if capture.isOpened():
        return capture
    capture.release()
    return None


def _be_quiet() -> None:
    """Neither OpenCV nor FFmpeg writes to the terminal; FFmpeg reads its level when it is first used."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_QUIET)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
