"""`goldentwin train`: a network learns to tell defects from nuisance."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.commands import options, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.product_training import ProductTrained
    from pipeline.training import Trained

ArchitectureName = Literal["siamese", "pseudo_siamese", "two_channel"]
LossName = Literal["contrastive", "triplet", "bce"]
DistanceName = Literal["euclidean", "cosine", "weighted_l1"]
_LEFT_OUT_SHOWN = 5


def train(
    context: typer.Context,
    product: options.Product,
    *,
    labelled: options.MaybeLabelled = None,
    pairs: options.Pairs = None,
    architecture: Annotated[
        ArchitectureName, typer.Option("--architecture", help="How frame and golden meet.")
    ] = "siamese",
    loss: Annotated[LossName, typer.Option("--loss", help="What training makes small.")] = "bce",
    distance: Annotated[
        DistanceName, typer.Option("--distance", help="How feature maps are compared; two_channel has none.")
    ] = "weighted_l1",
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="At most so many steps of 8 patches: 3000 with pairs, else 1200."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed trains the same network.")] = 0,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Train the encoder too: for a GPU and many pairs.")
    ] = False,
    by: options.By = None,
    view: options.View = "default",
    engine: options.Engine = "auto",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Train a network that compares frames with goldens.

    With --labelled it learns from the product's goldens, the good parts, defects drawn on both, and real defects that
    have masks; it then judges the product together with the untrained comparison, provisionally until the next
    `calibrate`. With --pairs it learns from frames that have a golden each, and names types of defects. Some pairs or
    parts are held out, to end the training early and for the threshold. An interrupted training goes on from its last
    epoch when the same command is run again.
    """
    if (labelled is None) == (pairs is None):
        message = "give --labelled or --pairs"
        raise typer.BadParameter(message)
    from inspection.learned.architecture import Architecture, Distance  # noqa: PLC0415 - torch takes seconds to import
    from inspection.learned.design import TwinDesign  # noqa: PLC0415 - goes with it
    from inspection.learned.fitting import PAIR_STEPS, PRODUCT_STEPS, TrainingPlan  # noqa: PLC0415 - goes with it
    from inspection.learned.losses import Loss  # noqa: PLC0415 - goes with it

    design = TwinDesign(
        architecture=Architecture(architecture), distance=Distance(distance), loss=Loss(loss), fine_tuned=fine_tune
    )
    workspace = options.workspace_of(context, home, references)
    named = "" if view == "default" else f" --view {view}"
    with terminal.progress("training", "steps", quiet=as_json) as bar:
        how: dict[str, Any] = {"design": design, "engine": engine, "by": options.approver(by)}
        how["watcher"] = _watcher(bar, quiet=as_json)
        if pairs is not None:
            from pipeline.training import train_on_pairs  # noqa: PLC0415 - torch takes seconds to import

            plan = TrainingPlan(steps=steps or PAIR_STEPS, seed=seed)
            done = train_on_pairs(workspace, product, view, manifest=pairs, plan=plan, **how)
        elif labelled is not None:
            from pipeline.product_training import train_product  # noqa: PLC0415 - torch takes seconds to import

            plan = TrainingPlan(steps=steps or PRODUCT_STEPS, seed=seed)
            trained = train_product(workspace, product, view, labelled=labelled, plan=plan, **how)
    if labelled is not None:
        _print_product(trained, as_json=as_json)
        if not as_json:
            terminal.suggest(f"goldentwin calibrate {product}{named} --labelled DIR", "a threshold that is proven")
        return
    if as_json:
        terminal.print_json(_trained_json(done))
        return
    _print_trained(done)
    terminal.suggest(f"goldentwin evaluate {product}{named} --pairs CSV", "on pairs that took no part in this")
    terminal.suggest(f"goldentwin inspect {product}{named} --pairs CSV", "judge frames against their goldens")


def _print_product(done: ProductTrained, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(
            {
                "twin": done.twin.digest,
                "types": list(done.twin.twin.design.types),
                "fusion": done.twin.fusion,
                "calibration": done.calibration.digest,
                "threshold": done.calibration.threshold,
                "provisional": done.calibration.provisional,
                "epochs": len(done.epochs),
                "learned_from": done.learned_from,
                "validated": done.validated,
                "unusable": [{"frame": name, "reason": reason} for name, reason in done.unusable.items()],
                "picture": str(done.picture),
                "examples": str(done.examples),
                "mlflow": done.tracked,
                "seconds": done.seconds,
            }
        )
        return
    _warn_left_out(list(done.unusable.items()))
    terminal.facts(
        {
            "network": f"{done.twin.digest}, after {len(done.epochs)} epochs in {done.seconds:.0f} s",
            "parts": f"{done.learned_from} to learn from, {done.validated} held out",
            "threshold": terminal.threshold_text(done.calibration),
            "curves": str(done.picture),
            "examples": str(done.examples),
            "MLflow": "logged" if done.tracked else "not reached; kept and delivered later",
        }
    )


def _warn_left_out(unusable: Sequence[tuple[str, str]]) -> None:
    for name, reason in unusable[:_LEFT_OUT_SHOWN]:
        terminal.warn(f"left out: {name}: {reason}")
    if len(unusable) > _LEFT_OUT_SHOWN:
        terminal.warn(f"{len(unusable) - _LEFT_OUT_SHOWN} more left out; --json names all")


def _watcher(bar: terminal.Watcher, *, quiet: bool) -> Callable[[int, int, Any], None]:
    def watch(step: int, steps: int, epoch: Any) -> None:
        bar(step, steps)
        if epoch is not None and not quiet and not sys.stderr.isatty():
            sys.stderr.write(
                f"epoch {epoch.number}: loss {epoch.loss:.4f}, validation {epoch.validation_loss:.4f}, defects told "
                f"right {epoch.defect_right:.1%}, others {epoch.same_right:.2%}\n"
            )

    return watch


def _trained_json(done: Trained) -> dict[str, Any]:
    return {
        "twin": done.twin.digest,
        "threshold": done.twin.threshold,
        "types": list(done.twin.twin.design.types),
        "boxes": done.figures or None,
        "epochs": len(done.epochs),
        "learned_from": done.learned_from,
        "validated": done.validated,
        "held_out_groups": list(done.held_out_groups),
        "unusable": [{"frame": one.frame, "reason": one.reason} for one in done.unusable],
        "folder": str(done.folder),
        "picture": str(done.picture),
        "examples": str(done.examples),
        "mlflow": done.tracked,
        "seconds": done.seconds,
    }


def _print_trained(done: Trained) -> None:
    _warn_left_out([(one.frame, one.reason) for one in done.unusable])
    figures = done.figures
    quality = "no defect is known among the held-out pairs: the threshold is the middle"
    if figures:
        quality = (
            f"F-score {figures['f_score']:.3f} on {figures['n']} defects (precision {figures['precision']:.3f}, "
            f"recall {figures['recall']:.3f})"
        )
    of_groups = f" (all of {', '.join(done.held_out_groups)})" if done.held_out_groups else ""
    terminal.facts(
        {
            "network": f"{done.twin.digest}, after {len(done.epochs)} epochs in {done.seconds:.0f} s",
            "pairs": f"{done.learned_from} to learn from, {done.validated} held out{of_groups}",
            "held-out pairs": quality,
            "threshold": f"{done.twin.threshold:.2f}",
            "types": ", ".join(done.twin.twin.design.types) or "none named",
            "curves": str(done.picture),
            "examples": str(done.examples),
            "MLflow": "logged" if done.tracked else "not reached; kept and delivered later",
        }
    )
