"""Control charts: is a run of frames like the parts of the calibration, and if not, what changed on the line?

Limits are wide on purpose. A night of many frames would make every harmless trifle significant, so a figure must be out
by its statistical limit *and* by an amount that matters on a line.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.watch.figures import Baseline, FrameFigures

WINDOW = 100
"""Frames of a window; with two windows in a row a lasting change is named within 200 frames."""

SIGMAS = 5.0
"""Width of the control limits in standard errors. Shewhart's 3 would give a false alarm in 370 points."""

_KS_TAIL = 1e-6
_LEAST_BRIGHTNESS = 0.06  # of the calibration's
_LEAST_FOCUS = 0.25  # of the calibration's
_LEAST_MOVE = 0.012  # of the side
_LEAST_SHARE = 0.05  # more parts flagged, or not inspectable
_LEAST_KS = 0.25
_FEWEST = 30


class Cause(StrEnum):
    """What changed on the line, as far as the figures tell."""

    LAMP = "lamp"
    LENS = "lens"
    CAMERA = "camera"
    PRODUCT = "product"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure over the windows: (K,) `values` with the limits `low` and `high` of each; NaN where unknown."""

    name: str
    values: NDArray[np.float64]
    centre: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def out(self) -> NDArray[np.bool_]:
        """(K,) where the value lies outside its limits."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.values < self.low) | (self.values > self.high), np.bool_)


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A change: its cause, the window (from 0) it is named at, and in words what was seen."""

    cause: Cause
    window: int
    said: str


@dataclass(frozen=True, kw_only=True)
class Night:
    """The charts of a run of frames, the alarms in them, and the frames of each window (`first`, one after `last`)."""

    charts: tuple[Chart, ...]
    alarms: tuple[Alarm, ...]
    windows: tuple[tuple[int, int], ...]


def watch_frames(
    baseline: Baseline, frames: Sequence[FrameFigures], verdicts: Sequence[str], *, window: int = WINDOW
) -> Night:
    """Hold a run of frames, in the order they were taken, against the parts of the calibration.

    An alarm needs two windows in a row out of their limits on the same side (or the only window there is), so that a
    single odd tray of parts raises none. Light, focus and pose come first: each explains a loss of similarity, and only
    where all of them are in range is the product itself held to have changed.
    """
    windows = _windows(len(frames), window)
    parts = [slice(first, last) for first, last in windows]
    charts = {
        "brightness": _mean_chart("brightness", baseline, frames, parts, least=_LEAST_BRIGHTNESS, relative=True),
        "focus": _mean_chart("focus", baseline, frames, parts, least=_LEAST_FOCUS, relative=True),
        "moved_x": _mean_chart("moved_x", baseline, frames, parts, least=_LEAST_MOVE, relative=False),
        "moved_y": _mean_chart("moved_y", baseline, frames, parts, least=_LEAST_MOVE, relative=False),
        "flagged": _share_chart("flagged", baseline, verdicts, parts, "FLAG"),
        "not inspected": _share_chart("not inspected", baseline, verdicts, parts, "CANNOT_INSPECT"),
        "similarity": _ks_chart(baseline, frames, verdicts, parts),
    }
    alarms = _named(charts, len(windows))
    return Night(charts=tuple(charts.values()), alarms=alarms, windows=windows)


def _windows(frames: int, size: int) -> tuple[tuple[int, int], ...]:
    """Whole windows; the last takes what is left over, and a short run is one window."""
    count = max(1, frames // size)
    edges = [number * size for number in range(count)] + [frames]
    return tuple(itertools.pairwise(edges))


def _values(frames: Sequence[FrameFigures], name: str) -> NDArray[np.float64]:
    return np.array([_number(getattr(frame, name)) for frame in frames], dtype=np.float64)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _mean_chart(  # noqa: PLR0913 - what a chart is of, by name
    name: str,
    baseline: Baseline,
    frames: Sequence[FrameFigures],
    parts: Sequence[slice],
    *,
    least: float,
    relative: bool,
) -> Chart:
    """An x-bar chart (Shewhart 1931; Montgomery, Introduction to Statistical Quality Control, ch. 6).

    The limits are the calibration's mean plus or minus `SIGMAS` standard errors of the difference between a window's
    mean and that mean, which is itself only known from n parts: s * sqrt(1 / window + 1 / n); s is enlarged by its own
    upper 99 % bound in large samples, 1 + 2.33 / sqrt(2 n). They are never nearer than `least`.
    """
    known = _values(baseline.frames, name)
    known = known[np.isfinite(known)]
    values, sizes = _window_means(_values(frames, name), parts)
    if len(known) < _FEWEST // 3:
        nothing = np.full(len(parts), np.nan)
        return Chart(name=name, values=values, centre=math.nan, low=nothing, high=nothing)
    centre, count = float(known.mean()), len(known)
    spread = float(known.std(ddof=1)) * (1 + 2.33 / math.sqrt(2 * count))
    error = SIGMAS * spread * np.sqrt(1 / np.maximum(sizes, 1) + 1 / count)
    width = np.maximum(error, least * abs(centre) if relative else least)
    return Chart(name=name, values=values, centre=centre, low=centre - width, high=centre + width)


def _window_means(values: NDArray[np.float64], parts: Sequence[slice]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The mean of what is known in each window, and of how many frames."""
    known = [values[part][np.isfinite(values[part])] for part in parts]
    means = [float(one.mean()) if len(one) else math.nan for one in known]
    return np.array(means, dtype=np.float64), np.array([len(one) for one in known])


def _share_chart(name: str, baseline: Baseline, verdicts: Sequence[str], parts: Sequence[slice], verdict: str) -> Chart:
    """A p-chart (Montgomery, ch. 7) with an upper limit alone: fewer flags are no alarm.

    The centre is the calibration's share of `count` parts by the rule of succession, (k + 1) / (n + 2), for a share of
    0 in a small sample is no promise; its own uncertainty counts as in `_mean_chart`.
    """
    count = len(baseline.frames)
    share = baseline.overkill if verdict == "FLAG" else 0.0
    centre = (share * count + 1) / (count + 2)
    found = np.array([verdicts[part].count(verdict) / max(len(verdicts[part]), 1) for part in parts])
    sizes = np.array([max(len(verdicts[part]), 1) for part in parts])
    error = SIGMAS * math.sqrt(centre * (1 - centre)) * np.sqrt(1 / sizes + 1 / count)
    high = centre + np.maximum(error, _LEAST_SHARE)
    return Chart(name=name, values=found, centre=centre, low=np.full(len(parts), -1.0), high=high)


def _ks_chart(
    baseline: Baseline, frames: Sequence[FrameFigures], verdicts: Sequence[str], parts: Sequence[slice]
) -> Chart:
    """How far the similarities of passed parts lie from those of the calibration's good parts that pass.

    The statistic is the two-sample Kolmogorov-Smirnov distance; its limit is the asymptotic one for a tail of 1e-6,
    sqrt(-ln(tail / 2) / 2 * (1 / n + 1 / m)), which keeps to the sizes of window and calibration (Smirnov 1948, Ann.
    Math. Stat. 19, 279-281).
    """
    known = np.sort(_values(baseline.frames, "similarity"))
    passed = np.array([verdict == "PASS" for verdict in verdicts])
    known = known[round(baseline.overkill * len(known)) :]
    similarity = _values(frames, "similarity")
    distances, limits = [], []
    for part in parts:
        sample = similarity[part][passed[part]]
        sample = sample[np.isfinite(sample)]
        if len(sample) < _FEWEST or len(known) < _FEWEST // 3:
            distances.append(math.nan)
            limits.append(math.nan)
            continue
        distances.append(_ks_distance(known, np.sort(sample)))
        limits.append(math.sqrt(-math.log(_KS_TAIL / 2) / 2 * (1 / len(known) + 1 / len(sample))))
    high = np.maximum(np.array(limits), _LEAST_KS)
    return Chart(name="similarity", values=np.array(distances), centre=0.0, low=np.full(len(parts), -1.0), high=high)


def _ks_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The greatest difference of two empirical distributions; both sorted."""
    values = np.concatenate([first, second])
    one = np.searchsorted(first, values, side="right") / len(first)
    other = np.searchsorted(second, values, side="right") / len(second)
    return float(np.abs(one - other).max())


def _named(charts: dict[str, Chart], windows: int) -> tuple[Alarm, ...]:
    """Each cause at the first window that shows it lastingly; the product only where nothing else is out there."""
    causes = {
        Cause.LAMP: ("brightness",),
        Cause.CAMERA: ("moved_x", "moved_y"),
        Cause.LENS: ("focus",),
        Cause.PRODUCT: ("similarity", "flagged", "not inspected"),
    }
    alarms: list[Alarm] = []
    explained = np.zeros(windows, np.bool_)
    for cause, names in causes.items():
        out = np.any([charts[name].out for name in names], axis=0)
        if cause is Cause.LENS:  # focus is measured on grey values, so it follows the light
            out &= ~charts["brightness"].out
        if cause is Cause.PRODUCT:
            out &= ~explained
        at = _lasting(out)
        if at is not None:
            alarms.append(Alarm(cause=cause, window=at, said=_said(cause, charts, at)))
        explained |= out
    return tuple(sorted(alarms, key=lambda alarm: alarm.window))


def _lasting(out: NDArray[np.bool_]) -> int | None:
    """The second window of the first two in a row that are out; the only window of a short run may stand alone."""
    if len(out) == 1:
        return 0 if out[0] else None
    both = np.flatnonzero(out[1:] & out[:-1])
    return int(both[0]) + 1 if len(both) else None


def _said(cause: Cause, charts: dict[str, Chart], at: int) -> str:
    def value(name: str) -> float:
        return float(charts[name].values[at])

    def change(name: str) -> float:
        return value(name) / charts[name].centre - 1

    if cause is Cause.LAMP:
        brighter = change("brightness")
        return f"lamp: {abs(brighter):.0%} {'brighter' if brighter > 0 else 'darker'} than at calibration"
    if cause is Cause.LENS:
        sharper = change("focus")
        return f"lens: {abs(sharper):.0%} {'sharper' if sharper > 0 else 'less sharp'} than at calibration"
    if cause is Cause.CAMERA:
        right = value("moved_x") - charts["moved_x"].centre
        down = value("moved_y") - charts["moved_y"].centre
        sides = [f"{abs(right):.1%} {'right' if right > 0 else 'left'}"] if abs(right) > _LEAST_MOVE / 2 else []
        sides += [f"{abs(down):.1%} {'down' if down > 0 else 'up'}"] if abs(down) > _LEAST_MOVE / 2 else []
        return f"camera: parts lie {' and '.join(sides) or 'elsewhere'} of where they lay at calibration"
    seen = [
        f"{value(name):.0%} {name} (limit {charts[name].high[at]:.0%})"
        for name in ("flagged", "not inspected")
        if charts[name].out[at]
    ]
    if charts["similarity"].out[at]:
        seen.append("passed parts are less like the calibration's")
    return f"product: {', '.join(seen)}, while light, focus and pose are as they were"
