"""Evaluate on pairs: the same figures as for labelled folders, and how well boxes are found."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from inspection.boxes import Box, FoundBox, box_figures
from inspection.calibration import Rate
from inspection.metrics import image_auroc, overkill_at_zero_escape
from inspection.verdicts import Verdict
from pipeline.pair_inspecting import JudgedPair, inspect_pairs, open_pair_judge
from pipeline.pairs import read_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from inspection.verdicts import Judgement
    from pipeline.workspace import Workspace


def evaluate_pairs(  # noqa: PLR0913 - what an evaluation consists of, by name
    workspace: Workspace,
    product: str | None,
    view: str,
    *,
    manifest: Path,
    engine: str = "auto",
    watcher: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Judge a pair manifest and give the object that `goldentwin evaluate --json` prints.

    Frames that can't be inspected count in `not_inspected` and in no rate; `boxes` is over those that could be.

    Raises:
        PairsError: the manifest can't be read.
        TwinError: the product's trained network is damaged.
    """
    pairs = read_pairs(manifest)
    judge = open_pair_judge(workspace, product, view, engine=engine)
    started = time.monotonic()
    judged = list(inspect_pairs(judge, pairs, watcher=watcher))
    seconds = time.monotonic() - started
    seen = [one for one in judged if one.verdict.judgement.verdict is not Verdict.CANNOT_INSPECT]
    good, defective = ([one for one in seen if one.pair.defective is kind] for kind in (False, True))
    labelled = [*good, *defective]
    distances = np.array([one.verdict.judgement.distance for one in labelled], dtype=np.float64)
    return {
        "image_auroc": image_auroc([bool(one.pair.defective) for one in labelled], distances),
        "pixel_auroc": None,
        "aupro": None,
        "overkill": _rate(sum(_flagged(one) for one in good), len(good)),
        "escape": _rate(sum(not _flagged(one) for one in defective), len(defective)),
        "overkill_at_zero_escape": overkill_at_zero_escape(_similarities(good), _similarities(defective)),
        "not_inspected": len(judged) - len(seen),
        "frames_per_second": len(judged) / seconds if seconds > 0 else None,
        "per_type": _per_type(defective),
        "boxes": _boxes(seen),
    }


def found_boxes(judgement: Judgement) -> list[FoundBox]:
    """A verdict's regions as boxes to be scored."""
    return [
        FoundBox(
            region.x,
            region.y,
            region.x + region.width,
            region.y + region.height,
            certainty=region.certainty if region.certainty is not None else 1.0 - region.similarity,
            types=region.types,
        )
        for region in judgement.regions
    ]


def _boxes(seen: Sequence[JudgedPair]) -> dict[str, Any] | None:
    """None where no pair says where its defects are."""
    known = [one for one in seen if one.pair.boxes is not None or one.pair.same_everywhere]
    truth: list[tuple[Box, ...]] = [one.pair.boxes or () for one in known]
    if not any(truth):
        return None
    return box_figures([found_boxes(one.verdict.judgement) for one in known], truth)


def _flagged(one: JudgedPair) -> bool:
    return one.verdict.judgement.verdict is Verdict.FLAG


def _similarities(judged: Sequence[JudgedPair]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([one.verdict.judgement.similarity for one in judged], dtype=np.float64)


def _rate(events: int, count: int) -> dict[str, Any] | None:
    return asdict(Rate.of(events, count)) if count else None


def _per_type(defective: Sequence[JudgedPair]) -> dict[str, Any] | None:
    """Parts with a defect of each type, named by label or boxes, and how many passed."""
    found: dict[str, list[bool]] = {}
    for one in defective:
        named = {box.type for box in one.pair.boxes or () if box.type is not None}
        for name in sorted(named) or [one.pair.label or "defect"]:
            found.setdefault(name, []).append(not _flagged(one))
    return {name: {"n": len(all_), "escaped": sum(all_)} for name, all_ in sorted(found.items())} or None
