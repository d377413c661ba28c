"""Reviewed nights: which parts of the past tell of nights to come, with what was said of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inspection.errors import CalibrationError
from inspection.verdicts import Verdict
from pipeline.records import VerdictRecords
from pipeline.review.pulling import label_of
from pipeline.review.rejudging import MEASURED, judge_again

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inspection.inspector import Inspector
    from pipeline.review.labels import Label
    from pipeline.workspace import Workspace


def reviewed_parts(
    workspace: Workspace, inspector: Inspector
) -> tuple[list[dict[str, Any]], dict[str, Label], tuple[str, ...]]:
    """Each frame of reviewed nights once, what was said of frames by their SHA-256, and warnings for people.

    A row has the verdict that decided its chance of being reviewed, and the similarity to the present goldens: that of
    nights all of whose frames were judged with them, or else as `judge_again` gives it.

    Raises:
        TrackingError: nobody has reviewed a part yet.
        CalibrationError: of every reviewed night flagged parts wait for review.
    """
    found = inspector.reference_set
    with VerdictRecords(workspace.records_url) as records:
        rows = records.rows(product=found.product, view=found.view, order="judged")
        aged = records.aged_batches(product=found.product, view=found.view)
    rows = [row for row in rows if row["verdict"] in {Verdict.PASS.value, Verdict.FLAG.value}]
    labels = _by_frame(rows, label_of(workspace, found.product, found.view))
    rows, aged_out = _without_aged(rows, labels, aged)
    nights, waiting = _of_reviewed_nights(rows, labels)
    waiting = (*aged_out, *waiting)
    first = _first_of_each_frame(nights)
    known = {golden.sha256 for golden in found.goldens} | set(inspector.learned_from)
    samples = [row for row in first if row["frame_sha256"] not in known]
    if len(samples) < len(first):
        said = f"{len(first) - len(samples)} parts took no part: they are goldens now, or the network learned from them"
        waiting = (*waiting, said)
    grounds = asdict(inspector.binding)
    present = {row["frame_sha256"]: row for row in rows if all(row[name] == value for name, value in grounds.items())}
    missing = {row["batch"] for row in samples if row["frame_sha256"] not in present}
    judged = [row for row in samples if row["batch"] not in missing]
    if any(row["frame_sha256"] in labels for row in judged):
        return [_with_measures(row, present[row["frame_sha256"]]) for row in judged], labels, waiting
    anew = judge_again(workspace, inspector, samples, labels)
    return anew.rows, labels, (*waiting, *anew.warnings)


def _with_measures(row: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, **{name: present[name] for name in MEASURED}}


def _by_frame(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, Label]) -> dict[str, Label]:
    """The labels by the frame's SHA-256: a frame judged again by another threshold keeps what was said of it."""
    return {row["frame_sha256"]: labels[row["key"]] for row in rows if row["key"] in labels}


def _without_aged(
    rows: Sequence[dict[str, Any]], labels: Mapping[str, Label], aged: set[str]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The rows of nights that are whole: where passed parts have aged out, the others stand for nobody knows whom.

    Raises:
        CalibrationError: rows of every reviewed night have aged out.
    """
    whole = [row for row in rows if row["batch"] not in aged]
    left_out = {row["batch"] for row in rows if row["frame_sha256"] in labels} & aged
    if left_out and not any(row["frame_sha256"] in labels for row in whole):
        message = "records of every reviewed night have aged out (retention); review a newer night, or calibrate with "
        raise CalibrationError(message + "`--labelled` on what `goldentwin review export` writes")
    if not left_out:
        return whole, ()
    return whole, (f"{len(left_out)} reviewed nights took no part: records of them have aged out (retention)",)


def _of_reviewed_nights(
    rows: Sequence[dict[str, Any]], labels: Mapping[str, Label]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The rows of nights whose flagged parts were all reviewed, and a warning for the others.

    Reviewers begin with the worst, so the flagged parts that were reviewed first are no sample of the others.
    """
    flagged: dict[str, list[bool]] = defaultdict(list)
    reviewed = {row["batch"] for row in rows if row["frame_sha256"] in labels}
    for row in rows:
        if row["verdict"] == Verdict.FLAG.value:
            flagged[row["batch"]].append(row["frame_sha256"] in labels)
    unfinished = {batch for batch in reviewed if not all(flagged[batch])}
    if unfinished and unfinished == reviewed:
        batch = min(unfinished, key=lambda one: flagged[one].count(False))
        message = f"{flagged[batch].count(False)} of {len(flagged[batch])} flagged parts of batch {batch} wait for "
        message += "review; reviewers begin with the worst, so finish them before calibrating by them"
        raise CalibrationError(message)
    warnings = tuple(
        f"batch {batch} took no part: not all of its flagged parts are reviewed" for batch in sorted(unfinished)
    )
    return [row for row in rows if row["batch"] in reviewed - unfinished], warnings


def _first_of_each_frame(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each frame once, as it was first judged: then its chance of being reviewed was the share of its kind."""
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["frame_sha256"], row)
    return list(first.values())
