"""`goldentwin stream`: the line flow."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.commands import options, terminal

if TYPE_CHECKING:
    from types import FrameType

    from pipeline.line.line import Line, LineSummary
    from pipeline.line.opening import LineRequest
    from pipeline.signals import Acknowledgement, Signal, StateReport

PAGE_PORT = 8765


Source = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="URL_OR_DEVICE",
        help="The camera: a folder being filled, a video, rtsp://, http://, udp://, usb:0, genicam:, gige: or sim:.",
    ),
]
LineName = Annotated[str, typer.Option("--line", help="The line's name in signals and records.")]
Signals = Annotated[
    list[str] | None,
    typer.Option(
        "--signal",
        metavar="ADDRESS",
        help="Who is told: file:, mqtt://, https://, opc.tcp://, log:. May be given several times; the first acts.",
    ),
]
PolicyName = Annotated[
    Literal["block", "skip"] | None,
    typer.Option("--policy", help="Frames that come too fast wait, or are told as not inspected, as fits the camera."),
]
PartsName = Annotated[
    Literal["every", "motion"] | None,
    typer.Option("--parts", help="Which frames are parts: each, or one per part that moves through a video."),
]
PartIds = Annotated[
    str,
    typer.Option("--part-ids", metavar="code|mqtt://...", help="Part ids read in the frame, or from an MQTT topic."),
]
Deadline = Annotated[
    float | None,
    typer.Option("--deadline", metavar="MS", help="Milliseconds from capture after which a verdict is of no use."),
]
Latency = Annotated[
    float | None, typer.Option("--latency", metavar="MS", help="Milliseconds that are aimed at under the policy skip.")
]
AcknowledgeSeconds = Annotated[
    float,
    typer.Option("--acknowledge", metavar="SECONDS", help="How soon the line is to confirm a signal, where it does."),
]
ShiftHours = Annotated[int, typer.Option("--shift-hours", help="Length of a shift, which is one batch of the records.")]
ShiftBegins = Annotated[int, typer.Option("--shift-begins", help="O'clock at which shifts begin.")]
Watch = Annotated[bool, typer.Option("--watch", help="Serve the live page on this machine.")]
PagePort = Annotated[int, typer.Option("--page-port", min=0, max=65535, help="The live page's port, or one near it.")]
Frames = Annotated[int | None, typer.Option("--frames", min=1, help="End after so many frames.")]
Seconds = Annotated[float | None, typer.Option("--seconds", min=0, help="End after so many seconds.")]


def stream(
    context: typer.Context,
    product: options.Product,
    *,
    source: Source,
    view: options.View = "default",
    line: LineName = "line1",
    signals: Signals = None,
    policy: PolicyName = None,
    parts: PartsName = None,
    part_ids: PartIds = "",
    deadline: Deadline = None,
    latency: Latency = None,
    acknowledge: AcknowledgeSeconds = 1.0,
    shift_hours: ShiftHours = 8,
    shift_begins: ShiftBegins = 6,
    watch: Watch = False,
    page_port: PagePort = PAGE_PORT,
    frames: Frames = None,
    seconds: Seconds = None,
    engine: options.Engine = "auto",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Inspect a line: judge each part as its frame comes, and tell the line at once.

    It runs until ctrl-C or until the frames end, and can be killed at any moment: the next start answers for what was
    in hand. With `--json`, each signal is a line on standard output. The exit code is 0 whatever the verdicts are, and
    1 where the camera was never there.
    """
    from pipeline.line.settings import LineSettings, Parts, Policy  # noqa: PLC0415 - only this command needs it

    _understand(source, signals or (), line)
    if not as_json:
        terminal.say(f"{line}: opening {product}/{view}")
    from pipeline.line.opening import LineRequest  # noqa: PLC0415 - the line's packages take long to import

    settings = LineSettings(
        workspace=options.workspace_of(context, home, references),
        product=product,
        view=view,
        line=line,
        engine=engine,
        policy=Policy(policy) if policy else None,
        deadline=None if deadline is None else deadline / 1000,
        latency_limit=None if latency is None else latency / 1000,
        acknowledge_seconds=acknowledge,
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
    summary = _run(request, page_port if watch else None, as_json=as_json)
    if as_json:
        terminal.print_json(summary_json(summary))
    else:
        print_summary(request, summary)
    _require_frames(summary)


def _understand(source: str, signals: Sequence[str], line: str) -> None:
    """Refuse addresses that can't be understood before anything that takes long.

    Raises:
        GoldentwinError: what is wrong with which.
    """
    from pipeline.cameras.addresses import open_camera  # noqa: PLC0415 - only this command needs it
    from pipeline.signals import open_sink  # noqa: PLC0415 - goes with it

    open_camera(source)
    for address in signals:
        open_sink(address, line=line)


def _require_frames(summary: LineSummary) -> None:
    """Whoever starts a line for some seconds wants to hear it where the camera was never there.

    Raises:
        StreamError: no frame came, and the camera is away.
    """
    from pipeline.line.settings import StreamError  # noqa: PLC0415 - only this command needs it

    away = [one for one in summary.snapshot.health if one.what == "camera" and not one.up]
    if away and not summary.snapshot.captured:
        raise StreamError("no frame came: " + away[0].said)


def _run(request: LineRequest, page_port: int | None, *, as_json: bool) -> LineSummary:
    from flows.commands.line_view import shown_line  # noqa: PLC0415 - rich's live view
    from flows.run_line_now import run_line_now  # noqa: PLC0415 - torch takes seconds to import
    from flows.watching import LineViews  # noqa: PLC0415 - goes with it

    with _Ender().ready() as ender:

        @contextmanager
        def showing(line: Line, address: str | None) -> Iterator[None]:
            ender.take(line)
            with nullcontext() if as_json else shown_line(line.snapshot, address=address):
                yield

        views = LineViews(showing=showing, sinks=[_StandardOutput()] if as_json else [])
        return run_line_now(request, views, page_port=page_port)


class _Ender:
    """Ends the line in order on ctrl-C, SIGTERM and a closed terminal; the second time at once."""

    def __init__(self) -> None:
        self._line: Line | None = None

    def take(self, line: Line) -> None:
        """The line to end."""
        self._line = line

    @contextmanager
    def ready(self) -> Iterator[_Ender]:
        """Listen to signals inside the block."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._end) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        line, self._line = self._line, None
        if line is None:
            raise KeyboardInterrupt
        line.stop(signal.Signals(number).name)


class _StandardOutput:
    """A receiver: each signal is a line of JSON on standard output."""

    name = "standard output"
    acknowledges = False

    def open(self) -> None:
        """Always there."""

    def last_sequence(self) -> int | None:
        """Nobody knows what was read."""
        return None

    def send(self, one: Signal) -> None:
        """Print it."""
        terminal.print_json(one.to_dict())

    def report(self, state: StateReport) -> None:
        """Signals alone are printed."""

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing to close."""


def summary_json(summary: LineSummary) -> dict[str, Any]:
    """What a run came to, for machines."""
    found = summary.snapshot
    return {
        "line": found.line,
        "product": found.product,
        "view": found.view,
        "ended": summary.ended,
        "complete": summary.complete,
        "captured": found.captured,
        "counts": {verdict.value: count for verdict, count in found.counts.items()},
        "skipped": found.skipped,
        "late": found.late,
        "missed": found.missed,
        "untold": found.untold,
        "unrecorded": found.unrecorded,
        "latency_p50_ms": found.latency_p50,
        "latency_p99_ms": found.latency_p99,
        "calibration": found.calibration,
        "provisional": found.provisional,
    }


def print_summary(request: LineRequest, summary: LineSummary) -> None:
    """What a run came to, for people."""
    found = summary.snapshot
    counts = ", ".join(f"{count} {verdict.value.replace('_', ' ')}" for verdict, count in found.counts.items())
    latency = (
        "-" if found.latency_p50 is None else f"{found.latency_p50:.0f} ms, 99 % within {found.latency_p99:.0f} ms"
    )
    terminal.say()
    terminal.facts(
        {
            "ended": summary.ended,
            "parts": f"{found.captured}: {counts}",
            "not inspected for want of time": f"{found.skipped} skipped, {found.late} too late",
            "capture to signal": latency if found.latency_p50 is None else f"median {latency}",
            "signals": ", ".join(request.signals) or str(request.settings.folder / "signals.jsonl"),
            "records": f"goldentwin export verdicts.csv --product {found.product}",
        }
    )
    if not summary.complete:
        left = f"{found.untold} not told, {found.unrecorded} not recorded"
        terminal.warn(f"not every part could be told and recorded ({left}); the next run does it")
    if found.provisional:
        named = f"{found.product} --view {found.view}"
        terminal.suggest(f"goldentwin calibrate {named} --labelled DIR", "verdicts that are not provisional")
