"""Brings frames onto the first golden's coordinates: set once with the goldens, ask for every frame."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.recipe import RegistrationMethod
from inspection.registration.automatic import Freedom, choose, freedom_of
from inspection.registration.fitting import Fit, GoldenFitter
from inspection.registration.landmarks import Landmarks, aligned
from inspection.registration.outcome import Registration
from inspection.registration.poses import corner_displacement, rescaled
from inspection.registration.views import CANVAS, LEVELS, View, view_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_FLOOR: Final = 0.35  # agreement below which a frame does not show the part near its place
_FLOOR_FAR: Final = 0.45  # the same where any angle or a perspective was tried, so chance has more to choose from
_PREFERENCE: Final = 0.03  # agreement by which a far turn must beat the nearest one: a symmetric part stays as it lies
_SETTLED: Final = 0.4  # pixels at the working size: a smaller displacement is not worth an interpolation
_FLOOR_GOLDENS: Final = 0.5  # of the agreement that the goldens reach among themselves
_LENIENT: Final = 0.6  # of the floors: never less, or another product would pass where the method does not fit
_FEW: Final = 4  # goldens that tell the floor


class Registrar:
    """Registers frames to `goldens[0]`, the anchor.

    Args:
        goldens: RGB uint8 (H, W, 3) arrays at the working size, all of one shape, at least one.
        method: what frames may do; `auto` decides from the goldens, and frame by frame where there is only one.
        aspect: width / height of the frames as delivered, where the working size squeezed them; a part then turns
            without being sheared. None: as the arrays are.

    Raises:
        ValueError: no golden, or goldens of different shapes.
    """

    def __init__(
        self, goldens: Sequence[NDArray[np.uint8]], method: RegistrationMethod, *, aspect: float | None = None
    ) -> None:
        if not goldens or any(golden.shape != goldens[0].shape for golden in goldens):
            message = "registration needs at least one golden, all at the same working size"
            raise ValueError(message)
        self._shape = goldens[0].shape
        self._asked = method
        self._fitter: GoldenFitter | None = None
        self._landmarks: Landmarks | None = None
        self._freedom = Freedom.FIXED
        self._floor_factor = 1.0
        if method is not RegistrationMethod.NONE:
            self._prepare(goldens, aspect or self._shape[1] / self._shape[0])

    @property
    def method(self) -> RegistrationMethod:
        """The method in use: what `auto` resolved to, `auto` itself where each frame decides (one golden)."""
        return self._freedom.method if self._asked is RegistrationMethod.AUTO else self._asked

    def register(self, frame: NDArray[np.uint8]) -> Registration:
        """Find where a frame lies.

        Args:
            frame: RGB uint8 (H, W, 3) at the goldens' shape.

        Raises:
            ValueError: the frame has another shape than the goldens.
        """
        if frame.shape != self._shape:
            message = f"the frame is {frame.shape}, the goldens {self._shape}; resize it to the working size first"
            raise ValueError(message)
        if self._fitter is None or self.method is RegistrationMethod.NONE:
            return Registration(matrix=np.eye(3), quality=1.0, method=RegistrationMethod.NONE, accepted=True)
        view = view_of(frame)
        if self._asked is RegistrationMethod.AUTO:
            return self._automatic(self._fitter, view)
        fit = self._explicit(self._fitter, frame, view, self._asked)
        return self._registration(fit, accepted=fit.agreement >= self._floor(fit))

    def _prepare(self, goldens: Sequence[NDArray[np.uint8]], aspect: float) -> None:
        views = [view_of(golden) for golden in goldens]
        self._fitter = GoldenFitter(views[0], aspect=aspect)
        if self._asked is RegistrationMethod.HOMOGRAPHY:
            self._landmarks = Landmarks(goldens[0])
        if self._asked is RegistrationMethod.AUTO:
            self._freedom = freedom_of(self._fitter, views[1:])
        elif len(goldens) > 1:
            pairs = list(zip(goldens, views, strict=True))[1 : _FEW + 1]
            reached = median(self._explicit(self._fitter, g, v, self._asked).agreement for g, v in pairs)
            self._floor_factor = float(np.clip(reached * _FLOOR_GOLDENS / _FLOOR, _LENIENT, 1.0))

    def _automatic(self, fitter: GoldenFitter, view: View) -> Registration:
        """Only where parts turn freely is a frame refused: elsewhere it can still be compared as it lies."""
        fit = choose(fitter, view, self._freedom)
        refused = self._freedom is Freedom.TURNS and fit.agreement < _FLOOR_FAR
        return self._registration(fit, accepted=not refused)

    def _explicit(self, fitter: GoldenFitter, frame: NDArray[np.uint8], view: View, method: RegistrationMethod) -> Fit:
        if method is RegistrationMethod.SHIFT:
            return fitter.shifted(view)
        near = fitter.nudged(view)
        if method is RegistrationMethod.RIGID:
            return _preferred(near, fitter.turned(view))
        return self._in_perspective(fitter, frame, view, near)

    def _in_perspective(self, fitter: GoldenFitter, frame: NDArray[np.uint8], view: View, near: Fit) -> Fit:
        found = self._landmarks.pose(frame) if self._landmarks else None
        start = near.matrix if found is None else found
        matrix = aligned(fitter.template.view, view, start)
        agreement = fitter.template.agreement(view, matrix, LEVELS[1])
        return Fit(matrix=matrix, agreement=agreement, method=RegistrationMethod.HOMOGRAPHY, anywhere=True)

    def _floor(self, fit: Fit) -> float:
        return (_FLOOR_FAR if fit.anywhere else _FLOOR) * self._floor_factor

    def _registration(self, fit: Fit, *, accepted: bool) -> Registration:
        matrix = rescaled(fit.matrix, (CANVAS, CANVAS), self._shape[:2])
        if corner_displacement(matrix, np.eye(3), max(self._shape[:2])) < _SETTLED:
            matrix = np.eye(3)
        quality = float(np.clip(fit.agreement, 0, 1))
        return Registration(matrix=matrix, quality=quality, method=fit.method, accepted=accepted)


def _preferred(near: Fit, far: Fit) -> Fit:
    return far if far.agreement > near.agreement + _PREFERENCE else near
