"""Finds the pose of a part that lies at any angle: the golden turned in steps, correlated with the frame by FFT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import scipy.fft

from inspection.registration.poses import rescaled, turned
from inspection.registration.views import CANVAS, LEVELS, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inspection.registration.poses import Matrix

STEPS: Final = 48
_SIDE: Final = LEVELS[0]
_REACH: Final = 0.35  # of the side: the largest shift looked for


class TurnedGolden:
    """A golden's spectra at `STEPS` angles, computed once; `candidates` ranks the poses of a frame."""

    def __init__(self, view: View, *, aspect: float) -> None:
        self._aspect = aspect
        golden = view.levels[_SIDE]
        self._angles = np.arange(STEPS) * 360.0 / STEPS
        stack = np.stack([self._turn(golden, angle) for angle in self._angles])
        self._spectra = np.conj(scipy.fft.rfft2(stack, axes=(1, 2)))  # (STEPS, S, S // 2 + 1)
        self._near = self._within_reach()

    def candidates(self, frame: View, count: int) -> list[Matrix]:
        """The `count` best distinct poses, frame to golden, in pixels of `CANVAS`; best first."""
        picture = frame.levels[_SIDE] * _disc(_SIDE)
        surfaces = scipy.fft.irfft2(self._spectra * scipy.fft.rfft2(picture), s=(_SIDE, _SIDE), axes=(1, 2))
        surfaces *= self._near
        peaks = surfaces.reshape(STEPS, -1).max(axis=1)
        return [self._pose(surfaces[step], step) for step in _local_maxima(peaks)[:count]]

    def _turn(self, golden: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
        matrix = turned(angle, 0, 0, side=_SIDE, aspect=self._aspect)
        moved = cv2.warpAffine(golden, matrix[:2], (_SIDE, _SIDE), borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        moved = moved * _disc(_SIDE)
        even: NDArray[np.float32] = (moved - moved.mean()) / (moved.std() + 1e-6)
        return even

    def _pose(self, surface: NDArray[np.float32], step: int) -> Matrix:
        dy, dx = np.unravel_index(int(surface.argmax()), surface.shape)
        shift = [int(d) - _SIDE if d > _SIDE // 2 else int(d) for d in (dx, dy)]
        golden_to_frame = turned(float(self._angles[step]), *shift, side=_SIDE, aspect=self._aspect)
        return rescaled(np.linalg.inv(golden_to_frame).astype(np.float64), (_SIDE, _SIDE), (CANVAS, CANVAS))

    @staticmethod
    def _within_reach() -> NDArray[np.float32]:
        offsets = np.abs(scipy.fft.fftfreq(_SIDE)) <= _REACH
        return np.outer(offsets, offsets).astype(np.float32)


def _local_maxima(peaks: NDArray[np.float32]) -> list[int]:
    """Angles that beat both neighbours on the circle, best first."""
    higher = (peaks >= np.roll(peaks, 1)) & (peaks >= np.roll(peaks, -1))
    return [int(step) for step in np.argsort(-peaks) if higher[step]]


def _disc(side: int) -> NDArray[np.float32]:
    """One inside the circle that stays in view at every angle, falling to zero towards the corners."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = np.hypot(x, y) / side
    fade: NDArray[np.float32] = np.clip((0.6 - radius) / 0.1, 0, 1).astype(np.float32)
    return fade
