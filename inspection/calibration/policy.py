"""What the factory wishes of a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inspection.errors import CalibrationError


@dataclass(frozen=True, kw_only=True)
class Policy:
    """By which wish the threshold is chosen; limits are shares in (0, 1), costs are per part in any one currency.

    - `max_overkill`, `max_escape` or both: limits that the sample must be able to prove.
    - `cost_escape` with `cost_overkill`: the least `cost_escape * missed + cost_overkill * flagged` over the sample's
      counts as they are. On a line where defects are rarer than in the sample, multiply `cost_escape` by the odds of
      a defect on the line over those in the sample (Elkan 2001, IJCAI, 973-978).
    - none: best F1 where defective parts are given, else at most 1 % overkill or the least the sample can prove.

    Raises:
        CalibrationError: a value outside its range, one cost without the other, or costs beside limits.
    """

    max_overkill: float | None = None
    max_escape: float | None = None
    cost_escape: float | None = None
    cost_overkill: float | None = None

    def __post_init__(self) -> None:
        """Refuse wishes that contradict each other or that no sample can fulfil."""
        for name in ("max_overkill", "max_escape"):
            _check_limit(name, getattr(self, name))
        for name in ("cost_escape", "cost_overkill"):
            _check_cost(name, getattr(self, name))
        if (self.cost_escape is None) != (self.cost_overkill is None):
            message = "cost_escape and cost_overkill belong together: give both or neither"
            raise CalibrationError(message)
        if self.has_costs and self.has_limits:
            message = "costs and limits are two different policies: give max_overkill/max_escape, or the two costs"
            raise CalibrationError(message)

    @property
    def has_costs(self) -> bool:
        """Whether the threshold is chosen by cost."""
        return self.cost_escape is not None

    @property
    def has_limits(self) -> bool:
        """Whether overkill, escape or both are limited."""
        return self.max_overkill is not None or self.max_escape is not None


def _check_limit(name: str, value: float | None) -> None:
    if value is not None and not 0.0 < value < 1.0:
        reason = "no sample can prove 0 %" if value == 0.0 else "a limit lies between 0 and 1 (0.01 is 1 %)"
        message = f"{name} can't be {value}: {reason}"
        raise CalibrationError(message)


def _check_cost(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0.0):
        message = f"{name} must be a number above 0, not {value}"
        raise CalibrationError(message)
