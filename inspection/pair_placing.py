"""Brings a pair's frame onto its golden, where it lies elsewhere than the comparison tolerates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from inspection.golden_model import working_image
from inspection.prepared import unshown
from inspection.recipe import RegistrationMethod
from inspection.registration import Registrar, seen, warp
from inspection.registration.poses import corner_displacement, rescaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE: Final = 256  # pixels that the registration works at
_TOLERATED: Final = 0.01  # of the longer side; pairs are compared over a few places around, and learn to be


class Placed(NamedTuple):
    """A frame on its golden's coordinates.

    `image` (H, W, 3) uint8; `matrix` (3, 3) maps pixels of the frame as it was to those of `image`; `shown` (H, W) bool
    is False where the frame shows nothing, None where it shows all; `quality` in [0, 1]; `problem` why it can't be
    placed, None if it can.
    """

    image: NDArray[np.uint8]
    matrix: NDArray[np.float64]
    shown: NDArray[np.bool_] | None
    quality: float
    problem: str | None = None


def place(frame: NDArray[np.uint8], golden: NDArray[np.uint8]) -> Placed:
    """Register a (H, W, 3) uint8 frame with a golden of the same size, and move it only as far as that is needed."""
    height, width = golden.shape[:2]
    registrar = Registrar([working_image(golden, _SIDE)], RegistrationMethod.AUTO, aspect=width / height)
    registration = registrar.register(working_image(frame, _SIDE))
    if corner_displacement(registration.matrix, np.eye(3), _SIDE) <= _TOLERATED * _SIDE:
        return Placed(frame, np.eye(3), None, registration.quality)
    matrix = rescaled(registration.matrix, (_SIDE, _SIDE), (height, width))
    shown = seen(matrix, (width, height))
    return Placed(
        image=warp(frame, matrix, (width, height)),
        matrix=matrix,
        shown=None if shown.all() else shown,
        quality=registration.quality,
        problem=unshown(registration, shown.astype(np.float32), None),
    )


def moved_box(box: tuple[float, float, float, float], matrix: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """The upright box (left, top, right, bottom) around a box's corners after `matrix` (3, 3)."""
    if np.array_equal(matrix, np.eye(3)):
        return box
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]], np.float64)
    found = cv2.perspectiveTransform((corners - 0.5)[None], matrix)[0] + 0.5  # edges of pixels, centres whole numbers
    (x, y), (far_x, far_y) = found.min(axis=0), found.max(axis=0)
    return float(x), float(y), float(far_x), float(far_y)
