"""The panels of the chart page: a figure each, over the windows of a night, with its limits and what lies outside."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipeline.calibration_picture import GOOD, GREY, INK
from pipeline.watch.charts import FEWEST
from pipeline.watch.naming import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from pipeline.watch.charts import Chart, Charts
    from pipeline.watch.drift import Alarm, Night

_BAND, _OUT, _PALE = "#DCE9F4", "#C8102E", "#EDF0F4"
_TITLES: Final = {
    "brightness": ("Brightness", "mean grey value", 1.0),
    "focus": ("Focus", "steepness of edges", 1.0),
    "moved_x": ("Moved right", "% of the picture's width", 100.0),
    "moved_y": ("Moved down", "% of the picture's height", 100.0),
    "flagged": ("Flagged", "% of frames", 100.0),
    "not_inspected": ("Not inspectable", "% of frames", 100.0),
    "distance": ("Similarity: distance", "of distributions, passed parts", 1.0),
}
_SHOWN_BY: Final = {
    Cause.LAMP: ("brightness",),
    Cause.LENS: ("focus",),
    Cause.CAMERA: ("moved_x", "moved_y"),
    Cause.PRODUCT: ("flagged", "distance"),
}
_A_DAY = timedelta(days=1)
_MANY = 120  # points, above which they are drawn as a line
_TICKS = 6
_WIDTH, _ROW, _LINE = 12.4, 2.35, 0.3  # inches


def draw_panels(
    night: Night,
    moments: Sequence[datetime],
    *,
    threshold: float | None,
    title: str = "",
    said: Sequence[str] = (),
) -> Figure:
    """Two columns of panels, one a figure, and above them what was `said` in words, where a title is given."""
    lines = [line for one in said for line in textwrap.wrap(one, 118)] if title else []
    head = 0.55 + _LINE * len(lines) if title else 0.0
    rows = (len(night.windows.all) + 2) // 2
    height = _ROW * rows + head
    layout = ConstrainedLayoutEngine(rect=(0.014, 0.0, 0.975, 1 - head / height), hspace=0.07, wspace=0.04)
    figure = Figure(figsize=(_WIDTH, height), facecolor="white", layout=layout)
    if title:
        colour = _OUT if night.alarms else "#1B8A55"
        figure.text(0.02, 1 - 0.3 / height, title, fontsize=15, fontweight="bold", color=INK, va="center")
        for number, line in enumerate(lines):
            at = 1 - (0.66 + _LINE * number) / height
            figure.text(0.02, at, line, fontsize=12, color=colour, va="center")
    axes = figure.subplots(rows, 2).ravel()
    for ax, chart in zip(axes, night.windows.all, strict=False):
        _panel(ax, chart, night)
    _similarity_panel(axes[-1], night.windows, threshold)
    for ax in axes:
        _finish(ax, night.windows, moments)
    return figure


def _middles(charts: Charts) -> NDArray[np.float64]:
    """(K,) the frame in the middle of each stretch."""
    return np.array([(first + last) / 2 for first, last in charts.spans])


def _edges(charts: Charts) -> NDArray[np.float64]:
    """(2 K,) the first frame of each stretch and the one after its last."""
    return np.array(charts.spans, dtype=np.float64).ravel()


def _panel(ax: Any, chart: Chart, night: Night) -> None:
    """One chart: its values, the band that is in range, and what lies outside."""
    name, unit, factor = _TITLES[chart.name]
    charts, one_sided = night.windows, bool(np.isneginf(chart.low).all())
    low = np.zeros_like(chart.low) if one_sided else chart.low * factor
    high, values = chart.high * factor, np.where(charts.sizes < FEWEST, np.nan, chart.values * factor)
    ax.fill_between(_edges(charts), np.repeat(low, 2), np.repeat(high, 2), color=_BAND, linewidth=0)
    if np.isfinite(chart.centre) and not one_sided:
        ax.axhline(chart.centre * factor, color=GOOD, linewidth=0.8, linestyle=(0, (5, 4)), alpha=0.55)
    middles = _middles(charts)
    marker = {"marker": "o", "markersize": 4.0} if len(middles) <= _MANY else {}
    ax.plot(middles, values, color=GOOD, linewidth=1.5, **marker)
    ax.plot(middles[chart.out], values[chart.out], linestyle="none", marker="o", markersize=6, color=_OUT)
    _head(ax, name, unit, alarmed=bool(chart.out.any()))
    _limits(ax, np.concatenate([low, high, values]), from_zero=one_sided)
    for alarm in night.alarms:
        if _speaks(chart.name, alarm, night):
            ax.axvline(alarm.first, color=_OUT, linewidth=1.2)
            ax.annotate(
                alarm.cause.value, (alarm.first, 1), xycoords=("data", "axes fraction"), xytext=(5, -4),
                textcoords="offset points", va="top", color=_OUT, fontsize=10, fontweight="bold",
            )  # fmt: skip


def _speaks(name: str, alarm: Alarm, night: Night) -> bool:
    """Whether that figure is out where the alarm begins, and speaks for its cause."""
    if name not in (*_SHOWN_BY[alarm.cause], "not_inspected"):
        return False
    for charts in (night.windows, night.hours, night.whole):
        at = next(at for at, (first, last) in enumerate(charts.spans) if first <= alarm.first < last)
        if getattr(charts, name).out[at]:
            return True
    return False


def _similarity_panel(ax: Any, charts: Charts, threshold: float | None) -> None:
    """The similarities of passed parts: the middle one and where nine of ten lie, beside the calibration's."""
    low, middle, high = np.where(charts.sizes < FEWEST, np.nan, charts.similarity)
    known_low, known_middle, known_high = charts.similarity_known
    ax.axhspan(known_low, known_high, color=_BAND, linewidth=0)
    ax.axhline(known_middle, color=GOOD, linewidth=0.8, linestyle=(0, (5, 4)), alpha=0.55)
    middles = _middles(charts)
    if len(middles) <= _MANY:
        ax.vlines(middles, low, high, color=GOOD, linewidth=1.2, alpha=0.45)
        ax.plot(middles, middle, color=GOOD, linewidth=1.5, marker="o", markersize=4.0)
    else:
        ax.fill_between(middles, low, high, color=GOOD, linewidth=0, alpha=0.3)
        ax.plot(middles, middle, color=GOOD, linewidth=1.5)
    shown = [charts.similarity.ravel(), charts.similarity_known]
    if threshold is not None:
        ax.axhline(threshold, color=INK, linewidth=1.0)
        ax.annotate("threshold", (1, threshold), xycoords=("axes fraction", "data"), xytext=(-4, 3),
                    textcoords="offset points", ha="right", fontsize=9, color=INK)  # fmt: skip
        shown.append(np.array([threshold]))
    _head(ax, "Similarity: typical", "and 9 of 10 passed parts; band: calibration", alarmed=False)
    _limits(ax, np.concatenate(shown), from_zero=False)


def _head(ax: Any, name: str, unit: str, *, alarmed: bool) -> None:
    ax.set_title(name, loc="left", fontsize=12, color=_OUT if alarmed else INK, fontweight="bold")
    ax.set_title(unit, loc="right", fontsize=9.5, color=GREY)


def _limits(ax: Any, values: NDArray[np.float64], *, from_zero: bool) -> None:
    """All that is drawn, with some air."""
    known = values[np.isfinite(values)]
    if not len(known):
        return
    bottom, top = float(known.min()), float(known.max())
    air = 0.16 * (top - bottom) or 1.0
    ax.set_ylim(-0.05 * (top - bottom or 1.0) if from_zero else bottom - air, top + air)


def _finish(ax: Any, charts: Charts, moments: Sequence[datetime]) -> None:
    ax.set_xlim(0, len(moments))
    starts = [first for first, _ in charts.spans]
    days = moments[-1] - moments[0] > _A_DAY
    starts = starts[:: max(1, -(-len(starts) // (_TICKS - 2 if days else _TICKS)))]
    minutes = len({f"{moments[first]:%H:%M}" for first in starts}) == len(starts)
    told = "%d %b %H:%M" if days else "%H:%M" if minutes else "%H:%M:%S"
    ax.set_xticks(starts, [f"{moments[first]:{told}}" for first in starts])
    ax.tick_params(labelsize=9.5, colors=GREY, length=3)
    ax.grid(axis="y", color=_PALE)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#C5CCD6")
