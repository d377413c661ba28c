"""Fits a frame to one golden with more and more freedom: not moved, shifted, turned a little, turned by any angle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.recipe import RegistrationMethod
from inspection.registration.poses import corner_displacement, turned
from inspection.registration.refinement import Template
from inspection.registration.shifting import ShiftSearch
from inspection.registration.turning import TurnedGolden
from inspection.registration.views import CANVAS, LEVELS, View

if TYPE_CHECKING:
    from inspection.registration.poses import Matrix

_COARSE, _MIDDLE, _FINE = LEVELS
_TURN_CANDIDATES: Final = 5
_SHIFT_CANDIDATES: Final = 2
_DISTINCT: Final = 0.15 * CANVAS  # pixels: less is the same pose, slipped at most
_SLIPS: Final = (-1.0, -0.6, -0.3, 0.3, 0.6, 1.0)  # of the golden's own repetition


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One way to lay a frame on the golden.

    `matrix` maps frame to golden in canvas pixels, `agreement` is their correlation (-1 to 1), `lead` how much less
    the best quite different pose agrees (0: just as well; a symmetric part has no lead and needs none). With
    `anywhere` it was looked for at every angle, so chance had more to choose from.
    """

    matrix: Matrix
    agreement: float
    method: RegistrationMethod
    lead: float = 1.0
    anywhere: bool = False


class GoldenFitter:
    """One golden with all that is computed once for fitting frames to it."""

    def __init__(self, view: View, *, aspect: float) -> None:
        self.template = Template(view, aspect=aspect)
        self._shifts = ShiftSearch(view)
        self._turns = TurnedGolden(view, aspect=aspect)

    def unmoved(self, frame: View) -> Fit:
        """The frame as it lies."""
        return self._fit(frame, np.eye(3), RegistrationMethod.NONE)

    def shifted(self, frame: View) -> Fit:
        """The best shift of up to a fifth of the frame."""
        return self._fit(frame, self._near(frame, turns=False), RegistrationMethod.SHIFT)

    def nudged(self, frame: View, start: Fit | None = None) -> Fit:
        """The best shift with a small turn, looked for from `start` where one is known."""
        matrix = self._near(frame, turns=True) if start is None else self._descended(frame, start.matrix, turns=True)
        return self._fit(frame, matrix, RegistrationMethod.RIGID)

    def turned(self, frame: View) -> Fit:
        """The best shift with a turn by any angle."""
        template = self.template
        rough = [
            template.refine(frame, m, _COARSE, iterations=12, turns=True)
            for m in self._turns.candidates(frame, _TURN_CANDIDATES)
        ]
        ranked = sorted(rough, key=lambda m: -template.agreement(frame, m, _COARSE))
        settled = [self._unslipped(frame, m) for m in _distinct(ranked)]
        rivals = [template.refine(frame, m, _MIDDLE, iterations=12, turns=True) for m in settled]
        scores = [template.agreement(frame, m, _MIDDLE) for m in rivals]
        best = rivals[int(np.argmax(scores))]
        lead = max(scores) - min(scores) if len(scores) > 1 else 1.0
        fine = template.refine(frame, best, _FINE, iterations=10, turns=True)
        return replace(self._fit(frame, fine, RegistrationMethod.RIGID), lead=lead, anywhere=True)

    def _unslipped(self, frame: View, matrix: Matrix) -> Matrix:
        """The pose, or one that is half a repetition or a whole one further, whichever fits the outline best."""
        template = self.template
        dx, dy = (step * CANVAS / _COARSE for step in self._shifts.period)
        slips = [turned(0, share * dx, share * dy, side=CANVAS, aspect=1.0) @ matrix for share in _SLIPS]
        settled = [template.refine(frame, m, _COARSE, iterations=6, turns=True) for m in slips]
        return max([matrix, *settled], key=lambda m: template.outline_agreement(frame, m))

    def _near(self, frame: View, *, turns: bool) -> Matrix:
        """From where the frame lies and from the best shifts, coarse to fine."""
        template = self.template
        starts = [np.eye(3), *self._shifts.candidates(frame.levels[_COARSE], _SHIFT_CANDIDATES)]
        rough = [template.refine(frame, m, _COARSE, iterations=5, turns=turns) for m in starts]
        best = max(rough, key=lambda m: template.agreement(frame, m, _COARSE))
        return self._descended(frame, best, turns=turns)

    def _descended(self, frame: View, matrix: Matrix, *, turns: bool) -> Matrix:
        for side, iterations in ((_COARSE, 15), (_MIDDLE, 10), (_FINE, 8)):
            matrix = self.template.refine(frame, matrix, side, iterations=iterations, turns=turns)
        return matrix

    def _fit(self, frame: View, matrix: Matrix, method: RegistrationMethod) -> Fit:
        agreement = self.template.agreement(frame, matrix, _MIDDLE)
        return Fit(matrix=matrix, agreement=agreement, method=method)


def _distinct(ranked: list[Matrix]) -> list[Matrix]:
    """The best pose and the best that is quite another one, if any."""
    best = ranked[0]
    others = [m for m in ranked[1:] if corner_displacement(m, best, CANVAS) > _DISTINCT]
    return [best, *others[:1]]
