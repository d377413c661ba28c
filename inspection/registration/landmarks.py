"""Fits a frame seen in perspective: distinct points matched between golden and frame, then grey values aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from inspection.registration.poses import rescaled
from inspection.registration.views import CANVAS, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inspection.registration.poses import Matrix

_LARGEST: Final = 512  # pixels: points are looked for in pictures no larger than this
_POINTS: Final = 800
_DISTINCT: Final = 0.8  # Lowe's ratio: the second-best match must be this much worse
_FEWEST: Final = 10  # matches that agree
_SCALE: Final = (0.7, 1.4)
_PERSPECTIVE: Final = 0.25  # change of scale across the picture


class Landmarks:
    """A golden's SIFT points (Lowe, IJCV 2004), found once; `pose` matches a frame's points to them."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._points, self._descriptors = _detected(image)

    def pose(self, image: NDArray[np.uint8]) -> Matrix | None:
        """The homography frame to golden in canvas pixels, or None where too few points agree on a sane one.

        Robust fit: MAGSAC++ (Barath et al., CVPR 2020) as OpenCV's USAC has it.
        """
        points, descriptors = _detected(image)
        if min(len(points), len(self._points)) < _FEWEST:
            return None
        pairs = _matched(descriptors, self._descriptors)
        if len(pairs) < _FEWEST:
            return None
        source, target = points[pairs[:, 0]], self._points[pairs[:, 1]]
        cv2.setRNGSeed(0)
        found, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 2.0, maxIters=2000, confidence=0.999)
        if found is None or int(inliers.sum()) < _FEWEST:
            return None
        matrix = found.astype(np.float64)
        return matrix if is_sane(matrix) else None


def aligned(golden: View, frame: View, matrix: Matrix) -> Matrix:
    """Refine a homography on the grey values (ECC: Evangelidis and Psarakis, PAMI 2008); unchanged where that fails."""
    side = 128
    start = np.linalg.inv(rescaled(matrix, (CANVAS, CANVAS), (side, side))).astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 1e-4)
    try:
        _, back = cv2.findTransformECC(golden.levels[side], frame.levels[side], start, cv2.MOTION_HOMOGRAPHY, criteria)
    except cv2.error:
        return matrix
    refined = rescaled(np.linalg.inv(back.astype(np.float64)), (side, side), (CANVAS, CANVAS))
    return refined if is_sane(refined) else matrix


def is_sane(matrix: Matrix) -> bool:
    """Whether a homography in canvas pixels keeps scale within 0.7 to 1.4 and has little perspective."""
    matrix = matrix / matrix[2, 2]
    low, high = _SCALE
    centre = np.array([CANVAS / 2, CANVAS / 2, 1])
    depth = float(matrix[2] @ centre)
    linear = (matrix[:2, :2] - np.outer(matrix[:2] @ centre / depth, matrix[2, :2])) / depth
    sizes = np.linalg.svd(linear, compute_uv=False)
    upright = float(np.linalg.det(linear)) > 0
    flat = float(np.abs(matrix[2, :2]).max()) * CANVAS < _PERSPECTIVE * abs(depth)
    return upright and flat and low <= sizes[1] and sizes[0] <= high


def _detected(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positions (N, 2) in canvas pixels and descriptors (N, 128).

    The descriptors are square-rooted: Arandjelovic and Zisserman, "Three things everyone should know", CVPR 2012.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    shrink = min(1.0, _LARGEST / max(grey.shape))
    if shrink < 1:
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    sift = cv2.SIFT.create(nfeatures=_POINTS, contrastThreshold=0.02)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    size = np.array(grey.shape[::-1], np.float32)
    points = (np.array([k.pt for k in keypoints], np.float32) + 0.5) * (CANVAS / size) - 0.5
    return points.astype(np.float32), np.sqrt(descriptors / (descriptors.sum(axis=1, keepdims=True) + 1e-7))


def _matched(frame: NDArray[np.float32], golden: NDArray[np.float32]) -> NDArray[np.intp]:
    """Pairs (N, 2) of frame and golden points whose nearest neighbour is distinctly nearer than the next."""
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(frame, golden, k=2)
    good = [(m.queryIdx, m.trainIdx) for m, second in nearest if m.distance < _DISTINCT * second.distance]
    return np.array(good, dtype=np.intp).reshape(-1, 2)
