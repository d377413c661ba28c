"""Calibrate: a labelled set becomes a threshold, its picture and the judged model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.calibration import Calibration, Policy, calibrate_scores
from inspection.errors import CalibrationError
from pipeline.calibration_picture import draw_calibration
from pipeline.keeping import UNKNOWN, keep_judged
from pipeline.opening import open_inspector
from pipeline.outbox import post
from pipeline.scoring import LabelledSet, LeftOut, Scored, not_inspected, open_labelled, score_frames, similarities
from pipeline.tracking.logs import CalibrationLog
from pipeline.watch.figures import keep_baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from inspection.inspector import Inspector
    from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A calibration that is in force now, or that of a `challenger`, which decides nothing.

    `picture` shows the sample and the threshold; `left_out` names pictures that took no part; `tracked` tells whether
    MLflow has it already (else it is delivered later).
    """

    calibration: Calibration
    picture: Path
    left_out: tuple[LeftOut, ...]
    tracked: bool
    seconds: float
    challenger: bool = False


def calibrate_product(  # noqa: PLR0913 - what a calibration consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    labelled: Path,
    policy: Policy,
    challenger: bool = False,
    by: str = UNKNOWN,
    engine: str = "auto",
    watcher: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Inspect a labelled set, choose the threshold that `policy` wishes, and make it the one that judges.

    The judged model is kept as local champion and, once MLflow has it, as champion of the registry. A challenger is
    kept and registered beside it, and what judges stays as it is.

    Args:
        workspace: where everything lies.
        product: the part number.
        view: the camera position.
        labelled: the folder of the labelled set.
        policy: the wish.
        challenger: make a challenger, which `pipeline.promoting.promote` may make champion later.
        by: who does it, for the audit record.
        engine: `auto`, `onnx`, `torch` or `cuda`.
        watcher: told how many pictures of how many are done.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        EvaluationError: the folder is no labelled set.
        InsufficientSampleError: too few parts to prove the wish; names the number needed.
        CalibrationError: the classes overlap too much for the wish, or no good part could be inspected.
    """
    started = time.monotonic()
    inspector = open_inspector(workspace, product, view, engine=engine)
    sample = open_labelled(labelled, inspector)
    scored = [one.without_pictures() for one in score_frames(inspector, sample.frames, watcher=watcher)]
    calibration = _choose(scored, sample, policy, inspector)
    picture = _draw(workspace, inspector, scored, calibration)
    inspector.calibration = calibration
    kept = keep_judged(workspace, inspector, sample.as_files(), challenger=challenger, by=by)
    keep_baseline(workspace, inspector, calibration, scored)
    seconds = time.monotonic() - started
    log = CalibrationLog(
        product=product,
        view=view,
        calibration=calibration,
        goldens=len(inspector.reference_set.goldens),
        labelled=sample.as_files(),
        pictures=[picture],
        bundle=kept.bundle.folder,
        make_challenger=challenger,
        decided_at=kept.row.at,
        audit=str(kept.row.anchor),
        seconds=seconds,
    )
    return Calibrated(
        calibration=calibration,
        picture=picture,
        left_out=(*sample.known, *not_inspected(scored)),
        tracked=post(workspace, log),
        seconds=seconds,
        challenger=challenger,
    )


def calibration_picture(workspace: Workspace, product: str, view: str, calibration: Calibration) -> Path:
    """Where the picture of a calibration lies."""
    return workspace.reports / product / view / f"calibration-{calibration.digest}.png"


def _choose(scored: Sequence[Scored], sample: LabelledSet, policy: Policy, inspector: Inspector) -> Calibration:
    good, defective = similarities(scored, defective=False), similarities(scored, defective=True)
    left_out = [*sample.known, *not_inspected(scored)]
    if not len(good) and left_out:
        first = left_out[0]
        message = (
            f"none of the good parts can be used ({first.frame}: {first.reason}); "
            "give good parts that are no goldens and are photographed like them"
        )
        raise CalibrationError(message)
    return calibrate_scores(good, defective, policy=policy, binding=inspector.binding)


def _draw(workspace: Workspace, inspector: Inspector, scored: Sequence[Scored], calibration: Calibration) -> Path:
    product, view = inspector.reference_set.product, inspector.reference_set.view
    picture = calibration_picture(workspace, product, view, calibration)
    draw_calibration(
        picture,
        good=similarities(scored, defective=False),
        defective=similarities(scored, defective=True),
        calibration=calibration,
        product=f"{product}/{view}",
    )
    return picture
