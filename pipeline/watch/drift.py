"""Is a run of frames like the parts of the calibration, and if not, what changed on the line, and since when?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.watch.charts import FEWEST, draw_charts
from pipeline.watch.naming import Cause, say, signs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pipeline.watch.charts import Charts
    from pipeline.watch.figures import Baseline, WatchedFrame

WINDOW: Final = 50
IN_A_ROW: Final = 3
"""Windows in a row that must be out. Wherever in a window a change begins, it is named within 200 frames of it."""

LONG: Final = 200
"""Frames from which a whole hour, or the whole run, may raise an alarm by itself."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A change: its cause, the frame (from 0) it is seen from, the frames after which it is known, and in words."""

    cause: Cause
    first: int
    known_after: int
    said: str


@dataclass(frozen=True, kw_only=True)
class Night:
    """The charts of a run of frames by windows, by hours and as a whole, and the alarms in them, in their order."""

    windows: Charts
    hours: Charts
    whole: Charts
    alarms: tuple[Alarm, ...]


def watch_frames(baseline: Baseline, frames: Sequence[WatchedFrame]) -> Night:
    """Hold a run of frames, in the order they were taken, against the parts of the calibration.

    Windows find what changes fast: three in a row must be out on the same side (or all there are in a shorter run), so
    that an odd tray raises no alarm. Hours and the whole run have nearer limits, and find what is small and lasts.
    Light, focus and pose come first: each explains a loss of similarity, and only where all of them are in range is
    the product itself held to have changed.
    """
    windows = draw_charts(baseline, frames, _windows(len(frames)))
    hours = draw_charts(baseline, frames, _hours(frames))
    whole = draw_charts(baseline, frames, [(0, len(frames))])
    alarms: dict[Cause, Alarm] = {}
    explained = _explained(windows)
    for charts, needed, smallest in ((windows, IN_A_ROW, 0), (hours, 1, LONG), (whole, 1, LONG)):
        for alarm in _alarms(charts, needed, smallest, explained):
            alarms.setdefault(alarm.cause, alarm)
    ordered = sorted(alarms.values(), key=lambda alarm: alarm.first)
    return Night(windows=windows, hours=hours, whole=whole, alarms=tuple(ordered))


def _windows(frames: int) -> list[tuple[int, int]]:
    """Whole windows, and one of what is left over."""
    return list(itertools.pairwise([*range(0, frames, WINDOW), frames]))


def _hours(frames: Sequence[WatchedFrame]) -> list[tuple[int, int]]:
    """Stretches of frames of the same hour of the clock."""
    hours = [frame.moment.replace(minute=0, second=0, microsecond=0) for frame in frames]
    starts = [at for at in range(len(hours)) if at == 0 or hours[at] != hours[at - 1]]
    return list(itertools.pairwise([*starts, len(hours)]))


def _explained(windows: Charts) -> NDArray[np.bool_]:
    """(frames,) True in windows whose light, focus or pose is out."""
    found = signs(windows)
    out = np.any([mask for cause in Cause if cause is not Cause.PRODUCT for mask in found[cause]], axis=0)
    return np.repeat(out, windows.sizes)


def _alarms(charts: Charts, needed: int, smallest: int, explained: NDArray[np.bool_]) -> Iterator[Alarm]:
    """Each cause at the first `needed` stretches in a row, of `smallest` frames or more, that show it."""
    large = charts.sizes >= smallest
    unexplained = np.array([not explained[first:last].any() for first, last in charts.spans])
    needed = max(1, min(needed, int((charts.sizes >= FEWEST).sum())))
    for cause, masks in signs(charts).items():
        counted = large & unexplained if cause is Cause.PRODUCT else large
        found = [at for mask in masks if (at := _first_run(mask & counted, needed)) is not None]
        if found:
            at = min(found)
            stretches = slice(at, at + needed)
            spans = charts.spans[stretches]
            yield Alarm(cause=cause, first=spans[0][0], known_after=spans[-1][1], said=say(cause, charts, stretches))


def _first_run(out: NDArray[np.bool_], needed: int) -> int | None:
    """Where the first `needed` True in a row begin."""
    runs = np.convolve(out, np.ones(needed, dtype=np.int64), mode="valid")
    found = np.flatnonzero(runs == needed)
    return int(found[0]) if len(found) else None
