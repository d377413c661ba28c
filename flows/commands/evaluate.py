"""`goldentwin evaluate`: how well the inspection does on labelled parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.commands import options, terminal
from flows.commands.left_out import print_left_out

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.evaluating import Evaluated
    from pipeline.workspace import Workspace


def evaluate(
    context: typer.Context,
    product: options.MaybeProduct = None,
    *,
    labelled: options.MaybeLabelled = None,
    pairs: options.Pairs = None,
    view: options.View = "default",
    engine: options.Engine = "auto",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Judge labelled parts that took no part in calibration, and print how well they were told apart.

    Escape is over defective parts, overkill over good ones, never over all. A frame that can't be inspected is neither
    passed nor flagged: it is counted in `not_inspected` and in no rate. Goldens among the parts are left out. AUROC
    needs no calibration; pixel figures need masks in ground_truth/TYPE/NAME_mask.png. What does not apply is null.
    With --pairs each frame is judged against its own golden, and boxes are scored where the manifest has them.
    """
    workspace = options.workspace_of(context, home, references)
    if (labelled is None) == (pairs is None):
        message = "give --labelled or --pairs"
        raise typer.BadParameter(message)
    if pairs is not None:
        _evaluate_pairs(workspace, product, view, pairs, engine, as_json=as_json)
        return
    if product is None or labelled is None:
        message = "name PRODUCT"
        raise typer.BadParameter(message)
    from pipeline.evaluating import evaluate_product  # noqa: PLC0415 - torch takes seconds to import

    with terminal.progress("evaluating", "parts", quiet=as_json) as watcher:
        done = evaluate_product(workspace, product, view, labelled=labelled, engine=engine, watcher=watcher)
    print_left_out(done.left_out)
    for warning in done.warnings:
        terminal.warn(warning)
    if as_json:
        terminal.print_json(done.figures)
        return
    _print_figures(done)
    if done.calibration is None:
        terminal.suggest(f"goldentwin calibrate {product} --view {view} --labelled DIR", "a threshold, for the rates")


def _evaluate_pairs(
    workspace: Workspace, product: str | None, view: str, manifest: Path, engine: str, *, as_json: bool
) -> None:
    from pipeline.pair_evaluating import evaluate_pairs  # noqa: PLC0415 - torch takes seconds to import

    with terminal.progress("evaluating", "pairs", quiet=as_json) as watcher:
        figures = evaluate_pairs(workspace, product, view, manifest=manifest, engine=engine, watcher=watcher)
    if as_json:
        terminal.print_json(figures)
        return
    terminal.facts(_common(figures))
    if figures["per_type"]:
        terminal.say()
        terminal.console().print(per_type_table(figures["per_type"]))
    if figures["boxes"]:
        terminal.say()
        terminal.console().print(_boxes_table(figures["boxes"]))


def _boxes_table(boxes: Mapping[str, Any]) -> Table:
    """How well boxes are found, at IoU above 0.33: over all whatever their type, then by type."""
    numbers = ("precision", "recall", "F-score", "average precision")
    table = terminal.plain_table("boxes", "n", *numbers, right=("n", *numbers))
    keys = ("precision", "recall", "f_score", "average_precision")
    for name, found in (("all, without types", boxes), *boxes["per_type"].items()):
        table.add_row(name, str(found["n"]), *(f"{found[key]:.4f}" for key in keys))
    if boxes["mean_average_precision"] is not None:
        table.add_row("mean over types", "", "", "", "", f"{boxes['mean_average_precision']:.4f}")
    return table


def _print_figures(done: Evaluated) -> None:
    figures = done.figures
    calibration = done.calibration
    terminal.facts(
        {
            "threshold": terminal.threshold_text(calibration) if calibration else "none: not calibrated",
            **_common(figures),
            "picture": str(done.picture),
            "MLflow": "logged" if done.tracked else "not reached; kept and delivered later",
        }
    )
    if figures["per_type"]:
        terminal.say()
        terminal.console().print(per_type_table(figures["per_type"]))


def _common(figures: Mapping[str, Any]) -> dict[str, str]:
    """What every evaluation tells."""
    return {
        "image AUROC": _figure(figures["image_auroc"]),
        "pixel AUROC": _figure(figures["pixel_auroc"]),
        "AUPRO": _figure(figures["aupro"]),
        "overkill": terminal.rate_text(figures["overkill"]),
        "escape": terminal.rate_text(figures["escape"]),
        "overkill at zero escape": _share(figures["overkill_at_zero_escape"]),
        "not inspected": str(figures["not_inspected"]),
        "speed": f"{figures['frames_per_second'] or 0:.1f} frames/s",
    }


def per_type_table(per_type: Mapping[str, Mapping[str, Any]]) -> Table:
    """Each type of defect: parts, escapes, and the escape rate with its interval."""
    from inspection.calibration import Rate  # noqa: PLC0415 - scipy takes long to import

    table = terminal.plain_table("defect", "parts", "escaped", "escape", right=("parts", "escaped"))
    for name, found in per_type.items():
        escaped = Text(str(found["escaped"]), style="bold red" if found["escaped"] else "green")
        table.add_row(name, str(found["n"]), escaped, str(Rate.of(found["escaped"], found["n"])))
    return table


def _figure(value: float | None) -> str:
    return "does not apply" if value is None else f"{value:.4f}"


def _share(value: float | None) -> str:
    return "does not apply" if value is None else f"{100 * value:.1f} %"
