"""Control charts: figures of a run of frames, stretch by stretch, against what the calibration's parts let expect.

Every limit knows two sizes: that of the stretch, and that of the calibration, whose few parts tell the line's mean and
spread only roughly. And none is nearer than what matters on a line: among 100 000 parts every trifle is significant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import betaln, gammaln, stdtrit

from inspection.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pipeline.watch.figures import Baseline, FrameFigures, WatchedFrame

TAIL: Final = 1e-4
"""Chance that a figure of an unchanged line lies outside its limits.

Shewhart's 3 standard errors (1 in 370) would alarm every other night. A calibration that happens to lie off the line's
true mean is off in every window until the next calibration, so this is about the chance of a false alarm for each chart
of a calibration, however many nights it lasts.
"""

FEWEST: Final = 30
"""Frames below which a stretch has no limits."""

_FEWEST_KNOWN = 10
LEAST_BRIGHTNESS = 0.06  # of the calibration's
LEAST_FOCUS = 0.25  # of the calibration's
LEAST_MOVE = 0.012  # of the golden's side
LEAST_SHARE = 0.05  # more parts flagged than good ones at calibration (some are defective), or not inspectable
LEAST_DISTANCE = 0.25  # of distributions of similarity: a quarter of the parts lies elsewhere
_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure over K stretches: (K,) `values` with the limits `low` and `high` of each; NaN where unknown.

    `centre` is the calibration's. `low` is -inf where only more is an alarm.
    """

    name: str
    values: NDArray[np.float64]
    centre: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def below(self) -> NDArray[np.bool_]:
        """(K,) where the value lies below its limits."""
        return np.asarray(self.values < self.low, np.bool_)

    @property
    def above(self) -> NDArray[np.bool_]:
        """(K,) where the value lies above its limits."""
        return np.asarray(self.values > self.high, np.bool_)

    @property
    def out(self) -> NDArray[np.bool_]:
        """(K,) where the value lies outside its limits."""
        return self.below | self.above


@dataclass(frozen=True, kw_only=True)
class Charts:
    """A run of frames cut into stretches: `spans` (first frame, one after the last), and a chart of each figure.

    `similarity` is (3, K): the 5 %, 50 % and 95 % quantiles of passed parts, `similarity_known` (3,) those of the
    calibration's. `problems` names for each stretch why most of its not inspected frames were none; "" without any.
    """

    spans: tuple[tuple[int, int], ...]
    brightness: Chart
    focus: Chart
    moved_x: Chart
    moved_y: Chart
    flagged: Chart
    not_inspected: Chart
    distance: Chart
    similarity: NDArray[np.float64]
    similarity_known: NDArray[np.float64]
    problems: tuple[str, ...]

    @property
    def all(self) -> tuple[Chart, ...]:
        """Every chart, in the order in which people look at them."""
        moved = (self.moved_x, self.moved_y)
        return (self.brightness, self.focus, *moved, self.flagged, self.not_inspected, self.distance)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(K,) frames in each stretch."""
        return np.array([last - first for first, last in self.spans], dtype=np.int64)


def draw_charts(baseline: Baseline, frames: Sequence[WatchedFrame], spans: Sequence[tuple[int, int]]) -> Charts:
    """Hold each stretch of `frames` against the parts of the calibration."""

    def mean(name: str, least: Callable[[float], float]) -> Chart:
        values = [_values([frame.figures for frame in frames[first:last]], name) for first, last in spans]
        return _mean_chart(name, _values(baseline.frames, name), values, least)

    parts = [frames[first:last] for first, last in spans]
    passed = [_values([one.figures for one in part if one.verdict is Verdict.PASS], "similarity") for part in parts]
    known = np.sort(_values(baseline.frames, "similarity"))
    flagged = round(baseline.overkill * len(known))
    return Charts(
        spans=tuple(spans),
        brightness=mean("brightness", lambda centre: LEAST_BRIGHTNESS * abs(centre)),
        focus=mean("focus", lambda centre: LEAST_FOCUS * abs(centre)),
        moved_x=mean("moved_x", lambda _: LEAST_MOVE),
        moved_y=mean("moved_y", lambda _: LEAST_MOVE),
        flagged=_share_chart("flagged", parts, Verdict.FLAG, flagged, len(known)),
        not_inspected=_share_chart(
            "not_inspected", parts, Verdict.CANNOT_INSPECT, baseline.not_inspected, len(known) + baseline.not_inspected
        ),
        distance=_distance_chart(known[flagged:], passed),
        similarity=np.array([_quantiles(one) for one in passed]).T,
        similarity_known=_quantiles(known[flagged:]),
        problems=tuple(map(_problem, parts)),
    )


def _values(frames: Sequence[FrameFigures], name: str) -> NDArray[np.float64]:
    """What is known of a figure, NaN and None left out."""
    values = np.array([getattr(frame, name) for frame in frames], dtype=np.float64)
    return values[np.isfinite(values)]


def _mean_chart(
    name: str, known: NDArray[np.float64], parts: Sequence[NDArray[np.float64]], least: Callable[[float], float]
) -> Chart:
    """An x-bar chart (Shewhart 1931; Montgomery, Introduction to Statistical Quality Control, ch. 6).

    Its limits are those of Student's two-sample statistic: the mean of m frames differs from that of the n parts of the
    calibration, whose standard deviation is s, by at most t(n - 1) s sqrt(1 / m + 1 / n). They are never nearer than
    `least` of the centre.
    """
    sizes = np.array([len(part) for part in parts], dtype=np.float64)
    values = np.array([part.mean() if len(part) else math.nan for part in parts])
    if len(known) < _FEWEST_KNOWN:
        nothing = np.full(len(parts), math.nan)
        return Chart(name=name, values=values, centre=math.nan, low=nothing, high=nothing)
    centre, count = float(known.mean()), len(known)
    quantile = -float(stdtrit(count - 1, TAIL / 2))
    error = quantile * float(known.std(ddof=1)) * np.sqrt(1 / np.maximum(sizes, 1) + 1 / count)
    width = np.where(sizes < FEWEST, math.nan, np.maximum(error, least(centre)))
    return Chart(name=name, values=values, centre=centre, low=centre - width, high=centre + width)


def _share_chart(name: str, parts: Sequence[Sequence[WatchedFrame]], verdict: Verdict, k: int, n: int) -> Chart:
    """A p-chart (Montgomery, ch. 7) with an upper limit alone: fewer flags are no alarm.

    `k` of `n` parts of the calibration are the reference. The normal limits of the textbook don't hold for rare events
    in small samples, so the limit is the quantile of the beta-binomial distribution: what m frames may show whose true
    share is known from k of n alone (Jeffreys' prior; Gelman et al., Bayesian Data Analysis, ch. 2).
    """
    centre = (k + 0.5) / (n + 1)
    sizes = [len(part) for part in parts]
    values = [sum(one.verdict is verdict for one in part) / max(len(part), 1) for part in parts]
    high = [max(_share_limit(size, k, n), centre + LEAST_SHARE) if size >= FEWEST else math.nan for size in sizes]
    return Chart(
        name=name,
        values=np.array(values, dtype=np.float64),
        centre=k / n if n else 0.0,
        low=np.full(len(parts), -math.inf),
        high=np.array(high, dtype=np.float64),
    )


@lru_cache(maxsize=1024)
def _share_limit(size: int, k: int, n: int) -> float:
    """The smallest share of `size` frames that is exceeded with a chance of at most TAIL."""
    found = np.arange(size + 1)
    choices = gammaln(size + 1) - gammaln(found + 1) - gammaln(size - found + 1)
    chances = np.exp(choices + betaln(found + k + 0.5, size - found + n - k + 0.5) - betaln(k + 0.5, n - k + 0.5))
    more = np.append(np.cumsum(chances[::-1])[::-1][1:], 0.0)  # chance of more than so many
    return float(np.argmax(more <= TAIL)) / size


def _distance_chart(known: NDArray[np.float64], parts: Sequence[NDArray[np.float64]]) -> Chart:
    """How far the similarities of passed parts lie from those of the calibration's good parts that pass.

    The two-sample Kolmogorov-Smirnov distance, with its asymptotic limit sqrt(-ln(TAIL / 2) / 2 * (1 / n + 1 / m))
    for the sizes of calibration and stretch (Smirnov 1948, Ann. Math. Stat. 19, 279-281).
    """
    enough = [len(part) >= FEWEST and len(known) >= _FEWEST_KNOWN for part in parts]
    values = [_distance(known, np.sort(part)) if ok else math.nan for ok, part in zip(enough, parts, strict=True)]
    high = [
        max(LEAST_DISTANCE, math.sqrt(-math.log(TAIL / 2) / 2 * (1 / len(known) + 1 / len(part)))) if ok else math.nan
        for ok, part in zip(enough, parts, strict=True)
    ]
    low = np.full(len(parts), -math.inf)
    return Chart(name="distance", values=np.array(values), centre=0.0, low=low, high=np.array(high))


def _distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The greatest difference of two empirical distributions; both sorted."""
    values = np.concatenate([first, second])
    one = np.searchsorted(first, values, side="right") / len(first)
    other = np.searchsorted(second, values, side="right") / len(second)
    return float(np.abs(one - other).max())


def _quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(values, _QUANTILES) if len(values) else np.full(len(_QUANTILES), math.nan)


def _problem(part: Sequence[WatchedFrame]) -> str:
    found = [one.problem for one in part if one.verdict is Verdict.CANNOT_INSPECT]
    return max(sorted(set(found)), key=found.count) if found else ""
