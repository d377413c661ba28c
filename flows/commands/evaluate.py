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

    from pipeline.evaluating import Evaluated


def evaluate(
    context: typer.Context,
    product: options.Product,
    *,
    labelled: options.Labelled,
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
    """
    from pipeline.evaluating import evaluate_product  # noqa: PLC0415 - torch takes seconds to import

    with terminal.progress("evaluating", "parts", quiet=as_json) as watcher:
        done = evaluate_product(
            options.workspace_of(context, home, references),
            product,
            view,
            labelled=labelled,
            engine=engine,
            watcher=watcher,
        )
    print_left_out(done.left_out)
    if as_json:
        terminal.print_json(done.figures)
        return
    _print_figures(done)
    if done.calibration is None:
        terminal.suggest(f"goldentwin calibrate {product} --view {view} --labelled DIR", "a threshold, for the rates")


def _print_figures(done: Evaluated) -> None:
    figures = done.figures
    calibration = done.calibration
    terminal.facts(
        {
            "threshold": terminal.threshold_text(calibration) if calibration else "none: not calibrated",
            "image AUROC": _figure(figures["image_auroc"]),
            "pixel AUROC": _figure(figures["pixel_auroc"]),
            "AUPRO": _figure(figures["aupro"]),
            "overkill": terminal.rate_text(figures["overkill"]),
            "escape": terminal.rate_text(figures["escape"]),
            "overkill at zero escape": _share(figures["overkill_at_zero_escape"]),
            "not inspected": str(figures["not_inspected"]),
            "speed": f"{figures['frames_per_second'] or 0:.1f} frames/s",
            "picture": str(done.picture),
            "MLflow": "logged" if done.tracked else "not reached; kept and delivered later",
        }
    )
    if figures["per_type"]:
        terminal.say()
        terminal.console().print(per_type_table(figures["per_type"]))


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
