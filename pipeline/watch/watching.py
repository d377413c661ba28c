"""Watch one batch: its records against the parts of its calibration; what follows where it has drifted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from inspection.errors import EvaluationError, NotEnrolledError
from inspection.reference_set import load_reference_set
from inspection.verdicts import Reason
from pipeline.records import VerdictRecords
from pipeline.watch.charts import FEWEST
from pipeline.watch.drift import watch_frames
from pipeline.watch.figures import read_baseline, watched_frame
from pipeline.watch.hold import hold_pass
from pipeline.watch.page import ChartPage, write_page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.watch.drift import Alarm, Night
    from pipeline.watch.figures import Baseline
    from pipeline.workspace import Workspace

_NOT_TRIED = frozenset({Reason.SKIPPED, Reason.TOO_LATE, Reason.INTERRUPTED, Reason.NOT_RECORDED})


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


def watch_batch(
    workspace: Workspace, product: str, view: str, batch: str | None = None, *, latest: int | None = None
) -> Watched:
    """Hold a batch (by default the latest) against the parts of the calibration that judged it, and draw the charts.

    `latest` looks at so many of its newest frames only, as for a line that runs. Frames that a line had no time for say
    nothing of it and are passed over. Where the recipe's `watch.holds_pass` is set and something changed, no part
    passes automatically any more until the view is calibrated anew or the hold is released (see `hold_pass`).

    Raises:
        EvaluationError: no such batch was judged.
        RecordsError: the records can't be read.
        CalibrationError: the figures of the calibration's parts can't be read.
    """
    with VerdictRecords(workspace.records_url) as records:
        name = batch or next((b.batch for b in records.batches() if (b.product, b.view) == (product, view)), "")
        found = records.rows(product=product, view=view, batch=name, order="latest", limit=latest) if name else []
    rows = [row for row in found if not _not_tried(row)]
    if not rows:
        called = f"batch {name}" if name else "batch"
        message = f"no {called} of {product}/{view} was judged; run `goldentwin batch {product} --frames DIR`"
        raise EvaluationError(message)
    calibration = rows[0]["calibration"] or ""
    baseline = read_baseline(workspace, product, view, calibration)
    if baseline is None or len(rows) < FEWEST:
        return _not_watched(product, view, name, rows)
    rows.sort(key=lambda row: (row["captured_at"] or row["judged_at"], row["frame"]))
    night, headline = _watched(baseline, rows)
    folder = workspace.reports / product / view
    page, picture = folder / f"watch-{name}.html", folder / f"watch-{name}.png"
    write_page(
        page,
        picture,
        ChartPage(
            title=f"{product}/{view}",
            headline=headline,
            night=night,
            moments=tuple(_moment(row) for row in rows),
            parts=len(baseline.frames),
            threshold=rows[-1]["threshold"],
        ),
    )
    if night.alarms and _holds(workspace, product, view):
        judged_at = max(datetime.fromisoformat(row["judged_at"]) for row in rows)
        hold_pass(workspace, product, view, calibration=calibration, reason=headline, judged_at=judged_at)
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


def _not_tried(row: dict[str, Any]) -> bool:
    """Whether a line told of this frame without having compared it, for want of time or after a kill."""
    return row["similarity"] is None and str(row["reason"] or "").partition(":")[0] in _NOT_TRIED


def _watched(baseline: Baseline, rows: Sequence[dict[str, Any]]) -> tuple[Night, str]:
    night = watch_frames(baseline, [watched_frame(row, baseline.golden_size) for row in rows])
    if not night.alarms:
        return night, "quiet: light, focus, pose and product are as they were at calibration"
    told = []
    for alarm in night.alarms:
        row = rows[alarm.first]
        told.append(f"{alarm.said}, since {_moment(row):%H:%M} (frame {row['frame']})")
    return night, "; ".join(told)


def _holds(workspace: Workspace, product: str, view: str) -> bool:
    try:
        return load_reference_set(workspace.references, product, view).recipe.watch.holds_pass
    except (NotEnrolledError, OSError):
        return False


def _moment(row: dict[str, Any]) -> datetime:
    """When the frame was taken, in this machine's time zone."""
    return datetime.fromisoformat(row["captured_at"] or row["judged_at"]).astimezone()


def _not_watched(product: str, view: str, batch: str, rows: Sequence[dict[str, Any]]) -> Watched:
    mend = f"`goldentwin calibrate {product} --view {view}` with good parts makes it possible"
    if any(row["provisional"] for row in rows):
        why = "its calibration is provisional"
    elif len(rows) < FEWEST:
        why, mend = f"it has {len(rows)} frames, and a watch needs {FEWEST}", "watch a longer batch"
    else:
        why = "its calibration has too few good parts, or was made before there was a watch"
    return Watched(
        product=product,
        view=view,
        batch=batch,
        headline=f"not watched: {why}; {mend}",
        alarms=(),
        frames=len(rows),
        page=None,
        picture=None,
        why_not=why,
    )
