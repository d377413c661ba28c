"""What a calibration proves and what it does not, in the words of a quality engineer."""

from __future__ import annotations

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
from inspection.calibration.scale import distance_of
from inspection.calibration.thresholds import DEFAULT_MAX_OVERKILL, default_max_overkill

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inspection.calibration.policy import Policy

_LOOSE_ESCAPE = 0.1


def statement_of(threshold: float, policy: Policy, overkill: Rate, escape: Rate | None) -> str:
    """How the threshold was chosen, then overkill, then escape: a sentence each."""
    limit = effective_max_overkill(policy, overkill.n, escape)
    return " ".join(
        [
            f"Threshold {threshold:.3f} (distance {distance_of(threshold):.2f}): {_wish(policy, limit, escape)}.",
            _overkill(overkill, limit),
            _escape(escape, policy),
        ]
    )


def effective_max_overkill(policy: Policy, good: int, escape: Rate | None) -> float | None:
    """The overkill limit that rules: the one wished, the default where good parts are all there is, or None."""
    if policy.max_overkill is not None or policy.has_limits or policy.has_costs or escape is not None:
        return policy.max_overkill
    return default_max_overkill(good)


def warnings_of(
    good: NDArray[np.float64], defective: NDArray[np.float64], policy: Policy, overkill: Rate, escape: Rate | None
) -> tuple[str, ...]:
    """What a quality engineer must know before trusting the threshold; both arrays sorted."""
    found = [
        _default_not_proven(len(good), policy, escape),
        _overlap(good, defective),
        _nothing_caught(escape),
        _escape_hardly_known(escape, policy),
        _most_good_flagged(overkill),
        _duplicates(good, "good"),
        _duplicates(defective, "defective"),
    ]
    return tuple(warning for warning in found if warning)


def _wish(policy: Policy, limit: float | None, escape: Rate | None) -> str:
    if policy.cost_escape is not None and policy.cost_overkill is not None:
        return (
            f"least cost in the sample at {policy.cost_escape:g} per escape and {policy.cost_overkill:g} per overkill"
        )
    if policy.max_escape is not None:
        first = f"overkill at most {percent(limit)} and " if limit is not None else ""
        then = "fewest escapes" if limit is not None else "least overkill"
        return f"{then} with {first}escape at most {percent(policy.max_escape)}"
    if limit is not None:
        return f"{'fewest escapes' if escape else 'strictest'} with overkill at most {percent(limit)}"
    return "best balance of caught and wrongly flagged parts (F1)"


def _overkill(rate: Rate, limit: float | None) -> str:
    if limit is None:
        return f"Overkill in the sample: {rate}."
    bound = conformal_rank(rate.n, limit) / (rate.n + 1)
    return (
        f"Overkill: proven from {counted(rate.n, 'good part')}: on average at most {percent(bound)} of further good "
        f"parts like these are flagged; in the sample {rate}."
    )


def _escape(rate: Rate | None, policy: Policy) -> str:
    if rate is None:
        return "Escape: unknown, the sample has no defective parts."
    if policy.max_escape is None:
        return f"Escape in the sample: {rate}."
    return (
        f"Escape: proven from {counted(rate.n, 'defective part')} with 95 % confidence: at most "
        f"{percent(upper_bound(rate.events, rate.n))} of defective parts like these pass; in the sample {rate}."
    )


def _default_not_proven(good: int, policy: Policy, escape: Rate | None) -> str | None:
    limit = effective_max_overkill(policy, good, escape)
    if policy.max_overkill is not None or limit is None or limit <= DEFAULT_MAX_OVERKILL:
        return None
    return (
        f"{counted(good, 'good part')} can prove an overkill of {percent(limit)} and no less; "
        f"{percent(DEFAULT_MAX_OVERKILL)} needs {good_parts_needed(DEFAULT_MAX_OVERKILL)} good parts"
    )


def _overlap(good: NDArray[np.float64], defective: NDArray[np.float64]) -> str | None:
    if not len(defective) or defective[-1] < good[0]:
        return None
    inside = int(np.count_nonzero(good <= defective[-1]))
    return (
        f"the classes overlap: {inside} of {len(good)} good parts are no more similar to the goldens than the "
        "best-looking defective part"
    )


def _nothing_caught(escape: Rate | None) -> str | None:
    if escape is None or escape.events < escape.n:
        return None
    return f"no defective part is caught: each of the {escape.n} passes at this threshold"


def _escape_hardly_known(escape: Rate | None, policy: Policy) -> str | None:
    if escape is None or policy.max_escape is not None or escape.events == escape.n:
        return None
    if upper_bound(0, escape.n) <= _LOOSE_ESCAPE:
        return None
    bound = upper_bound(escape.events, escape.n)
    return (
        f"escape is hardly known from {counted(escape.n, 'defective part')}: it may be up to {percent(bound)} "
        f"(95 % confidence); 1 % needs {defective_parts_needed(0.01)} defective parts, none escaping"
    )


def _most_good_flagged(overkill: Rate) -> str | None:
    if overkill.rate <= 0.5:  # noqa: PLR2004 - most
        return None
    return f"most good parts are flagged: {overkill}"


def _duplicates(sorted_scores: NDArray[np.float64], what: str) -> str | None:
    repeated = len(sorted_scores) - len(np.unique(sorted_scores))
    if repeated <= max(1, len(sorted_scores) // 10):
        return None
    return (
        f"{repeated} of {len(sorted_scores)} {what} parts have exactly the similarity of another one: if these are "
        "copies of one picture, the sample proves less than its size says"
    )
