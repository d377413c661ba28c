"""Deliver a written entry to MLflow: one run, found again by its key, however often it is delivered."""

from __future__ import annotations

import tempfile
import warnings
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pipeline.tracking.batch_log import BatchLog
from pipeline.tracking.connection import access_refused, artifact_root, connected, embedded_uri, tracking_uri
from pipeline.tracking.descriptions import of_experiment
from pipeline.tracking.entry import ARTIFACTS_FOLDER, TRAINING, DatasetNote, RefusedError, RunEntry, RunNote, read_note
from pipeline.tracking.logs import CalibrationLog, EvaluationLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

    from pipeline.workspace import Workspace

_DESCRIPTION_LENGTH = 7000
_REFUSALS = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "ENDPOINT_NOT_FOUND"})


def log_calibration(workspace: Workspace, log: CalibrationLog) -> str:
    """Log a calibration now and give the run's id; with a bundle, register the judged model and perhaps crown it.

    Raises:
        TrackingError: MLflow does not answer, or refuses. `pipeline.outbox.post` waits instead of raising.
    """
    return _log(workspace, log.entry())


def log_batch(workspace: Workspace, log: BatchLog) -> str:
    """Log a batch now and give the run's id.

    Raises:
        TrackingError: MLflow does not answer, or refuses. `pipeline.outbox.post` waits instead of raising.
    """
    return _log(workspace, log.entry())


def log_evaluation(workspace: Workspace, log: EvaluationLog) -> str:
    """Log an evaluation now and give the run's id.

    Raises:
        TrackingError: MLflow does not answer, or refuses. `pipeline.outbox.post` waits instead of raising.
    """
    return _log(workspace, log.entry())


@contextmanager
def delivery(workspace: Workspace) -> Iterator[Callable[[Path], str]]:
    """Connect once and give a function that delivers a folder written by `RunEntry.write`; see `deliver_entry`.

    Raises:
        TrackingError: MLflow does not answer.
    """
    with connected(workspace) as client:
        yield lambda folder: deliver_entry(client, workspace, folder)


def experiment_name(product: str, view: str) -> str:
    """The experiment that holds the runs of a product and view."""
    return f"goldentwin/{product}/{view}"


def deliver_entry(client: MlflowClient, workspace: Workspace, folder: Path) -> str:
    """Deliver the entry written in `folder` and give the run's id. Delivering again updates the same run.

    Raises:
        RefusedError: the entry is damaged, or MLflow refuses its content for good.
        TrackingError: MLflow does not let this user in, or not do that.
        Exception: whatever MLflow and its stores raise when they fail; the entry can be tried again.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow is imported only once it is needed

    note = read_note(folder)
    try:
        return _deliver(client, workspace, note, folder)
    except MlflowException as error:
        if error.error_code in _REFUSALS:
            message = f"MLflow refuses {folder.name}: {error}"
            raise RefusedError(message) from error
        if refused := access_refused(error, tracking_uri(workspace)):
            raise refused from error
        raise


def _log(workspace: Workspace, entry: RunEntry) -> str:
    with tempfile.TemporaryDirectory(prefix="goldentwin-") as folder, connected(workspace) as client:
        entry.write(Path(folder))
        return deliver_entry(client, workspace, Path(folder))


def _deliver(client: MlflowClient, workspace: Workspace, note: RunNote, folder: Path) -> str:
    run = _run_of(client, experiment_of(client, workspace, note.product, note.view), note)
    run_id = str(run.info.run_id)
    _log_values(client, run, note)
    if note.dataset is not None:
        client.log_inputs(run_id, [_dataset_input(note.dataset, folder / ARTIFACTS_FOLDER / note.dataset.table)])
    client.log_artifacts(run_id, str(folder / ARTIFACTS_FOLDER))
    if note.has_bundle and note.kind == TRAINING:
        from pipeline.tracking.pair_models import register_pair_model  # noqa: PLC0415 - torch takes seconds to import

        register_pair_model(client, run, note, folder)
    elif note.has_bundle:
        from pipeline.tracking.models import register_model  # noqa: PLC0415 - seconds, and only calibrations need it

        register_model(client, run, note, folder)
    client.set_terminated(run_id, "FINISHED", _milliseconds(note.started_at) + int(note.seconds * 1000))
    return run_id


def experiment_of(client: MlflowClient, workspace: Workspace, product: str, view: str) -> str:
    """The id of the experiment of a product and view, made where there is none."""
    name = experiment_name(product, view)
    found = client.get_experiment_by_name(name)
    if found is None:
        embedded = tracking_uri(workspace) == embedded_uri(workspace)
        location = f"{artifact_root(workspace)}/{product}/{view}" if embedded else None
        tags = {
            "mlflow.note.content": of_experiment(product, view),
            "mlflow.experimentKind": "custom_model_development",
            "goldentwin.product": product,
            "goldentwin.view": view,
        }
        return str(client.create_experiment(name, artifact_location=location, tags=tags))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _run_of(client: MlflowClient, experiment: str, note: RunNote) -> Run:
    """The run with this note's key, made if there is none."""
    found = client.search_runs([experiment], filter_string=f"tags.`goldentwin.key` = '{note.key}'", max_results=1)
    if found:
        return found[0]
    tags = {"goldentwin.key": note.key, "goldentwin.kind": note.kind, "mlflow.source.name": f"goldentwin {note.kind}"}
    return client.create_run(experiment, start_time=_milliseconds(note.started_at), tags=tags, run_name=note.name)


def _log_values(client: MlflowClient, run: Run, note: RunNote) -> None:
    """Parameters, metrics, tags. A parameter can't be changed in MLflow: a later value becomes a tag of its name."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - MLflow is imported only once it is needed

    known = run.data.params
    moment = _milliseconds(note.created_at)
    later = {f"latest.{name}": value for name, value in note.params.items() if known.get(name, value) != value}
    tags = {**note.tags, **later, "mlflow.note.content": _description(str(run.info.run_id), note)}
    client.log_batch(
        str(run.info.run_id),
        metrics=[
            *(Metric(name, value, moment, 0) for name, value in note.metrics.items()),
            *(Metric(name, value, moment, step) for name, points in note.series.items() for step, value in points),
        ],
        params=[Param(name, value) for name, value in note.params.items() if name not in known],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def _description(run_id: str, note: RunNote) -> str:
    text = note.description[:_DESCRIPTION_LENGTH]
    if not note.picture:
        return text
    query = urlencode({"path": note.picture, "run_uuid": run_id})
    result, _, details = text.partition("\n\n")  # a page begins folded: first the result, then the picture
    return f"{result}\n\n![{note.picture}](get-artifact?{query})\n\n{details}"


def _dataset_input(note: DatasetNote, table: Path) -> DatasetInput:
    import pandas as pd  # noqa: PLC0415 - MLflow and pandas are imported only once they are needed
    from mlflow.data.pandas_dataset import from_pandas  # noqa: PLC0415
    from mlflow.entities import DatasetInput, InputTag  # noqa: PLC0415

    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    columns = [name for name in ("name", "sha256", "label", "frame", "frame_sha256") if name in frame]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hints on how to type columns, which are all text here
        source = from_pandas(frame[columns], source=note.table, name=note.name, digest=note.digest)
    return DatasetInput(source._to_mlflow_entity(), [InputTag("mlflow.data.context", note.context)])  # noqa: SLF001 - MlflowClient has no public way


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
