"""The chart page of a watch: one self-contained HTML file, and the same charts as a PNG."""

from __future__ import annotations

import html
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import matplotlib as mpl

from inspection.calibration.rates import percent
from inspection.durable import write_bytes, write_text
from pipeline.watch.drift import IN_A_ROW, WINDOW
from pipeline.watch.naming import ADVICE
from pipeline.watch.panels import draw_panels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from pipeline.watch.charts import Chart
    from pipeline.watch.drift import Night


@dataclass(frozen=True, kw_only=True)
class ChartPage:
    """What the page of a night shows.

    `moments` are when each frame was taken, `parts` counts the calibration's good parts, `threshold` is its threshold.
    """

    title: str
    headline: str
    night: Night
    moments: tuple[datetime, ...]
    parts: int
    threshold: float | None


def write_page(page: Path, picture: Path, shown: ChartPage) -> None:
    """Draw the charts into `page` (HTML) and, with title and headline, into `picture` (PNG)."""
    buffer, drawing = io.BytesIO(), io.StringIO()
    night, moments, threshold = shown.night, shown.moments, shown.threshold
    titled = draw_panels(night, moments, threshold=threshold, title=f"{shown.title}, {_when(shown)}", said=_said(shown))
    titled.savefig(buffer, format="png", dpi=110)
    write_bytes(picture, buffer.getvalue())
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "goldentwin"}):
        draw_panels(night, moments, threshold=threshold).savefig(drawing, format="svg", metadata={"Date": None})
    svg = drawing.getvalue()
    write_text(page, _PAGE.format(
        title=html.escape(shown.title),
        when=html.escape(_when(shown)),
        headline=html.escape(_said(shown)[0]),
        alarms="".join(_alarms(shown)),
        hours="".join(_hours(shown)),
        svg=svg[svg.index("<svg") :],
        parts=shown.parts,
        window=WINDOW,
        in_a_row=IN_A_ROW,
    ))  # fmt: skip


def _when(shown: ChartPage) -> str:
    first, last = shown.moments[0], shown.moments[-1]
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M} to {until}, {len(shown.moments)} frames"


def _said(shown: ChartPage) -> list[str]:
    """The headline of a quiet night, or a line for each change."""
    alarms = shown.night.alarms
    return [f"{one.said}, since {shown.moments[one.first]:%H:%M}" for one in alarms] or [shown.headline]


def _alarms(shown: ChartPage) -> Iterator[str]:
    """What changed and what to do, a box each; the green box of a quiet night."""
    if not shown.night.alarms:
        yield f'<div class="state quiet"><b>Quiet</b>{html.escape(shown.headline.removeprefix("quiet: "))}</div>'
        return
    for alarm, said in zip(shown.night.alarms, _said(shown), strict=True):
        name, _, seen = said.partition(": ")
        frames = f"From frame {alarm.first + 1} of {len(shown.moments)} on, known after frame {alarm.known_after}."
        yield f'<div class="state alarm"><b>{name.capitalize()}</b>{html.escape(seen)}'
        yield f"<small>{frames} {ADVICE[alarm.cause]}</small></div>"


_COLUMNS: Final[tuple[tuple[str, Callable[[float], str]], ...]] = (
    ("brightness", lambda value: f"{value:.1f}"),
    ("focus", lambda value: f"{value:.3g}"),
    ("moved_x", lambda value: f"{100 * value:+.1f} %"),
    ("moved_y", lambda value: f"{100 * value:+.1f} %"),
    ("flagged", lambda value: percent(round(value, 3))),
    ("not_inspected", lambda value: percent(round(value, 3))),
)


def _hours(shown: ChartPage) -> Iterator[str]:
    """Rows of the table: each hour, the whole run, and the calibration."""
    days = shown.moments[0].date() != shown.moments[-1].date()
    for charts, name in ((shown.night.hours, ""), (shown.night.whole, "all")):
        for at, (first, last) in enumerate(charts.spans):
            cells = [_cell(getattr(charts, figure), at, write) for figure, write in _COLUMNS]
            typical = charts.similarity[1, at]
            red = ' class="out"' if charts.distance.out[at] else ""
            cells.append(f"<td{red}>{'' if math.isnan(typical) else f'{typical:.3f}'}</td>")
            when = name or f"{shown.moments[first]:{'%d %b %H:00' if days else '%H:00'}}"
            start = f'<tr class="all"><th>{when}</th>' if name else f"<tr><th>{when}</th>"
            yield f"{start}<td>{last - first}</td>{''.join(cells)}</tr>"
    whole = shown.night.whole
    centres = [getattr(whole, figure).centre for figure, _ in _COLUMNS]
    told = ["" if math.isnan(centre) else write(centre) for centre, (_, write) in zip(centres, _COLUMNS, strict=True)]
    told.append(f"{whole.similarity_known[1]:.3f}")
    cells = [f"<td>{one}</td>" for one in told]
    yield f'<tr class="known"><th>calibration</th><td>{shown.parts}</td>{"".join(cells)}</tr>'


def _cell(chart: Chart, at: int, write: Callable[[float], str]) -> str:
    value = float(chart.values[at])
    red = ' class="out"' if chart.out[at] else ""
    return f"<td{red}>{'' if math.isnan(value) else write(value)}</td>"


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}: {headline}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1d2430; background: #f3f5f8; margin: 0;
  padding: 32px 24px; }}
main {{ max-width: 1200px; margin: auto; }}
h1 {{ font-size: 24px; margin: 0; }}
h2 {{ font-size: 17px; margin: 0 0 10px; }}
.when {{ color: #667085; margin: 2px 0 18px; }}
.state {{ border-radius: 10px; border-left: 6px solid; padding: 13px 18px; margin: 0 0 12px; }}
.state b {{ display: inline-block; min-width: 92px; }}
.state small {{ display: block; color: #475467; font-size: 14px; margin: 3px 0 0 96px; }}
.quiet {{ background: #e3f4ea; border-color: #1b8a55; color: #0d5a37; }}
.alarm {{ background: #fdeaea; border-color: #c8102e; color: #861024; }}
.card {{ background: white; border-radius: 10px; padding: 18px 20px; margin: 18px 0; overflow-x: auto;
  box-shadow: 0 1px 3px rgb(16 24 40 / 10%); }}
svg {{ width: 100%; height: auto; display: block; }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: 5px 10px; border-bottom: 1px solid #eaecf0; white-space: nowrap; }}
th:first-child {{ text-align: left; }}
thead th {{ color: #667085; font-weight: 500; }}
.out {{ background: #fdeaea; color: #b00f2a; font-weight: 700; }}
.all th, .all td {{ border-top: 2px solid #d0d5dd; font-weight: 600; }}
.known th, .known td {{ color: #667085; border-bottom: 0; font-weight: 400; }}
p {{ color: #667085; font-size: 14px; max-width: 940px; }}
</style></head><body><main>
<h1>{title}</h1>
<div class="when">{when}</div>
{alarms}
<div class="card">{svg}</div>
<div class="card"><h2>Hour by hour</h2><table><thead><tr><th>hour</th><th>frames</th><th>brightness</th><th>focus</th>
<th>moved right</th><th>moved down</th><th>flagged</th><th>not inspected</th><th>similarity, typical</th></tr></thead>
<tbody>{hours}</tbody></table></div>
<p>Each point is a window of {window} frames. The blue band is where a window of an unchanged line lies, given what the
{parts} good parts of the calibration tell, and no narrower than what matters on a line; red points and figures lie
outside. {in_a_row} windows in a row outside raise an alarm, so that an odd tray raises none; so does an hour of 200
frames or more, or the whole run. &ldquo;Product&rdquo; means: parts are flagged or are less like the goldens, while
light, focus and pose are in range. Similarity is of parts that passed; its distance is the greatest difference of its
distribution from the calibration's (Kolmogorov-Smirnov).</p>
</main></body></html>
"""
