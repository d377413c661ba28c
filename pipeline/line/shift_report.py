"""The report of a shift: what a night has at its end, from the records alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspection.errors import EvaluationError
from pipeline.batch import report_batch
from pipeline.opening import keep_inspector
from pipeline.planning import BatchPlan
from pipeline.records import VerdictRecords

if TYPE_CHECKING:
    from pipeline.batch import BatchSummary
    from pipeline.workspace import Workspace


def report_shift(workspace: Workspace, product: str, view: str, batch: str, *, engine: str = "auto") -> BatchSummary:
    """Tell MLflow of a shift whose frames are judged and recorded already, and put its parts into the review queue.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        EvaluationError: the records know no such shift.
    """
    inspector = keep_inspector(workspace, product, view, engine=engine)
    with VerdictRecords(workspace.records_url) as records:
        known = [one for one in records.batches() if (one.batch, one.product, one.view) == (batch, product, view)]
    if not known:
        message = f"no frame of {product}/{view} is recorded under {batch!r}"
        raise EvaluationError(message)
    first, last = known[0].first_judged_at, known[0].last_judged_at
    plan = BatchPlan(
        workspace=workspace,
        product=product,
        view=view,
        engine=engine,
        batch=batch,
        key="",
        chunks=(),
        total=sum(known[0].counts.values()),
        provenance=inspector.provenance,
        provisional=inspector.calibration is None or inspector.calibration.provisional,
        started_at=first,
        source="a line",
        goldens=tuple(golden.name for golden in inspector.reference_set.goldens),
    )
    return report_batch(plan, (last - first).total_seconds())
