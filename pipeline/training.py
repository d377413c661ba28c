"""Train: labelled pairs become a network that compares frames with goldens, its threshold, and a run in MLflow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import torch

from inspection.boxes import box_figures
from inspection.engine import EngineChoice
from inspection.errors import TwinError
from inspection.learned.checkpoint import Checkpoints
from inspection.learned.design import TrainedTwin, Twin, TwinDesign
from inspection.learned.detection import as_box, choose_threshold, find_defects
from inspection.learned.fitting import Epoch, TrainingPlan, fit
from inspection.learned.pair_inspector import PairInspector, pair_provenance, working_size
from inspection.recipe import digest_of
from pipeline.keeping import UNKNOWN, open_audit
from pipeline.outbox import post
from pipeline.pair_source import ManifestPairs, Unusable, placed_boxes, usable_pairs
from pipeline.pair_split import split_pairs, whole_groups
from pipeline.pairs import Pair, digest_of_pairs, read_pair, read_pairs
from pipeline.reading import natural_order
from pipeline.tracking.training_log import TrainingLog
from pipeline.training_picture import ReadPair, draw_training, draw_validation
from pipeline.twins import keep_twin, twin_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from inspection.boxes import Box
    from inspection.learned.samples import PairSource
    from pipeline.workspace import Workspace

TRAIN: Final = "train"
_LOOKED_AT: Final = 8
_MIDDLE: Final = 0.5  # where no known defect tells a threshold: as likely a defect as not


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network that judges from now on.

    `figures` were measured on `validated` pairs that it did not learn from, which are all pairs of `held_out_groups`
    where the manifest's groups decided that; `unusable` pairs took no part;
    `picture` shows the training's curves, `examples` pairs of the validation; `tracked` tells whether MLflow has it.
    """

    twin: TrainedTwin
    folder: Path
    figures: dict[str, Any]
    epochs: tuple[Epoch, ...]
    learned_from: int
    validated: int
    held_out_groups: tuple[str, ...]
    unusable: tuple[Unusable, ...]
    picture: Path
    examples: Path
    tracked: bool
    seconds: float


def train_on_pairs(  # noqa: PLR0913 - what a training consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    manifest: Path,
    design: TwinDesign,
    plan: TrainingPlan,
    engine: str = "auto",
    by: str = UNKNOWN,
    watcher: Callable[[int, int, Epoch | None], None] | None = None,
) -> Trained:
    """Train a network on a pair manifest and make it the one that judges this product's pairs.

    A tenth of the pairs is held out, whole groups where the manifest names at least three (see `split_pairs`): it stops
    the training and gives the threshold. Where no pair has a defect, defects are drawn on the frames. An interrupted
    training of the same plan and pairs goes on from its last epoch.

    Args:
        workspace: where everything lies.
        product: the part number.
        view: the camera position.
        manifest: the CSV.
        design: architecture, distance and loss; its types are taken from the boxes.
        plan: how long and how.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`; the network is fitted on CUDA where that runs there.
        by: who does it, for the audit record.
        watcher: told step, steps and, after each epoch, what it measured.

    Raises:
        PairsError: the manifest can't be read.
        TwinError: too few usable pairs, or the loss is no number any more.
        RecordsError: it can't be put on record; the network judges nothing then.
    """
    began = datetime.now(UTC)
    pairs = read_pairs(manifest)
    usable, unusable, side = _usable(pairs, manifest)
    design = replace(design, types=_types_of(usable))
    learning, held_out = split_pairs(usable, plan.seed)
    groups = whole_groups(learning, held_out)
    synthetic = not any(pair.boxes for pair in learning)
    plan = _fitting(plan, learning, side)
    trained_on = digest_of_pairs(pairs, manifest)
    twin, epochs = fit_twin(
        twin_folder(workspace, product, view),
        ManifestPairs(learning, design.types, side, synthetic=synthetic),
        ManifestPairs(held_out, design.types, side, synthetic=synthetic),
        design=design,
        plan=plan,
        key=[trained_on, side],
        engine=engine,
        watcher=watcher,
    )
    trained = TrainedTwin(twin=twin, side=side, threshold=_MIDDLE, trained_on=trained_on)
    trained, figures, read = _with_threshold(trained, held_out, workspace, engine, synthetic=synthetic)
    record_training(workspace, product, view, trained, by=by)
    kept = keep_twin(workspace, product, view, trained)
    reports = workspace.reports / product / view
    picture, examples = (reports / f"{name}-{trained.digest}.png" for name in ("training", "pairs"))
    draw_training(picture, epochs, product=f"{product}/{view}", design=design)
    draw_validation(examples, read, trained)
    log = training_log(
        *(product, view, trained, plan, epochs),
        began=began,
        pictures=[picture, examples],
        pairs=[(pair.frame.frame, pair.label or "", str(len(pair.boxes or ()))) for pair in usable],
        bundle=kept,
        held_out_groups=groups,
    )
    tracked = post(workspace, log)
    return Trained(
        twin=trained,
        folder=kept,
        figures=figures,
        epochs=tuple(epochs),
        learned_from=len(learning),
        validated=len(held_out),
        held_out_groups=groups,
        unusable=tuple(unusable),
        picture=picture,
        examples=examples,
        tracked=tracked,
        seconds=log.seconds,
    )


def record_training(
    workspace: Workspace, product: str, view: str, trained: TrainedTwin, *, by: str, **grounds: str | None
) -> None:
    """Put a trained network on record, by hash, before it judges.

    Raises:
        RecordsError: it can't be.
    """
    evidence = {
        "twin": trained.digest,
        "design": asdict(trained.twin.design),
        "data": trained.trained_on,
        "parts_learned_from": digest_of(sorted(trained.learned_from)) if trained.learned_from else None,
        **grounds,
    }
    with open_audit(workspace) as audit:
        audit.append(who=by, action=TRAIN, product=product, view=view, evidence=evidence)


def training_log(  # noqa: PLR0913 - what is told of a training, by name
    product: str,
    view: str,
    trained: TrainedTwin,
    plan: TrainingPlan,
    epochs: Sequence[Epoch],
    *,
    began: datetime,
    pictures: Sequence[Path],
    pairs: Sequence[tuple[str, str, str]],
    bundle: Path | None = None,
    held_out_groups: Sequence[str] = (),
) -> TrainingLog:
    """What MLflow is told; it took from `began` until now. With `bundle` the network is a pair network, registered."""
    grounds = pair_provenance(trained)
    return TrainingLog(
        product=product,
        view=view,
        twin=trained.digest,
        design=trained.twin.design,
        plan={**asdict(plan), "held_out_groups": ", ".join(held_out_groups) or None},
        epochs=[asdict(epoch) for epoch in epochs],
        figures={name: value for name, value in trained.figures.items() if name != "good_distances"},
        pairs=pairs,
        trained_on=trained.trained_on,
        started_at=began,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        pictures=pictures,
        bundle=bundle,
        version_tags={
            "encoder": grounds.encoder,
            "recipe": grounds.recipe,
            "calibration": str(grounds.calibration),
            "threshold": f"{trained.threshold:.6f}",
        },
    )


def fit_twin(  # noqa: PLR0913 - what a fit consists of, by name
    folder: Path,
    learning: PairSource,
    held_out: PairSource,
    *,
    design: TwinDesign,
    plan: TrainingPlan,
    key: Sequence[object],
    engine: str,
    watcher: Callable[[int, int, Epoch | None], None] | None,
) -> tuple[Twin, list[Epoch]]:
    """Fit a fresh network; an interrupted fit of the same design, plan and `key` (of the data) goes on in `folder`.

    Raises:
        TwinError: too few pairs, or the loss is no number any more.
    """
    torch.manual_seed(plan.seed)
    checkpoints = Checkpoints(folder=folder / "checkpoint", key=digest_of([design.digest, asdict(plan), *key]))
    twin = Twin(design)
    device = EngineChoice(engine).here().device
    epochs = fit(twin, learning, held_out, plan, device=device, checkpoints=checkpoints, watcher=watcher)
    checkpoints.clear()
    return twin.cpu(), epochs


def _with_threshold(
    trained: TrainedTwin, held_out: Sequence[Pair], workspace: Workspace, engine: str, *, synthetic: bool
) -> tuple[TrainedTwin, dict[str, Any], list[ReadPair]]:
    """The network with the threshold that finds the held-out boxes best, how well it does, and what it read."""
    inspector = PairInspector(trained, cache=workspace.cache, engine=engine)
    read: list[ReadPair] = []
    truth: list[list[Box]] = []
    for pair in held_out:
        frame, golden = read_pair(pair)
        if frame.image is None or golden.image is None:
            continue
        size = working_size(frame.image.shape, trained.side)
        reading = inspector.read(frame.image, golden.image)
        read.append(ReadPair(pair, reading))
        truth.append(placed_boxes(pair.boxes or (), frame.image.shape, size, reading.matrix))
    if synthetic or not any(truth):
        return trained, {}, read
    threshold, support = choose_threshold([one.reading.found for one in read], truth)
    read = [one.supported(support) for one in read]
    types = trained.twin.design.types
    found = [[as_box(defect, types) for defect in find_defects(one.reading.found, threshold)] for one in read]
    figures = box_figures(found, truth)
    return replace(trained, threshold=threshold, support=support, figures=figures), figures, read


def _usable(pairs: Sequence[Pair], manifest: Path) -> tuple[list[Pair], list[Unusable], int]:
    """As `usable_pairs`, and an error where there are too few."""
    usable, unusable, side = usable_pairs(pairs)
    if len(usable) < 2:  # noqa: PLR2004 - one to learn from, one to validate on
        reasons = f" ({unusable[0].frame}: {unusable[0].reason})" if unusable else ""
        message = f"{manifest} has {len(usable)} pairs that can be trained on{reasons}; it takes two at least"
        raise TwinError(message)
    return usable, unusable, side


def _types_of(pairs: Sequence[Pair]) -> tuple[str, ...]:
    names = {box.type for pair in pairs for box in pair.boxes or () if box.type is not None}
    return tuple(sorted(names, key=natural_order))


def _fitting(plan: TrainingPlan, pairs: Sequence[Pair], side: int) -> TrainingPlan:
    """The plan with patches that fit into the frames."""
    frames = [frame.image for frame, _ in map(read_pair, pairs[:_LOOKED_AT]) if frame.image is not None]
    shorter = min((min(working_size(frame.shape, side)) for frame in frames), default=side)
    return replace(plan, patch=min(plan.patch, shorter))
