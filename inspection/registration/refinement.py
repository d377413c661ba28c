"""Refines a pose by aligning grey values: inverse compositional Lucas-Kanade with gain, offset and outlier weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from inspection.registration.poses import rescaled, turned
from inspection.registration.views import CANVAS, LEVELS, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inspection.registration.poses import Matrix

_POINTS: Final = 2048  # places of each level that take part: those with the strongest gradients
_STILL: Final = 0.02  # pixels of the level: a step this small ends the iteration
_TUKEY: Final = 4.685  # of the residuals' deviation; 95 % efficient on normal residuals
_OUTLINE: Final = 1.0  # pixels of the coarsest level
_MAD: Final = 1.4826  # median absolute deviation to standard deviation
_DX, _DY, _TURN, _GREY, _ONE = range(5)  # the rows of a template's Jacobian
_COMMON: Final = 0.3  # of the golden that must be seen in the frame, or there is nothing to compare


class Template:
    """A golden prepared once for aligning frames to it: gradients by pose parameter at each level.

    Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004 (inverse compositional); Evangelidis and Psarakis,
    PAMI 2008 (invariance to gain and offset, here as two more columns of the linear system); Tukey's biweight, so
    that a defect does not drag the pose.
    """

    def __init__(self, view: View, *, aspect: float) -> None:
        self.view = view
        self.aspect = aspect
        self._outline = _outline(view.levels[LEVELS[0]])
        places = {side: _strongest(view.levels[side]) for side in LEVELS}
        self._points = {side: _points(places[side], side) for side in LEVELS}
        self._rows = {side: self._jacobian(view.levels[side], places[side]) for side in LEVELS}
        self._rows_of_shift = {side: rows[[_DX, _DY, _GREY, _ONE]] for side, rows in self._rows.items()}

    def refine(self, frame: View, matrix: Matrix, side: int, *, iterations: int, turns: bool) -> Matrix:
        """Improve an affine `matrix` (frame to golden, pixels of a canvas of `CANVAS`) at the level of `side` pixels.

        With `turns` False only the shift changes.
        """
        pose = rescaled(matrix, (CANVAS, CANVAS), (side, side))
        for _ in range(iterations):
            step = self._step(frame.levels[side], pose, turns=turns)
            pose = step @ pose
            if _moves(step, side) < _STILL:
                break
        return rescaled(pose, (side, side), (CANVAS, CANVAS))

    def agreement(self, frame: View, matrix: Matrix, side: int) -> float:
        """Zero-normalised cross-correlation (-1 to 1) of golden and moved frame where both are seen."""
        pose = rescaled(matrix, (CANVAS, CANVAS), (side, side))
        golden, moved = self.view.levels[side], moved_onto(frame.levels[side], pose)
        seen = moved == moved  # noqa: PLR0124 - false for NaN, and faster than isnan
        if np.count_nonzero(seen) < _COMMON * seen.size:
            return 0.0
        return _correlation(golden.ravel(), np.where(seen, moved, np.float32(0)).ravel(), seen.ravel())

    def outline_agreement(self, frame: View, matrix: Matrix) -> float:
        """The agreement of what is left when fine repetitions (a thread, a row of pins) are blurred away."""
        side = LEVELS[0]
        moved = moved_onto(frame.levels[side], rescaled(matrix, (CANVAS, CANVAS), (side, side)))
        seen = moved == moved  # noqa: PLR0124 - false for NaN, and faster than isnan
        if np.count_nonzero(seen) < _COMMON * seen.size:
            return 0.0
        blurred = _outline(np.where(seen, moved, np.float32(0))) * seen
        return _correlation(self._outline.ravel(), blurred.ravel(), seen.ravel())

    def _jacobian(self, golden: NDArray[np.float32], places: NDArray[np.intp]) -> NDArray[np.float32]:
        """(5, N): change of the grey value by dx, by dy and by turn, the grey value itself, and one."""
        side = golden.shape[0]
        gx, gy = _gradients(golden)
        y, x = np.mgrid[:side, :side].astype(np.float32) - (side - 1) / 2
        turn = (gy * x * self.aspect - gx * y / self.aspect) / side
        rows = np.stack([gx, gy, turn, golden, np.ones_like(golden)]).reshape(5, -1)
        return np.ascontiguousarray(rows[:, places], dtype=np.float32)

    def _step(self, frame: NDArray[np.float32], pose: Matrix, *, turns: bool) -> Matrix:
        side = frame.shape[0]
        rows = self._rows[side]
        residual = _sampled(frame, pose, self._points[side]) - rows[_GREY]
        change = _solved(rows if turns else self._rows_of_shift[side], residual).tolist()
        degrees = math.degrees(change[_TURN] / side) if turns else 0.0
        dx, dy = (min(max(shift, -side / 8), side / 8) for shift in change[:2])
        return turned(min(max(degrees, -15.0), 15.0), dx, dy, side=side, aspect=self.aspect)


def _moves(step: Matrix, side: int) -> float:
    """How far an affine step moves the last corner, in pixels of the level: the larger of both directions."""
    (a, b, dx), (c, d, dy) = step[:2].tolist()
    return float(max(abs((a - 1 + b) * side + dx), abs((c + d - 1) * side + dy)))


def _outline(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return cv2.GaussianBlur(picture, (0, 0), _OUTLINE)  # type: ignore[return-value]


def _strongest(golden: NDArray[np.float32]) -> NDArray[np.intp]:
    """Flat indices of the places with the strongest gradients, in order."""
    gx, gy = _gradients(golden)
    strength = (gx * gx + gy * gy).ravel()
    if strength.size <= _POINTS:
        return np.arange(strength.size)
    return np.sort(np.argpartition(strength, -_POINTS)[-_POINTS:])


def _gradients(golden: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Grey values per pixel to the right and downwards (Scharr, 1/32)."""
    gx = cv2.Scharr(golden, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Scharr(golden, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    return gx, gy  # type: ignore[return-value]


def _points(places: NDArray[np.intp], side: int) -> NDArray[np.float32]:
    """(2, N): x and y of each place."""
    y, x = np.divmod(places, side)
    return np.stack([x, y]).astype(np.float32)


def _sampled(frame: NDArray[np.float32], pose: Matrix, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The frame's grey values at points of the golden, (N,); NaN outside the frame. The pose is affine."""
    back: NDArray[np.float32] = cv2.invertAffineTransform(pose[:2]).astype(np.float32)
    x, y = back[:, :2] @ points + back[:, 2:]
    return cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=np.nan).ravel()  # type: ignore[return-value]


def moved_onto(frame: NDArray[np.float32], pose: Matrix) -> NDArray[np.float32]:
    """The whole frame in the golden's coordinates; NaN outside the frame."""
    size = frame.shape[::-1]
    if np.array_equal(pose[2], (0, 0, 1)):
        return cv2.warpAffine(frame, pose[:2], size, borderMode=cv2.BORDER_CONSTANT, borderValue=np.nan)  # type: ignore[return-value]
    return cv2.warpPerspective(frame, pose, size, borderMode=cv2.BORDER_CONSTANT, borderValue=np.nan)  # type: ignore[return-value]


def _solved(rows: NDArray[np.float32], residual: NDArray[np.float32]) -> NDArray[np.float64]:
    """Weighted least squares, (K,) of (K, N) rows; places outside the frame and outliers count nothing."""
    seen = residual == residual  # noqa: PLR0124 - false for NaN, and faster than isnan
    residual = np.where(seen, residual, np.float32(0))
    weighted = rows * (_biweight(residual) * seen)
    normal = (weighted @ rows.T).astype(np.float64)
    normal.flat[:: len(rows) + 1] += 1e-6 + 1e-4 * normal.diagonal()
    return np.linalg.solve(normal, (weighted @ residual).astype(np.float64))


def _biweight(residual: NDArray[np.float32]) -> NDArray[np.float32]:
    scale = _MAD * _median(np.abs(residual[::4])) + 0.05
    weights = residual * np.float32(1 / (_TUKEY * scale))
    np.subtract(1, weights * weights, out=weights)
    np.maximum(weights, 0, out=weights)
    return weights * weights


def _median(values: NDArray[np.float32]) -> float:
    """`np.median` without its checks, which cost more than 500 values do."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    parted = np.partition(values, (low, high))
    return (float(parted[low]) + float(parted[high])) / 2


def _correlation(golden: NDArray[np.float32], moved: NDArray[np.float32], seen: NDArray[np.bool_]) -> float:
    """Pearson's correlation over the places seen; `moved` is zero elsewhere."""
    mask = seen.astype(np.float32)
    count = float(mask.sum())
    known = golden * mask
    mean_golden, mean_moved = float(known.sum()) / count, float(moved.sum()) / count
    covariance = float(known @ moved) / count - mean_golden * mean_moved
    spread = (float(known @ known) / count - mean_golden**2) * (float(moved @ moved) / count - mean_moved**2)
    return covariance / float(np.sqrt(spread)) if spread > 1e-12 else 0.0  # noqa: PLR2004 - both are flat
