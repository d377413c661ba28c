"""Reviewed parts judged once more: after new goldens, an old night's similarities tell nothing of nights to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from inspection.verdicts import Verdict
from pipeline.inspecting import inspect_frames
from pipeline.reading import FrameFile
from pipeline.records import ReviewRecords

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from inspection.inspector import Inspector
    from pipeline.workspace import Workspace


MEASURED: Final = ("similarity", "distance", "matrix", "brightness", "focus")
"""What of a row depends on the goldens or tells of the picture."""


@dataclass(frozen=True, kw_only=True)
class Rejudged:
    """Rows with the present goldens' `similarity`, None for parts that nobody reviewed; `warnings` for people."""

    rows: list[dict[str, Any]]
    warnings: tuple[str, ...]


def judge_again(
    workspace: Workspace, inspector: Inspector, rows: Sequence[dict[str, Any]], reviewed: Collection[str]
) -> Rejudged:
    """Compare the reviewed parts of past nights with the goldens as they are now.

    Every row stays, so that a reviewed part goes on standing for those of its kind. A frame that was not kept or is no
    longer inspectable counts as not reviewed.

    Args:
        workspace: where the frames were kept when their parts were chosen for review.
        inspector: of the present encoder, goldens and recipe.
        rows: each frame once, with the verdict it had; no goldens.
        reviewed: SHA-256 of the frames that were reviewed.
    """
    with ReviewRecords(workspace.records_url) as records:
        found = inspector.reference_set
        items = records.items(product=found.product, view=found.view)
    kept = {item.key: workspace.home / item.frame_file for item in items if item.frame_file}
    wanted = [row for row in rows if row["frame_sha256"] in reviewed and row["key"] in kept]
    files = [FrameFile(frame=row["frame"], path=kept[row["key"]], part_id=row["part_id"]) for row in wanted]
    anew = {}
    for row, verdict in zip(wanted, inspect_frames(inspector, files), strict=True):
        judged = verdict.judgement
        if verdict.frame.sha256 == row["frame_sha256"] and judged.similarity is not None:
            matrix = None if judged.matrix is None else judged.matrix.tolist()
            values = {"similarity": judged.similarity, "distance": judged.distance, "matrix": matrix}
            anew[row["key"]] = {**values, "brightness": judged.brightness, "focus": judged.focus}
    unknown = {"similarity": None, "distance": None}
    lost = sum(row["frame_sha256"] in reviewed and row["key"] not in anew for row in rows)
    return Rejudged(
        rows=[{**row, **anew.get(row["key"], unknown)} for row in rows],
        warnings=_warnings(lost),
    )


def representative(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the good parts judged again, those that stand for the line: passed then, and drawn by chance.

    What was flagged then was reviewed one and all, and would count too much among them.
    """
    return [row for row in rows if row["similarity"] is not None and row["verdict"] == Verdict.PASS.value]


def _warnings(lost: int) -> tuple[str, ...]:
    if not lost:
        return ()
    return (f"{lost} reviewed parts took no part: their frames were not kept or can't be inspected any more",)
