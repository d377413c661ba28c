"""The steps of a night as Prefect's tasks: plan, judge a portion, summarise; each may be done again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

from flows.gpu_turn import turn_on_gpu
from flows.night import Night
from inspection.errors import RecordsError
from pipeline.batch import BatchSummary, ChunkResult, judge_chunk, summarise_batch
from pipeline.opening import keep_inspector
from pipeline.planning import BatchPlan
from pipeline.reading import FrameFile

T = TypeVar("T")
RETRY_SECONDS: list[float] = [5, 30]


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
    inspector = keep_inspector(plan.workspace, plan.product, plan.view, engine=plan.engine)
    with turn_on_gpu(needed=inspector.on_gpu):
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


def unvisited(value: T) -> T:
    """`value`, handed to a task as it is: Prefect looks into every frame of a plan otherwise, for each portion anew."""
    return cast("T", quote(value))
