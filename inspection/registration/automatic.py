"""Decides without any setting how much freedom a part's frames have, from how well its goldens lie on each other."""

from __future__ import annotations

from enum import Enum
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.recipe import RegistrationMethod
from inspection.registration.poses import corner_displacement
from inspection.registration.views import CANVAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspection.registration.fitting import Fit, GoldenFitter
    from inspection.registration.views import View

_ENOUGH_GOLDENS: Final = 8  # compared with the first one; more would only cost time
_ALIKE: Final = 0.7  # agreement of two pictures of one part laid on each other; nuts and cookies stay below
_STEP: Final = 0.02  # agreement that a further freedom must gain to be worth it
_TURN_GAIN: Final = 0.1  # agreement by which a golden turned by any angle must beat one that is only nudged
_UNIQUE: Final = 0.05  # lead over the next pose, unless the agreement is
_SURE: Final = 0.8
_SALVAGE: Final = 0.4  # agreement of a badly damaged part, believed where the gain is large:
_LARGE_GAIN: Final = 0.25
_REACH: Final = 0.25 * CANVAS  # pixels; what the search at any angle finds this near is no free turn
_LARGE_SHIFT: Final = 0.1 * CANVAS  # pixels; where goldens tell that frames move, less is believed at once


class Freedom(Enum):
    """What the goldens tell about the pose of frames."""

    FIXED = "nothing makes the goldens agree: every piece differs, compare as they lie"
    MOVES = "goldens agree after a shift"
    NUDGED = "goldens agree after a shift and a small turn"
    TURNS = "goldens lie at any angle"
    UNKNOWN = "one golden tells nothing: decide frame by frame, on strong evidence only"

    @property
    def method(self) -> RegistrationMethod:
        """The recipe's word for it; `auto` where each frame decides."""
        return {
            Freedom.FIXED: RegistrationMethod.NONE,
            Freedom.MOVES: RegistrationMethod.SHIFT,
            Freedom.NUDGED: RegistrationMethod.RIGID,
            Freedom.TURNS: RegistrationMethod.RIGID,
            Freedom.UNKNOWN: RegistrationMethod.AUTO,
        }[self]


def freedom_of(fitter: GoldenFitter, others: Sequence[View]) -> Freedom:
    """The least freedom that makes the other goldens agree with the first."""
    views = others[:_ENOUGH_GOLDENS]
    if not views:
        return Freedom.UNKNOWN
    nudged = [fitter.nudged(view) for view in views]
    if any(turns_freely(near, fitter.turned(view)) for near, view in zip(nudged, views, strict=True)):
        return Freedom.TURNS
    reached = median(fit.agreement for fit in nudged)
    if reached < _ALIKE:
        return Freedom.FIXED
    shifted = median(fitter.shifted(view).agreement for view in views)
    return Freedom.MOVES if reached < shifted + _STEP else Freedom.NUDGED


def turns_freely(near: Fit, far: Fit) -> bool:
    """Whether a turn by any angle explains the picture and a small one does not."""
    distinct = far.lead >= _UNIQUE or far.agreement >= _SURE
    return far.agreement >= _ALIKE and far.agreement >= near.agreement + _TURN_GAIN and distinct


def choose(fitter: GoldenFitter, frame: View, freedom: Freedom) -> Fit:
    """The simplest fit of this frame: each further freedom has to pay."""
    still = fitter.unmoved(frame)
    if freedom is Freedom.FIXED:
        return still
    if freedom is Freedom.TURNS:
        far = fitter.turned(frame)
        return far if far.agreement >= still.agreement + _STEP else still
    shifted = fitter.shifted(frame)
    fit = _worth(_worth(still, shifted, freedom), fitter.nudged(frame, shifted), freedom)
    if freedom is Freedom.UNKNOWN and fit.agreement < 1 - _TURN_GAIN:
        far = fitter.turned(frame)
        if corner_displacement(far.matrix, np.eye(3), CANVAS) < _REACH:
            return _worth(fit, far, freedom)
        return far if turns_freely(fit, far) else fit
    return fit


def _worth(simple: Fit, free: Fit, freedom: Freedom) -> Fit:
    gain = free.agreement - simple.agreement
    likely = freedom is not Freedom.UNKNOWN and corner_displacement(free.matrix, np.eye(3), CANVAS) < _LARGE_SHIFT
    damaged = free.agreement >= _SALVAGE and gain >= _LARGE_GAIN
    believed = likely or damaged or free.agreement >= _ALIKE
    return free if believed and gain >= _STEP else simple
