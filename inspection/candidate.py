"""A picture that is to become a golden, measured once so that hundreds can be held against each other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from inspection.decoding import decode_image
from inspection.errors import UnreadableImageError
from inspection.quality import FrameQuality, measure_quality, small_grey

if TYPE_CHECKING:
    from numpy.typing import NDArray

THUMBNAIL = 64
GREY_SIDE = 128


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A picture that is to become a golden, measured; small, so that hundreds can be held against each other.

    `thumbnail` is grey float32 (64, 64), `grey` float32 (h, w) of at most 128 pixels a side, `spread` the standard
    deviation of all its grey values. Where the file can't be decoded, `problem` says why and these are empty.
    """

    name: str
    sha256: str
    quality: FrameQuality
    spread: float
    thumbnail: NDArray[np.float32]
    grey: NDArray[np.float32]
    problem: str | None = None


def examine(name: str, data: bytes) -> Candidate:
    """Measure the bytes of one picture file for the audit; `name` is what findings call it."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        image = decode_image(data, source=name)
    except UnreadableImageError as error:
        return unreadable(name, str(error).removeprefix(f"{name}: "), sha256)
    grey = small_grey(image, GREY_SIDE)
    return Candidate(
        name=name,
        sha256=sha256,
        quality=measure_quality(image),
        spread=float(grey.std()),
        thumbnail=np.asarray(cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), dtype=np.float32),
        grey=grey,
    )


def unreadable(name: str, problem: str, sha256: str = "") -> Candidate:
    """A candidate whose file can't be read or decoded."""
    nothing = FrameQuality(brightness=0, focus=0, contrast=0, width=0, height=0)
    empty = np.zeros((0, 0), np.float32)
    return Candidate(name=name, sha256=sha256, quality=nothing, spread=0, thumbnail=empty, grey=empty, problem=problem)
