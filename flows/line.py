"""The line inspection: one long run per line, from the moment it is started until it is cancelled."""

from __future__ import annotations

from pathlib import Path

from prefect import State, flow, runtime
from prefect.states import Completed

from flows.artifacts import prefect_may_fail
from flows.gpu_turn import turn_on_gpu
from flows.killed_runs import take_over_killed_runs, wants_another_run
from flows.line_artifacts import LineTeller, headline
from flows.line_running import run_line
from pipeline.line.line import LineSummary
from pipeline.line.opening import LineRequest
from pipeline.line.settings import LineSettings, Parts, Policy
from pipeline.workspace import Workspace


def line_name() -> str:
    """`line1 bottle/default since 2026-11-25 06:00`, in this machine's time zone."""
    given = runtime.flow_run.parameters
    due = runtime.flow_run.scheduled_start_time.astimezone()
    return f"{given['line']} {given['product']}/{given['view']} since {due:%Y-%m-%d %H:%M}"


@flow(name="line-inspection", flow_run_name=line_name)
def line_inspection(  # noqa: PLR0913 - a flow's parameters are its form in the Prefect UI
    product: str,
    source: str,
    *,
    line: str = "line1",
    view: str = "default",
    signals: list[str] | None = None,
    policy: str | None = None,
    parts: str | None = None,
    part_ids: str = "",
    deadline_ms: float | None = None,
    latency_ms: float | None = None,
    acknowledge_seconds: float = 1.0,
    shift_hours: int = 8,
    shift_begins: int = 6,
    page_port: int | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    home: str | None = None,
    references: str | None = None,
    engine: str = "auto",
    again: bool = False,
) -> State[LineSummary] | State[None]:
    """Inspect a line's frames as they come, and tell the line of each part, until the run is cancelled.

    A cancelled run gives the camera free, judges what is in hand and tells the line that it has stopped. A killed one
    is found by the worker or by its missing heartbeat; its deployment starts another, which answers for what was left.

    Args:
        product: the part number, enrolled and calibrated before.
        source: the camera's address; docs/cameras.md has the forms.
        line: the line's name in signals and records.
        view: the camera position.
        signals: addresses of those who are told; docs/signals.md has the forms. A file by default.
        policy: `block` or `skip`, where frames come faster than they are judged.
        parts: `every` frame is a part, or those that `motion` shows.
        part_ids: `code` in the frame, or the address of an MQTT topic; counted by default.
        deadline_ms: milliseconds from capture after which a verdict is of no use.
        latency_ms: milliseconds aimed at under `skip`.
        acknowledge_seconds: how soon the line is to confirm a signal, where it does.
        shift_hours: length of a shift, which is one batch of the records.
        shift_begins: o'clock at which shifts begin.
        page_port: port of the live page; none by default.
        frames: ends the run after so many.
        seconds: ends the run after so long.
        home: the folder of goldentwin's state; by default `GOLDENTWIN_HOME`.
        references: the folder of reference images; by default the one that goes with `home`.
        engine: `auto`, `onnx`, `torch` or `cuda`.
        again: start only where the line's last run crashed, as the automation asks that starts it again.

    Raises:
        GoldentwinError: the line can't be started, or can't go on.
    """
    if again:
        with prefect_may_fail("a line may be started twice after one crash"):
            if not wants_another_run():
                return Completed(message=f"{line}: its last run did not crash, so there is nothing to start again")
    settings = LineSettings(
        workspace=Workspace.locate(_path(home), _path(references)),
        product=product,
        view=view,
        line=line,
        engine=engine,
        policy=Policy(policy) if policy else None,
        deadline=_seconds(deadline_ms),
        latency_limit=_seconds(latency_ms),
        acknowledge_seconds=acknowledge_seconds,
        shift_hours=shift_hours,
        shift_begins=shift_begins,
        frames=frames,
        seconds=seconds,
    )
    request = LineRequest(
        settings=settings,
        source=source,
        signals=tuple(signals or ()),
        parts=Parts(parts) if parts else None,
        part_ids=part_ids,
    )
    with prefect_may_fail("killed runs stay running in Prefect"):
        take_over_killed_runs(line)
    teller = LineTeller(settings)
    try:
        summary = run_line(
            request, page_port=page_port, tell=teller.tell, hold=lambda line: turn_on_gpu(needed=line.on_gpu)
        )
    finally:
        teller.deliver()  # a cancelled run's process has no time for it later
    teller.tell(summary.snapshot, last=True)
    return Completed(message=headline(summary.snapshot), data=summary)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
