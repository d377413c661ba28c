"""`goldentwin batch`: the nightly flow, once, now."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.commands import options, terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.batch import BatchSummary
    from pipeline.workspace import Workspace

SHOWN = 10
FLAGGED_KEYS = ("frame", "part_id", "similarity", "distance", "threshold", "regions", "evidence")


def batch(
    context: typer.Context,
    product: options.Product,
    *,
    frames: Annotated[
        Path | None, typer.Option("--frames", metavar="DIR", help="The folder of frames; its sub-folders belong to it.")
    ] = None,
    pairs: options.Pairs = None,
    view: options.View = "default",
    engine: options.Engine = "auto",
    chunk_size: Annotated[
        int, typer.Option(min=1, max=10_000, help="Frames a portion; progress and resuming go by portions.")
    ] = 64,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Judge a folder of frames with the nightly flow, record every verdict, and say what was found.

    With --pairs the frames of a manifest are judged instead, each against its own golden, as `inspect --pairs` does,
    and without Prefect. Frames that were judged on the same grounds are not judged again: a batch that was interrupted
    goes on where it stopped. The exit code is 0 whatever the verdicts are.
    """
    workspace = options.workspace_of(context, home, references)
    if frames is not None and pairs is None:
        summary = judge_night(
            workspace, product, frames, view=view, engine=engine, chunk_size=chunk_size, quiet=as_json
        )
    elif pairs is not None and frames is None:
        summary = _judge_pairs(workspace, product, pairs, view=view, engine=engine, quiet=as_json)
    else:
        message = "give --frames or --pairs"
        raise typer.BadParameter(message)
    if as_json:
        terminal.print_json(summary_json(summary))
    else:
        print_summary(workspace, summary, pairs=pairs is not None)


def judge_night(
    workspace: Workspace, product: str, frames: Path, *, view: str, engine: str, chunk_size: int, quiet: bool
) -> BatchSummary:
    """Run the nightly flow with a progress bar, unless `quiet`."""
    from flows.night import Night  # noqa: PLC0415 - torch takes seconds to import
    from flows.run_now import run_nightly  # noqa: PLC0415 - goes with it

    night = Night(workspace=workspace, product=product, frames=frames, view=view, chunk_size=chunk_size, engine=engine)
    with terminal.progress("judging", f"portions of {chunk_size}", quiet=quiet) as watcher:
        return run_nightly(night, watcher)


def _judge_pairs(
    workspace: Workspace, product: str, manifest: Path, *, view: str, engine: str, quiet: bool
) -> BatchSummary:
    from pipeline.pair_batch import judge_pair_batch  # noqa: PLC0415 - torch takes seconds to import

    with terminal.progress("judging", "pairs", quiet=quiet) as watcher:
        return judge_pair_batch(workspace, product, view, manifest=manifest, engine=engine, watcher=watcher)


def summary_json(summary: BatchSummary) -> dict[str, Any]:
    """A batch for machines."""
    return {
        "batch": summary.batch,
        "product": summary.product,
        "view": summary.view,
        "frames": summary.total,
        "judged": summary.judged,
        "counts": {verdict.value: count for verdict, count in summary.counts.items()},
        "provisional": summary.provisional,
        "seconds": summary.seconds,
        "flagged": [{name: row[name] for name in FLAGGED_KEYS} for row in summary.flagged],
        "contact_sheet": str(summary.contact_sheet) if summary.contact_sheet else None,
        "mlflow": summary.tracked,
        "mlflow_run": asdict(summary.run) if summary.run else None,
        "review": summary.queues,
        "shadow": summary.shadow or None,
        "watch": summary.watched.headline if summary.watched else None,
        "provenance": asdict(summary.provenance),
    }


def print_summary(workspace: Workspace, summary: BatchSummary, *, pairs: bool = False) -> None:
    """A batch for people, of frames or of `pairs`: counts, the worst parts, and where to look further."""
    _print_counts(summary)
    if summary.flagged:
        terminal.say()
        terminal.console().print(_flagged_table(summary.flagged[:SHOWN]))
        if len(summary.flagged) > SHOWN:
            terminal.say(f"and {len(summary.flagged) - SHOWN} more flagged parts")
    terminal.say()
    terminal.facts(_places(workspace, summary))
    print_queues(summary)
    terminal.suggest("goldentwin ui", "look at it in MLflow and Prefect")
    if summary.provisional:
        named = f"{summary.product} --view {summary.view}"
        mend = f"goldentwin train {named} --pairs CSV" if pairs else f"goldentwin calibrate {named} --labelled DIR"
        terminal.suggest(mend, "verdicts that are not provisional")


def print_queues(summary: BatchSummary) -> None:
    """Where the parts are reviewed, each address on one line, whole."""
    for name, address in summary.queues.items():
        terminal.say(Text.assemble((f"review {name}  ", "dim"), address))


def _print_counts(summary: BatchSummary) -> None:
    total = sum(summary.counts.values())
    table = terminal.plain_table("verdict", "frames", "share", right=("frames", "share"))
    for verdict, count in summary.counts.items():
        share = f"{100 * count / total:.1f} %" if total else ""
        table.add_row(terminal.verdict_text(verdict.value), str(count), share)
    terminal.console().print(table)
    known = summary.total - total
    if known > 0:
        terminal.say(f"{known} more frames of the folder were judged in earlier batches")


def _flagged_table(flagged: tuple[Mapping[str, Any], ...]) -> Table:
    table = terminal.plain_table("flagged, worst first", "similarity", "evidence", right=("similarity",))
    for row in flagged:
        table.add_row(
            Text(row["frame"]),
            f"{row['similarity']:.3f}",
            Text("aged out" if row["evidence"] == "" else row["evidence"] or ""),
        )
    return table


def _places(workspace: Workspace, summary: BatchSummary) -> dict[str, str | Text]:
    speed = f" ({summary.judged / summary.seconds:.1f} frames/s)" if summary.judged and summary.seconds else ""
    threshold = Text(f"calibration {summary.provenance.calibration}")
    if summary.provisional:
        threshold.append("  PROVISIONAL", style="bold magenta")
    return {
        "judged now": f"{summary.judged} of {summary.total} frames in {summary.seconds:.1f} s{speed}",
        "judged by": threshold,
        "contact sheet": str(summary.contact_sheet or "nothing flagged"),
        "the line": _line(summary),
        **({"in the shadow": summary.shadow} if summary.shadow else {}),
        "records": _without_password(workspace.records_url),
        "MLflow": _run(summary),
    }


def _run(summary: BatchSummary) -> str:
    if summary.run is not None:
        return summary.run.address
    if not any(summary.counts.values()):
        return "nothing to log"
    return "logged" if summary.tracked else "not reached; kept and delivered later"


def _line(summary: BatchSummary) -> str | Text:
    """Whether it drifted since the calibration."""
    watched = summary.watched
    if watched is None:
        return "not watched"
    return Text(watched.headline, style="bold red" if watched.alarms else "")


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://...@{tail}" if at else url
