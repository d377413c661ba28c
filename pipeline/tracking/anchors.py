"""What MLflow remembers of the audit record: a tag at the run of every change of champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.tracking.connection import connected
from pipeline.tracking.logs import AUDIT_TAG
from pipeline.tracking.runs import experiment_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow import MlflowClient

    from pipeline.workspace import Workspace


def audit_tags(workspace: Workspace, products: Iterable[tuple[str, str]]) -> list[str]:
    """The tags of all runs of these products and views, as `pipeline.records.Anchor.parse` reads them.

    Raises:
        TrackingError: MLflow does not answer.
    """
    found: list[str] = []
    with connected(workspace) as client:
        for product, view in products:
            experiment = client.get_experiment_by_name(experiment_name(product, view))
            if experiment is not None:
                found += _tags(client, str(experiment.experiment_id))
    return found


def _tags(client: MlflowClient, experiment: str) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        runs = client.search_runs([experiment], filter_string=f"tags.`{AUDIT_TAG}` != ''", page_token=token)
        found += [run.data.tags[AUDIT_TAG] for run in runs]
        token = runs.token
        if not token:
            return found
