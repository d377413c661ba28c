"""Golden health: which goldens decide, which never do, and what would change without each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from inspection.calibration import Rate
from inspection.calibration.thresholds import rates_at
from inspection.errors import EvaluationError
from inspection.inspector import Inspector
from inspection.metrics import image_auroc
from pipeline.opening import open_inspector
from pipeline.scoring import open_labelled, score_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.reference_set import Golden
    from pipeline.labelled import LabelledFrame
    from pipeline.scoring import Scored
    from pipeline.workspace import Workspace

DECIDES = 0.02
"""A golden decides a frame when the frame's similarity falls by more than this without it, and by most of all.

Smaller changes come from the metric, which is learned anew without the golden.
"""


@dataclass(frozen=True, kw_only=True)
class GoldenEffect:
    """What one golden does on the labelled set.

    `decides` counts the parts it decides, `flagged` those of them that are flagged. `image_auroc`, `overkill` and
    `escape` are those of the set without this golden, at the threshold in force; None where a class is missing.
    """

    name: str
    decides: int
    flagged: tuple[str, ...]
    image_auroc: float | None
    overkill: Rate | None
    escape: Rate | None


@dataclass(frozen=True, kw_only=True)
class GoldenHealth:
    """All goldens' effects, and the same figures with all of them."""

    image_auroc: float | None
    overkill: Rate | None
    escape: Rate | None
    parts: int
    goldens: tuple[GoldenEffect, ...]


def golden_health(  # noqa: PLR0913 - what is examined, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    labelled: Path,
    engine: str = "auto",
    watcher: Callable[[int, int], None] | None = None,
) -> GoldenHealth:
    """Judge a labelled set with all goldens, and with each left out in turn.

    The metric is learned anew without the golden, as if it had never been enrolled. Frames that can't be inspected with
    all goldens take no part; one that can't without a golden counts as wholly unlike there.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        EvaluationError: there is one golden only, no calibration in force, or the folder is no labelled set.
    """
    inspector = open_inspector(workspace, product, view, engine=engine)
    goldens, calibration = inspector.reference_set.goldens, inspector.calibration
    if len(goldens) < 2:  # noqa: PLR2004 - leaving out the only one leaves none
        message = f"{product}/{view} has one golden only, which decides everything; enrol more to compare them"
        raise EvaluationError(message)
    if calibration is None:
        message = f"{product}/{view} has no calibration in force; run `goldentwin calibrate {product} --labelled DIR`"
        raise EvaluationError(message)
    frames = open_labelled(labelled, inspector).frames
    scored = [one for one in _scored(inspector, frames) if one.similarity is not None]
    whole = _similarities(scored)
    kept = [one.labelled for one in scored]
    without = np.zeros((len(goldens), len(kept)))
    for number in range(len(goldens)):
        others = tuple(golden for index, golden in enumerate(goldens) if index != number)
        fewer = Inspector(replace(inspector.reference_set, goldens=others), cache=workspace.cache, engine=engine)
        without[number] = _similarities(_scored(fewer, kept))
        if watcher is not None:
            watcher(number + 1, len(goldens))
    defective = np.array([one.defective for one in kept])
    auroc, overkill, escape = _figures(whole, defective, calibration.threshold)
    return GoldenHealth(
        image_auroc=auroc,
        overkill=overkill,
        escape=escape,
        parts=len(kept),
        goldens=_effects(goldens, kept, whole, without, calibration.threshold),
    )


def _effects(
    goldens: Sequence[Golden],
    parts: Sequence[LabelledFrame],
    whole: NDArray[np.float64],
    without: NDArray[np.float64],
    threshold: float,
) -> tuple[GoldenEffect, ...]:
    """Each golden's effect: `whole` (N,) are the similarities with all of them, `without` (G, N) with each left out."""
    defective = np.array([part.defective for part in parts])
    loss = whole - without
    decider = np.where(loss.max(axis=0) > DECIDES, loss.argmax(axis=0), -1)
    effects = []
    for number, golden in enumerate(goldens):
        auroc, overkill, escape = _figures(without[number], defective, threshold)
        flagged = (decider == number) & (whole < threshold)
        effects.append(
            GoldenEffect(
                name=golden.name,
                decides=int((decider == number).sum()),
                flagged=tuple(part.file.part_id for part, is_flagged in zip(parts, flagged, strict=True) if is_flagged),
                image_auroc=auroc,
                overkill=overkill,
                escape=escape,
            )
        )
    return tuple(effects)


def _scored(inspector: Inspector, frames: Sequence[LabelledFrame]) -> list[Scored]:
    return [one.without_pictures() for one in score_frames(inspector, frames)]


def _similarities(scored: Sequence[Scored]) -> NDArray[np.float64]:
    return np.array([0.0 if one.similarity is None else one.similarity for one in scored], dtype=np.float64)


def _figures(
    similarity: NDArray[np.float64], defective: NDArray[np.bool_], threshold: float
) -> tuple[float | None, Rate | None, Rate | None]:
    overkill, escape = rates_at(threshold, similarity[~defective], similarity[defective])
    return image_auroc(defective, 1.0 - similarity), overkill, escape
