"""The training flow: a network learns from labelled parts or pairs, on a worker that has the time or the GPU for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prefect import State, flow, get_run_logger
from prefect.states import Completed

from flows.artifacts import prefect_may_fail
from flows.watching import report_progress
from inspection.errors import TwinError
from inspection.learned.architecture import Architecture, Distance
from inspection.learned.design import TwinDesign
from inspection.learned.fitting import PAIR_STEPS, PRODUCT_STEPS, Epoch, TrainingPlan
from inspection.learned.losses import Loss
from pipeline.product_training import train_product
from pipeline.training import train_on_pairs
from pipeline.workspace import Workspace


@flow(name="training", flow_run_name="training {product}/{view}")
def train_network(  # noqa: PLR0913 - a flow's parameters are its form in the Prefect UI
    product: str,
    *,
    labelled: str | None = None,
    pairs: str | None = None,
    view: str = "default",
    architecture: Literal["siamese", "pseudo_siamese", "two_channel"] = "siamese",
    loss: Literal["contrastive", "triplet", "bce"] = "bce",
    distance: Literal["euclidean", "cosine", "weighted_l1"] = "weighted_l1",
    steps: int | None = None,
    seed: int = 0,
    fine_tune: bool = False,
    engine: str = "auto",
    home: str | None = None,
    references: str | None = None,
) -> State[str]:
    """Train a network, as `goldentwin train` does; the state's message says what it is called.

    Killed and run again with the same parameters it goes on from its last epoch.

    Args:
        product: the part number.
        labelled: the folder of a labelled set; this or `pairs`.
        pairs: a pair manifest.
        view: the camera position.
        architecture: how frame and golden meet.
        loss: what training makes small.
        distance: how feature maps are compared.
        steps: at most so many; by default 3000 with pairs, else 1200.
        seed: the same seed trains the same network.
        fine_tune: train the encoder too.
        engine: `auto`, `onnx`, `torch` or `cuda`.
        home: the folder of goldentwin's state; by default `GOLDENTWIN_HOME`.
        references: the folder of reference images; by default the one that goes with `home`.

    Raises:
        TwinError: neither `labelled` nor `pairs` was given, or both; or there is nothing to learn from.
    """
    workspace = Workspace.locate(Path(home) if home else None, Path(references) if references else None)
    design = TwinDesign(
        architecture=Architecture(architecture), distance=Distance(distance), loss=Loss(loss), fine_tuned=fine_tune
    )
    plan = TrainingPlan(steps=steps or (PAIR_STEPS if pairs is not None else PRODUCT_STEPS), seed=seed)
    logger = get_run_logger()

    def watch(step: int, total: int, epoch: Epoch | None) -> None:
        if epoch is not None:
            logger.info("epoch %d: validation loss %.4f", epoch.number, epoch.validation_loss)
            with prefect_may_fail("the progress is not shown"):
                report_progress(step, total)

    if pairs is not None and labelled is None:
        on_pairs = train_on_pairs(
            workspace, product, view, manifest=Path(pairs), design=design, plan=plan, engine=engine, watcher=watch
        )
        trained = on_pairs.twin
    elif labelled is not None and pairs is None:
        of_product = train_product(
            workspace, product, view, labelled=Path(labelled), design=design, plan=plan, engine=engine, watcher=watch
        )
        trained = of_product.twin
    else:
        message = "give either labelled parts or pairs"
        raise TwinError(message)
    return Completed(message=f"network {trained.digest} of {product}/{view}", data=trained.digest)
