"""Estimates of escape and overkill from a review that saw all flagged parts and a random share of the passed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.stats import hypergeom

if TYPE_CHECKING:
    from collections.abc import Callable

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """Parts with the same verdict: how many there are, how many of them were reviewed, how many of those defective.

    Every reviewed part stands for `parts / reviewed` parts. What was chosen and is not answered yet counts as not
    reviewed; that it is not answered must have nothing to do with what it is.
    """

    parts: int
    reviewed: int
    defective: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A rate with its 95 % interval, in [0, 1]; `rate` is None where the reviewed parts say nothing of it."""

    rate: float | None
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class NightEstimate:
    """Escape and overkill of one night, and how many defective parts it is thought to have passed and flagged."""

    escape: Estimate
    overkill: Estimate
    passed: Stratum
    flagged: Stratum


def estimate_night(flagged: Stratum, passed: Stratum) -> NightEstimate:
    """Escape and overkill of a night from its reviewed parts.

    With D defective of F flagged parts and E defective of P passed ones, escape is E / (D + E) and overkill is
    (F - D) / (F - D + P - E). Where all flagged parts are reviewed D is known, and only E is uncertain: the interval is
    the exact hypergeometric one for E (test inversion, Wright 1991, Exact Confidence Bounds when Sampling from Small
    Finite Universes), carried through; both rates are monotonous in D and in E. Where some flagged parts are not
    reviewed yet, D gets an interval too, and both are at 97.5 % (Bonferroni), so that together they hold at 95 %.
    """
    complete = flagged.reviewed == flagged.parts
    confidence = _CONFIDENCE if complete else (1 + _CONFIDENCE) / 2
    low_d, high_d = (flagged.defective,) * 2 if complete else defective_interval(flagged, confidence)
    low_e, high_e = defective_interval(passed, confidence)
    found, escaped = _expected(flagged), _expected(passed)
    return NightEstimate(
        escape=Estimate(
            rate=None if found is None or escaped is None else _share(escaped, found),
            low=_share(low_e, high_d) or 0.0,
            high=_upper(high_e, low_d),
        ),
        overkill=Estimate(
            rate=_between(flagged.parts, found, passed.parts, escaped),
            low=_share(flagged.parts - high_d, passed.parts - low_e) or 0.0,
            high=_share(flagged.parts - low_d, passed.parts - high_e) or 0.0,
        ),
        passed=passed,
        flagged=flagged,
    )


def defective_interval(stratum: Stratum, confidence: float = _CONFIDENCE) -> tuple[int, int]:
    """Least and greatest number of defective parts in a stratum that its reviewed parts are compatible with.

    A number K is compatible where at least `defective` of a sample without replacement have a probability above
    (1 - confidence) / 2 under K, and so have at most `defective`.
    """
    tail = (1 - confidence) / 2
    low, high = stratum.defective, stratum.parts - (stratum.reviewed - stratum.defective)
    least = _first(low, high, lambda k: hypergeom.sf(stratum.defective - 1, stratum.parts, k, stratum.reviewed) > tail)
    most = _first(low, high, lambda k: hypergeom.cdf(stratum.defective, stratum.parts, k, stratum.reviewed) <= tail)
    beyond = hypergeom.cdf(stratum.defective, stratum.parts, most, stratum.reviewed) <= tail
    return least, max(least, most - 1 if beyond else most)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first number from `low` on for which `holds` is true, given that it stays so; `high` where there is none."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _expected(stratum: Stratum) -> float | None:
    """The number of defective parts, each reviewed part weighted by what it stands for."""
    if not stratum.parts:
        return 0.0
    return stratum.defective * stratum.parts / stratum.reviewed if stratum.reviewed else None


def _between(flagged: int, found: float | None, passed: int, escaped: float | None) -> float | None:
    return None if found is None or escaped is None else _share(flagged - found, passed - escaped)


def _upper(part: float, rest: float) -> float:
    """The share, or 1 where nothing is known."""
    share = _share(part, rest)
    return 1.0 if share is None else share


def _share(part: float, rest: float) -> float | None:
    return part / (part + rest) if part + rest else None
