"""A product's goldens and labelled parts as training pairs: frames registered, defects drawn on good ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from inspection.decision import sensitivity_map
from inspection.learned.losses import UNKNOWN, UNNAMED
from inspection.learned.samples import TrainingPair
from inspection.learned.synthetic import draw_defect
from inspection.nuisance import draw_nuisances
from inspection.registration import warp
from inspection.registration.outcome import seen
from pipeline.reading import FrameFile, read_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inspection.inspector import Inspector
    from pipeline.labelled import LabelledFrame

_COPIES: Final = 6  # harmlessly changed copies of each golden
_WHITE: Final = 128


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A registered frame, (S, S, 3) uint8, with its (S, S) uint8 target: 0 good, a type's number, or `UNKNOWN`."""

    name: str
    image: NDArray[np.uint8]
    target: NDArray[np.uint8]

    @property
    def good(self) -> bool:
        """Whether it is known to have no defect anywhere."""
        return not ((self.target > 0) & (self.target != UNKNOWN)).any()


class ProductPairs:
    """Pairs of a sample and one of the goldens.

    Half of the good samples get one or two drawn defects; a golden's own changed copy is paired with any golden.
    """

    def __init__(self, samples: Sequence[Sample], goldens: Sequence[NDArray[np.uint8]]) -> None:
        self.samples, self._goldens = list(samples), list(goldens)

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.samples)

    def pair(self, index: int, rng: np.random.Generator) -> TrainingPair:
        """One of them, with any of the goldens."""
        sample = self.samples[index]
        golden = self._goldens[int(rng.integers(len(self._goldens)))]
        image, target = sample.image, sample.target
        if sample.good and rng.random() < 0.5:  # noqa: PLR2004 - half of them
            image, target = spoil(image, target, rng)
        return TrainingPair(frame=image, golden=golden, target=target)


def spoil(
    image: NDArray[np.uint8], target: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One or two defects drawn on a good image, and the target that tells where."""
    for _ in range(int(rng.integers(1, 3))):
        spoilt = draw_defect(image, rng)
        image = spoilt.image
        target = np.where(spoilt.mask & (target != UNKNOWN), UNNAMED, target).astype(np.uint8)
    return image, target


def changed_goldens(goldens: Sequence[NDArray[np.uint8]], inspector: Inspector) -> list[Sample]:
    """Harmlessly changed copies of the goldens at the working size, registered as frames are."""
    side = goldens[0].shape[0]
    weights = sensitivity_map(side, inspector.reference_set.roi(), inspector.reference_set.recipe.regions)
    target = np.zeros((side, side), np.uint8)
    if weights is not None:
        target[weights <= 0] = UNKNOWN
    return [
        Sample(name=f"golden {number}, changed", image=inspector.align(copy), target=target)
        for number, golden in enumerate(goldens, start=1)
        for copy in draw_nuisances(golden, count=_COPIES, seed=1000 + number)
    ]


def read_samples(
    inspector: Inspector, frames: Sequence[LabelledFrame], types: Sequence[str]
) -> tuple[list[Sample], dict[str, str]]:
    """Labelled frames as samples, and why others can't be: not inspectable, or a defect nobody marked."""
    samples, unusable = [], {}
    for one in frames:
        if one.defective and one.mask is None:
            unusable[one.file.frame] = "it is not known where its defect is; give a mask in ground_truth/"
            continue
        frame = read_frame(one.file)
        mask = None if one.mask is None else _mask(one)
        if frame.image is None or (one.defective and mask is None):
            unusable[one.file.frame] = frame.problem or "its mask can't be read"
            continue
        number = types.index(one.label) + 1 if one.defective else 0
        sample = _sample(inspector, one.file.frame, frame.image, mask, number)
        if sample is None:
            unusable[one.file.frame] = inspector.prepare(frame.image).problem or "it can't be inspected"
        else:
            samples.append(sample)
    return samples, unusable


def _sample(
    inspector: Inspector, name: str, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None, number: int
) -> Sample | None:
    prepared = inspector.prepare(image)
    if prepared.image is None or prepared.registration is None:
        return None
    side = prepared.image.shape[0]
    target = np.zeros((side, side), np.uint8)
    if mask is not None:
        small = cv2.resize(mask.astype(np.uint8) * 255, (side, side), interpolation=cv2.INTER_AREA)
        coloured = np.repeat(small[..., None], 3, axis=2).astype(np.uint8)
        moved = warp(coloured, prepared.registration.matrix, (side, side))[..., 0]
        target[moved >= _WHITE] = number
    if prepared.weights is not None:
        target[prepared.weights <= 0] = UNKNOWN
    target[~seen(prepared.registration.matrix, (side, side))] = UNKNOWN
    return Sample(name=name, image=prepared.image, target=target)


def _mask(one: LabelledFrame) -> NDArray[np.bool_] | None:
    if one.mask is None:
        return None
    found = read_frame(FrameFile(frame=one.mask.name, path=one.mask, part_id=one.mask.stem)).image
    return None if found is None else np.asarray(found.max(axis=2) >= _WHITE, np.bool_)
