"""The nightly inspection: a folder of frames becomes verdicts, in portions that survive whatever interrupts them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from prefect import State, flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency
from prefect.states import Completed
from prefect.utilities.annotations import quote

from flows.artifacts import NightProgress, prefect_may_fail, publish_night, tell_drift
from flows.killed_runs import take_over_killed_runs
from flows.night import Night
from flows.night_page import headline
from flows.watching import report_progress
from inspection.errors import RecordsError
from pipeline.batch import BatchPlan, BatchSummary, ChunkResult, judge_chunk, summarise_batch
from pipeline.opening import keep_inspector
from pipeline.reading import FrameFile
from pipeline.workspace import Workspace

T = TypeVar("T")
RETRY_SECONDS: list[float] = [5, 30]
LEASE_SECONDS = 60  # a killed process gives its turn back after this


def night_name() -> str:
    """`bottle/default night 2026-11-23`: the day the run was due, in this machine's time zone."""
    given = runtime.flow_run.parameters
    due = runtime.flow_run.scheduled_start_time.astimezone()
    return f"{given['product']}/{given['view']} night {due:%Y-%m-%d}"


@flow(name="nightly-inspection", flow_run_name=night_name)
def nightly_inspection(  # noqa: PLR0913 - a flow's parameters are its form in the Prefect UI
    product: str,
    frames: str,
    *,
    view: str = "default",
    home: str | None = None,
    references: str | None = None,
    chunk_size: int = 64,
    engine: str = "auto",
) -> State[BatchSummary]:
    """Judge every frame of a folder that is not judged yet, and tell what was found.

    Frames that can't be inspected are verdicts and no failures. The run fails where nothing can be judged at all.

    Args:
        product: the part number, enrolled before with `goldentwin enrol`.
        frames: the folder of the night's frames, as this machine sees it.
        view: the camera position.
        home: the folder of goldentwin's state; by default `GOLDENTWIN_HOME`.
        references: the folder of reference images; by default the one that goes with `home`.
        chunk_size: frames per task; progress, retries and resuming go by this measure.
        engine: `auto`, `onnx`, `torch` or `cuda`.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        GoldentwinError: anything else that no retry can mend.
    """
    started = time.monotonic()
    night = Night(
        workspace=Workspace.locate(_path(home), _path(references)),
        product=product,
        frames=Path(frames),
        view=view,
        chunk_size=chunk_size,
        engine=engine,
    )
    with prefect_may_fail("killed runs stay running in Prefect"):
        take_over_killed_runs()
    plan = plan_night(night)
    progress = NightProgress(plan)
    for number, chunk in enumerate(plan.chunks, start=1):
        judge_frames(_unvisited(plan), _unvisited(chunk), number)
        progress.show(number)
        report_progress(number, len(plan.chunks))
    summary = summarise_night(_unvisited(plan), time.monotonic() - started)
    publish_night(summary)
    tell_drift(summary)
    return Completed(message=headline(summary), data=summary)


def worth_retrying(_task: object, _task_run: object, state: State[Any]) -> bool:
    """Whether waiting may mend it: a share that is away, a locked database. A missing golden stays missing."""
    return isinstance(state.result(raise_on_failure=False), (OSError, RecordsError))


@task(
    task_run_name="plan",
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def plan_night(night: Night) -> BatchPlan:
    """List the frames that have no verdict yet, in portions."""
    plan = night.plan()
    left = sum(len(chunk) for chunk in plan.chunks)
    get_run_logger().info("%d of %d frames to judge, in %d portions", left, plan.total, len(plan.chunks))
    return plan


@task(
    task_run_name="portion {number}",
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def judge_frames(plan: BatchPlan, chunk: Sequence[FrameFile], number: int) -> ChunkResult:  # noqa: ARG001 - names the task run
    """Judge and record one portion. Judging it again, after a retry or a kill, changes nothing."""
    with _turn_on_gpu(plan):
        result = judge_chunk(plan, chunk)
    found = ", ".join(f"{count} {verdict}" for verdict, count in result.counts.items() if count)
    get_run_logger().info("%s in %.1f s", found, result.seconds)
    return result


@task(
    task_run_name="summarise",
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def summarise_night(plan: BatchPlan, seconds: float) -> BatchSummary:
    """Count the verdicts, draw the contact sheet and hand the figures to MLflow."""
    return summarise_batch(plan, seconds)


@contextmanager
def _turn_on_gpu(plan: BatchPlan) -> Iterator[None]:
    """Hold a place of the limit `gpu`, where there is one, while the GPU works; nothing is held on the CPU."""
    with ExitStack() as stack:
        if keep_inspector(plan.workspace, plan.product, plan.view, engine=plan.engine).on_gpu:
            with prefect_may_fail("judging without waiting for a turn on the GPU"):
                stack.enter_context(concurrency("gpu", lease_duration=LEASE_SECONDS))
        yield


def _unvisited(value: T) -> T:
    """`value`, handed to a task as it is: Prefect looks into every frame of a plan otherwise, for each portion anew."""
    return cast("T", quote(value))


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
