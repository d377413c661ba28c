"""Decides: from a map of distances to verdict, similarity and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from inspection.calibration import similarity_of
from inspection.calibration.scale import HALF_SIMILARITY_DISTANCE
from inspection.verdicts import Region, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inspection.recipe import InspectionRegion

_SMALLEST_AREA = 1.0


def judge_similarity(similarity: float, threshold: float) -> Verdict:
    """The decision: flagged when `similarity < threshold`."""
    return Verdict.FLAG if similarity < threshold else Verdict.PASS


def image_distance(distances: NDArray[np.float32]) -> float:
    """The distance of a frame is that of its worst place."""
    return float(distances.max())


def spread_to_pixels(
    grid: NDArray[np.float32], side: int, sensitivity: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Bring a (g, g) distance grid to (side, side) pixels, weighted by `sensitivity` (0 = not inspected)."""
    pixels = np.asarray(cv2.resize(grid, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return pixels if sensitivity is None else np.multiply(pixels, sensitivity, dtype=np.float32)


def similarity_map(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Similarity in [0, 1] of every place, float32, by the same formula as `similarity_of`."""
    return (1.0 / (1.0 + np.square(distances / np.float32(HALF_SIMILARITY_DISTANCE)))).astype(np.float32)


def sensitivity_map(
    side: int, roi: NDArray[np.bool_] | None, regions: Sequence[InspectionRegion]
) -> NDArray[np.float32] | None:
    """Weights of the places of a golden, (side, side) float32: 0 outside the ROI, the recipe's regions' own inside.

    None where every place counts the same.
    """
    if roi is None and not regions:
        return None
    weights = np.ones((side, side), np.float32)
    for region in regions:
        left, top = round(region.x * side), round(region.y * side)
        right, bottom = round((region.x + region.width) * side), round((region.y + region.height) * side)
        weights[top:bottom, left:right] = region.sensitivity
    if roi is not None:
        weights *= cv2.resize(roi.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    return weights


def find_regions(
    distances: NDArray[np.float32], threshold_distance: float, to_frame: NDArray[np.float64], size: tuple[int, int]
) -> tuple[Region, ...]:
    """Find the connected places beyond the threshold.

    Args:
        distances: (S, S) float32 in the golden's working coordinates.
        threshold_distance: places farther than this belong to a region.
        to_frame: (3, 3), maps those coordinates to pixels of the delivered frame.
        size: (width, height) of the delivered frame; regions are clipped to it.

    Returns:
        Worst first.
    """
    beyond = (distances > threshold_distance).astype(np.uint8)
    contours, _ = cv2.findContours(beyond, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    regions = [_region(distances, np.asarray(contour, np.int32), to_frame, size) for contour in contours]
    return tuple(sorted((region for region in regions if region), key=lambda region: region.similarity))


def _region(
    distances: NDArray[np.float32], contour: NDArray[np.int32], to_frame: NDArray[np.float64], size: tuple[int, int]
) -> Region | None:
    left, top, width, height = cv2.boundingRect(contour)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [contour], -1, 1, cv2.FILLED, offset=(-left, -top))
    peak = float(distances[top : top + height, left : left + width][inside > 0].max())
    outline = cv2.perspectiveTransform(contour.astype(np.float64), to_frame).reshape(-1, 2)
    low = np.clip(np.floor(outline.min(axis=0)), 0, np.array(size) - 1)
    high = np.clip(np.ceil(outline.max(axis=0)) + 1, low + 1, size)
    area = float(inside.sum()) * _area_ratio(to_frame, (left + width / 2, top + height / 2))
    if (outline.max(axis=0) < 0).any() or (outline.min(axis=0) > np.array(size)).any():
        return None
    return Region(
        x=int(low[0]),
        y=int(low[1]),
        width=int(high[0] - low[0]),
        height=int(high[1] - low[1]),
        area=round(max(area, _SMALLEST_AREA)),
        similarity=similarity_of(peak),
    )


def _area_ratio(matrix: NDArray[np.float64], at: tuple[float, float]) -> float:
    """By how much a projective map enlarges a small area around `at`."""
    scale = matrix[2] @ (at[0], at[1], 1.0)
    return float(abs(np.linalg.det(matrix) / scale**3))
