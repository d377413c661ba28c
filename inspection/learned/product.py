"""A trained network beside the untrained comparison of a product: both together give the map of distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from inspection.calibration.scale import HALF_SIMILARITY_DISTANCE
from inspection.errors import TwinError
from inspection.learned.design import TrainedTwin
from inspection.learned.levels import PairEngine
from inspection.metric import choose_spread
from inspection.naming import TypeMap
from inspection.reference_set import twin_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.learned.architecture import PairMaps
    from inspection.reference_set import ReferenceSet

MOST_GOLDENS: Final = 4
"""Goldens that a frame is compared with one by one: what a frame costs must not grow with them."""
_THUMBNAIL: Final = 24
_LARGEST_LOGIT: Final = 30.0
_LEAST: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Log-odds of a defect from both: `network * logit + untrained * log(distance) + offset`."""

    network: float
    untrained: float
    offset: float

    def logit(self, logits: NDArray[np.float32], distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Both (h, w); gives (h, w) log-odds."""
        told = self.network * logits + self.untrained * np.log(np.maximum(distances, _LEAST)) + self.offset
        return np.clip(told, -_LARGEST_LOGIT, _LARGEST_LOGIT).astype(np.float32)


class Learned(NamedTuple):
    """What a trained network and the untrained comparison say together of one frame.

    `distances` (S / 4, S / 4) float32 on the scale of all distances: `similarity_of` turns them into one minus the
    probability of a defect. `types` is None where fewer than two types were learned.
    """

    distances: NDArray[np.float32]
    types: TypeMap | None


class LearnedComparison:
    """Compares frames with a product's goldens by its trained network, and fuses that with the untrained distances.

    Args:
        trained: the network.
        fusion: how both go together; None gives the network alone.
        goldens: (S, S, 3) uint8 at the working size, aligned with the first.
        cache: where exported graphs are kept; None keeps nothing.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`.
    """

    def __init__(
        self,
        trained: TrainedTwin,
        fusion: Fusion | None,
        goldens: Sequence[NDArray[np.uint8]],
        *,
        cache: Path | None,
        engine: str = "auto",
    ) -> None:
        self._engine = PairEngine(trained, cache=cache, engine=engine)
        self._fusion = fusion
        self._names = trained.twin.design.types
        self.good_distances = tuple(float(value) for value in trained.figures.get("good_distances", ()))
        self.learned_from = frozenset(trained.learned_from)
        self._goldens = [self._engine.encode_golden(golden) for golden in spread_goldens(goldens)]

    def logits(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(S / 4, S / 4) log-odds that a registered frame is unlike *all* goldens: those of the most alike one."""
        return _least(self._engine.compare(image, self._goldens))

    def compare(self, image: NDArray[np.uint8], untrained: NDArray[np.float32]) -> Learned:
        """What a registered (S, S, 3) frame shows, given its (g, g) untrained distances."""
        maps = self._engine.compare(image, self._goldens)
        logits = _least(maps)
        if self._fusion is not None:
            logits = self._fusion.logit(logits, at_size(untrained, logits.shape))
        distances = np.asarray(HALF_SIMILARITY_DISTANCE * np.exp(logits / 2), np.float32)
        return Learned(distances, self._types(maps))

    def _types(self, maps: Sequence[PairMaps]) -> TypeMap | None:
        """What the goldens say together; None where fewer than two types were learned."""
        if len(self._names) < 2:  # noqa: PLR2004 - one name alone tells nothing apart
            return None
        likely = torch.softmax(torch.cat([one.types for one in maps]).mean(dim=0), dim=0)
        return TypeMap(names=self._names, likely=likely.numpy())


def _least(maps: Sequence[PairMaps]) -> NDArray[np.float32]:
    return np.asarray(torch.cat([one.logit for one in maps]).amin(dim=0).numpy(), np.float32)


def open_learned(
    reference_set: ReferenceSet, goldens: Sequence[NDArray[np.uint8]], *, cache: Path | None, engine: str
) -> LearnedComparison:
    """The comparison by the network that the reference set's recipe names.

    Raises:
        TwinError: it is missing, damaged or altered, or was trained at another size.
    """
    trained = read_product_twin(reference_set)
    if trained.side != reference_set.recipe.image_size:
        message = (
            f"the trained network of {reference_set.product}/{reference_set.view} is for image_size {trained.side}; "
            "train anew with `goldentwin train`"
        )
        raise TwinError(message)
    fusion = None if trained.fusion is None else Fusion(**trained.fusion)
    return LearnedComparison(trained, fusion, goldens, cache=cache, engine=engine)


def read_product_twin(reference_set: ReferenceSet) -> TrainedTwin:
    """The trained network that a recipe names, held to its digest.

    Raises:
        TwinError: it is missing, damaged or altered.
    """
    weights, about = twin_files(reference_set.folder, str(reference_set.recipe.twin))
    again = f"train anew with `goldentwin train {reference_set.product} --view {reference_set.view} --labelled DIR`"
    try:
        trained = TrainedTwin.from_files(weights.read_bytes(), about.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"the trained network {weights} can't be read ({error.strerror}); {again}"
        raise TwinError(message) from error
    if trained.digest != reference_set.recipe.twin:
        message = f"the trained network {weights} was altered; {again}"
        raise TwinError(message)
    return trained


def spread_goldens(goldens: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """At most `MOST_GOLDENS` that cover all of them, the first always among them."""
    small = [cv2.resize(golden, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA) for golden in goldens]
    rows = torch.from_numpy(np.stack(small).reshape(len(small), -1).astype(np.float32))
    return [goldens[int(index)] for index in choose_spread(rows, MOST_GOLDENS)]


def fit_fusion(
    logits: Sequence[NDArray[np.float32]],
    distances: Sequence[NDArray[np.float32]],
    targets: Sequence[NDArray[np.bool_]],
) -> Fusion:
    """Learn how both go together, by logistic regression over places, defects counted as much as the rest.

    Args:
        logits: (h, w) each, of the network.
        distances: (h, w) each, untrained.
        targets: (h, w) each, true where there is a defect.

    Raises:
        TwinError: no place has a defect, or all have.
    """
    seen = np.stack(
        [
            np.concatenate([one.ravel() for one in logits]),
            np.log(np.maximum(np.concatenate([one.ravel() for one in distances]), _LEAST)),
        ],
        axis=1,
    )
    truth = np.concatenate([one.ravel() for one in targets])
    if truth.all() or not truth.any():
        message = "there is nothing to tell apart: no defect could be drawn on the goldens, or nothing else is there"
        raise TwinError(message)
    found = LogisticRegression(C=10.0, class_weight="balanced").fit(seen, truth)
    network, untrained = (max(0.0, float(weight)) for weight in found.coef_[0])
    return Fusion(network=network, untrained=untrained, offset=float(found.intercept_[0]))


def at_size(grid: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A (g, g) map at another (h, w)."""
    return np.asarray(cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)
