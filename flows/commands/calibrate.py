"""`goldentwin calibrate`: choose the threshold from labelled parts, in factory terms."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options, terminal
from flows.commands.left_out import left_out_json, print_left_out

if TYPE_CHECKING:
    from inspection.calibration import Policy
    from pipeline.calibrating import Calibrated

PERCENT = "PERCENT"


def calibrate(
    context: typer.Context,
    product: options.Product,
    *,
    labelled: options.MaybeLabelled = None,
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="From reviewed parts of past nights, instead of --labelled.")
    ] = False,
    view: options.View = "default",
    max_overkill: Annotated[
        float | None,
        typer.Option(parser=options.percentage, metavar=PERCENT, help="At most so many good parts flagged, as 1%."),
    ] = None,
    max_escape: Annotated[
        float | None,
        typer.Option(parser=options.percentage, metavar=PERCENT, help="At most so many defective parts missed."),
    ] = None,
    cost_escape: Annotated[
        float | None, typer.Option(help="What a missed defective part costs; goes with --cost-overkill.")
    ] = None,
    cost_overkill: Annotated[
        float | None, typer.Option(help="What a flagged good part costs; goes with --cost-escape.")
    ] = None,
    challenger: Annotated[
        bool,
        typer.Option("--challenger", help="Register it as challenger, for `promote`; what judges stays as it is."),
    ] = False,
    by: options.By = None,
    engine: options.Engine = "auto",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Choose the threshold from labelled parts, or from what reviewers said of past nights.

    Without a wish the best F1 is taken, or with good parts alone an overkill of at most 1 %. A wish that the sample
    is too small to prove is refused, with the number of parts needed. Goldens among the parts, and parts that can't
    be inspected, are left out and named. With --reviewed, each reviewed part stands for those of its kind that nobody
    looked at. With --challenger, `batch` lets it judge beside the champion; with --references it may rest on goldens,
    a recipe and a network of its own.
    """
    if reviewed is (labelled is not None):
        message = "give either --labelled DIR or --reviewed"
        raise typer.BadParameter(message)
    policy = _policy(max_overkill, max_escape, cost_escape, cost_overkill)
    workspace, name = options.workspace_of(context, home, references), options.approver(by)
    if labelled is None:
        from pipeline.review.recalibrating import calibrate_reviewed  # noqa: PLC0415 - torch takes seconds to import

        done = calibrate_reviewed(
            workspace, product, view, policy=policy, challenger=challenger, by=name, engine=engine
        )
    else:
        from pipeline.calibrating import calibrate_product  # noqa: PLC0415 - torch takes seconds to import

        with terminal.progress("calibrating", "parts", quiet=as_json) as watcher:
            done = calibrate_product(
                workspace,
                product,
                view,
                labelled=labelled,
                policy=policy,
                challenger=challenger,
                by=name,
                engine=engine,
                watcher=watcher,
            )
    if as_json:
        terminal.print_json(calibrated_json(done))
        return
    print_calibrated(done)
    named = "" if view == "default" else f" --view {view}"
    if challenger:
        terminal.suggest(f"goldentwin batch {product}{named} --frames DIR", "it judges beside the champion")
        terminal.suggest(f"goldentwin promote {product}{named} --labelled DIR", "on parts that took no part in this")
        return
    terminal.suggest(f"goldentwin evaluate {product}{named} --labelled DIR", "on parts that took no part in this")
    terminal.suggest(f"goldentwin batch {product}{named} --frames DIR", "judge a night's frames")


def calibrated_json(done: Calibrated) -> dict[str, object]:
    """A calibration for machines."""
    return {
        **asdict(done.calibration),
        "calibration": done.calibration.digest,
        "picture": str(done.picture),
        "left_out": left_out_json(done.left_out),
        "challenger": done.challenger,
        "mlflow": done.tracked,
        "seconds": done.seconds,
    }


def print_calibrated(done: Calibrated) -> None:
    """A calibration for people."""
    calibration = done.calibration
    print_left_out(done.left_out)
    for warning in calibration.warnings:
        terminal.warn(warning)
    terminal.facts(
        {
            "threshold": terminal.threshold_text(calibration),
            "overkill": terminal.rate_text(calibration.overkill),
            "escape": terminal.rate_text(calibration.escape),
            "proven": calibration.statement,
            "parts": f"{calibration.good} good, {calibration.defective} defective, in {done.seconds:.1f} s",
            "calibration": calibration.digest,
            "picture": str(done.picture),
            "MLflow": "logged, model registered" if done.tracked else "not reached; kept and delivered later",
        }
    )


def _policy(
    max_overkill: float | None, max_escape: float | None, cost_escape: float | None, cost_overkill: float | None
) -> Policy:
    """The wish; one that contradicts itself is a usage error."""
    from inspection.calibration import Policy  # noqa: PLC0415 - scipy takes long to import
    from inspection.errors import CalibrationError  # noqa: PLC0415 - goes with it

    try:
        return Policy(
            max_overkill=max_overkill,
            max_escape=max_escape,
            cost_escape=cost_escape,
            cost_overkill=cost_overkill,
        )
    except CalibrationError as error:
        raise typer.BadParameter(str(error)) from error
