"""A night's batch: plan what is not judged yet, judge it chunk by chunk, summarise; every step may be done again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspection.errors import CalibrationError, GoldentwinError
from inspection.verdicts import Provenance, Verdict
from pipeline.evidence import read_evidence
from pipeline.flagged_sheet import draw_contact_sheet
from pipeline.goldens_of_the_night import goldens_of_the_night
from pipeline.inspecting import inspect_frames
from pipeline.open_batches import close_batch
from pipeline.opening import keep_inspector
from pipeline.outbox import post
from pipeline.reading import FrameFile
from pipeline.records import ReviewRecords, VerdictRecords
from pipeline.review.choosing import Witness, witnessed
from pipeline.review.pushing import push_reviews
from pipeline.shadow import shadow_chunk
from pipeline.shadow_report import shadow_report
from pipeline.tracking.batch_log import BatchLog
from pipeline.tracking.run_link import RunLink, find_run
from pipeline.watch.watching import watch_batch
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.frames import FrameVerdict
    from pipeline.planning import BatchPlan
    from pipeline.watch.watching import Watched

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ChunkResult:
    """How many frames of a chunk got which verdict, and how long it took."""

    counts: dict[Verdict, int]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class BatchSummary:
    """What a batch found, also what interrupted runs of it found before. `flagged` rows come worst first.

    `total` counts the frames in the folder, `judged` those that this run judged, `counts` all that the batch holds:
    frames judged in an earlier batch are in `total` alone. `queues` has the addresses of the review queues that parts
    were put into, by name; empty where none were chosen, or MLflow was away and they are pushed later. `watched` says
    whether the line is still as it was at calibration, `shadow` how often a challenger differed ("" without one). `run`
    is the batch's run in MLflow, where that was reached.
    """

    batch: str
    product: str
    view: str
    counts: dict[Verdict, int]
    seconds: float
    flagged: tuple[dict[str, Any], ...]
    contact_sheet: Path | None
    provenance: Provenance
    provisional: bool
    tracked: bool
    total: int
    judged: int
    queues: dict[str, str] = field(default_factory=dict)
    watched: Watched | None = None
    shadow: str = ""
    run: RunLink | None = None


def judge_chunk(plan: BatchPlan, chunk: Sequence[FrameFile]) -> ChunkResult:
    """Judge one chunk and record it in one transaction; judging it again changes nothing.

    Raises:
        CalibrationError: goldens, recipe or calibration changed since the batch was planned.
        RecordsError: the verdicts can't be recorded.
        OSError: the disk is full.
    """
    started = time.monotonic()
    inspector = keep_inspector(plan.workspace, plan.product, plan.view, engine=plan.engine)
    if inspector.provenance != plan.provenance:
        message = f"goldens, recipe or calibration of {plan.product}/{plan.view} changed; run the batch again"
        raise CalibrationError(message)
    witness = Witness(plan.workspace, inspector, plan.batch)
    sources = {file.frame: file.path for file in chunk}
    seen = witnessed(inspect_frames(inspector, chunk, keep_images=True), sources, witness)
    judged = [_without_pictures(verdict) for verdict in seen]
    with ReviewRecords(plan.workspace.records_url) as reviews:
        reviews.choose(witness.items)  # before the verdicts: what has a verdict is never judged again
    shadow_chunk(plan.workspace, plan.product, plan.view, plan.engine, plan.batch, chunk, judged)
    with VerdictRecords(plan.workspace.records_url) as records:
        records.add(judged, batch=plan.batch, evidence=witness.evidence, nearest=witness.nearest)
    counts = dict.fromkeys(Verdict, 0)
    for verdict in judged:
        counts[verdict.judgement.verdict] += 1
    return ChunkResult(counts=counts, seconds=time.monotonic() - started)


def summarise_batch(plan: BatchPlan, seconds: float) -> BatchSummary:
    """Count the batch's verdicts, draw the contact sheet of flagged parts and post the batch to MLflow."""
    summary = report_batch(plan, seconds)
    close_batch(plan.workspace, plan.key)
    return summary


def report_batch(plan: BatchPlan, seconds: float) -> BatchSummary:
    """The same for a batch that is not closed by it."""
    with VerdictRecords(plan.workspace.records_url) as records:
        rows = records.rows(product=plan.product, view=plan.view, batch=plan.batch)
    flagged = [row for row in rows if row["verdict"] == Verdict.FLAG]
    sheet = draw_contact_sheet(plan.workspace, plan.product, plan.view, plan.batch, flagged)
    watched = _watch(plan) if rows else None
    shadow = shadow_report(plan.workspace, plan.product, plan.view, plan.batch)
    goldens = goldens_of_the_night(plan.goldens, rows)
    log = BatchLog(
        product=plan.product,
        view=plan.view,
        batch=plan.batch,
        started_at=plan.started_at,
        seconds=seconds,
        provenance=plan.provenance,
        provisional=plan.provisional,
        rows=rows,
        picture_of=partial(read_evidence, plan.workspace),
        contact_sheet=sheet,
        pictures=[path for path in (watched and watched.picture, watched and watched.page) if path],
        extra_evidence=shadow.evidence if shadow else {},
        extra_texts={**(shadow.texts if shadow else {}), **(goldens.texts if goldens else {})},
        extra_metrics=shadow.metrics if shadow else {},
        notes=[
            f"**The line**: {watched.headline}" if watched else "",
            *(part.description for part in (shadow, goldens) if part),
        ],
        settings={"frames": plan.source, "engine": plan.engine},
    )
    tracked = post(plan.workspace, log) if rows else False
    queues = _push_reviews(plan)
    return BatchSummary(
        batch=plan.batch,
        product=plan.product,
        view=plan.view,
        counts={verdict: sum(row["verdict"] == verdict for row in rows) for verdict in Verdict},
        seconds=seconds,
        flagged=tuple(flagged),
        contact_sheet=sheet,
        provenance=plan.provenance,
        provisional=plan.provisional,
        tracked=tracked,
        queues=queues,
        watched=watched,
        shadow=shadow.headline if shadow else "",
        run=_run_of(plan.workspace, log) if tracked else None,
        total=plan.total,
        judged=sum(map(len, plan.chunks)),
    )


def _without_pictures(verdict: FrameVerdict) -> FrameVerdict:
    """For memory: a portion's pictures are on disk by now."""
    frame, judgement = replace(verdict.frame, image=None), replace(verdict.judgement, similarity_map=None)
    return replace(verdict, frame=frame, judgement=judgement)


def _push_reviews(plan: BatchPlan) -> dict[str, str]:
    """Put what waits into the review queues; whatever ails MLflow, it waits on and the night is not held up."""
    try:
        return push_reviews(plan.workspace, product=plan.product, view=plan.view).addresses
    except Exception as error:  # noqa: BLE001 - MLflow and its database raise many things; the verdicts are recorded
        logger.warning("parts wait for review: %s; `goldentwin review push` puts them into the queue", error)
        return {}


def _run_of(workspace: Workspace, log: BatchLog) -> RunLink | None:
    """The batch's run in MLflow; a link that can't be found holds no night up."""
    try:
        return find_run(workspace, log.product, log.view, log.key)
    except Exception as error:  # noqa: BLE001 - MLflow and its database raise many things; the run is logged
        logger.warning("the night's page has no link to its run in MLflow: %s", error)
        return None


def _watch(plan: BatchPlan) -> Watched | None:
    """Whether the line drifted; a watch that fails holds no night up."""
    try:
        return watch_batch(plan.workspace, plan.product, plan.view, plan.batch)
    except (GoldentwinError, OSError) as error:
        logger.warning("the night is not watched: %s", error)
        return None
