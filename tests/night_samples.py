"""Nights made up for tests of the flow: frames with known verdicts, and nothing that has to be encoded."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inspection.verdicts import Provenance, Verdict
from pipeline.batch import BatchSummary, ChunkResult
from pipeline.planning import BatchPlan
from pipeline.reading import FrameFile
from pipeline.workspace import Workspace

GROUNDS = Provenance(encoder="e" * 12, reference_set="a" * 12, recipe="b" * 12, calibration="c" * 12)


def night_plan(workspace: Workspace, portions: int = 2) -> BatchPlan:
    """A plan of `portions` portions of one frame each."""
    files = [FrameFile(frame=f"{i}.png", path=Path(f"{i}.png"), part_id=f"part {i}") for i in range(portions)]
    return BatchPlan(
        workspace=workspace,
        product="bottle",
        view="default",
        batch="made up",
        key="made up",
        chunks=tuple((file,) for file in files),
        total=portions,
        engine="onnx",
        provenance=GROUNDS,
        provisional=False,
        started_at=datetime(2026, 11, 23, 2, tzinfo=UTC),
        source="frames",
        goldens=("g0.png", "g1.png"),
    )


def portion_result(plan: BatchPlan, chunk: Any) -> ChunkResult:
    """What judging a portion gives when every frame passes."""
    assert plan.product == "bottle"
    return ChunkResult(counts={Verdict.PASS: len(chunk)}, seconds=0.1)


def night_summary(**changes: Any) -> BatchSummary:
    """A night of ten frames: seven pass, two are flagged, one could not be inspected."""
    values: dict[str, Any] = {
        "batch": "made up",
        "product": "bottle",
        "view": "default",
        "counts": {Verdict.PASS: 7, Verdict.FLAG: 2, Verdict.CANNOT_INSPECT: 1},
        "seconds": 4.0,
        "flagged": (flagged_row(), flagged_row(part_id="p2", similarity=0.3)),
        "contact_sheet": None,
        "provenance": GROUNDS,
        "provisional": False,
        "tracked": True,
        "total": 12,
        "judged": 8,
    }
    return BatchSummary(**values | changes)


def flagged_row(**changes: Any) -> dict[str, Any]:
    """A flagged part as the records give it."""
    return {
        "part_id": "p1",
        "frame": "p1.png",
        "similarity": 0.2,
        "threshold": 0.5,
        "regions": [{}],
        "reason": None,
        **changes,
    }
