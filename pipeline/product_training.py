"""Train a product's network: on its goldens, good parts and drawn defects, and on real ones where there are any."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.decision import image_distance, sensitivity_map, similarity_map, spread_to_pixels
from inspection.durable import write_bytes, write_text
from inspection.errors import TwinError
from inspection.inspector import Inspector
from inspection.learned.design import TrainedTwin
from inspection.learned.losses import UNKNOWN
from inspection.learned.product import LearnedComparison, at_size, fit_fusion
from inspection.learned.samples import on_grid
from inspection.recipe import digest_of
from inspection.reference_set import load_reference_set, twin_files
from pipeline.enrolling import settle_calibration
from pipeline.keeping import UNKNOWN as ANYBODY
from pipeline.labelled import GOOD
from pipeline.opening import open_inspector
from pipeline.outbox import post
from pipeline.product_source import ProductPairs, Sample, changed_goldens, read_samples, spoil
from pipeline.scoring import open_labelled
from pipeline.training import fit_twin, record_training, training_log
from pipeline.training_picture import Example, draw_examples, draw_training
from pipeline.twins import twin_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.calibration import Calibration
    from inspection.learned.design import TwinDesign
    from inspection.learned.fitting import Epoch, TrainingPlan
    from inspection.reference_set import ReferenceSet
    from pipeline.workspace import Workspace

_HELD_OUT: Final = 0.2
_SPOILT_EACH: Final = 4  # spoilt copies of each held-out sample, for the fusion
_FEW: Final = 16
_EXAMPLES: Final = 8


@dataclass(frozen=True, kw_only=True)
class ProductTrained:
    """A network that judges the product from now on, by the calibration named.

    `unusable` tells which labelled parts took no part and why; the rest is as in `pipeline.training.Trained`.
    """

    twin: TrainedTwin
    calibration: Calibration
    epochs: tuple[Epoch, ...]
    learned_from: int
    validated: int
    unusable: dict[str, str]
    picture: Path
    examples: Path
    tracked: bool
    seconds: float


def train_product(  # noqa: PLR0913 - what a training consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    labelled: Path,
    design: TwinDesign,
    plan: TrainingPlan,
    engine: str = "auto",
    by: str = ANYBODY,
    watcher: Callable[[int, int, Epoch | None], None] | None = None,
) -> ProductTrained:
    """Train a network on a labelled set and let it judge the product, together with the untrained comparison.

    Goldens need no defect: on them, and on good parts, defects are drawn. Real defects with masks are learned from too,
    with their types' names. A fifth of the parts is held out: it ends the training, tells how the network goes
    together with the untrained comparison, and gives a provisional calibration. The recipe names the network from
    then on, so that any calibration made before does not hold any more. `by` is who does it, for the audit record.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        EvaluationError: the folder is no labelled set.
        TwinError: nothing to learn from, or the loss is no number any more.
        RecordsError: it can't be put on record; the network judges nothing then.
    """
    began = datetime.now(UTC)
    enrolled = load_reference_set(workspace.references, product, view)
    plain = replace(enrolled, recipe=replace(enrolled.recipe, twin=None))
    inspector = Inspector(plain, cache=workspace.cache, engine=engine)
    sample = open_labelled(labelled, inspector)
    types = tuple(sorted({one.label for one in sample.frames if one.label != GOOD and one.mask is not None}))
    samples, unusable = read_samples(inspector, sample.frames, types)
    goldens = inspector.placed_goldens()
    copies = changed_goldens(goldens, inspector)
    learning, held_out = _split(samples, copies, plan.seed)
    design = replace(design, types=types)
    side = plain.recipe.image_size
    plan = replace(plan, patch=min(plan.patch, side))
    trained_on = digest_of([plain.digest, plain.recipe.digest, sorted((f.file.frame, f.sha256) for f in sample.frames)])
    twin, epochs = fit_twin(
        twin_folder(workspace, product, view),
        ProductPairs(learning, goldens),
        ProductPairs(held_out, goldens),
        design=design,
        plan=plan,
        key=[trained_on, side],
        engine=engine,
        watcher=watcher,
    )
    known = {one.name for one in learning}
    learned_from = [one.sha256 for one in sample.frames if one.file.frame in known]
    trained = TrainedTwin(twin=twin, side=side, threshold=0.5, trained_on=trained_on, learned_from=learned_from)
    trained, comparison = _fused(trained, inspector, goldens, held_out, engine, plan.seed)
    before = {"before": enrolled.recipe.twin, "reference_set": plain.digest}
    record_training(workspace, product, view, trained, by=by, **before)
    calibration = _judge_by(workspace, plain, trained, engine)
    reports = workspace.reports / product / view
    picture, examples = (reports / f"{name}-{trained.digest}.png" for name in ("training", "examples"))
    draw_training(picture, epochs, product=f"{product}/{view}", design=design)
    shown = _examples(comparison, inspector, held_out, plan.seed)
    draw_examples(examples, shown, threshold=calibration.threshold)
    pairs = [(one.file.frame, one.label, "") for one in sample.frames if one.file.frame not in unusable]
    log = training_log(product, view, trained, plan, epochs, began=began, pictures=[picture, examples], pairs=pairs)
    return ProductTrained(
        twin=trained,
        calibration=calibration,
        epochs=tuple(epochs),
        learned_from=len(learning),
        validated=len(held_out),
        unusable=unusable,
        picture=picture,
        examples=examples,
        tracked=post(workspace, log),
        seconds=log.seconds,
    )


def _split(samples: Sequence[Sample], copies: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Samples to learn from and samples held out; changed goldens stand in where there are few parts."""
    if not copies and not samples:
        message = "no golden and no labelled part could be prepared; run `goldentwin inspect` on them to see why"
        raise TwinError(message)
    rng = np.random.default_rng(seed)
    mixed = list(samples) if len(samples) >= _FEW else [*samples, *copies]
    order = rng.permutation(len(mixed))
    count = max(1, round(_HELD_OUT * len(mixed)))
    held_out = [mixed[i] for i in sorted(order[:count])]
    learning = [mixed[i] for i in sorted(order[count:])]
    return [*learning, *(copies if len(samples) >= _FEW else ())], held_out


def _fused(  # noqa: PLR0913, PLR0917 - what the fusion is learned from
    trained: TrainedTwin,
    inspector: Inspector,
    goldens: Sequence[NDArray[np.uint8]],
    held_out: Sequence[Sample],
    engine: str,
    seed: int,
) -> tuple[TrainedTwin, LearnedComparison]:
    """The network with how it goes together with the untrained comparison, learned on held-out parts; and both."""
    alone = LearnedComparison(trained, None, goldens, cache=None, engine=engine)
    rng = np.random.default_rng([seed, 2])
    logits, distances, targets = [], [], []
    for sample in held_out:
        for image, target in _spoilt_copies(sample, rng):
            grid = on_grid(target)
            told = alone.logits(image)
            untrained = at_size(inspector.untrained_distances(image), told.shape)
            known = grid != UNKNOWN
            logits.append(told[known])
            distances.append(untrained[known])
            targets.append(grid[known] > 0)
    fusion = fit_fusion(logits, distances, targets)
    both = LearnedComparison(trained, fusion, goldens, cache=None, engine=engine)
    good = [_image_distance(both, inspector, sample) for sample in held_out if sample.good]
    return replace(trained, fusion=asdict(fusion), figures={"good_distances": good}), both


def _examples(
    comparison: LearnedComparison, inspector: Inspector, held_out: Sequence[Sample], seed: int
) -> list[Example]:
    """What is found on held-out parts; on every second good one a defect is drawn."""
    rng = np.random.default_rng([seed, 3])
    examples = []
    for number, sample in enumerate(held_out[:_EXAMPLES]):
        image, target = sample.image, sample.target
        if sample.good and number % 2 == 0:
            image, target = spoil(image, target, rng)
        distances = comparison.compare(image, inspector.untrained_distances(image)).distances
        examples.append(Example(image, target, similarity_map(distances)))
    return examples


def _spoilt_copies(sample: Sample, rng: np.random.Generator) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    as_it_is = [(sample.image, sample.target)]
    if not sample.good:
        return as_it_is
    return [*as_it_is, *(spoil(sample.image, sample.target, rng) for _ in range(_SPOILT_EACH))]


def _image_distance(comparison: LearnedComparison, inspector: Inspector, sample: Sample) -> float:
    """What a good part reads, weighted as frames are."""
    recipe, side = inspector.reference_set.recipe, sample.image.shape[0]
    weights = sensitivity_map(side, inspector.reference_set.roi(), recipe.regions)
    grid = comparison.compare(sample.image, inspector.untrained_distances(sample.image)).distances
    distances = spread_to_pixels(grid, side, weights)
    return image_distance(np.where(sample.target == UNKNOWN, 0, distances).astype(np.float32))


def _judge_by(workspace: Workspace, plain: ReferenceSet, trained: TrainedTwin, engine: str) -> Calibration:
    """Lay the network beside the recipe, name it there, and settle by which calibration it judges."""
    weights, about = trained.to_files()
    weights_file, about_file = twin_files(plain.folder, trained.digest)
    write_bytes(weights_file, weights)
    write_text(about_file, about)
    write_text(plain.folder / "recipe.json", replace(plain.recipe, twin=trained.digest).to_json())
    return settle_calibration(workspace, open_inspector(workspace, plain.product, plain.view, engine=engine))
