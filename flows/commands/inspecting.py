"""`goldentwin inspect`: verdicts on frames, now, one line each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from flows.commands import options, terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inspection.inspector import Inspector
    from pipeline.frames import FrameVerdict


def inspect(
    context: typer.Context,
    product: options.Product,
    frames: Annotated[list[Path], typer.Argument(metavar="FRAMES...", help="Image files, or folders of them.")],
    *,
    view: options.View = "default",
    engine: options.Engine = "auto",
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="DIR", help="Write a picture of each frame beside its golden into DIR."),
    ] = None,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Judge frames and print a verdict for each: PASS, FLAG or CANNOT_INSPECT.

    A file that is missing or no image is CANNOT_INSPECT, and the command goes on. The exit code is 0 whatever the
    verdicts are: read them from the output (--json prints one object a line). Nothing is recorded; `batch` does that.
    """
    from pipeline.inspecting import inspect_frames  # noqa: PLC0415 - torch takes seconds to import
    from pipeline.opening import open_inspector  # noqa: PLC0415 - goes with it
    from pipeline.reading import list_frames  # noqa: PLC0415 - goes with it

    inspector = open_inspector(options.workspace_of(context, home, references), product, view, engine=engine)
    files = list_frames(frames)
    if not as_json:
        _print_heading(inspector)
    counts: Counter[str] = Counter()
    widest = max((len(file.frame) for file in files), default=0)
    for verdict in inspect_frames(inspector, files, keep_images=evidence is not None):
        if evidence is not None:
            _write_picture(evidence, inspector, verdict)
        said = verdict.to_dict()
        counts[said["verdict"]] += 1
        if as_json:
            terminal.print_json(said)
        else:
            terminal.say(_line(said, widest))
    if not as_json:
        _print_end(counts, evidence)


def _write_picture(folder: Path, inspector: Inspector, verdict: FrameVerdict) -> None:
    from inspection.overlay import draw_strip  # noqa: PLC0415 - OpenCV takes a moment to import
    from pipeline.evidence import write_evidence  # noqa: PLC0415 - goes with it

    frame = verdict.frame
    if frame.image is not None:
        strip = draw_strip(inspector.first_golden, frame.image, verdict.judgement, part_id=frame.part_id)
        write_evidence(folder, frame.frame, strip)


def _print_heading(inspector: Inspector) -> None:
    found = inspector.reference_set
    about = f"{found.product}, view {found.view}, {len(found.goldens)} goldens, threshold "
    calibration = inspector.calibration
    text = Text(about, style="dim")
    terminal.say(text.append("none") if calibration is None else text.append(terminal.threshold_text(calibration)))


def _line(said: Mapping[str, object], widest: int) -> Text:
    verdict = terminal.verdict_text(str(said["verdict"]))
    verdict.pad_right(15 - len(verdict))
    similarity = said["similarity"]
    figure = f"{similarity:.3f}" if isinstance(similarity, float) else "     "
    name = str(said["frame"])
    line = Text.assemble(verdict, f"{figure}  {name.ljust(min(widest, 40))}  ")
    return line.append(str(said["reason"] or _places(said)), style="dim")


def _places(said: Mapping[str, object]) -> str:
    regions = said["regions"]
    if not isinstance(regions, list) or not regions:
        return ""
    worst = min(regions, key=lambda region: region["similarity"])
    where = f"{worst['width']} x {worst['height']} px at ({worst['x']}, {worst['y']})"
    return where if len(regions) == 1 else f"{len(regions)} places, worst {where}"


def _print_end(counts: Counter[str], evidence: Path | None) -> None:
    names = ("PASS", "FLAG", "CANNOT_INSPECT")
    parts = [Text.assemble(f"{counts[name]} ", terminal.verdict_text(name)) for name in names if counts[name]]
    terminal.say(Text("\n") + Text(", ").join(parts or [Text("no frames found")]))
    if evidence is not None:
        terminal.say(f"pictures in {evidence}")
