"""A shard of a night: some of its frames, judged by whichever worker takes the run; a plant's night is made of them."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import State, flow, runtime
from prefect.states import Completed

from flows.artifacts import prefect_may_fail
from flows.killed_runs import take_over_killed_runs
from flows.night import Night
from flows.night_tasks import plan_night
from flows.portions import judge_portions, portions_runner
from pipeline.sharding import Shard
from pipeline.workspace import Workspace


def shard_name() -> str:
    """`bottle/default shard 2 of 8`."""
    given = runtime.flow_run.parameters
    return f"{given['product']}/{given['view']} shard {given['number']} of {given['of']}"


@flow(name="night-shard", flow_run_name=shard_name, task_runner=portions_runner())
def inspect_shard(  # noqa: PLR0913 - a flow's parameters are its form in the Prefect UI
    product: str,
    frames: str,
    *,
    number: int,
    of: int,
    batch: str,
    key: str,
    view: str = "default",
    home: str | None = None,
    references: str | None = None,
    chunk_size: int = 64,
    engine: str = "auto",
) -> State[int]:
    """Judge and record those frames of a shard that have no verdict yet; doing it again, anywhere, changes nothing.

    `plant-night` starts these runs, counts their frames into one batch and tells what was found.

    Args:
        product: the part number, enrolled before.
        frames: the folder of the night's frames, at the same place on every worker.
        number: which shard, from 1.
        of: how many there are.
        batch: the batch that its verdicts belong to.
        key: what the batch rests on; a worker that sees other goldens or another calibration judges nothing.
        view: the camera position.
        home: the folder of goldentwin's state; by default the worker's `GOLDENTWIN_HOME`.
        references: the folder of reference images; by default the one that goes with `home`.
        chunk_size: frames per task.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`.

    Raises:
        CalibrationError: this worker sees other grounds than the run that planned the night.
        GoldentwinError: anything else that no retry can mend.
    """
    started = time.monotonic()
    night = Night(
        workspace=Workspace.locate(Path(home) if home else None, Path(references) if references else None),
        product=product,
        frames=Path(frames),
        view=view,
        chunk_size=chunk_size,
        engine=engine,
        shard=Shard(number=number, of=of, batch=batch, key=key),
    )
    with prefect_may_fail("killed runs stay running in Prefect"):
        take_over_killed_runs()
    plan = plan_night(night)
    for _ in judge_portions(plan):
        pass
    judged = sum(map(len, plan.chunks))
    return Completed(message=f"{judged} of {plan.total} frames in {time.monotonic() - started:.0f} s", data=judged)
