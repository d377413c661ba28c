"""Watch one batch: its records against the parts of its calibration; what follows where it has drifted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from inspection.errors import EvaluationError, NotEnrolledError
from inspection.reference_set import load_reference_set
from pipeline.records import VerdictRecords
from pipeline.watch.drift import Night, watch_frames
from pipeline.watch.figures import figures_of, read_baseline
from pipeline.watch.hold import hold_pass
from pipeline.watch.page import write_page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.watch.drift import Alarm
    from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a watch of a batch found; `why_not` says why it could not be watched, and then there is no page.

    `headline` is a line for people: `quiet`, or what changed and when.
    """

    product: str
    view: str
    batch: str
    headline: str
    alarms: tuple[Alarm, ...]
    frames: int
    page: Path | None
    picture: Path | None
    why_not: str | None = None


def watch_batch(workspace: Workspace, product: str, view: str, batch: str | None = None) -> Watched:
    """Hold a batch (by default the latest) against the parts of the calibration that judged it, and draw the charts.

    Where the recipe's `watch.holds_pass` is set and something changed, no part passes automatically any more until the
    view is calibrated anew (see `hold_pass`).

    Raises:
        EvaluationError: no such batch was judged.
        RecordsError: the records can't be read.
        CalibrationError: the figures of the calibration's parts can't be read.
    """
    with VerdictRecords(workspace.records_url) as records:
        name = batch or next((b.batch for b in records.batches() if (b.product, b.view) == (product, view)), "")
        rows = records.rows(product=product, view=view, batch=name, order="judged")
    if not rows:
        message = f"no batch {name or ''} of {product}/{view} was judged; run `goldentwin batch {product} --frames DIR`"
        raise EvaluationError(message.replace("  ", " "))
    calibration = rows[-1]["calibration"] or ""
    baseline = read_baseline(workspace, product, view, calibration)
    if baseline is None:
        return _not_watched(product, view, name, rows)
    rows = sorted(rows, key=lambda row: (row["captured_at"] or row["judged_at"], row["frame"]))
    night = watch_frames(
        baseline, [figures_of(row, baseline.golden_size) for row in rows], [str(row["verdict"]) for row in rows]
    )
    headline = _headline(night, rows)
    folder = workspace.reports / product / view
    page, picture = folder / f"watch-{name}.html", folder / f"watch-{name}.png"
    moments = [_moment(rows[first]) for first, _ in night.windows]
    write_page(page, picture, night, moments, title=f"{product}/{view}", headline=headline)
    if night.alarms and _holds(workspace, product, view):
        hold_pass(workspace, product, view, calibration=calibration, reason=headline)
    return Watched(
        product=product,
        view=view,
        batch=name,
        headline=headline,
        alarms=night.alarms,
        frames=len(rows),
        page=page,
        picture=picture,
    )


def _holds(workspace: Workspace, product: str, view: str) -> bool:
    try:
        return load_reference_set(workspace.references, product, view).recipe.watch.holds_pass
    except (NotEnrolledError, OSError):
        return False


def _headline(night: Night, rows: Sequence[dict[str, Any]]) -> str:
    if not night.alarms:
        return "quiet: light, focus, pose and product are as they were at calibration"
    told = []
    for alarm in night.alarms:
        first = night.windows[max(alarm.window - 1, 0)][0]
        told.append(f"{alarm.said}, since {_moment(rows[first]):%H:%M} (frame {rows[first]['frame']})")
    return "; ".join(told)


def _moment(row: dict[str, Any]) -> datetime:
    """When the frame was taken, in this machine's time zone."""
    return datetime.fromisoformat(row["captured_at"] or row["judged_at"]).astimezone()


def _not_watched(product: str, view: str, batch: str, rows: Sequence[dict[str, Any]]) -> Watched:
    provisional = any(row["provisional"] for row in rows)
    why = "its calibration is provisional" if provisional else "its calibration has too few good parts, or is old"
    return Watched(
        product=product,
        view=view,
        batch=batch,
        headline=f"not watched: {why}; `goldentwin calibrate {product}` with good parts makes it possible",
        alarms=(),
        frames=len(rows),
        page=None,
        picture=None,
        why_not=why,
    )
