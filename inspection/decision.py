"""Decides: from a map of distances to verdict, similarity and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from inspection.calibration import similarity_of
from inspection.calibration.scale import HALF_SIMILARITY_DISTANCE
from inspection.errors import ReferenceSetError
from inspection.verdicts import Region, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inspection.naming import TypeMap
    from inspection.recipe import InspectionRegion

_HALF = 0.5
_CORNERS = np.array([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])  # of a pixel, from its centre
_ROUNDING = 1e-6


def judge_similarity(similarity: float, threshold: float) -> Verdict:
    """The decision: flagged when `similarity < threshold`. What is not a number never passes."""
    return Verdict.PASS if similarity >= threshold else Verdict.FLAG


def image_distance(distances: NDArray[np.float32]) -> float:
    """The distance of a frame is that of its worst place."""
    return float(distances.max())


def spread_to_pixels(
    grid: NDArray[np.float32], side: int, sensitivity: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Bring a (g, g) distance grid to (side, side) pixels, weighted by `sensitivity` (0 = not inspected)."""
    pixels = np.asarray(cv2.resize(grid, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return pixels if sensitivity is None else np.asarray(pixels * sensitivity, dtype=np.float32)


def similarity_map(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Similarity in [0, 1] of every place, float32, by the same formula as `similarity_of`."""
    ratio = distances / np.float32(HALF_SIMILARITY_DISTANCE)
    return np.asarray(1.0 / (1.0 + np.square(ratio)), dtype=np.float32)


def sensitivity_map(
    side: int, roi: NDArray[np.bool_] | None, regions: Sequence[InspectionRegion]
) -> NDArray[np.float32] | None:
    """Weights of the places of a golden, (side, side) float32: 0 outside the ROI, the recipe's regions' own inside.

    A place belongs to the ROI where at least half of it does. None where every place counts the same.

    Raises:
        ReferenceSetError: at this size nothing is left to inspect.
    """
    if roi is None and not regions:
        return None
    weights = np.ones((side, side), np.float32)
    for region in regions:
        left, top = round(region.x * side), round(region.y * side)
        right, bottom = round((region.x + region.width) * side), round((region.y + region.height) * side)
        weights[top:bottom, left:right] = region.sensitivity
    if roi is not None:
        weights *= cv2.resize(roi.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) >= _HALF
    if not weights.any():
        message = f"masks and regions leave nothing to inspect at image_size {side}; widen them, or raise image_size"
        raise ReferenceSetError(message)
    return weights


def find_regions(
    distances: NDArray[np.float32],
    threshold_distance: float,
    to_frame: NDArray[np.float64],
    size: tuple[int, int],
    *,
    types: TypeMap | None = None,
) -> tuple[Region, ...]:
    """Find the connected places beyond the threshold, in a frame that was flagged.

    Args:
        distances: (S, S) float32 in the golden's working coordinates.
        threshold_distance: places farther than this belong to a region; the worst place always does, however
            threshold and distance were rounded.
        to_frame: (3, 3), maps those coordinates to pixels of the delivered frame.
        size: (width, height) of the delivered frame; regions are clipped to it.
        types: what kind of defect each place would be; None names none.

    Returns:
        Worst first, at least one.
    """
    worst = distances.max()
    beyond = ((distances > threshold_distance) | (distances == worst)).astype(np.uint8)
    contours, _ = cv2.findContours(beyond, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    regions = [_region(distances, np.asarray(contour, np.int32), to_frame, size, types) for contour in contours]
    return tuple(sorted(regions, key=lambda region: region.similarity))


def _region(
    distances: NDArray[np.float32],
    contour: NDArray[np.int32],
    to_frame: NDArray[np.float64],
    size: tuple[int, int],
    types: TypeMap | None,
) -> Region:
    left, top, width, height = cv2.boundingRect(contour)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [contour], -1, 1, cv2.FILLED, offset=(-left, -top))
    far = distances[top : top + height, left : left + width][inside > 0]
    names = () if types is None else types.of_region((left, top), inside, far, len(distances))
    edges = _edges_in_frame(contour, to_frame)
    low = np.clip(np.floor(edges.min(axis=0) + _ROUNDING), 0, np.array(size) - 1)
    high = np.clip(np.ceil(edges.max(axis=0) - _ROUNDING), low + 1, size)
    area = float(inside.sum()) * _area_ratio(to_frame, (left + width / 2, top + height / 2))
    return Region(
        x=int(low[0]),
        y=int(low[1]),
        width=int(high[0] - low[0]),
        height=int(high[1] - low[1]),
        area=round(np.clip(area, 1.0, np.prod(high - low))),
        similarity=similarity_of(float(far.max())),
        types=names,
    )


def _edges_in_frame(contour: NDArray[np.int32], to_frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the corners of the outermost pixels come to lie, (N, 2); pixel i reaches from i to i + 1."""
    corners = contour.reshape(-1, 1, 2) + _CORNERS
    return np.asarray(cv2.perspectiveTransform(corners.reshape(-1, 1, 2), to_frame).reshape(-1, 2) + _HALF, np.float64)


def _area_ratio(matrix: NDArray[np.float64], at: tuple[float, float]) -> float:
    """By how much a projective map enlarges a small area around `at`."""
    scale = matrix[2] @ (at[0], at[1], 1.0)
    return float(abs(np.linalg.det(matrix) / scale**3))
