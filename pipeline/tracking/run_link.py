"""Where people find a run: its page in MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.tracking.connection import connected
from pipeline.tracking.review_room import public_address
from pipeline.tracking.runs import experiment_name

if TYPE_CHECKING:
    from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class RunLink:
    """A run's id in MLflow, and the address of its page as people reach it."""

    run_id: str
    address: str


def find_run(workspace: Workspace, product: str, view: str, key: str) -> RunLink | None:
    """The delivered run with that key; None where there is none.

    Raises:
        TrackingError: MLflow does not answer.
        Exception: whatever MLflow and its stores raise when they fail.
    """
    with connected(workspace) as client:
        experiment = client.get_experiment_by_name(experiment_name(product, view))
        if experiment is None:
            return None
        number = experiment.experiment_id
        runs = client.search_runs([number], filter_string=f"tags.`goldentwin.key` = '{key}'", max_results=1)
    if not runs:
        return None
    run_id = str(runs[0].info.run_id)
    return RunLink(run_id=run_id, address=f"{public_address(workspace)}/#/experiments/{number}/runs/{run_id}")
