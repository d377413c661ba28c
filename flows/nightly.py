"""The nightly inspection: a folder of frames becomes verdicts, in portions that survive whatever interrupts them."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import State, flow, runtime
from prefect.states import Completed

from flows.artifacts import NightProgress, artifact_key, prefect_may_fail, publish_night, tell_drift
from flows.killed_runs import take_over_killed_runs
from flows.night import Night
from flows.night_page import headline
from flows.night_tasks import plan_night, summarise_night, unvisited
from flows.portions import judge_portions, portions_runner
from flows.watching import report_progress
from pipeline.batch import BatchSummary
from pipeline.workspace import Workspace


def night_name() -> str:
    """`bottle/default night 2026-11-23`: the day the run was due, in this machine's time zone."""
    given = runtime.flow_run.parameters
    due = runtime.flow_run.scheduled_start_time.astimezone()
    return f"{given['product']}/{given['view']} night {due:%Y-%m-%d}"


@flow(name="nightly-inspection", flow_run_name=night_name, task_runner=portions_runner())
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
    progress = NightProgress(
        len(plan.chunks),
        key=artifact_key(product, view, "progress"),
        what=f"{product}/{view}: portions of frames judged",
    )
    for done in judge_portions(plan):
        progress.show(done)
        report_progress(done, len(plan.chunks))
    summary = summarise_night(unvisited(plan), time.monotonic() - started)
    publish_night(summary)
    tell_drift(summary)
    return Completed(message=headline(summary), data=summary)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
