"""`goldentwin inspect`: verdicts on frames, now, one line each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from flows.commands import options, terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inspection.gallery import ShownGolden
    from inspection.inspector import Inspector
    from pipeline.frames import FrameVerdict
    from pipeline.workspace import Workspace


def inspect(
    context: typer.Context,
    product: options.MaybeProduct = None,
    frames: Annotated[
        list[Path] | None, typer.Argument(metavar="FRAMES...", help="Image files, or folders of them.")
    ] = None,
    *,
    pairs: options.Pairs = None,
    recognise: Annotated[
        Literal["auto"] | None,
        typer.Option("--product", help="In place of PRODUCT: recognise what each frame shows."),
    ] = None,
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

    PRODUCT may be `auto`: each frame's product is recognised from the enrolled goldens, and one that shows none of them
    is CANNOT_INSPECT. With --pairs each frame is judged against its own golden: by PRODUCT's trained network where one
    is named and was trained, else by that golden alone, provisionally. A file that is missing or no image is
    CANNOT_INSPECT, and the command goes on. The exit code is 0 whatever the verdicts are: read them from the output
    (--json prints one object a line). Nothing is recorded; `batch` does that.
    """
    workspace = options.workspace_of(context, home, references)
    if pairs is not None:
        if frames:
            message = "give FRAMES or --pairs, not both"
            raise typer.BadParameter(message)
        _inspect_pairs(workspace, product, view, pairs, engine, evidence, as_json=as_json)
        return
    if recognise is not None and product is not None:
        product, frames = recognise, [Path(product), *(frames or [])]  # then there are frames alone
    if product is None or not frames:
        message = "name PRODUCT and FRAMES, or a manifest with --pairs"
        raise typer.BadParameter(message)
    if product == "auto":
        _inspect_any(workspace, frames, engine, evidence, as_json=as_json)
        return
    from pipeline.inspecting import inspect_frames  # noqa: PLC0415 - torch takes seconds to import
    from pipeline.opening import open_inspector  # noqa: PLC0415 - goes with it
    from pipeline.reading import list_frames  # noqa: PLC0415 - goes with it

    inspector = open_inspector(workspace, product, view, engine=engine)
    files = list_frames(frames)
    if not as_json:
        _print_heading(inspector)
    page = _Page(widest=max((len(file.frame) for file in files), default=0), as_json=as_json)
    for verdict in inspect_frames(inspector, files, keep_images=evidence is not None):
        image = verdict.frame.image
        if evidence is not None and image is not None:
            _write_picture(evidence, inspector.gallery.nearest(image, verdict.judgement.matrix), verdict)
        page.show(verdict)
    page.end(evidence)


def _inspect_any(
    workspace: Workspace, frames: list[Path], engine: str, evidence: Path | None, *, as_json: bool
) -> None:
    from pipeline.reading import list_frames  # noqa: PLC0415 - torch takes seconds to import
    from pipeline.recognising import inspect_any  # noqa: PLC0415 - goes with it

    files = list_frames(frames)
    page = _Page(widest=max((len(file.frame) for file in files), default=0), as_json=as_json, names_product=True)
    for one in inspect_any(workspace, files, engine=engine, keep_images=evidence is not None):
        if evidence is not None and one.golden is not None:
            _write_picture(evidence, one.golden, one.verdict)
        page.show(one.verdict)
    page.end(evidence)


def _inspect_pairs(  # noqa: PLR0917 - what the command was given
    workspace: Workspace,
    product: str | None,
    view: str,
    manifest: Path,
    engine: str,
    evidence: Path | None,
    *,
    as_json: bool,
) -> None:
    from inspection.gallery import ShownGolden  # noqa: PLC0415 - torch takes seconds to import
    from pipeline.pair_inspecting import PAIRS, inspect_pairs, open_pair_judge  # noqa: PLC0415 - torch takes seconds
    from pipeline.pairs import read_golden, read_pairs  # noqa: PLC0415 - goes with it

    pairs = read_pairs(manifest)
    judge = open_pair_judge(workspace, product, view, engine=engine)
    page = _Page(widest=max(len(pair.frame.frame) for pair in pairs), as_json=as_json)
    keep = evidence is not None
    for one in inspect_pairs(judge, pairs, product=product or PAIRS, view=view, keep_images=keep):
        if evidence is not None:
            golden = read_golden(one.pair).image
            if golden is not None:
                _write_picture(evidence, ShownGolden(name=one.pair.golden.name, picture=golden), one.verdict)
        page.show(one.verdict)
    page.end(evidence)


@dataclass(kw_only=True)
class _Page:
    """Verdicts as they come, one line each, and how many there were of each."""

    widest: int
    as_json: bool
    names_product: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def show(self, verdict: FrameVerdict) -> None:
        said = verdict.to_dict()
        self.counts[said["verdict"]] += 1
        if self.as_json:
            terminal.print_json(said)
        else:
            line = _line(said, self.widest)
            terminal.say(Text(f"{said['product']:<16}").append(line) if self.names_product else line)

    def end(self, evidence: Path | None) -> None:
        if not self.as_json:
            _print_end(self.counts, evidence)


def _write_picture(folder: Path, golden: ShownGolden, verdict: FrameVerdict) -> None:
    from inspection.overlay import draw_strip  # noqa: PLC0415 - OpenCV takes a moment to import
    from pipeline.evidence import write_evidence  # noqa: PLC0415 - goes with it

    frame = verdict.frame
    if frame.image is not None:
        strip = draw_strip(
            golden.picture, frame.image, verdict.judgement, part_id=frame.part_id, golden_name=golden.name
        )
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
