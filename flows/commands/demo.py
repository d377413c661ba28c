"""`goldentwin demo`: the whole way on a simulated line, from goldens to a night's verdicts and their truth."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flows.commands import options, terminal
from flows.commands.batch import judge_night, print_queues, summary_json
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from inspection.calibration import Calibration, Rate
    from pipeline.batch import BatchSummary
    from pipeline.night_score import NightScore
    from pipeline.simulator import LineFiles

PRODUCT, VIEW = "board", "default"
SEED = 7
GOLDENS, GOOD, DEFECTS_PER_KIND = 6, 60, 5
IMAGE_SIZE = 512  # the smallest defects are half a millimetre of a frame of 48 mm
MAX_OVERKILL = 0.02
DEFECT_RATE = 0.1
CHUNK = 30


def demo(
    context: typer.Context,
    *,
    frames: Annotated[int, typer.Option(min=1, max=100_000, help="How many frames the night has.")] = 240,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """See the whole way on a simulated line: enrol, calibrate, judge a night, compare with the truth.

    The line makes circuit boards, some with one of eight kinds of defects. Everything is written into
    `.goldentwin/demo` (or --home); a second run finds it there and does nothing twice. The night's truth is used for
    the last table only, never for the calibration.
    """
    workspace = _workspace(context, home, references)
    steps = _Steps(quiet=as_json)
    with steps.step("draw the line"):
        line = _draw(workspace, frames)
    with steps.step("enrol goldens"):
        _enrol(workspace, line)
    with steps.step("calibrate"):
        calibration, picture = _calibrate(workspace, line)
    with steps.step("judge the night"):
        summary = judge_night(workspace, PRODUCT, line.night, view=VIEW, engine="auto", chunk_size=CHUNK, quiet=as_json)
    score = _score(workspace, summary, line)
    if as_json:
        terminal.print_json({"night": summary_json(summary), "score": asdict(score), "steps": steps.seconds})
        return
    _print_result(line, calibration, summary, score)
    _print_places(workspace, summary, picture)


class _Steps:
    """Names each step, and says how long it took."""

    def __init__(self, *, quiet: bool) -> None:
        self.seconds: dict[str, float] = {}
        self._quiet = quiet

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        if not self._quiet:
            terminal.say(Text(f"{len(self.seconds) + 1}  {name} ..."))
        yield
        self.seconds[name] = time.monotonic() - started
        if not self._quiet:
            terminal.say(Text(f"   {self.seconds[name]:.1f} s", style="dim"))


def _workspace(context: typer.Context, home: Path | None, references: Path | None) -> Workspace:
    """The home that is named, else a folder of its own: a demo's verdicts are not to lie among real ones."""
    named = options.workspace_of(context, home, references)
    if home or (context.obj or (None,))[0] or os.environ.get("GOLDENTWIN_HOME"):
        return named
    return Workspace.locate(named.home / "demo", references)


def _draw(workspace: Workspace, frames: int) -> LineFiles:
    from pipeline.simulator import LineSimulator, write_line  # noqa: PLC0415 - OpenCV takes a moment to import

    return write_line(
        workspace.home / "line",
        simulator=LineSimulator(SEED),
        goldens=GOLDENS,
        calibration_good=GOOD,
        calibration_defects_per_kind=DEFECTS_PER_KIND,
        night_frames=frames,
        night_defect_rate=DEFECT_RATE,
    )


def _enrol(workspace: Workspace, line: LineFiles) -> None:
    """Enrol the goldens, unless they are enrolled already."""
    from inspection.reference_set import list_enrolled, load_reference_set  # noqa: PLC0415 - OpenCV takes a moment
    from pipeline.enrolling import enrol_product  # noqa: PLC0415 - torch takes seconds to import
    from pipeline.reading import list_frames  # noqa: PLC0415 - goes with it

    files = [file.path for file in list_frames([line.goldens])]
    if (PRODUCT, VIEW) in list_enrolled(workspace.references):
        known = load_reference_set(workspace.references, PRODUCT, VIEW)
        if [golden.name for golden in known.goldens] == [path.name for path in files]:
            return
    enrol_product(workspace, PRODUCT, VIEW, files=files, added_by=options.approver(None), image_size=IMAGE_SIZE)
    _name_defects(workspace, line)


def _name_defects(workspace: Workspace, line: LineFiles) -> None:
    """Let reviewers say which kind of defect it is; that is no part of the recipe's digest."""
    from inspection.durable import write_text  # noqa: PLC0415 - goes with the others
    from inspection.recipe import Recipe  # noqa: PLC0415 - goes with the next
    from inspection.reference_set import view_folder  # noqa: PLC0415 - OpenCV takes a moment
    from pipeline.labelled import GOOD as GOOD_PARTS  # noqa: PLC0415 - goes with it

    path = view_folder(workspace.references, PRODUCT, VIEW) / "recipe.json"
    recipe = Recipe.load(path)
    kinds = tuple(sorted(folder.name for folder in line.labelled.iterdir() if folder.name != GOOD_PARTS))
    write_text(path, replace(recipe, review=replace(recipe.review, defect_types=kinds)).to_json())


def _calibrate(workspace: Workspace, line: LineFiles) -> tuple[Calibration, Path]:
    """Calibrate on the labelled parts, unless that was done before."""
    from inspection.calibration import Policy  # noqa: PLC0415 - scipy takes long to import
    from pipeline.calibrating import calibrate_product, calibration_picture  # noqa: PLC0415 - torch takes seconds
    from pipeline.opening import open_inspector  # noqa: PLC0415 - the same

    known = open_inspector(workspace, PRODUCT, VIEW).calibration
    if known is not None and not known.provisional:
        return known, calibration_picture(workspace, PRODUCT, VIEW, known)
    policy = Policy(max_overkill=MAX_OVERKILL)
    who = options.approver(None)
    done = calibrate_product(workspace, PRODUCT, VIEW, labelled=line.labelled, policy=policy, by=who)
    return done.calibration, done.picture


def _score(workspace: Workspace, summary: BatchSummary, line: LineFiles) -> NightScore:
    from pipeline.night_score import score_night  # noqa: PLC0415 - scipy takes long to import
    from pipeline.records import VerdictRecords  # noqa: PLC0415 - SQLAlchemy takes a moment

    with VerdictRecords(workspace.records_url) as records:
        rows = records.rows(product=PRODUCT, view=VIEW, batch=summary.batch)
    return score_night(rows, line.night_truth)


def _print_result(line: LineFiles, calibration: Calibration, summary: BatchSummary, score: NightScore) -> None:
    terminal.say()
    about = f"{GOLDENS} goldens, calibrated on {calibration.good} good and {calibration.defective} defective boards: "
    terminal.say(Text(about, style="dim").append(f"threshold {calibration.threshold:.3f}", style="bold"))
    if summary.judged:
        rate = summary.judged / summary.seconds
        speed = f"{summary.judged} frames judged in {summary.seconds:.1f} s, {rate:.1f} a second"
    else:
        speed = f"all {summary.total} frames were judged before: nothing to do ({summary.seconds:.1f} s)"
    terminal.say(speed)
    terminal.say()
    terminal.console().print(_score_table(score))
    if score.not_inspected:
        terminal.warn(f"{score.not_inspected} frames could not be inspected; they count in no rate")
    terminal.say(Text(f"compared with {line.night_truth}, which calibration never saw", style="dim"))


def _score_table(score: NightScore) -> Table:
    numbers = ("boards", "wrong", "rate")
    table = terminal.plain_table("the night's boards", *numbers, "95 % interval", right=numbers)
    for name, rate in score.per_type.items():
        table.add_row(name.replace("_", " "), *_cells(rate))
    table.add_section()
    for name, total in (("all defective: escape", score.escape), ("good: overkill", score.overkill)):
        if total is not None:
            table.add_row(Text(name, style="bold"), *_cells(total))
    return table


def _cells(rate: Rate) -> tuple[str, Text, str, str]:
    wrong = Text(str(rate.events), style="bold red" if rate.events else "green")
    return str(rate.n), wrong, f"{100 * rate.rate:.1f} %", f"{100 * rate.low:.1f} to {100 * rate.high:.1f} %"


def _print_places(workspace: Workspace, summary: BatchSummary, picture: Path) -> None:
    terminal.say()
    terminal.facts(
        {
            "flagged boards": _shown(summary.contact_sheet) if summary.contact_sheet else "none",
            "calibration": _shown(picture),
            "a picture each": _shown(workspace.evidence / PRODUCT / VIEW / summary.batch),
        }
    )
    print_queues(summary)
    terminal.suggest(
        f"goldentwin ui --home {_shown(workspace.home)}", "the night in MLflow and Prefect, and its review"
    )


def _shown(path: Path) -> str:
    """The path as one would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
