"""Pictures of a calibration or an evaluation: where the two classes lie, and what each threshold would cost."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from inspection.calibration import Calibration, Rate, operating_points, rates_at
from inspection.calibration.rates import counted, percent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

# Okabe and Ito's colours, told apart with any colour vision.
GOOD, DEFECTIVE, FLAGGED = "#0072B2", "#D55E00", "#F0E442"
INK, GREY = "#111111", "#555555"
_BINS = 40
_SIZE, _DPI = (12.0, 7.0), 120
_TEXT_COLUMNS = 142
_LINE_HEIGHT = 0.03


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """What is drawn: similarities of both classes, and the threshold or None; its rates follow.

    Where parts stand for others, which nobody reviewed, the rates are `estimated` ones (overkill, escape), with
    intervals that know of it; those that follow from counts would be too narrow.
    """

    good: NDArray[np.float64]
    defective: NDArray[np.float64]
    threshold: float | None
    provisional: bool = False
    estimated: tuple[Rate | None, Rate | None] | None = None

    @property
    def rates(self) -> tuple[Rate | None, Rate | None]:
        """Overkill and escape at the threshold, where they are known."""
        if self.threshold is None or self.provisional:
            return None, None
        if self.estimated is not None:
            return self.estimated
        return rates_at(self.threshold, self.good, self.defective)


def draw_calibration(  # noqa: PLR0913 - all keyword-only, and one call draws it
    path: Path,
    *,
    good: ArrayLike,
    defective: ArrayLike,
    calibration: Calibration,
    product: str = "",
    estimated: bool = False,
) -> None:
    """Draw the sample that `calibration` was made on: histograms, and escape against overkill; PNG, 1440 x 840 pixels.

    Args:
        path: the PNG file; its folder is made.
        good: (N,) similarities in [0, 1] of good parts, or of goldens where the calibration is provisional; N >= 1.
        defective: (M,) similarities in [0, 1]; may be empty.
        calibration: its threshold is marked, its statement and warnings are printed, and that it is provisional.
        product: named in the title.
        estimated: reviewed parts stand for others of their kind, repeated as often; rates and intervals are then those
            of the calibration.
    """
    sample = _Sample(
        good=np.asarray(good, dtype=np.float64),
        defective=np.asarray(defective, dtype=np.float64),
        threshold=calibration.threshold,
        provisional=calibration.provisional,
        estimated=(calibration.overkill, calibration.escape) if estimated else None,
    )
    kind = "Provisional calibration" if calibration.provisional else "Calibration"
    notes = [calibration.statement, *(f"Warning: {warning}." for warning in calibration.warnings)]
    _save(path, sample, f"{kind} of {product}" if product else kind, notes)


def draw_evaluation(  # noqa: PLR0913 - all keyword-only, and one call draws it
    path: Path, *, good: ArrayLike, defective: ArrayLike, threshold: float | None, product: str = "", note: str = ""
) -> None:
    """Draw the same of parts that took no part in choosing the threshold.

    Args:
        path: the PNG file; its folder is made.
        good: (N,) similarities in [0, 1]; may be empty.
        defective: (M,) similarities in [0, 1]; may be empty.
        threshold: the similarity in force, or None where the product is not calibrated.
        product: named in the title.
        note: a sentence printed below, such as the AUROC.
    """
    sample = _Sample(
        good=np.asarray(good, dtype=np.float64), defective=np.asarray(defective, dtype=np.float64), threshold=threshold
    )
    _save(path, sample, f"Evaluation of {product}" if product else "Evaluation", [note] if note else [])


def _save(path: Path, sample: _Sample, title: str, notes: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _figure(sample, title, notes).savefig(path, format="png")


def _figure(sample: _Sample, title: str, notes: Sequence[str]) -> Figure:
    lines = [line for note in notes for line in textwrap.wrap(note.replace(" %", "\u00a0%"), _TEXT_COLUMNS)]
    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor="white")
    figure.suptitle(title, x=0.06, y=0.965, ha="left", fontsize=17, fontweight="bold", color=INK)
    columns = 1 if sample.provisional else 2
    bottom = 0.12 + _LINE_HEIGHT * len(lines)
    grid = figure.add_gridspec(1, columns, left=0.06, right=0.975, top=0.835, bottom=bottom, wspace=0.22)
    _draw_histograms(figure, grid[0, 0], sample)
    if not sample.provisional:
        _draw_tradeoff(figure.add_subplot(grid[0, 1]), sample)
    figure.text(0.06, 0.022, "\n".join(lines), fontsize=10.5, color=GREY, va="bottom", linespacing=1.45)
    return figure


def _draw_histograms(figure: Figure, cell: Any, sample: _Sample) -> None:
    """One histogram a class, above each other on one axis of similarity, so that few defects stay visible."""
    classes = [
        (sample.good, GOOD, _good_title(sample)),
        (sample.defective, DEFECTIVE, _defective_title(sample)),
    ]
    drawn = [entry for entry in classes if len(entry[0])]
    if not drawn:
        _say(figure.add_subplot(cell), "no parts")
        return
    rows = cell.subgridspec(len(drawn), 1, hspace=0.32)
    edges = _bin_edges(sample)
    for row, (values, colour, title) in enumerate(drawn):
        axes = figure.add_subplot(rows[row, 0])
        _draw_class(axes, values, edges, colour)
        axes.set_ylabel("comparisons" if sample.provisional else "parts")
        _mark_threshold(axes, sample.threshold, edges, named=row == 0)
        axes.set_title(title, loc="left", fontsize=12, color=colour, fontweight="bold", pad=24 if row == 0 else 7)
        axes.tick_params(labelbottom=row == len(drawn) - 1)
    axes.set_xlabel("similarity to the goldens (higher is more alike)")


def _good_title(sample: _Sample) -> str:
    if sample.provisional:
        return f"{counted(len(sample.good), 'comparison')} of goldens; overkill and escape unknown"
    overkill, _ = sample.rates
    if sample.estimated is not None:
        return _estimated_title(len(sample.good), "good part", overkill, "flagged")
    flagged = f": {overkill.events} flagged ({percent(overkill.rate)})" if overkill else ""
    return counted(len(sample.good), "good part") + flagged


def _defective_title(sample: _Sample) -> str:
    _, escape = sample.rates
    if sample.estimated is not None:
        return _estimated_title(len(sample.defective), "defective part", escape, "passed")
    passed = f": {escape.events} passed ({percent(escape.rate)})" if escape else ""
    return counted(len(sample.defective), "defective part") + passed


def _estimated_title(count: int, kind: str, rate: Rate | None, what: str) -> str:
    told = f": {percent(rate.rate)} {what}" if rate else ""
    return f"about {counted(count, kind)}{told}"


def _draw_class(axes: Any, values: NDArray[np.float64], edges: NDArray[np.float64], colour: str) -> None:
    axes.hist(values, bins=edges, color=colour, edgecolor="white", linewidth=0.5, zorder=3)
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    _plain(axes)


def _mark_threshold(axes: Any, threshold: float | None, edges: NDArray[np.float64], *, named: bool) -> None:
    if threshold is None:
        return
    axes.axvspan(edges[0], threshold, color=FLAGGED, alpha=0.3, linewidth=0, zorder=0)
    axes.axvline(threshold, color=INK, linewidth=1.8, zorder=4)
    if named:
        place = (threshold - edges[0]) / (edges[-1] - edges[0])
        side = "left" if place < 0.3 else "right" if place > 0.7 else "center"  # noqa: PLR2004 - thirds
        text = f"◄ flagged below {threshold:.3f}, passed from there ►"
        axes.annotate(
            text, (threshold, 1.0), (0, 5), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            ha=side, fontsize=10, color=INK,
        )  # fmt: skip


def _draw_tradeoff(axes: Any, sample: _Sample) -> None:
    if len(sample.good) and len(sample.defective):
        _draw_escape_against_overkill(axes, sample)
    elif len(sample.good):
        _draw_overkill_against_threshold(axes, sample)
    else:
        _say(axes, "Overkill is unknown:\nthe sample has no good parts")


def _draw_escape_against_overkill(axes: Any, sample: _Sample) -> None:
    points = operating_points(sample.good, sample.defective)
    overkill = _intervals(points.flagged, len(sample.good))
    escape = _intervals(points.missed, len(sample.defective))
    corners = np.array([[1.0], [0.0]])
    band = np.hstack([[overkill[1], escape[1]], corners, [overkill[2][::-1], escape[2][::-1]], 1.0 - corners])
    if sample.estimated is None:
        axes.fill(*band, color=GOOD, alpha=0.16, linewidth=0, label="95 % intervals")
    axes.plot(overkill[0], escape[0], color=GOOD, linewidth=2.2, label="every threshold")
    chosen = sample.rates
    if chosen[0] and chosen[1]:
        _mark_chosen(axes, chosen[0].rate, chosen[0], chosen[1])
    axes.set_xlabel("overkill: good parts flagged")
    axes.set_ylabel("escape: defective parts passed")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(max(share, 0.0))))
    axes.set_xlim(*_limits(chosen[0]))
    axes.set_ylim(*_limits(chosen[1]))
    title = f"Overkill {percent(chosen[0].rate)}, escape {percent(chosen[1].rate)}" if chosen[0] and chosen[1] else None
    _finish(axes, title or "Escape against overkill")


def _draw_overkill_against_threshold(axes: Any, sample: _Sample) -> None:
    points = operating_points(sample.good, sample.defective)
    thresholds = np.concatenate([[0.0], points.thresholds, [1.0]])
    flagged = np.concatenate([[0], points.flagged, points.flagged[-1:]])
    overkill = _intervals(flagged, len(sample.good))
    axes.fill_between(
        thresholds, overkill[1], overkill[2], step="pre", color=GOOD, alpha=0.16, linewidth=0, label="95 % interval"
    )
    axes.step(thresholds, overkill[0], where="pre", color=GOOD, linewidth=2.2, label="every threshold")
    chosen, _ = sample.rates
    if sample.threshold is not None and chosen:
        _mark_chosen(axes, sample.threshold, None, chosen)
    edges = _bin_edges(sample)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(*_limits(chosen))
    axes.set_xlabel("threshold (similarity)")
    axes.set_ylabel("overkill: good parts flagged")
    _finish(axes, f"Overkill {percent(chosen.rate)}, escape unknown" if chosen else "Overkill against threshold")


def _mark_chosen(axes: Any, x: float, horizontal: Rate | None, vertical: Rate) -> None:
    axes.errorbar(
        [x], [vertical.rate], xerr=None if horizontal is None else _whiskers(horizontal), yerr=_whiskers(vertical),
        fmt="o", color=INK, markersize=10, markerfacecolor=FLAGGED, markeredgewidth=1.8, capsize=4, linewidth=1.5,
        zorder=5, clip_on=False, label="this threshold",
    )  # fmt: skip


def _whiskers(rate: Rate) -> list[list[float]]:
    return [[rate.rate - rate.low], [rate.high - rate.rate]]


def _limits(chosen: Rate | None) -> tuple[float, float]:
    """Near the chosen point, where the choice was made, rather than the whole of 0 to 100 %."""
    top = 1.0 if chosen is None else min(max(0.1, 1.6 * chosen.high), 1.0)
    return -0.03 * top, 1.03 * top


def _finish(axes: Any, title: str) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(max(share, 0.0))))
    axes.set_title(title, loc="left", fontsize=12, color=INK, fontweight="bold", pad=24)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 0.985), ncols=3, frameon=False, fontsize=10, columnspacing=1.4,
        handletextpad=0.5,
    )  # fmt: skip
    axes.grid(color="#DDDDDD", linewidth=0.8)
    _plain(axes)


def _say(axes: Any, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=13, color=GREY, linespacing=1.6)
    axes.set_axis_off()


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def _intervals(events: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Rate, low and high of each count, (3, K)."""
    rates = {count: Rate.of(count, n) for count in set(events.tolist())}
    return np.array([(r.rate, r.low, r.high) for r in (rates[count] for count in events.tolist())]).T


def _bin_edges(sample: _Sample) -> NDArray[np.float64]:
    """Equal bins over all that is drawn, with an edge on the threshold, so that no bar is half flagged."""
    marks = [] if sample.threshold is None else [sample.threshold]
    values = np.concatenate([sample.good, sample.defective, marks])
    pad = max(0.03, 0.06 * float(np.ptp(values)))
    low, high = max(0.0, float(values.min()) - pad), min(1.0, float(values.max()) + pad)
    step = (high - low) / _BINS
    anchor = low if sample.threshold is None else sample.threshold
    first, last = np.floor((low - anchor) / step), np.ceil((high - anchor) / step)
    return np.asarray(anchor + step * np.arange(first, last + 1), dtype=np.float64)
