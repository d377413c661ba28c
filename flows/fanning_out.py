"""Fan a night out: each shard is a run of a deployment, taken by any worker of its queue, begun again when lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from prefect import State, get_run_logger, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.states import Cancelled, Cancelling, Crashed

POLL_SECONDS: Final = 1.0
PENDING_SECONDS: Final = 180.0
"""A run that a worker has taken and not begun for so long is lost with its worker."""
UNFINISHED: Final = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING)
_PORTION: Final = 100
_ENDED: Final = "The night was ended."


@dataclass(frozen=True, kw_only=True)
class ShardOrder:
    """A shard to be judged: parameters of the flow `night-shard`. `order` names the product it belongs to."""

    order: str
    parameters: dict[str, Any]
    attempt: int = 1

    @property
    def name(self) -> str:
        """For people and idempotency keys."""
        return f"{self.order} shard {self.parameters['number']} of {self.parameters['of']}"


@dataclass
class FanOut:
    """Starts shards and follows them. A shard whose run crashed is begun again, `attempts` times in all.

    Args:
        deployment: the deployment of the flow `night-shard`, as `flow/deployment`.
        queue: the work queue whose workers take the shards; the deployment's own where it is None.
        attempts: how often a shard is begun.
    """

    deployment: str
    queue: str | None = None
    attempts: int = 4
    _runs: dict[UUID, ShardOrder] = field(default_factory=dict)
    _pending_since: dict[UUID, float] = field(default_factory=dict)

    @property
    def unfinished(self) -> int:
        """How many shards have not ended."""
        return len(self._runs)

    def start(self, order: ShardOrder) -> None:
        """Let a worker take this shard."""
        run: Any = run_deployment(  # Prefect declares the coroutine that it gives in async code only
            self.deployment,
            parameters=order.parameters,
            timeout=0,
            tags=[batch_tag(order.parameters["batch"])],
            idempotency_key=f"{runtime.flow_run.id}: {order.name}, attempt {order.attempt}",
            work_queue_name=self.queue,
        )
        self._runs[run.id] = order

    def ended(self) -> Iterator[tuple[ShardOrder, State[Any]]]:
        """Each shard that has ended for good since the last call, with its state; lost ones are begun again."""
        with get_client(sync_client=True) as client:
            for run in _read(client, list(self._runs)):
                state = self._unless_stuck(client, run)
                if state is None or not state.is_final():
                    continue
                order = self._runs.pop(run.id)
                if state.is_crashed() and order.attempt < self.attempts:
                    get_run_logger().warning("%s was lost (%s); another worker begins again", order.name, state.message)
                    self.start(replace(order, attempt=order.attempt + 1))
                else:
                    yield order, state

    def cancel(self) -> None:
        """Let no shard go on."""
        with get_client(sync_client=True) as client:
            for run in _read(client, list(self._runs)):
                begun = run.state is not None and run.state.is_running()  # only those have a process to be ended
                if run.state is None or not run.state.is_final():
                    client.set_flow_run_state(run.id, (Cancelling if begun else Cancelled)(message=_ENDED))

    def _unless_stuck(self, client: SyncPrefectClient, run: FlowRun) -> State[Any] | None:
        """The run's state; one that a worker took and did not begin is crashed, for nobody else would say so."""
        if run.state is None or not run.state.is_pending():
            self._pending_since.pop(run.id, None)
            return run.state
        since = self._pending_since.setdefault(run.id, time.monotonic())
        if time.monotonic() - since > PENDING_SECONDS:
            lost: State[Any] = Crashed(message="A worker took it and never began.")
            client.set_flow_run_state(run.id, lost, force=True)
            return lost
        return run.state


def wait_for_leftovers(batch: str) -> int:
    """Wait until shards that an earlier, killed run of the night left behind have ended; how many there were."""
    seen: set[UUID] = set()
    while True:
        with get_client(sync_client=True) as client:
            found = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(
                    tags=FlowRunFilterTags(all_=[batch_tag(batch)]),
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(UNFINISHED))),
                )
            )
        if not found:
            return len(seen)
        if not seen:
            get_run_logger().info("%d shards of an earlier run of this night go on; they are waited for", len(found))
        seen |= {run.id for run in found}
        time.sleep(POLL_SECONDS)


def batch_tag(batch: str) -> str:
    """Marks the runs of one batch."""
    return f"batch:{batch}"


def _read(client: SyncPrefectClient, runs: Sequence[UUID]) -> Iterator[FlowRun]:
    for at in range(0, len(runs), _PORTION):
        wanted = FlowRunFilterId(any_=list(runs[at : at + _PORTION]))
        yield from client.read_flow_runs(flow_run_filter=FlowRunFilter(id=wanted), limit=_PORTION)
