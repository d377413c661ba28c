"""The similarity map as a picture: what is unlike the goldens glows over a greyed frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.lettering import Picture
from inspection.verdicts import Judgement

# Stops of the colour scale: severity, RGB, opacity. Severity 0 is similarity 1, severity 0.5 the threshold,
# severity 1 similarity 0; what passes stays nearly grey, and the step at the threshold can be seen.
_STOPS = (
    (0.00, (70, 110, 120), 0.00),
    (0.25, (70, 110, 120), 0.00),
    (0.4999, (80, 150, 150), 0.22),
    (0.50, (255, 196, 40), 0.50),
    (0.70, (255, 110, 20), 0.72),
    (0.88, (240, 30, 60), 0.86),
    (1.00, (255, 60, 190), 0.92),
)
_UNKNOWN_THRESHOLD = 0.5
_EDGE = 1e-3


def draw_heat(frame: Picture, similarity_map: NDArray[np.float32], threshold: float | None) -> Picture:
    """The frame in grey under the colours of the map.

    Args:
        frame: (H, W, 3) RGB uint8.
        similarity_map: (h, w) in [0, 1], higher is more like golden, in the *frame's* coordinates (see
            `map_on_frame`); resized to the frame.
        threshold: the similarity that the scale is anchored at, besides 0 and 1, so that pictures of one
            calibration can be compared by eye; None anchors it at 0.5.

    Returns:
        (H, W, 3) RGB uint8.
    """
    height, width = frame.shape[:2]
    resized = cv2.resize(similarity_map.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    colours, opacity = _scale(_severity(np.asarray(resized, np.float32), threshold))
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) * 0.72 + 18.0
    blended: NDArray[np.float32] = grey[..., None] * (1.0 - opacity) + colours * opacity
    return np.clip(blended, 0, 255).astype(np.uint8)


def draw_scale(width: int, height: int, threshold: float | None) -> Picture:
    """The colour scale as a bar of (height, width), similarity 0 at its left end and 1 at its right."""
    similarity = np.tile(np.linspace(0.0, 1.0, width, dtype=np.float32), (height, 1))
    return draw_heat(np.full((height, width, 3), 90, np.uint8), similarity, threshold)


def map_on_frame(
    judgement: Judgement, frame_size: tuple[int, int], golden_size: tuple[int, int] | None = None
) -> NDArray[np.float32] | None:
    """The similarity map of `judgement` in the coordinates of the delivered frame.

    Args:
        judgement: its map lies in the golden's coordinates, its `matrix` maps frame pixels to golden pixels.
        frame_size: (height, width) of the delivered frame, in pixels.
        golden_size: (height, width) of the golden that `matrix` maps to; where None, the map has the golden's size.

    Returns:
        (height, width) float32 in [0, 1], 1.0 where the golden does not reach; None where there is no map.
    """
    if judgement.similarity_map is None:
        return None
    similarity = np.nan_to_num(judgement.similarity_map.astype(np.float32), nan=1.0)
    height, width = frame_size
    if judgement.matrix is None:
        return cv2.resize(similarity, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    to_map = golden_to_map(similarity.shape, golden_size) @ judgement.matrix
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(
        similarity, to_map, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=1.0
    )
    return np.asarray(warped, np.float32)


def golden_to_map(map_size: tuple[int, ...], golden_size: tuple[int, int] | None) -> NDArray[np.float64]:
    """Golden pixels to map cells, centres on centres."""
    if golden_size is None:
        return np.eye(3)
    across, down = map_size[1] / golden_size[1], map_size[0] / golden_size[0]
    return np.array([[across, 0.0, across / 2 - 0.5], [0.0, down, down / 2 - 0.5], [0.0, 0.0, 1.0]])


def _severity(similarity: NDArray[np.float32], threshold: float | None) -> NDArray[np.float32]:
    anchor = _UNKNOWN_THRESHOLD if threshold is None else min(max(threshold, _EDGE), 1.0 - _EDGE)
    return np.interp(similarity, [0.0, anchor, 1.0], [1.0, 0.5, 0.0]).astype(np.float32)


def _scale(severity: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours (H, W, 3) and opacity (H, W, 1) of the severity."""
    places = [stop[0] for stop in _STOPS]
    table = np.array([(*colour, opacity) for _, colour, opacity in _STOPS])
    mixed = [np.interp(severity, places, table[:, channel]) for channel in range(4)]
    return np.stack(mixed[:3], axis=-1).astype(np.float32), mixed[3][..., None].astype(np.float32)
