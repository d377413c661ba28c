"""Recalibrate: what reviewers said of past nights becomes the threshold of the nights to come."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inspection.calibration import Calibration, Policy, Rate, calibrate_scores
from inspection.calibration.rates import percent
from inspection.errors import CalibrationError, InsufficientSampleError
from inspection.verdicts import Verdict
from pipeline.calibrating import Calibrated, calibration_picture
from pipeline.calibration_picture import draw_calibration
from pipeline.keeping import UNKNOWN, keep_judged
from pipeline.opening import open_inspector
from pipeline.outbox import post
from pipeline.review.items import DEFECT, GOOD
from pipeline.review.rejudging import representative
from pipeline.review.reviewed_nights import reviewed_parts
from pipeline.review.sampled_rates import ReviewedPart, rates_at, weighted_parts
from pipeline.tracking.logs import CalibrationLog, LabelledFile
from pipeline.watch.figures import keep_baseline_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inspection.calibration import Binding
    from pipeline.review.estimates import Estimate
    from pipeline.review.labels import Label
    from pipeline.workspace import Workspace


def calibrate_reviewed(  # noqa: PLR0913 - what a calibration consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    policy: Policy,
    challenger: bool = False,
    by: str = UNKNOWN,
    engine: str = "auto",
) -> Calibrated:
    """Choose the threshold from reviewed parts of past nights, and make it the one that judges, or the challenger.

    Nights count whose flagged parts were all reviewed: parts that were reviewed by what was said of them, the others
    through the reviewed ones that stand for them. After new goldens a night counts once it is judged again; while there
    is none, the reviewed parts of earlier nights are compared anew, which proves less.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        TrackingError: nobody has reviewed a part yet.
        InsufficientSampleError: too few parts were reviewed to prove the wish.
        CalibrationError: no flagged parts of a night were all reviewed, or the classes overlap too much.
    """
    started = time.monotonic()
    inspector = open_inspector(workspace, product, view, engine=engine)
    first, labels, warnings = reviewed_parts(workspace, inspector)
    parts = [_part(row, labels) for row in first]
    before = _before(inspector.calibration, parts)
    calibration = replace(choose_from_reviews(parts, policy, inspector.binding), warnings=warnings)
    picture = _draw(workspace, product, view, parts, calibration)
    inspector.calibration = calibration
    kept = keep_judged(workspace, inspector, _files(first, labels), challenger=challenger, by=by)
    keep_baseline_of(workspace, inspector, calibration, _good(first, parts))
    seconds = time.monotonic() - started
    log = CalibrationLog(
        product=product,
        view=view,
        calibration=calibration,
        goldens=len(inspector.reference_set.goldens),
        labelled=_files(first, labels),
        pictures=[picture],
        bundle=kept.bundle.folder,
        make_challenger=challenger,
        decided_at=kept.row.at,
        audit=str(kept.row.anchor),
        seconds=seconds,
        before=before,
    )
    return Calibrated(
        calibration=calibration,
        picture=picture,
        left_out=(),
        tracked=post(workspace, log),
        seconds=seconds,
        challenger=challenger,
    )


def _before(calibration: Calibration | None, parts: Sequence[ReviewedPart]) -> dict[str, float]:
    """What the threshold in force until now does on the same parts."""
    if calibration is None:
        return {}
    overkill, escape = rates_at(calibration.threshold, parts)
    rates = {"overkill_before": overkill.rate, "escape_before": escape.rate}
    return {"threshold_before": calibration.threshold, **{n: rate for n, rate in rates.items() if rate is not None}}


def choose_from_reviews(parts: Sequence[ReviewedPart], policy: Policy, binding: Binding) -> Calibration:
    """The calibration that reviewed parts give; its rates are those of all judged parts, with exact intervals.

    Raises:
        InsufficientSampleError: too few parts were reviewed to prove the wish.
        CalibrationError: no part was reviewed, or the classes overlap too much for the wish.
    """
    decided = [part.defective for part in parts if part.defective is not None]
    if not decided:
        message = "no part judged with the present encoder, goldens and recipe has a review; judge and review a night"
        raise CalibrationError(message)
    _suffices(parts, policy)
    weighted = weighted_parts(parts)
    chosen = calibrate_scores(weighted.good, weighted.defective, policy=policy, binding=binding)
    overkill, escape = rates_at(chosen.threshold, parts)
    if policy.max_escape is not None and escape.high > policy.max_escape:
        message = (
            f"the review can't prove an escape of at most {percent(policy.max_escape)}: by the parts reviewed so far "
            f"it may be up to {percent(escape.high)}. Review more of the parts that passed: raise the recipe's "
            "review.share"
        )
        raise InsufficientSampleError(message)
    good, defective = decided.count(False), decided.count(True)
    return replace(
        chosen,
        good=good,
        defective=defective,
        overkill=_rate(overkill, good),
        escape=_rate(escape, defective) if defective else None,
        statement=_statement(chosen, parts, overkill, escape),
        warnings=(),
    )


def _suffices(parts: Sequence[ReviewedPart], policy: Policy) -> None:
    """Refuse where the only similarities of parts that passed are those of a few reviewed ones.

    The conformal bound needs 1 / max_overkill - 1 parts (see `inspection.calibration`), and weights add none.
    """
    known = sum(part.passed and part.defective is False for part in parts)
    if policy.max_overkill and any(part.similarity is None for part in parts):
        needed = math.ceil(1 / policy.max_overkill) - 1
        if known < needed:
            message = (
                f"since the goldens changed, only {known} good parts that passed have been compared with them, and an "
                f"overkill of at most {percent(policy.max_overkill)} needs {needed}; judge the reviewed night's frames "
                "again with `goldentwin batch`: what was said of them stays"
            )
            raise InsufficientSampleError(message)


def _statement(chosen: Calibration, parts: Sequence[ReviewedPart], overkill: Estimate, escape: Estimate) -> str:
    reviewed = sum(part.defective is not None for part in parts)
    wish = chosen.statement.split(". ")[0]
    return (
        f"{wish}. From {reviewed} reviewed of {len(parts)} judged parts, each standing for those of its kind: "
        f"overkill {_told(overkill)}, escape {_told(escape)}."
    )


def _told(estimate: Estimate) -> str:
    middle = "unknown" if estimate.rate is None else percent(estimate.rate)
    return f"{middle} (95 % interval {percent(estimate.low)} to {percent(estimate.high)})"


def _rate(estimate: Estimate, n: int) -> Rate:
    return Rate(rate=estimate.rate or 0.0, low=estimate.low, high=estimate.high, n=n)


def _part(row: Mapping[str, Any], labels: Mapping[str, Label]) -> ReviewedPart:
    label = labels.get(row["frame_sha256"])
    similarity = row["similarity"]
    unknown = similarity is None or label is None or label.value not in {DEFECT, GOOD}
    decided = None if unknown or label is None else label.value == DEFECT
    return ReviewedPart(similarity=similarity, passed=row["verdict"] == Verdict.PASS.value, defective=decided)


def _files(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, Label]) -> list[LabelledFile]:
    return [
        LabelledFile(name=row["frame"], sha256=row["frame_sha256"], label=label.defect_type or label.value)
        for row in rows
        if (label := labels.get(row["frame_sha256"])) is not None
    ]


def _good(rows: Sequence[dict[str, Any]], parts: Sequence[ReviewedPart]) -> list[dict[str, Any]]:
    """The parts that passed and are not known to be defective, and those that were flagged by mistake."""
    good = [
        row
        for row, part in zip(rows, parts, strict=True)
        if part.defective is False or (part.passed and part.defective is None)
    ]
    return good if all(row["similarity"] is not None for row in rows) else representative(good)


def _draw(
    workspace: Workspace, product: str, view: str, parts: Sequence[ReviewedPart], calibration: Calibration
) -> Path:
    picture = calibration_picture(workspace, product, view, calibration)
    weighted = weighted_parts(parts)
    draw_calibration(
        picture,
        good=weighted.good,
        defective=weighted.defective,
        calibration=calibration,
        product=f"{product}/{view}, reviewed parts",
        estimated=True,
    )
    return picture
