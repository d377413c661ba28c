"""A batch of pairs: those of a manifest that have no verdict yet are judged and recorded, like frames of a night."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from inspection.overlay import draw_strip
from inspection.recipe import digest_of
from inspection.verdicts import Verdict
from pipeline.batch import BatchSummary
from pipeline.evidence import keep_evidence, read_evidence
from pipeline.flagged_sheet import draw_contact_sheet
from pipeline.open_batches import close_batch, open_batch
from pipeline.outbox import post
from pipeline.pair_inspecting import inspect_pairs, open_pair_judge
from pipeline.pairs import read_golden, read_pairs
from pipeline.reading import read_bytes
from pipeline.records import VerdictRecords
from pipeline.records.schema import row_key
from pipeline.tracking.batch_log import BatchLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from inspection.learned.pair_inspector import PairJudge
    from pipeline.pair_inspecting import JudgedPair
    from pipeline.pairs import Pair
    from pipeline.workspace import Workspace


def judge_pair_batch(  # noqa: PLR0913 - what a batch consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    manifest: Path,
    engine: str = "auto",
    watcher: Callable[[int, int], None] | None = None,
) -> BatchSummary:
    """Judge the pairs of a manifest that have no verdict yet on the same grounds, and record each as it is judged.

    A row's grounds are the network (`encoder`; with its threshold `calibration`) and the golden, by the SHA-256 of its
    file (`reference_set`, which in the summary is over all goldens). So a batch that was killed goes on where it
    stopped, and judging again changes nothing.

    Raises:
        PairsError: the manifest can't be read.
        TwinError: the product's trained network is damaged.
        RecordsError: verdicts or evidence can't be kept.
    """
    began, started = datetime.now(UTC), time.monotonic()
    pairs = read_pairs(manifest)
    goldens = {path: _sha256(path) for path in {pair.golden for pair in pairs}}
    judge = open_pair_judge(workspace, product, view, engine=engine)
    named = {_key(judge, pair, goldens, product, view): pair for pair in pairs}  # one named twice is judged once
    grounds = digest_of([product, view, judge.provenance(""), str(manifest.absolute())])
    batch = open_batch(workspace, grounds, digest_of([grounds, sorted(named)]))
    with VerdictRecords(workspace.records_url) as records:
        known = records.known(named)
        left = [pair for key, pair in named.items() if key not in known]
        for one in inspect_pairs(judge, left, product=product, view=view, keep_images=True, watcher=watcher):
            records.add([one.verdict], batch=batch, evidence=_evidence(workspace, one, batch))
        rows = records.rows(product=product, view=view, batch=batch)
    log = BatchLog(
        product=product,
        view=view,
        batch=batch,
        started_at=began,
        seconds=time.monotonic() - started,
        provenance=replace(judge.provenance(""), reference_set=digest_of(sorted(goldens.values()))),
        provisional=judge.provisional,
        rows=rows,
        picture_of=partial(read_evidence, workspace),
        contact_sheet=draw_contact_sheet(workspace, product, view, batch, _flagged(rows)),
        settings={"pairs": str(manifest), "engine": judge.engine},
    )
    tracked = post(workspace, log) if rows else False
    close_batch(workspace, grounds)
    return _summary(log, tracked=tracked, total=len(pairs), judged=len(left))


def _summary(log: BatchLog, *, tracked: bool, total: int, judged: int) -> BatchSummary:
    return BatchSummary(
        batch=log.batch,
        product=log.product,
        view=log.view,
        counts={verdict: sum(row["verdict"] == verdict for row in log.rows) for verdict in Verdict},
        seconds=log.seconds,
        flagged=_flagged(log.rows),
        contact_sheet=log.contact_sheet,
        provenance=log.provenance,
        provisional=log.provisional,
        tracked=tracked,
        total=total,
        judged=judged,
    )


def _flagged(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(row) for row in rows if row["verdict"] == Verdict.FLAG)


def _key(judge: PairJudge, pair: Pair, goldens: Mapping[Path, str], product: str, view: str) -> str:
    """The key of the row that the pair's verdict will have."""
    grounds = asdict(judge.provenance(goldens[pair.golden]))
    frame = {"frame": pair.frame.frame, "frame_sha256": _sha256(pair.frame.path)}
    return row_key({"product": product, "view": view, **frame, **grounds})


def _sha256(path: Path) -> str:
    """Of a file as it lies; "" where it can't be read, as in the verdict on it."""
    data, problem = read_bytes(path)
    return "" if problem else hashlib.sha256(data).hexdigest()


def _evidence(workspace: Workspace, one: JudgedPair, batch: str) -> dict[str, Path]:
    """The picture of a flagged frame beside its own golden, by the frame's name; relative to the home."""
    verdict = one.verdict
    frame, judgement = verdict.frame, verdict.judgement
    golden = read_golden(one.pair).image if judgement.verdict is Verdict.FLAG else None
    if frame.image is None or golden is None:
        return {}
    strip = draw_strip(golden, frame.image, judgement, part_id=frame.part_id)
    place = (verdict.product, verdict.view, batch)
    name = f"{frame.frame} against {judgement.provenance.reference_set}"  # a frame may be held against two goldens
    return {frame.frame: keep_evidence(workspace, place, name, strip)}
