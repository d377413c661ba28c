"""Make a calibration: from labelled similarities by policy, or provisionally from the goldens' own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from inspection.calibration.document import CALIBRATE_COMMAND, Binding, Calibration
from inspection.calibration.policy import Policy
from inspection.calibration.scale import distance_of, similarity_of
from inspection.calibration.statement import statement_of, warnings_of
from inspection.calibration.thresholds import checked_scores, choose_threshold, rates_at
from inspection.errors import CalibrationError, InsufficientSampleError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

PROVISIONAL_MARGIN = 1.25
"""The provisional threshold lies this many times farther out than the farthest golden comparison."""

NUISANCE_DISTANCE = 1.0
"""What harmless changes of light and pose give; a provisional threshold never treats less as a finding."""

_DOUBTFUL_SIMILARITY = 0.1


def calibrate_scores(good: ArrayLike, defective: ArrayLike, *, policy: Policy, binding: Binding) -> Calibration:
    """Choose the threshold that `policy` wishes on a labelled sample, and say what the sample proves.

    Args:
        good: (N,) similarities in [0, 1] of good parts, none of them a golden; N >= 1.
        defective: (M,) similarities in [0, 1] of defective parts; may be empty.
        policy: the wish.
        binding: the digests that the similarities were measured with.

    Returns:
        A calibration that is not provisional. Its two rates are those of the very parts that chose the threshold and
        so optimistic; the bounds that `statement` calls proven hold all the same.

    Raises:
        InsufficientSampleError: too few parts to prove the wish; names the number needed.
        CalibrationError: NaN or a value outside [0, 1], or classes that overlap too much for the wish.
    """
    good, defective = checked_scores(good, "good parts"), checked_scores(defective, "defective parts")
    if not len(good):
        message = "no good parts given: at least 1 is needed to calibrate, 19 to prove an overkill of 5 %"
        raise InsufficientSampleError(message)
    threshold = choose_threshold(good, defective, policy)
    overkill, escape = rates_at(threshold, good, defective)
    if threshold <= 0.0 or overkill is None:
        message = "the good parts have similarity 0 to the goldens, so any part would pass: is it the same product?"
        raise CalibrationError(message)
    return Calibration(
        threshold=threshold,
        provisional=False,
        binding=binding,
        policy=policy,
        good=len(good),
        defective=len(defective),
        overkill=overkill,
        escape=escape,
        statement=statement_of(threshold, policy, overkill, escape),
        warnings=warnings_of(good, defective, policy, overkill, escape),
        created_at=_now(),
    )


def provisional_calibration(scores: ArrayLike, *, binding: Binding) -> Calibration:
    """A first threshold from goldens alone, so that a new user sees verdicts at once; they say provisional.

    It lies at `PROVISIONAL_MARGIN` times the farthest distance among `scores`, no nearer than that times
    `NUISANCE_DISTANCE`. Nothing is proven: goldens compared with each other are no sample of parts.

    Args:
        scores: (N,) similarities in [0, 1] of goldens against the other goldens (leave-one-out) and of altered copies
            of goldens; N >= 1.
        binding: the digests that the similarities were measured with.

    Raises:
        InsufficientSampleError: no scores.
        CalibrationError: NaN or a value outside [0, 1], or a golden with similarity 0 to the others.
    """
    similarities = checked_scores(scores, "goldens")
    if not len(similarities):
        message = f"no comparison of goldens given; run `{CALIBRATE_COMMAND}` with good parts instead"
        raise InsufficientSampleError(message)
    least = float(similarities[0])
    if least <= 0.0:
        message = "a golden has similarity 0 to the others: is it a picture of another part? Enrol the goldens anew"
        raise CalibrationError(message)
    threshold = similarity_of(PROVISIONAL_MARGIN * max(distance_of(least), NUISANCE_DISTANCE))
    return Calibration(
        threshold=threshold,
        provisional=True,
        binding=binding,
        policy=Policy(),
        good=len(similarities),
        defective=0,
        overkill=None,
        escape=None,
        statement=_provisional_statement(threshold, len(similarities)),
        warnings=_provisional_warnings(threshold, least),
        created_at=_now(),
    )


def _provisional_statement(threshold: float, comparisons: int) -> str:
    return (
        f"Provisional threshold {threshold:.3f} (distance {distance_of(threshold):.2f}), from {comparisons} comparisons"
        " of the goldens with each other and with altered copies of themselves. No other part was seen: overkill and "
        f"escape are unknown. Run `{CALIBRATE_COMMAND}` with good parts, and defective ones if there are any."
    )


def _provisional_warnings(threshold: float, least: float) -> tuple[str, ...]:
    if threshold >= _DOUBTFUL_SIMILARITY:
        return ()
    differ = f"the goldens differ much from each other (least similarity {least:.3f}), so that defects may pass"
    return (f"{differ}: look for a golden that is misplaced, badly lit or of another part",)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
