"""Overkill and escape of any threshold, from nights of which all flagged parts and a share of the others were reviewed.

The records know the similarity of every part, the reviewers what some of them are. Parts flagged then are reviewed one
and all, so what a lower threshold would let through is counted; of the parts that passed, those on either side of a
higher threshold are strata of their own, in which the reviewed ones stand for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.review.estimates import Estimate, Stratum, defective_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class ReviewedPart:
    """A part that was judged: `defective` is None where no reviewer decided; `passed` is the verdict it had.

    `similarity` may be None only where nobody decided: parts of an earlier night, whose reviewed ones alone were judged
    again with the present goldens.
    """

    similarity: float | None
    passed: bool
    defective: bool | None


@dataclass(frozen=True, kw_only=True)
class WeightedParts:
    """Similarities of the parts of one class, each as often as it stands for parts: (N,) float64 in [0, 1]."""

    good: NDArray[np.float64]
    defective: NDArray[np.float64]


def weighted_parts(parts: Sequence[ReviewedPart]) -> WeightedParts:
    """All parts of a night by what they are thought to be, so that shares are those of the whole night.

    A part of a stratum of N of which n are decided stands for N / n parts (Horvitz and Thompson 1952, JASA 47,
    663-685); whole numbers that add up to N are dealt out, the least similar parts first. Defective ones count at the
    similarity of those decided. Of the parts that nobody decided, those nearest to them in similarity are the ones they
    stand for; the others are good, each at its own similarity (a dozen reviewed parts know no 5 % quantile, a whole
    night does). Where their similarities are unknown, good ones too count at the similarity of those decided.
    """
    good: list[float] = []
    defective: list[float] = []
    for passed in (False, True):
        stratum = [part for part in parts if part.passed is passed]
        decided = sorted(
            (p.similarity, p.defective) for p in stratum if p.defective is not None and p.similarity is not None
        )
        if not decided:
            continue
        edges = np.linspace(0, len(stratum), len(decided) + 1).round().astype(int)
        standing = list(zip(decided, np.diff(edges), strict=True))
        defective.extend(similarity for (similarity, bad), times in standing if bad for _ in range(times))
        undecided = [part.similarity for part in stratum if part.defective is None]
        known = sorted(similarity for similarity in undecided if similarity is not None)
        if len(known) < len(undecided):
            good.extend(similarity for (similarity, bad), times in standing if not bad for _ in range(times))
            continue
        good.extend(similarity for similarity, bad in decided if not bad)
        for (similarity, bad), times in standing:
            if bad:
                known = _without_nearest(known, similarity, int(times) - 1)
        good.extend(known)
    return WeightedParts(good=np.array(good, dtype=np.float64), defective=np.array(defective, dtype=np.float64))


def _without_nearest(values: list[float], similarity: float, count: int) -> list[float]:
    """`values`, ascending, without the `count` nearest to `similarity`."""
    nearest = sorted(range(len(values)), key=lambda at: abs(values[at] - similarity))
    left_out = set(nearest[: max(count, 0)])
    return [value for at, value in enumerate(values) if at not in left_out]


def rates_at(threshold: float, parts: Sequence[ReviewedPart]) -> tuple[Estimate, Estimate]:
    """Overkill and escape at `threshold`, each with its 95 % interval.

    The parts fall into four strata: flagged or passed then, below or above `threshold` now. Each has the exact interval
    of its number of defective parts (one that is reviewed whole has none), at a confidence that the open ones share
    (Bonferroni); both rates rise and fall monotonously with each number, so their ends are rates at the ends.
    Where similarities are unknown so is the size of those strata, see `_rates_of_sampled`.
    """
    if any(part.similarity is None for part in parts):
        return _rates_of_sampled(threshold, parts)
    flagged_now, passing_now = (
        [
            _stratum([p for p in parts if p.passed is passed and _flagged(p, threshold) is now])
            for passed in (False, True)
        ]
        for now in (True, False)
    )
    uncertain = sum(one.reviewed < one.parts for one in (*flagged_now, *passing_now))
    confidence = 1 - (1 - _CONFIDENCE) / max(uncertain, 1)
    caught, missed = (_total(strata, confidence) for strata in (flagged_now, passing_now))
    below, above = (sum(stratum.parts for stratum in strata) for strata in (flagged_now, passing_now))
    overkill = _rate(below - caught.middle, above - missed.middle)
    escape = _rate(missed.middle, caught.middle)
    return (
        Estimate(
            rate=overkill,
            low=_rate(below - caught.high, above - missed.low) or 0.0,
            high=_or_one(_rate(below - caught.low, above - missed.high)),
        ),
        Estimate(
            rate=escape,
            low=_rate(missed.low, caught.high) or 0.0,
            high=_or_one(_rate(missed.high, caught.low)),
        ),
    )


def _rates_of_sampled(threshold: float, parts: Sequence[ReviewedPart]) -> tuple[Estimate, Estimate]:
    """Overkill and escape where only reviewed parts have a similarity.

    The reviewed parts that were flagged or passed then are a sample of all that were; how many of those are good and
    flagged now, defective and missed now, and so on has the exact hypergeometric interval each (8 numbers share the
    95 % by Bonferroni, those of strata that were reviewed whole excepted).
    """
    strata = [[part for part in parts if part.passed is passed] for passed in (False, True)]
    sampled = sum(any(part.defective is None for part in stratum) for stratum in strata)
    confidence = 1 - (1 - _CONFIDENCE) / max(4 * sampled, 1)

    def number(*, defective: bool, flagged: bool) -> _Number:
        return _total([_cell(stratum, threshold, defective, flagged) for stratum in strata], confidence)

    false_alarms, accepted = number(defective=False, flagged=True), number(defective=False, flagged=False)
    missed, caught = number(defective=True, flagged=False), number(defective=True, flagged=True)
    return _estimate(false_alarms, accepted), _estimate(missed, caught)


def _cell(parts: Sequence[ReviewedPart], threshold: float, defective: bool, flagged: bool) -> Stratum:  # noqa: FBT001 - two classes, twice
    decided = [part for part in parts if part.defective is not None]
    found = sum(part.defective is defective and _flagged(part, threshold) is flagged for part in decided)
    return Stratum(parts=len(parts), reviewed=len(decided), defective=found)


def _estimate(part: _Number, rest: _Number) -> Estimate:
    return Estimate(
        rate=_rate(part.middle, rest.middle),
        low=_rate(part.low, rest.high) or 0.0,
        high=_or_one(_rate(part.high, rest.low)),
    )


def _flagged(part: ReviewedPart, threshold: float) -> bool:
    return part.similarity is not None and part.similarity < threshold


@dataclass(frozen=True, kw_only=True)
class _Number:
    """A number of defective parts: the one thought likeliest, and its ends."""

    low: int
    middle: float
    high: int


def _stratum(parts: Sequence[ReviewedPart]) -> Stratum:
    decided = [part.defective for part in parts if part.defective is not None]
    return Stratum(parts=len(parts), reviewed=len(decided), defective=sum(decided))


def _total(strata: Sequence[Stratum], confidence: float) -> _Number:
    intervals = [
        (one.defective,) * 2 if one.reviewed == one.parts else defective_interval(one, confidence) for one in strata
    ]
    middle = sum(one.defective * one.parts / one.reviewed for one in strata if one.reviewed)
    return _Number(low=sum(low for low, _ in intervals), middle=middle, high=sum(high for _, high in intervals))


def _rate(part: float, rest: float) -> float | None:
    return part / (part + rest) if part + rest else None


def _or_one(rate: float | None) -> float:
    """Where nothing is known, all is possible."""
    return 1.0 if rate is None else rate
