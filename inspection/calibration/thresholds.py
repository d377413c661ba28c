"""From two sets of similarities and a policy to one threshold. A part is flagged when `similarity < threshold`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inspection.calibration.rates import (
    Rate,
    conformal_rank,
    counted,
    defective_parts_needed,
    good_parts_needed,
    percent,
    upper_bound,
)
from inspection.calibration.scale import between
from inspection.errors import CalibrationError, InsufficientSampleError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from inspection.calibration.policy import Policy

ENGINE_TOLERANCE = 1e-3
"""Engines agree on a similarity to this; a threshold stays this far below the good part that bounds it."""

DEFAULT_MAX_OVERKILL = 0.01


def checked_scores(scores: ArrayLike, what: str) -> NDArray[np.float64]:
    """Similarities as a sorted (N,) float64 array, least similar first.

    Raises:
        CalibrationError: not one-dimensional, not numbers, or one of them NaN or outside [0, 1].
    """
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = f"the similarities of {what} are not numbers: {error}"
        raise CalibrationError(message) from error
    if values.ndim != 1:
        message = f"the similarities of {what} must be one list of numbers, not an array of shape {values.shape}"
        raise CalibrationError(message)
    wrong = np.flatnonzero(~((values >= 0.0) & (values <= 1.0)))
    if len(wrong):
        message = f"similarity {values[wrong[0]]} of {what}, number {wrong[0] + 1}, does not lie in 0 to 1"
        raise CalibrationError(message)
    return np.sort(values)


def rates_at(threshold: float, good: ArrayLike, defective: ArrayLike) -> tuple[Rate | None, Rate | None]:
    """Overkill and escape of the similarities at `threshold`; None for a class without parts."""
    flagged = int(np.count_nonzero(np.asarray(good) < threshold))
    missed = int(np.count_nonzero(np.asarray(defective) >= threshold))
    overkill = Rate.of(flagged, np.size(good)) if np.size(good) else None
    escape = Rate.of(missed, np.size(defective)) if np.size(defective) else None
    return overkill, escape


@dataclass(frozen=True, kw_only=True)
class OperatingPoints:
    """What every threshold that makes a difference does; (K,) each, thresholds rising.

    `flagged` counts good parts below the threshold, `missed` defective parts at or above it.
    """

    thresholds: NDArray[np.float64]
    flagged: NDArray[np.int64]
    missed: NDArray[np.int64]


def operating_points(good: ArrayLike, defective: ArrayLike) -> OperatingPoints:
    """All operating points of two sets of similarities, from flagging nothing to flagging everything."""
    good, defective = np.sort(np.asarray(good, float)), np.sort(np.asarray(defective, float))
    values = np.unique(np.concatenate([good, defective]))
    thresholds = np.append(values, np.nextafter(values[-1:], np.inf))
    return OperatingPoints(
        thresholds=thresholds,
        flagged=np.searchsorted(good, thresholds, side="left"),
        missed=len(defective) - np.searchsorted(defective, thresholds, side="left"),
    )


def choose_threshold(good: NDArray[np.float64], defective: NDArray[np.float64], policy: Policy) -> float:
    """The threshold that `policy` wishes; both arrays as `checked_scores` gives them.

    Raises:
        InsufficientSampleError: too few parts to prove the wish; names the number needed.
        CalibrationError: enough parts, but the two classes overlap too much for the wish.
    """
    if policy.max_overkill is not None and policy.max_escape is not None:
        return _within_both(good, defective, policy.max_overkill, policy.max_escape)
    if policy.max_overkill is not None:
        return threshold_for_overkill(good, defective, policy.max_overkill)
    if policy.max_escape is not None:
        return threshold_for_escape(good, defective, policy.max_escape)
    if policy.cost_escape is not None and policy.cost_overkill is not None:
        return _least_cost(good, defective, policy.cost_escape, policy.cost_overkill)
    if len(defective):
        return _best_f1(good, defective)
    return threshold_for_overkill(good, defective, default_max_overkill(len(good)))


def default_max_overkill(good: int) -> float:
    """1 %, or where `good` parts can't prove that, the least they can: 1 / (good + 1)."""
    return max(DEFAULT_MAX_OVERKILL, 1.0 / (good + 1))


def threshold_for_overkill(good: NDArray[np.float64], defective: NDArray[np.float64], limit: float) -> float:
    """The threshold with the least escape of those that flag at most `limit` of future good parts on average.

    Split-conformal bound: with k = floor((n + 1) * limit) and the k-th least similar of n good parts, a further part
    exchangeable with them is less similar than that one with probability k / (n + 1) <= limit at most (Vovk, Gammerman
    and Shafer 2005, Algorithmic Learning in a Random World; Lei et al. 2018, JASA 113, 1094-1111). The probability is
    over sample and part together. It holds for any threshold up to that part, so defective parts may choose below it:
    of the thresholds that miss fewest, one in the gap to the next good part.

    Raises:
        InsufficientSampleError: k is 0; names the number of good parts needed.
    """
    ceiling = _overkill_ceiling(good, limit)
    caught = defective[defective < ceiling]
    return _above(good, float(caught[-1])) if len(caught) else _just_below(good, ceiling)


def threshold_for_escape(good: NDArray[np.float64], defective: NDArray[np.float64], limit: float) -> float:
    """The threshold with the least overkill of those proven to let at most `limit` of defective parts escape.

    Proven means: the one-sided 95 % Clopper-Pearson bound on escape is at most `limit`. The bound keeps its 95 %
    although the threshold is chosen on the same parts, since the c-th most similar of m parts is a distribution-free
    tolerance limit (Wilks 1941, Ann. Math. Stat. 12, 91-96).

    Raises:
        InsufficientSampleError: not even zero escapes would prove it; names the number of defective parts needed.
        CalibrationError: every good part would be flagged; gives the best that can be reached.
    """
    floor = _escape_floor(defective, limit)
    if floor >= good[-1]:
        raise CalibrationError(_overlap(good, defective, limit))
    return _above(good, _largest_below(defective, _next_good(good, floor)))


def _within_both(
    good: NDArray[np.float64], defective: NDArray[np.float64], max_overkill: float, max_escape: float
) -> float:
    threshold = threshold_for_overkill(good, defective, max_overkill)
    if threshold > _escape_floor(defective, max_escape):
        return threshold
    other = threshold_for_escape(good, defective, max_escape)
    missed = int(np.count_nonzero(defective >= threshold))
    flagged = int(np.count_nonzero(good < other))
    message = (
        f"the wishes can't both be met. With overkill at most {percent(max_overkill)}, {missed} of {len(defective)} "
        f"defective parts escape, which proves at most {percent(upper_bound(missed, len(defective)))} and not "
        f"{percent(max_escape)}. With escape at most {percent(max_escape)}, {flagged} of {len(good)} good parts are "
        f"flagged ({percent(flagged / len(good))}). Loosen one of them"
    )
    raise CalibrationError(message)


def _least_cost(
    good: NDArray[np.float64], defective: NDArray[np.float64], cost_escape: float, cost_overkill: float
) -> float:
    _need_defective(defective, "to weigh the costs")
    # Where the last defective part hides among the good ones it can be cheapest to flag all; 1.0 stands for that.
    passing = _gap_ends(np.unique(np.append(good, 1.0)), good, defective)
    flagged, missed = _counts(passing, good, defective)
    cost = cost_escape * missed + cost_overkill * flagged
    return _placed(good, defective, float(passing[np.lexsort((missed, cost))[0]]))


def _best_f1(good: NDArray[np.float64], defective: NDArray[np.float64]) -> float:
    passing = _gap_ends(np.unique(good), good, defective)
    flagged, missed = _counts(passing, good, defective)
    caught = len(defective) - missed
    if not caught.any():
        message = (
            f"similarity does not tell good from defective here: each of the {len(defective)} defective parts is at "
            f"least as similar to the goldens as all {len(good)} good ones. Look for mixed-up folders or goldens of "
            "another part"
        )
        raise CalibrationError(message)
    f1 = 2.0 * caught / (2.0 * caught + flagged + missed)
    return _placed(good, defective, float(passing[np.lexsort((missed, -f1))[0]]))


def _gap_ends(
    candidates: NDArray[np.float64], good: NDArray[np.float64], defective: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The candidates with a defective part between them and the next good part below, and the very lowest."""
    below = np.searchsorted(good, candidates, side="left")
    caught = np.searchsorted(defective, candidates, side="left")
    highest_good = np.where(below > 0, good[np.maximum(below, 1) - 1], -1.0)
    highest_defective = np.where(caught > 0, defective[np.maximum(caught, 1) - 1], -1.0)
    kept: NDArray[np.float64] = candidates[(highest_defective >= highest_good) | (below == 0)]
    return kept


def _counts(
    thresholds: NDArray[np.float64], good: NDArray[np.float64], defective: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    flagged = np.searchsorted(good, thresholds, side="left")
    return flagged, len(defective) - np.searchsorted(defective, thresholds, side="left")


def _placed(good: NDArray[np.float64], defective: NDArray[np.float64], end: float) -> float:
    caught = defective[defective < end]
    return between(float(caught[-1]), end) if len(caught) else _just_below(good, end)


def _overkill_ceiling(good: NDArray[np.float64], limit: float) -> float:
    rank = conformal_rank(len(good), limit)
    if rank < 1:
        message = (
            f"{counted(len(good), 'good part')} can't prove an overkill of at most {percent(limit)}: "
            f"{good_parts_needed(limit)} good parts are needed; the least that {len(good)} can prove is "
            f"{percent(1.0 / (len(good) + 1))}"
        )
        raise InsufficientSampleError(message)
    return float(good[rank - 1])


def _escape_floor(defective: NDArray[np.float64], limit: float) -> float:
    needed = defective_parts_needed(limit)
    if len(defective) < needed:
        least = upper_bound(0, len(defective)) if len(defective) else 1.0
        message = (
            f"{counted(len(defective), 'defective part')} can't prove an escape of at most {percent(limit)} "
            f"at 95 % confidence: {needed} defective parts are needed, none of them escaping; the least that "
            f"{len(defective)} can prove is {percent(least)}"
        )
        raise InsufficientSampleError(message)
    allowed = 0
    while upper_bound(allowed + 1, len(defective)) <= limit:
        allowed += 1
    return float(defective[-1 - allowed])


def _overlap(good: NDArray[np.float64], defective: NDArray[np.float64], limit: float) -> str:
    missed = int(np.count_nonzero(defective >= good[-1]))
    return (
        f"the classes overlap too much for an escape of at most {percent(limit)}: every good part would be flagged. "
        f"With only the most similar of {len(good)} good parts passing, {missed} of {len(defective)} defective parts "
        f"escape, which proves at most {percent(upper_bound(missed, len(defective)))}"
    )


def _above(good: NDArray[np.float64], defective: float) -> float:
    return between(defective, _next_good(good, defective))


def _next_good(good: NDArray[np.float64], similarity: float) -> float:
    return float(good[np.searchsorted(good, similarity, side="right")])


def _largest_below(values: NDArray[np.float64], limit: float) -> float:
    return float(values[np.searchsorted(values, limit, side="left") - 1])


def _just_below(good: NDArray[np.float64], ceiling: float) -> float:
    below = good[good < ceiling]
    gap = ceiling - (float(below[-1]) if len(below) else 0.0)
    return ceiling - min(ENGINE_TOLERANCE, gap / 2.0)


def _need_defective(defective: NDArray[np.float64], purpose: str) -> None:
    if not len(defective):
        message = f"no defective parts given: at least 1 is needed {purpose}"
        raise InsufficientSampleError(message)
