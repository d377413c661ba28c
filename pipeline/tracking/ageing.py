"""What MLflow holds of long ago, and removing it for good, with the files that MLflow itself would leave behind."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from inspection.errors import TrackingError
from pipeline.tracking.connection import connected, embedded_uri, is_server, tracking_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Experiment

    from pipeline.workspace import Workspace

_PAGE = 200
_AT_ONCE = 100
_KEY, _BATCH, _KIND, _AGED = "goldentwin.key", "goldentwin.batch", "goldentwin.kind", "goldentwin.aged_out"
_NOTE = "mlflow.note.content"
_LOCATION = "mlflow.artifactLocation"
_PICTURE = re.compile(r"!\[[^\]]*\]\(get-artifact\?[^)]*\)\n*")
_GONE = "**Its files have aged out"


@dataclass(frozen=True, kw_only=True)
class OldTrace:
    """A part's trace; `location` is the address of its files ("" without any), `answered` whether a person did."""

    trace: str
    experiment: str
    key: str
    batch: str
    at: datetime
    location: str
    answered: bool


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """A batch's run that has its files; `location` is their address."""

    run: str
    batch: str
    at: datetime
    location: str
    description: str


def nothing_tracked(workspace: Workspace) -> bool:
    """Whether there is no MLflow store to look into: the embedded one was never used."""
    return tracking_uri(workspace) == embedded_uri(workspace) and not (workspace.mlflow / "mlflow.db").exists()


@contextmanager
def ageing_room(workspace: Workspace) -> Iterator[AgeingRoom]:
    """The workspace's MLflow, to look for what is old and to remove it.

    Raises:
        TrackingError: MLflow does not answer, or does not let files be removed.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow is imported only once it is needed

    with connected(workspace) as client:
        try:
            yield AgeingRoom(client, workspace)
        except (MlflowException, OSError, NotImplementedError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0][:300]
            message = f"MLflow did not let old traces or files go ({said}); see docs/operations.md, Retention"
            raise TrackingError(message) from error


class AgeingRoom:
    """Made by `ageing_room`; `own` says that nobody else's things are in this MLflow."""

    def __init__(self, client: MlflowClient, workspace: Workspace) -> None:
        self._client = client
        self._server = is_server(tracking_uri(workspace))
        self.own = tracking_uri(workspace) == embedded_uri(workspace)
        self._experiments = self._all_experiments()

    def old_traces(self, before: datetime) -> list[OldTrace]:
        """All traces of parts from before, oldest first."""
        wanted = f"timestamp_ms < {_milliseconds(before)}"
        found: list[OldTrace] = []
        for experiment in self._experiments:
            token: str | None = None
            while True:
                page = self._client.search_traces(
                    locations=[str(experiment.experiment_id)],
                    filter_string=wanted,
                    order_by=["timestamp_ms ASC"],
                    max_results=_PAGE,
                    page_token=token,
                    include_spans=False,
                )
                found += [_old(str(experiment.experiment_id), trace.info) for trace in page if _KEY in trace.info.tags]
                token = page.token
                if not token:
                    break
        return found

    def remove_traces(self, traces: Sequence[OldTrace]) -> None:
        """Remove their files, then the traces themselves, and with them their places in review queues.

        In this order, for MLflow forgets with the trace where its files are. Doing it again changes nothing.
        """
        for trace in traces:
            if trace.location:
                self._remove_files(trace.location, trace.trace)
        for experiment in sorted({trace.experiment for trace in traces}):
            names = [trace.trace for trace in traces if trace.experiment == experiment]
            for start in range(0, len(names), _AT_ONCE):
                self._client.delete_traces(experiment, trace_ids=names[start : start + _AT_ONCE])

    def batch_runs(self) -> list[BatchRun]:
        """The runs of all batches whose files have not aged out yet, oldest first."""
        found: list[BatchRun] = []
        for experiment in self._experiments:
            token: str | None = None
            while True:
                page = self._client.search_runs(
                    [str(experiment.experiment_id)],
                    filter_string=f"tags.`{_KIND}` = 'batch'",
                    order_by=["attributes.start_time ASC"],
                    page_token=token,
                )
                found += [_batch_run(run) for run in page if _AGED not in run.data.tags]
                token = page.token
                if not token:
                    break
        return found

    def remove_artifacts(self, run: BatchRun, now: datetime) -> None:
        """Remove the files of a batch's run, and say so on its page; figures, parameters and tags stay."""
        told = f"{_GONE}**: removed on {now:%Y-%m-%d}, by the retention policy."
        if _GONE not in run.description:
            self._client.set_tag(run.run, _NOTE, f"{told}\n\n{_PICTURE.sub('', run.description)}")
        self._remove_files(run.location, run.run)
        self._client.set_tag(run.run, _AGED, now.isoformat())

    def local(self, location: str) -> bool:
        """Whether the files at that address are on a disk that this process sees."""
        return _folder(location) is not None

    def size_of(self, location: str) -> int:
        """Bytes of the files at that address."""
        folder = _folder(location)
        if folder is not None:
            return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return 0 if not location else _listed_size(_repository(location), None)

    def size_of_all_traces(self, *, less: int) -> int | None:
        """Bytes of all traces' files but `less`; None where they are not on a disk that this process sees."""
        size = 0
        for experiment in self._experiments:
            folder = _folder(str(experiment.artifact_location))
            if folder is None:
                return None
            size += self.size_of((folder / "traces").as_uri()) if (folder / "traces").is_dir() else 0
        return max(0, size - less)

    def _remove_files(self, location: str, owner: str) -> None:
        if owner not in location.split("/"):
            message = f"{location} is no folder of {owner}'s own; its files were left where they are"
            raise TrackingError(message)
        folder = _folder(location)
        if folder is None:
            _repository(location).delete_artifacts()
            return
        if self._server and not folder.parents[1].is_dir():
            message = f"MLflow's files lie on another machine, at {location}; run `goldentwin retain` there"
            raise TrackingError(message)
        if folder.is_dir():
            shutil.rmtree(folder)
        if folder.name == "artifacts" and folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()

    def _all_experiments(self) -> list[Experiment]:
        found: list[Experiment] = []
        token: str | None = None
        while True:
            page = self._client.search_experiments(filter_string="name LIKE 'goldentwin/%'", page_token=token)
            found += page
            token = page.token
            if not token:
                return found


def _old(experiment: str, info: Any) -> OldTrace:
    sources = [one.source.source_type for one in info.assessments or [] if one.source is not None]
    return OldTrace(
        trace=info.trace_id,
        experiment=experiment,
        key=info.tags[_KEY],
        batch=info.tags.get(_BATCH, ""),
        at=datetime.fromtimestamp(info.request_time / 1000, UTC),
        location=info.tags.get(_LOCATION, ""),
        answered="HUMAN" in sources,
    )


def _batch_run(run: Any) -> BatchRun:
    return BatchRun(
        run=str(run.info.run_id),
        batch=run.data.tags.get(_BATCH, ""),
        at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        location=str(run.info.artifact_uri),
        description=run.data.tags.get(_NOTE, ""),
    )


def _folder(location: str) -> Path | None:
    """The folder that an address names; None where it is no local one."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(location) if location.startswith("/") else None


def _repository(location: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: PLC0415 - seconds

    return get_artifact_repository(location)


def _listed_size(repository: Any, path: str | None) -> int:
    size = 0
    for entry in repository.list_artifacts(path):
        size += _listed_size(repository, entry.path) if entry.is_dir else int(entry.file_size or 0)
    return size


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
