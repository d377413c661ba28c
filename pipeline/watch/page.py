"""The chart page of a watch: one self-contained HTML file, and the same charts as a PNG."""

from __future__ import annotations

import html
import io
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from inspection.durable import write_bytes, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from matplotlib.axes import Axes

    from pipeline.watch.drift import Chart, Night

_INK, _MUTED, _LINE, _BAND, _OUT = "#1d2430", "#6b7686", "#2563a8", "#dbe7f3", "#d6284a"
_TITLES = {
    "brightness": ("brightness", "mean grey value; lamp, exposure"),
    "focus": ("focus", "sharpness of the picture; lens, distance"),
    "moved_x": ("moved right", "% of the golden's width; camera, fixture"),
    "moved_y": ("moved down", "% of the golden's height; camera, fixture"),
    "flagged": ("flagged", "% of frames"),
    "not inspected": ("not inspectable", "% of frames"),
    "similarity": ("similarity", "of passed parts, distance of distributions (KS)"),
}
_IN_PERCENT = {"moved_x", "moved_y", "flagged", "not inspected"}
_COLUMNS = 2


def write_page(  # noqa: PLR0913 - what a page shows, by name
    page: Path, picture: Path, night: Night, moments: Sequence[datetime], *, title: str, headline: str
) -> None:
    """Draw the charts of a night, window by window at `moments`, into `page` (HTML) and `picture` (PNG)."""
    figure = _draw(night, moments)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_bytes(picture, buffer.getvalue())
    drawing = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "goldentwin"}):
        figure.savefig(drawing, format="svg", metadata={"Date": None})
    svg = drawing.getvalue()
    write_text(page, _PAGE.format(
        title=html.escape(title),
        headline=html.escape(headline),
        state="alarm" if night.alarms else "quiet",
        frames=night.windows[-1][1],
        windows=len(night.windows),
        svg=svg[svg.index("<svg") :],
    ))  # fmt: skip


def _draw(night: Night, moments: Sequence[datetime]) -> Figure:
    rows = -(-len(night.charts) // _COLUMNS)
    figure = Figure(figsize=(12, 2.35 * rows), layout="constrained", facecolor="white")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    alarmed = [alarm.window for alarm in night.alarms]
    for ax, chart in zip(axes, night.charts, strict=False):
        _panel(ax, chart, moments, alarmed)
    for ax in axes[len(night.charts) :]:
        ax.axis("off")
    return figure


def _panel(ax: Axes, chart: Chart, moments: Sequence[datetime], alarmed: Sequence[int]) -> None:
    """One chart: the values, the band that is in range, and what lies out of it."""
    name, unit = _TITLES[chart.name]
    factor = 100.0 if chart.name in _IN_PERCENT else 1.0
    at, values, out = np.arange(len(chart.values)), chart.values * factor, chart.out
    low, high = chart.low * factor, chart.high * factor
    one_sided = bool((chart.low < 0).all()) and chart.name not in {"moved_x", "moved_y"}
    ax.fill_between(at - 0.0, np.zeros_like(low) if one_sided else low, high, color=_BAND, step="mid", linewidth=0)
    if len(at) == 1:
        ax.axhspan(0.0 if one_sided else float(low[0]), float(high[0]), color=_BAND, linewidth=0)
    ax.plot(at, values, color=_LINE, linewidth=1.4, marker="o", markersize=3.5)
    ax.plot(at[out], values[out], linestyle="none", marker="o", markersize=7, color=_OUT)
    for window in alarmed:
        ax.axvline(window, color=_OUT, linewidth=0.8, linestyle=":")
    ax.set_title(name, loc="left", fontsize=11, color=_OUT if out.any() else _INK, fontweight="bold")
    ax.set_title(unit, loc="right", fontsize=8.5, color=_MUTED)
    step = max(1, len(at) // 6)
    ax.set_xticks(at[::step], [f"{moment:%H:%M}" for moment in moments[::step]])
    ax.tick_params(labelsize=8.5, colors=_MUTED, length=3)
    ax.margins(x=0.03, y=0.25)
    ax.grid(axis="y", color="#eef1f5")
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#c5ccd6")
    if one_sided:
        ax.set_ylim(bottom=0)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}: watch</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1d2430; background: #f4f6f9; margin: 0; padding: 28px; }}
main {{ max-width: 1180px; margin: auto; }}
h1 {{ font-size: 22px; margin: 0 0 10px; }}
.state {{ border-radius: 8px; padding: 14px 18px; font-weight: 600; margin: 0 0 18px; }}
.quiet {{ background: #dff3e8; color: #0d5a37; }}
.alarm {{ background: #fde3e8; color: #8f1230; }}
.charts {{ background: white; border-radius: 8px; padding: 14px; }}
svg {{ width: 100%; height: auto; }}
p {{ color: #6b7686; font-size: 14px; }}
</style></head><body><main>
<h1>{title}</h1>
<div class="state {state}">{headline}</div>
<div class="charts">{svg}</div>
<p>{frames} frames in {windows} windows. The band is where a window of the line that was calibrated lies (5 standard
errors, and no narrower than what matters on a line); red points lie outside. An alarm takes two windows in a row.
Product: parts are flagged or less like the goldens while light, focus and pose are in range.</p>
</main></body></html>
"""
