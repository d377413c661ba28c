"""The review flow: what waits goes into the queues, what people answered comes back as labels."""

from __future__ import annotations

from pathlib import Path

from prefect import State, flow, get_run_logger
from prefect.states import Completed

from pipeline.review.pulling import Pulled, pull_reviews
from pipeline.review.pushing import push_reviews
from pipeline.workspace import Workspace


@flow(name="review", retries=2, retry_delay_seconds=60)
def exchange_reviews(
    product: str | None = None, *, view: str | None = None, home: str | None = None, references: str | None = None
) -> State[Pulled]:
    """Push the parts that wait for review, and pull the answers; doing it again changes nothing.

    Args:
        product: the part number; all by default.
        view: the camera position; all by default.
        home: the folder of goldentwin's state; by default `GOLDENTWIN_HOME`.
        references: the folder of reference images; by default the one that goes with `home`.

    Raises:
        TrackingError: MLflow does not answer; tried again twice, and at the next run of the schedule.
    """
    workspace = Workspace.locate(Path(home) if home else None, Path(references) if references else None)
    pushed = push_reviews(workspace, product=product, view=view)
    if pushed.lost:
        get_run_logger().warning("%d parts have lost their pictures and were not pushed", len(pushed.lost))
    pulled = pull_reviews(workspace, product=product, view=view)
    message = f"{pushed.total} parts pushed, {pulled.new} new answers of {pulled.answers}"
    return Completed(message=message, data=pulled)
