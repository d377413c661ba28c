"""`goldentwin promote` and `goldentwin rollback`: a challenger becomes champion, and back again."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from flows.commands import options, terminal
from flows.commands.left_out import left_out_json, print_left_out

if TYPE_CHECKING:
    from pipeline.promoting import Promotion
    from pipeline.rolling_back import RolledBack

WAITS = "not reached; kept and delivered later"


def promote(
    context: typer.Context,
    product: options.Product,
    *,
    labelled: options.Labelled,
    view: options.View = "default",
    max_more_escapes: Annotated[
        int, typer.Option(min=0, help="At most so many defective parts more missed than by the champion.")
    ] = 0,
    max_more_overkill: Annotated[
        float,
        typer.Option(
            parser=options.percentage,
            metavar="PERCENT",
            show_default="1%",
            help="At most so many of the good parts more flagged than by the champion, as 1%.",
        ),
    ] = 0.01,
    min_good: Annotated[int, typer.Option(min=1, help="At least so many good parts.")] = 20,
    min_defective: Annotated[int, typer.Option(min=1, help="At least so many defective parts.")] = 20,
    by: options.By = None,
    engine: options.Engine = "auto",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Make the challenger champion, if it is no worse on a frozen labelled set.

    Champion, challenger and the challenger's logged model judge the same parts. It is refused, with exit code 1, the
    reason, and pictures of the parts, when it misses or flags more than the limits allow, can inspect fewer parts, when
    the logged model's verdict is another than the library's on any part, or when the set is too small.
    """
    from pipeline.gates import Limits  # noqa: PLC0415 - scipy takes long to import
    from pipeline.promoting import promote as promote_challenger  # noqa: PLC0415 - torch takes seconds to import

    limits = Limits(
        more_escapes=max_more_escapes, more_overkill=max_more_overkill, good=min_good, defective=min_defective
    )
    with terminal.progress("comparing", "inspections", quiet=as_json) as watcher:
        done = promote_challenger(
            options.workspace_of(context, home, references),
            product,
            view,
            labelled=labelled,
            limits=limits,
            by=options.approver(by),
            engine=engine,
            watcher=watcher,
        )
    if as_json:
        terminal.print_json(promotion_json(done))
    else:
        print_promotion(done)
    if not done.passed:
        raise typer.Exit(1)


def rollback(
    context: typer.Context,
    product: options.Product,
    *,
    view: options.View = "default",
    by: options.By = None,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Let the champion before this one judge again, with its goldens, recipe, network and calibration.

    Twice goes back two. It needs no MLflow; where that is down, the alias `champion` moves with the next delivery.
    """
    from pipeline.rolling_back import roll_back  # noqa: PLC0415 - torch takes seconds to import

    done = roll_back(options.workspace_of(context, home, references), product, view, by=options.approver(by))
    if as_json:
        terminal.print_json(rollback_json(done))
        return
    calibration = done.bundle.calibration
    terminal.facts(
        {
            "judges again": f"{done.bundle.digest}, calibrated {calibration.created_at}",
            "instead of": done.before or "none",
            "threshold": terminal.threshold_text(calibration),
            "reference set": done.bundle.provenance.reference_set,
            "audit row": str(done.row.number),
            "MLflow": "alias moved" if done.tracked else WAITS,
        }
    )


def promotion_json(done: Promotion) -> dict[str, Any]:
    """A promotion for machines: what the audit record holds, and what became of it."""
    return {
        "product": done.product,
        "view": done.view,
        "passed": done.passed,
        "refusals": done.refusals,
        **done.evidence,
        "pictures": [str(path) for path in done.pictures],
        "left_out": left_out_json(done.left_out),
        "resumed": done.resumed,
        "audit_row": done.row.number,
        "mlflow": done.tracked,
        "seconds": done.seconds,
    }


def rollback_json(done: RolledBack) -> dict[str, Any]:
    """A rollback for machines."""
    return {
        "product": done.product,
        "view": done.view,
        "bundle": done.bundle.digest,
        "before": done.before,
        **asdict(done.bundle.provenance),
        "threshold": done.bundle.calibration.threshold,
        "resumed": done.resumed,
        "audit_row": done.row.number,
        "mlflow": done.tracked,
    }


def print_promotion(done: Promotion) -> None:
    """A promotion for people: each gate, then what became of it."""
    print_left_out(done.left_out)
    for warning in done.evidence["warnings"]:
        terminal.warn(warning)
    if done.resumed:
        terminal.say(f"decided on in audit row {done.row.number} already, completed now")
    table = terminal.plain_table("gate", "", "what was found")
    for gate in done.evidence["gates"]:
        passed = Text("passed", style="green") if gate["passed"] else Text("refused", style="bold red")
        table.add_row(gate["name"], passed, Text(gate["reason"]))
    terminal.console().print(table)
    for picture in done.pictures:
        terminal.say(f"picture: {picture}")
    terminal.facts(
        {
            "challenger": f"{done.evidence['bundle']}, {'champion now' if done.passed else 'refused'}",
            "champion before": str(done.evidence["before"]),
            "frozen set": done.evidence["data"],
            "audit row": str(done.row.number),
            "MLflow": "logged" if done.tracked else WAITS,
        }
    )
    if done.passed:
        named = "" if done.view == "default" else f" --view {done.view}"
        terminal.suggest(f"goldentwin rollback {done.product}{named}", "if it does not prove itself")
