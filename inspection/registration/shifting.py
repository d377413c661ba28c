"""Finds where a part that only moves lies: the golden correlated with the frame by FFT."""

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

REACH: Final = 0.2  # of the side: the largest shift looked for
_SIDE: Final = LEVELS[0]
_APART: Final = 2.5  # pixels: a nearer peak is the same peak


class ShiftSearch:
    """A golden's spectrum, computed once; `candidates` ranks the shifts of a frame."""

    def __init__(self, view: View) -> None:
        self._fade = _faded(_SIDE)
        self._spectrum = np.conj(scipy.fft.rfft2(view.levels[_SIDE] * self._fade))
        offsets = np.abs(scipy.fft.fftfreq(_SIDE)) <= REACH
        self._near = np.outer(offsets, offsets)
        self.period = self._repetition()

    def candidates(self, picture: NDArray[np.float32], count: int) -> list[Matrix]:
        """The `count` highest peaks of the correlation as poses, frame to golden, in pixels of `CANVAS`.

        `picture` is the frame's coarsest level, (S, S) float32.
        """
        spectrum = scipy.fft.rfft2(picture * self._fade)
        surface = np.where(self._near, scipy.fft.irfft2(self._spectrum * spectrum, s=(_SIDE, _SIDE)), -np.inf)
        return [_pose(dx, dy) for dx, dy in _peaks(surface, count)]

    def _repetition(self) -> tuple[int, int]:
        """The shift (dx, dy) at the coarsest level after which the golden looks most like itself: a thread, a pitch."""
        surface = scipy.fft.irfft2(np.abs(self._spectrum) ** 2, s=(_SIDE, _SIDE))
        dx, dy = np.meshgrid(scipy.fft.fftfreq(_SIDE, 1 / _SIDE), scipy.fft.fftfreq(_SIDE, 1 / _SIDE))
        higher = surface >= cv2.dilate(np.pad(surface, 1, mode="wrap"), np.ones((3, 3)))[1:-1, 1:-1]
        apart = higher & self._near & (np.hypot(dx, dy) >= _APART)
        row, column = np.unravel_index(int(np.where(apart, surface, -np.inf).argmax()), surface.shape)
        return _signed(int(column)), _signed(int(row))


def _peaks(surface: NDArray[np.float32], count: int) -> list[tuple[int, int]]:
    """The `count` highest places (dx, dy), each at least 3 pixels from the others."""
    surface = surface.copy()
    found = []
    for _ in range(count):
        row, column = np.unravel_index(int(surface.argmax()), surface.shape)
        around = np.arange(-3, 4)
        surface[np.ix_((row + around) % _SIDE, (column + around) % _SIDE)] = -np.inf
        found.append((_signed(int(column)), _signed(int(row))))
    return found


def _pose(dx: int, dy: int) -> Matrix:
    return rescaled(turned(0, -dx, -dy, side=_SIDE, aspect=1.0), (_SIDE, _SIDE), (CANVAS, CANVAS))


def _signed(offset: int) -> int:
    return offset - _SIDE if offset > _SIDE // 2 else offset


def _faded(side: int) -> NDArray[np.float32]:
    """One inside, falling to zero over the outer tenth, so that the wrap-around of the FFT shows no edge."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) / (side / 10)
    ramp = np.clip(distance, 0, 1)
    return np.outer(ramp, ramp).astype(np.float32)
