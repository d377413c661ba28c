"""Runs whose process was killed: nobody was left to tell Prefect, so the next run on the same machine does."""

from __future__ import annotations

import os
import socket
from uuid import UUID

from prefect import State, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Crashed

LATEST_RUNS = 100


def take_over_killed_runs(line: str | None = None) -> int:
    """Mark earlier runs of the current flow as crashed where their process is gone, and tag this run with its own.

    Prefect believes a killed run to be running for ever, and such a run takes up a place in every limit.

    Args:
        line: only runs of this line; they are cancelled instead, for one that crashed is started again by itself
            (flows/automations.yaml), and this run has taken its place already.

    Returns:
        How many there were.
    """
    same = [] if line is None else [f"line:{line}"]
    with get_client(sync_client=True) as client:
        own = [*runtime.flow_run.tags, *same, machine_tag(), process_tag()]
        client.update_flow_run(UUID(runtime.flow_run.id), tags=sorted(set(own)))
        killed = [run.id for run in _running_here(client, same) if _is_dead(run)]
        message = "The process was killed; a later run answers for what it left."
        for run in killed:
            state: State[None] = Crashed(message=message) if line is None else Cancelled(message=message)
            client.set_flow_run_state(run, state, force=True)
    return len(killed)


def wants_another_run() -> bool:
    """Whether the last run of this deployment to have begun, this one aside, crashed or was killed on this machine.

    Prefect may tell of one crash twice; the second run that is started for it waits until the first one ends, and must
    not begin a line then that somebody has just stopped.
    """
    deployment = runtime.deployment.id
    if deployment is None:
        return True
    with get_client(sync_client=True) as client:
        begun = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[UUID(deployment)]),
                start_time=FlowRunFilterStartTime(is_null_=False),
            ),
            sort=FlowRunSort.START_TIME_DESC,
            limit=2,
        )
    last = next((run for run in begun if str(run.id) != runtime.flow_run.id), None)
    if last is None or last.state_type == StateType.CRASHED:
        return True
    return last.state_type == StateType.RUNNING and machine_tag() in last.tags and _is_dead(last)


def machine_tag() -> str:
    """Names this machine."""
    return f"machine:{socket.gethostname()}"


def process_tag() -> str:
    """Names this process."""
    return f"process:{os.getpid()}"


def _running_here(client: SyncPrefectClient, tags: list[str]) -> list[FlowRun]:
    return client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[runtime.flow_run.flow_name])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
            tags=FlowRunFilterTags(all_=[machine_tag(), *tags]),
        ),
        sort=FlowRunSort.START_TIME_DESC,
        limit=LATEST_RUNS,
    )


def _is_dead(run: FlowRun) -> bool:
    """Whether a run of this machine is without its process."""
    return not any(_alive(tag) for tag in run.tags)


def _alive(tag: str) -> bool:
    """Whether the tag names a process of this machine that is there. One of another user is there too."""
    kind, _, number = tag.partition(":")
    if kind != "process":
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
