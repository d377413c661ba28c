"""The review queue in MLflow: questions, queues, parts pushed, answers pulled. The one user of its young API."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inspection.errors import TrackingError
from pipeline.records.reviews import trace_of
from pipeline.review.items import DEFECT, DEFECT_TYPE, GOOD, VERDICT, Answer
from pipeline.secret_files import without_user
from pipeline.servers import MLFLOW_PORT
from pipeline.tracking.connection import access_refused, connected, is_server, tracking_uri
from pipeline.tracking.runs import experiment_of
from pipeline.tracking.traces import Destination, build_trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Assessment, Trace

    from pipeline.review.items import ReviewItem
    from pipeline.tracking.traces import PartTrace
    from pipeline.workspace import Workspace

_AT_ONCE = 4
_PAGE = 200
_KEY_TAG = "goldentwin.key"
_EXISTS = "RESOURCE_ALREADY_EXISTS"


def public_address(workspace: Workspace) -> str:
    """Where reviewers reach MLflow: `GOLDENTWIN_MLFLOW_ADDRESS`, else the tracking server, else `goldentwin ui`'s."""
    uri = tracking_uri(workspace)
    named = os.environ.get("GOLDENTWIN_MLFLOW_ADDRESS")
    return without_user((named or (uri if is_server(uri) else f"http://127.0.0.1:{MLFLOW_PORT}")).rstrip("/"))


def reviewers() -> list[str]:
    """The MLflow users whose queues these are: `GOLDENTWIN_REVIEWERS`, by commas. Without any, whoever manages."""
    named = os.environ.get("GOLDENTWIN_REVIEWERS", "")
    return sorted({name.strip().lower() for name in named.split(",") if name.strip()})


@contextmanager
def review_room(workspace: Workspace, product: str, view: str) -> Iterator[ReviewRoom]:
    """The reviews of one product and view in MLflow.

    Raises:
        TrackingError: MLflow does not answer, or does not take what it is given.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow is imported only once it is needed

    with connected(workspace) as client:
        try:
            yield ReviewRoom(client, workspace, experiment_of(client, workspace, product, view))
        except (MlflowException, ConnectionError) as error:
            if isinstance(error, MlflowException) and (refused := access_refused(error, tracking_uri(workspace))):
                raise refused from error
            message = f"MLflow did not take part in the review ({error}); run the same command again"
            raise TrackingError(message) from error


class ReviewRoom:
    """Made by `review_room`."""

    def __init__(self, client: MlflowClient, workspace: Workspace, experiment: str) -> None:
        self._client, self._workspace, self._experiment = client, workspace, experiment

    def queue(self, name: str, defect_types: Sequence[str]) -> str:
        """The id of the queue of that name, with its questions and reviewers, made where there is none."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow is imported only once it is needed
        from mlflow.genai import review_queues  # noqa: PLC0415

        schemas, users = self._questions(defect_types), reviewers()
        try:
            made = review_queues.create_review_queue(
                name, queue_type="custom", schema_ids=schemas, users=users or None, experiment_id=self._experiment
            )
        except MlflowException as error:
            if error.error_code != _EXISTS:
                raise
            made = review_queues.get_review_queue(name=name, experiment_id=self._experiment)
            if missing := set(users) - set(made.users or ()):
                review_queues.update_review_queue(made.queue_id, users=sorted({*(made.users or ()), *missing}))
        return str(made.queue_id)

    def address(self, queue: str) -> str:
        """The page of a queue, as reviewers reach it."""
        return (
            f"{public_address(self._workspace)}/#/experiments/{self._experiment}/review-queue?selectedQueueId={queue}"
        )

    def push(self, items: Sequence[ReviewItem], queue: str, *, latest: datetime, first: int = 0, tells: bool) -> None:
        """Make each part's trace and put it into the queue, in the order given.

        `first` is the place in the queue of the first one; `latest` is when the last part of the queue was judged.

        Doing it again changes nothing.
        """
        from mlflow.genai import review_queues  # noqa: PLC0415 - MLflow is imported only once it is needed

        time = int(latest.timestamp() * 1000)
        runs = {batch: self._run_of(batch) for batch in {item.batch for item in items}}
        address = public_address(self._workspace)
        traces = [
            build_trace(
                item,
                self._workspace,
                Destination(experiment=self._experiment, run=runs[item.batch], address=address, time=time),
                place=place,
                tells=tells,
            )
            for place, item in enumerate(items, start=first)
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._send, traces))
        review_queues.add_items_to_review_queue(queue, item_ids=[one.info.trace_id for one in traces])

    def answers(self) -> list[Answer]:
        """All that reviewers answered so far, in the state it has now."""
        return [answer for trace in self._all_traces() for answer in _answers_of(trace)]

    def traces(self) -> int:
        """How many traces of parts there are."""
        return sum(_KEY_TAG in trace.info.tags for trace in self._all_traces())

    def counts(self, queue: str) -> tuple[int, int]:
        """How many parts of a queue are answered (or declined), and how many it has."""
        from mlflow.genai import review_queues  # noqa: PLC0415 - MLflow is imported only once it is needed

        done = total = 0
        token: str | None = None
        while True:
            page = review_queues.list_review_queue_items(queue, max_results=_PAGE, page_token=token)
            total += len(page)
            done += sum(str(getattr(item.status, "value", item.status)).lower() != "pending" for item in page)
            token = page.token
            if not token:
                return done, total

    def _all_traces(self) -> Iterator[Trace]:
        token: str | None = None
        while True:
            page = self._client.search_traces(
                locations=[self._experiment], max_results=_PAGE, page_token=token, include_spans=False
            )
            yield from page
            token = page.token
            if not token:
                return

    def _send(self, trace: PartTrace) -> None:
        from mlflow.tracing.client import TracingClient  # noqa: PLC0415 - MLflow is imported only once it is needed

        client = TracingClient()
        client.log_spans(self._experiment, [trace.span])
        stored = client.start_trace(trace.info)
        artifacts = client._get_artifact_repo_for_trace(stored)  # noqa: SLF001 - MLflow's public way loses failures
        for attachment, data in trace.pictures.items():
            artifacts.upload_attachment(attachment, data)

    def _questions(self, defect_types: Sequence[str]) -> list[str]:
        from mlflow.genai.label_schemas import InputCategorical, InputPassFail  # noqa: PLC0415 - only once needed

        verdict = InputPassFail(positive_label="Real defect", negative_label="False alarm")
        asked = [self._question(VERDICT, verdict, "Is this part defective? False alarm: the part is good.")]
        if defect_types:
            types = InputCategorical(options=list(defect_types))
            asked.append(self._question(DEFECT_TYPE, types, "What kind of defect? Leave it open on a good part."))
        return asked

    def _question(self, name: str, answer: Any, instruction: str) -> str:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow is imported only once it is needed
        from mlflow.genai import label_schemas  # noqa: PLC0415

        try:
            made = label_schemas.create_label_schema(
                name,
                type="feedback",
                input=answer,
                instruction=instruction,
                enable_comment=name == VERDICT,
                experiment_id=self._experiment,
            )
        except MlflowException as error:
            if error.error_code != _EXISTS:
                raise
            made = label_schemas.get_label_schema(name, experiment_id=self._experiment)
        return str(made.schema_id)

    def _run_of(self, batch: str) -> str:
        runs = self._client.search_runs(
            [self._experiment], filter_string=f"tags.`goldentwin.batch` = '{batch}'", max_results=1
        )
        return str(runs[0].info.run_id) if runs else ""


def _answers_of(trace: Trace) -> list[Answer]:
    key = trace.info.tags.get(_KEY_TAG)
    if not key or trace_of(key) != trace.info.trace_id:  # reviewers may change tags, but no trace's id
        return []
    return [_answer(key, one) for one in trace.info.assessments if _counts(one)]


def _counts(assessment: Assessment) -> bool:
    """A person's answer to one of our questions, in force."""
    by_person = assessment.source is not None and assessment.source.source_type == "HUMAN"
    return (
        by_person
        and assessment.name in {VERDICT, DEFECT_TYPE}
        and assessment.valid is not False
        and assessment.feedback is not None
        and assessment.feedback.value is not None
    )


def _answer(key: str, assessment: Assessment) -> Answer:
    value = assessment.feedback.value if assessment.feedback is not None else None
    if assessment.name == VERDICT:
        value = DEFECT if value is True or str(value).lower() in {"true", "yes", "real defect"} else GOOD
    changed = int(assessment.last_update_time_ms or assessment.create_time_ms or 0)
    return Answer(
        id=f"{assessment.assessment_id}:{changed}",
        key=key,
        question=assessment.name,
        value=str(value),
        comment=assessment.rationale or "",
        reviewer=str(assessment.source.source_id or "unknown"),
        answered_at=datetime.fromtimestamp(changed / 1000, UTC),
    )
