"""Reviewed parts as a labelled set on disk, and false alarms as goldens to be."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from inspection.errors import EvaluationError
from inspection.reference_set import load_reference_set
from pipeline.records import ReviewRecords
from pipeline.review.items import DEFECT, GOOD
from pipeline.review.pulling import label_of
from pipeline.review.selection import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.enrolling import Enrolled
    from pipeline.review.items import ReviewItem
    from pipeline.review.labels import Label
    from pipeline.workspace import Workspace

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_PROPOSED = 5


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A labelled set that was written: parts of each label; how many were disputed, and lost: their frame is gone."""

    folder: Path
    counts: dict[str, int]
    disputed: int
    lost: int


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A false alarm that could become a golden: `key` is its verdict's, `frame_file` its picture, absolute."""

    key: str
    part_id: str
    similarity: float
    reviewers: tuple[str, ...]
    frame_file: Path


def export_labelled(workspace: Workspace, product: str, view: str, folder: Path) -> Exported:
    """Write the reviewed parts as `good/*` and `<defect type>/*`, ready for `calibrate`, `evaluate` and `train`.

    A defect whose type nobody named goes to `defect/`. The set holds every reviewed flagged part but a share of the
    passed ones, so rates measured on it are not those of the line: `calibrate --reviewed` weighs the parts instead.

    Raises:
        EvaluationError: the folder holds something already.
        TrackingError: nobody has reviewed a part yet.
        OSError: the folder can't be written.
    """
    if folder.exists() and any(folder.iterdir()):
        message = f"{folder} is not empty; name a new folder for the reviewed parts"
        raise EvaluationError(message)
    counts: Counter[str] = Counter()
    disputed = lost = 0
    for item, label in _labelled(workspace, product, view):
        if label.value not in {GOOD, DEFECT}:
            disputed += 1
        elif not item.frame_file or not (workspace.home / item.frame_file).is_file():
            lost += 1
        else:
            name = GOOD if label.value == GOOD else label.defect_type or DEFECT
            _link(workspace.home / item.frame_file, folder / name, str((item.row or {})["part_id"]), item.key)
            counts[name] += 1
    return Exported(folder=folder, counts=dict(counts), disputed=disputed, lost=lost)


def propose_goldens(workspace: Workspace, product: str, view: str, *, most: int = _MOST_PROPOSED) -> list[Proposal]:
    """Flagged parts that every reviewer called good, the least similar first: what the goldens do not show yet.

    Parts whose frame is a golden by now are not among them.

    Raises:
        TrackingError: nobody has reviewed a part yet.
    """
    found = [
        Proposal(
            key=item.key,
            part_id=str((item.row or {})["part_id"]),
            similarity=float((item.row or {})["similarity"]),
            reviewers=tuple(label.votes),
            frame_file=workspace.home / item.frame_file,
        )
        for item, label in _labelled(workspace, product, view)
        if item.kind is Kind.FLAGGED and item.frame_file and set(label.votes.values()) == {GOOD}
    ]
    enrolled = {golden.sha256 for golden in load_reference_set(workspace.references, product, view).goldens}
    there = [one for one in found if one.frame_file.is_file() and one.frame_file.stem not in enrolled]
    return sorted(there, key=lambda one: one.similarity)[:most]


def confirm_goldens(
    workspace: Workspace, product: str, view: str, proposals: Sequence[Proposal], *, by: str
) -> Enrolled:
    """Add proposed parts to the goldens, named after the parts, as `by` confirmed them.

    Raises:
        ReferenceSetError: none of them passes the audit of goldens.
        RecordsError: it can't be put on record; nothing has changed then.
    """
    from pipeline.enrolling import enrol_product  # noqa: PLC0415 - torch takes seconds to import

    workspace.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".confirmed-", dir=workspace.home) as folder:
        files = [_link(one.frame_file, Path(folder), one.part_id, one.key) for one in proposals]
        keys = [one.key for one in proposals]
        return enrol_product(workspace, product, view, files=files, added_by=by, add=True, reviewed=keys)


def _labelled(workspace: Workspace, product: str, view: str) -> list[tuple[ReviewItem, Label]]:
    labels = label_of(workspace, product, view)
    with ReviewRecords(workspace.records_url) as records:
        return [(item, labels[item.key]) for item in records.items(product=product, view=view) if item.key in labels]


def _link(source: Path, folder: Path, part_id: str, key: str) -> Path:
    """The frame under a name that tells the part and can't be another's; linked where the file system can."""
    folder.mkdir(parents=True, exist_ok=True)
    part = _UNSAFE.sub("_", part_id)[-60:].lstrip(".")
    target = folder / f"{part}-{key[:8]}{source.suffix}"
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target
