"""Poses as 3x3 matrices, and how they change with the size of the image."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


def turned(degrees: float, dx: float, dy: float, *, side: int, aspect: float) -> Matrix:
    """A turn about the centre of a square canvas followed by a shift of (dx, dy) canvas pixels.

    The canvas is a frame of `aspect` (width / height) squeezed into a square, so a turn of the part is conjugated
    with that squeeze.
    """
    centre = (side - 1) / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b, c, d = cos, -sin / aspect, sin * aspect, cos
    return np.array(
        [
            [a, b, centre - a * centre - b * centre + dx],
            [c, d, centre - c * centre - d * centre + dy],
            [0, 0, 1],
        ]
    )


def rescaled(matrix: Matrix, source: tuple[int, int], target: tuple[int, int]) -> Matrix:
    """The same pose for images of another (height, width); pixel centres lie at whole numbers."""
    change, back = _resize(source, target)
    moved = change @ matrix @ back
    result: Matrix = moved / moved[2, 2]
    return result


def corner_displacement(first: Matrix, second: Matrix, side: int) -> float:
    """Mean distance in pixels between where two poses put the corners of the central box of half the side."""
    low, high = side / 4, 3 * side / 4
    corners = np.array([[low, low, 1], [high, low, 1], [low, high, 1], [high, high, 1]]).T
    one, two = first @ corners, second @ corners
    return float(np.linalg.norm(one[:2] / one[2] - two[:2] / two[2], axis=0).mean())


@lru_cache(maxsize=64)  # a frame asks some thirty times
def _resize(source: tuple[int, int], target: tuple[int, int]) -> tuple[Matrix, Matrix]:
    """The change of coordinates, and its inverse."""
    sy, sx = target[0] / source[0], target[1] / source[1]
    change = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
    back = np.linalg.inv(change)
    change.setflags(write=False)
    back.setflags(write=False)
    return change, back
