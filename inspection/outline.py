"""Outlines of the regions below threshold, drawn on the frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.lettering import Colour, Picture
from inspection.verdicts import Judgement, Region

SIGNAL: Colour = (255, 38, 92)
SHADOW: Colour = (12, 12, 14)
_MOST_DRAWN = 200  # regions, worst first


def outline_regions(
    frame: Picture,
    judgement: Judgement,
    similarity_map: NDArray[np.float32] | None = None,
    *,
    thickness: int = 2,
    colour: Colour = SIGNAL,
) -> Picture:
    """A copy of the frame with each region of `judgement` outlined.

    Args:
        frame: (H, W, 3) RGB uint8.
        judgement: its regions are in pixels of `frame`.
        similarity_map: (H, W) in the frame's coordinates; a region is outlined where the map passes below the
            threshold, and boxed where there is no map. Outlines stand off by a little, so that they hide nothing.
        thickness: of the line, in pixels; a dark edge of half that lies on both sides.
        colour: of the line.

    Returns:
        (H, W, 3) RGB uint8.
    """
    drawn = frame.copy()
    below = _below(similarity_map, judgement.threshold, 3 * thickness)
    worst_first = sorted(judgement.regions, key=lambda region: region.similarity)[:_MOST_DRAWN]
    contours = [contour for region in worst_first for contour in _contours(region, below, 3 * thickness)]
    edge = thickness + 2 * max(1, thickness // 2)
    cv2.drawContours(drawn, contours, -1, SHADOW, edge, cv2.LINE_AA)
    cv2.drawContours(drawn, contours, -1, colour, thickness, cv2.LINE_AA)
    return drawn


def _below(
    similarity_map: NDArray[np.float32] | None, threshold: float | None, margin: int
) -> NDArray[np.uint8] | None:
    if similarity_map is None or threshold is None:
        return None
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return np.asarray(cv2.dilate((similarity_map < threshold).astype(np.uint8), kernel), np.uint8)


def _contours(region: Region, below: NDArray[np.uint8] | None, margin: int) -> Sequence[NDArray[np.int32]]:
    """The outer contours of the region, or its box."""
    left, top = max(region.x - margin, 0), max(region.y - margin, 0)
    right, bottom = region.x + region.width + margin, region.y + region.height + margin
    if below is not None:
        window = below[top:bottom, left:right]
        if window.any():
            found, _ = cv2.findContours(window, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(left, top))
            return [np.asarray(contour, np.int32) for contour in found]
    box = [[left, top], [right - 1, top], [right - 1, bottom - 1], [left, bottom - 1]]
    return [np.array(box, np.int32)[:, None, :]]
