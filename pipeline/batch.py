"""A night's batch: plan what is not judged yet, judge it chunk by chunk, summarise; every step may be done again."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspection.errors import CalibrationError, GoldentwinError, UnreadableImageError
from inspection.recipe import digest_of
from inspection.verdicts import Provenance, Verdict
from pipeline.flagged_sheet import draw_contact_sheet
from pipeline.goldens_of_the_night import goldens_of_the_night
from pipeline.inspecting import inspect_frames
from pipeline.open_batches import close_batch, open_batch
from pipeline.opening import keep_inspector
from pipeline.outbox import post
from pipeline.reading import FrameFile, list_frames, read_bytes
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

    from inspection.inspector import Inspector
    from pipeline.frames import FrameVerdict
    from pipeline.watch.watching import Watched

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What is to be judged: `chunks` of frames without a verdict on the grounds of `provenance`.

    `batch` is the same for the same frames and grounds, so that a batch that was killed and run again is one batch,
    also where frames came since; `key` tells what grounds and folders it is of. `total` counts all frames found, also
    those judged before; `goldens` are the names of those that judge.
    """

    workspace: Workspace
    product: str
    view: str
    engine: str
    batch: str
    key: str
    chunks: tuple[tuple[FrameFile, ...], ...]
    total: int
    provenance: Provenance
    provisional: bool
    started_at: datetime
    source: str
    goldens: tuple[str, ...]


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


def plan_batch(  # noqa: PLR0913 - what a batch consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    frames: Path | Sequence[Path],
    *,
    chunk_size: int = 64,
    engine: str = "auto",
) -> BatchPlan:
    """List the frames that have no verdict yet on the current grounds, in chunks.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        CalibrationError: there is no calibration at all, so that no frame could be judged.
        UnreadableImageError: the folder of frames does not exist.
    """
    sources = [frames] if isinstance(frames, Path) else list(frames)
    for source in sources:
        if not source.exists() and not source.is_symlink():
            message = f"{source} does not exist; name a folder of frames"
            raise UnreadableImageError(message)
    inspector = keep_inspector(workspace, product, view, engine=engine)
    calibration = inspector.calibration
    if calibration is None:
        message = f"no frame of {product}/{view} can be judged: {inspector.uncalibrated}"
        raise CalibrationError(message)
    files = list_frames(sources)
    left = _not_judged(workspace, inspector, files)
    key = _grounds(inspector, sources)
    return BatchPlan(
        workspace=workspace,
        product=product,
        view=view,
        engine=engine,
        batch=open_batch(workspace, key, _batch_id(key, files)),
        key=key,
        chunks=tuple(tuple(left[at : at + chunk_size]) for at in range(0, len(left), chunk_size)),
        total=len(files),
        provenance=inspector.provenance,
        provisional=calibration.provisional,
        started_at=datetime.now(UTC),
        source=", ".join(map(str, sources)),
        goldens=tuple(golden.name for golden in inspector.reference_set.goldens),
    )


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
        evidence_folder=plan.workspace.home,
        contact_sheet=sheet,
        pictures=[path for path in (watched and watched.picture, watched and watched.page) if path],
        extra_files=shadow.files if shadow else {},
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


def _not_judged(workspace: Workspace, inspector: Inspector, files: Sequence[FrameFile]) -> list[FrameFile]:
    """Frames without a verdict; one whose name was judged counts as judged only while its bytes are the same."""
    reference_set = inspector.reference_set
    names = [file.frame for file in files]
    with VerdictRecords(workspace.records_url) as records:
        judged = records.judged(reference_set.product, reference_set.view, inspector.provenance, frames=names)
    known = {frame for frame, _ in judged}
    return [file for file in files if file.frame not in known or (file.frame, _sha256(file)) not in judged]


def _sha256(file: FrameFile) -> str:
    data, problem = read_bytes(file.path)
    return "" if problem else hashlib.sha256(data).hexdigest()


def _grounds(inspector: Inspector, sources: Sequence[Path]) -> str:
    """The same for the same product, view, provenance and folders."""
    places = [str(source.absolute()) for source in sources]
    return digest_of([inspector.reference_set.product, inspector.reference_set.view, inspector.provenance, places])


def _batch_id(key: str, files: Sequence[FrameFile]) -> str:
    return digest_of([key, [(file.frame, _modified(file.path)) for file in files]])


def _modified(path: Path) -> int:
    """When a file was last changed, in nanoseconds; 0 where it is gone by now or can't be asked."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


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
