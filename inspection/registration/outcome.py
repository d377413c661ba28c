"""What registration hands back, and how a frame is moved by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inspection.recipe import RegistrationMethod


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Where a frame lies relative to the first golden.

    `matrix` is (3, 3) float64 and maps pixels of the frame to pixels of the golden, both at the working size, pixel
    centres at whole numbers. `quality` in [0, 1] is the correlation of the two where both are seen (1 where nothing
    was to be registered). `method` says what was done to this frame. Where `accepted` is False the frame can't be
    compared place by place and must not be judged.
    """

    matrix: NDArray[np.float64]
    quality: float
    method: RegistrationMethod
    accepted: bool


def warp(image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Move an RGB uint8 (H, W, 3) image onto the golden's coordinates.

    Args:
        image: the frame.
        matrix: (3, 3), frame pixels to golden pixels.
        size: (width, height) of the result in pixels.

    Returns:
        RGB uint8 (height, width, 3); what the frame does not show repeats its border pixels.
    """
    if np.array_equal(matrix, np.eye(3)) and image.shape[1::-1] == tuple(size):
        return image
    if np.array_equal(matrix[2], (0, 0, 1)):
        return cv2.warpAffine(image, matrix[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def seen(
    matrix: NDArray[np.float64], size: tuple[int, int], source: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Which places of the golden the frame really shows; the others hold repeated border pixels and prove nothing.

    Args:
        matrix: (3, 3), frame pixels to golden pixels.
        size: (width, height) of the golden in pixels.
        source: (width, height) of the frame, where it differs.

    Returns:
        bool (height, width).
    """
    width, height = source or size
    shown = np.ones((height, width), np.uint8)
    return cv2.warpPerspective(shown, matrix, size, flags=cv2.INTER_NEAREST).astype(np.bool_)
