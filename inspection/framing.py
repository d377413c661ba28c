"""Whether a part lies in the picture as it does in the other goldens: neither shifted nor cut by the frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIDE = 96
BORDER = 3
SHIFT_LIMIT = 0.12
FIXED_POSE_RESPONSE = 0.3
EDGE_LIMIT = 0.15
ROBUST_SIGMAS = 5.0
MAD_TO_SIGMA = 1.4826
ENOUGH_TO_COMPARE = 3


def misframed(greys: Sequence[NDArray[np.float32]]) -> dict[int, str]:
    """Which pictures show the part shifted or cut by the frame, and how, seen against the others.

    Three signs are looked at: where the foreground's centre lies, how much of the picture's edge the foreground
    covers, and, for parts of fixed pose, the shift by phase correlation (Kuglin and Hines, 1975) against
    the median picture. Each counts only where the other pictures agree among themselves.

    Args:
        greys: float32 (h, w), 0 to 255, one a picture, of about the same aspect ratio.

    Returns:
        Index of the picture to a description. Empty with fewer than three pictures.
    """
    if len(greys) < ENOUGH_TO_COMPARE:
        return {}
    squares = [_square(grey) for grey in greys]
    found = _shifted(squares)
    for index, detail in (_off_centre(squares) | _cut(squares)).items():
        found.setdefault(index, detail)
    return found


def _shifted(squares: Sequence[NDArray[np.float32]]) -> dict[int, str]:
    """Shift against the median picture, in parts whose pictures correlate with it."""
    middle = np.median(squares, axis=0).astype(np.float32)
    window = cv2.createHanningWindow((SIDE, SIDE), cv2.CV_32F)
    # Windowed here: given the window, cv2 5.0's phaseCorrelate multiplies its inputs in place.
    measured = [cv2.phaseCorrelate(_windowed(middle, window), _windowed(square, window)) for square in squares]
    usual = float(np.median([response for _, response in measured]))
    if usual < FIXED_POSE_RESPONSE:
        return {}
    lengths = [float(math.hypot(*shift)) / SIDE for shift, _ in measured]
    limit = SHIFT_LIMIT + float(np.median(lengths))
    return {
        index: f"shifted by {length:.0%} of the picture against the others"
        for index, (length, (_, response)) in enumerate(zip(lengths, measured, strict=True))
        if length > limit and response > usual / 2
    }


def _square(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _windowed(square: NDArray[np.float32], window: Any) -> NDArray[np.float32]:
    return np.asarray((square - square.mean()) * window, dtype=np.float32)


def _off_centre(squares: Sequence[NDArray[np.float32]]) -> dict[int, str]:
    centres = np.array([_centre(_foreground(square)) for square in squares])  # (n, 2)
    away = np.hypot(*(centres - np.median(centres, axis=0)).T)
    limit = max(SHIFT_LIMIT, _robust_limit(away))
    return {
        int(index): f"the part's centre lies {away[index]:.0%} of the picture from where the others have it"
        for index in np.flatnonzero(away > limit)
    }


def _cut(squares: Sequence[NDArray[np.float32]]) -> dict[int, str]:
    covered = np.array([_edge_share(_foreground(square)) for square in squares])
    limit = max(float(np.median(covered)) + EDGE_LIMIT, _robust_limit(covered))
    return {
        int(index): f"the part covers {covered[index]:.0%} of the picture's edge, the others' {np.median(covered):.0%}"
        for index in np.flatnonzero(covered > limit)
    }


def _foreground(square: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Places whose grey value differs from the edge's median by more than Otsu's threshold of such differences."""
    smooth = cv2.GaussianBlur(square, (0, 0), 1.5)
    away = np.abs(smooth - np.median(smooth[_edge()])).clip(0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(away, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return np.asarray(away > threshold, dtype=np.bool_)


def _centre(foreground: NDArray[np.bool_]) -> tuple[float, float]:
    """The centre of the foreground as fractions of width and height; the middle where there is none."""
    rows, columns = np.nonzero(foreground)
    if not len(rows):
        return 0.5, 0.5
    return float(columns.mean()) / SIDE, float(rows.mean()) / SIDE


def _edge_share(foreground: NDArray[np.bool_]) -> float:
    return float(foreground[_edge()].mean())


def _edge() -> NDArray[np.bool_]:
    edge = np.ones((SIDE, SIDE), np.bool_)
    edge[BORDER:-BORDER, BORDER:-BORDER] = False
    return edge


def _robust_limit(values: NDArray[np.float64]) -> float:
    middle = float(np.median(values))
    return middle + ROBUST_SIGMAS * MAD_TO_SIGMA * float(np.median(np.abs(values - middle)))
