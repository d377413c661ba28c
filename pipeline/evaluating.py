"""Evaluate: how well the inspection does on a labelled set that took no part in choosing its threshold."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inspection.calibration import Calibration, rates_at
from inspection.errors import EvaluationError, GoldentwinError
from inspection.metrics import aupro, escapes_per_type, image_auroc, overkill_at_zero_escape, pixel_auroc
from inspection.recipe import digest_of
from pipeline.calibration_picture import draw_evaluation
from pipeline.keeping import chose_threshold
from pipeline.opening import open_inspector
from pipeline.outbox import post
from pipeline.pixel_truth import PixelTruth
from pipeline.scoring import LabelledSet, LeftOut, Scored, not_inspected, open_labelled, score_frames, similarities
from pipeline.tracking.logs import EvaluationLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inspection.inspector import Inspector
    from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """`figures` is the object that `goldentwin evaluate --json` prints; what does not apply is None.

    `calibration` is what judged, None where the product has none; `warnings` say what makes the figures look better
    than they are; `picture` shows both classes and the threshold.
    """

    figures: dict[str, Any]
    calibration: Calibration | None
    warnings: tuple[str, ...]
    picture: Path
    left_out: tuple[LeftOut, ...]
    tracked: bool
    seconds: float


def evaluate_product(  # noqa: PLR0913 - what an evaluation consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    labelled: Path,
    engine: str = "auto",
    watcher: Callable[[int, int], None] | None = None,
) -> Evaluated:
    """Inspect a labelled set and say how well it was told apart.

    A frame that can't be inspected is neither passed nor flagged: it is counted in `not_inspected` and in no rate.
    Goldens among the pictures are left out.

    Args:
        workspace: where everything lies.
        product: the part number.
        view: the camera position.
        labelled: the folder of the labelled set.
        engine: `auto`, `onnx`, `torch` or `cuda`.
        watcher: told how many pictures of how many are done.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        EvaluationError: the folder is no labelled set, or only goldens were given.
    """
    began = datetime.now(UTC)
    inspector = open_inspector(workspace, product, view, engine=engine)
    sample = open_labelled(labelled, inspector)
    if not sample.frames:
        message = f"{labelled} holds nothing but goldens of {product}/{view}; give parts that are none"
        raise EvaluationError(message)
    truth = PixelTruth(sample.frames, golden=inspector.first_golden)
    scored: list[Scored] = []
    started = time.monotonic()
    for one in score_frames(inspector, sample.frames, keep_images=truth.wanted, watcher=watcher):
        truth.add(one)
        scored.append(one.without_pictures())
    seconds = time.monotonic() - started
    figures = _figures(scored, truth, inspector.calibration, seconds)
    digest = digest_of([sorted((one.file.frame, one.sha256) for one in sample.frames), asdict(inspector.provenance)])
    picture = workspace.reports / product / view / f"evaluation-{digest}.png"
    _draw(picture, scored, figures, inspector.calibration, f"{product}/{view}")
    log = EvaluationLog(
        product=product,
        view=view,
        provenance=inspector.provenance,
        figures=figures,
        labelled=sample.as_files(),
        started_at=began,
        seconds=seconds,
        pictures=[picture],
    )
    return Evaluated(
        figures=figures,
        calibration=inspector.calibration,
        warnings=_warnings(workspace, inspector, sample),
        picture=picture,
        left_out=(*sample.known, *not_inspected(scored)),
        tracked=post(workspace, log),
        seconds=seconds,
    )


def _warnings(workspace: Workspace, inspector: Inspector, sample: LabelledSet) -> tuple[str, ...]:
    """That the threshold was chosen on the very parts, which makes the rates look better than they are."""
    try:
        chose = chose_threshold(workspace, inspector)
    except GoldentwinError as error:
        return (f"whether these parts chose the threshold is not known: {error}",)
    known = sum(one.sha256 in chose for one in sample.frames)
    if not known:
        return ()
    total = len(sample.frames)
    return (f"{known} of {total} parts chose the threshold, so the rates flatter; give parts that calibrate never saw",)


def _figures(
    scored: Sequence[Scored], truth: PixelTruth, calibration: Calibration | None, seconds: float
) -> dict[str, Any]:
    seen = [one for one in scored if one.similarity is not None]
    good, defective = similarities(scored, defective=False), similarities(scored, defective=True)
    overkill, escape = (None, None) if calibration is None else rates_at(calibration.threshold, good, defective)
    distances = np.array([one.verdict.judgement.distance for one in seen], dtype=np.float64)
    return {
        "image_auroc": image_auroc([one.labelled.defective for one in seen], distances),
        "pixel_auroc": pixel_auroc(truth.masks, truth.maps),
        "aupro": aupro(truth.masks, truth.maps),
        "overkill": None if overkill is None else asdict(overkill),
        "escape": None if escape is None else asdict(escape),
        "overkill_at_zero_escape": overkill_at_zero_escape(good, defective),
        "not_inspected": len(scored) - len(seen),
        "frames_per_second": len(scored) / seconds if seconds > 0 else None,
        "per_type": _per_type(seen, calibration),
        "boxes": None,
    }


def _per_type(seen: Sequence[Scored], calibration: Calibration | None) -> dict[str, Any] | None:
    """Each type's inspected parts and how many of them passed; None without a threshold or defective parts."""
    defective = [one for one in seen if one.labelled.defective]
    if calibration is None or not defective:
        return None
    found = escapes_per_type(
        [one.labelled.label for one in defective],
        np.array([one.similarity for one in defective], dtype=np.float64),
        calibration.threshold,
    )
    return {name: asdict(escapes) for name, escapes in found.items()}


def _draw(
    picture: Path, scored: Sequence[Scored], figures: dict[str, Any], calibration: Calibration | None, product: str
) -> None:
    named = {"image AUROC": "image_auroc", "pixel AUROC": "pixel_auroc", "AUPRO": "aupro"}
    notes = [f"{name} {figures[key]:.4f}" for name, key in named.items() if figures[key] is not None]
    if figures["not_inspected"]:
        notes.append(f"{figures['not_inspected']} frames could not be inspected and count in no rate")
    if calibration is not None and calibration.provisional:
        notes.append("the threshold is provisional, from goldens alone")
    draw_evaluation(
        picture,
        good=similarities(scored, defective=False),
        defective=similarities(scored, defective=True),
        threshold=None if calibration is None else calibration.threshold,
        product=product,
        note=", ".join(notes),
    )
