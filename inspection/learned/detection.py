"""From the maps of a trained network to defects, boxes with type and similarity; and the threshold that suits best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from inspection.boxes import Box, FoundBox, score_boxes
from inspection.learned.architecture import STRIDE, PairMaps
from inspection.naming import named, voted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CANDIDATES: Final = np.r_[0.01, 0.02, 0.03, np.round(np.arange(0.05, 0.95, 0.05), 2)]  # of thresholds
_SUPPORTS: Final = (1, 3, 5)  # places
_BORDER: Final = 5  # places around what is not shown that are read from repeated pixels too
_LEAST: Final = 1e-12
_STEEPEST: Final = 40.0  # a logit beyond this says nothing more


@dataclass(frozen=True, kw_only=True)
class DefectMap:
    """What a network says of one frame, on the grid of stride 4.

    `similarity` (h, w) in [0, 1]; `types` (K, h, w) the types' probabilities, None where none are named. A place is as
    similar as the mean of the `support` x `support` places around it, so that one odd place alone is no defect.
    """

    similarity: NDArray[np.float32]
    types: NDArray[np.float32] | None
    support: int = 1

    @cached_property
    def supported(self) -> NDArray[np.float32]:
        """(h, w) means over the support."""
        size = (self.support, self.support)
        return np.asarray(cv2.blur(self.similarity, size, borderType=cv2.BORDER_REPLICATE), np.float32)

    def shown_only(self, shown: NDArray[np.bool_] | None) -> DefectMap:
        """The same, with nothing claimed where the frame shows nothing: `shown` (H, W) in pixels, None for all."""
        if shown is None:
            return self
        size = self.similarity.shape[::-1]
        hidden = cv2.resize((~shown).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        near = cv2.dilate(hidden.astype(np.uint8), np.ones((_BORDER, _BORDER), np.uint8)) > 0
        return replace(self, similarity=np.where(near, np.float32(1), self.similarity))

    @property
    def worst(self) -> float:
        """Similarity of the frame: that of its worst place."""
        return float(self.supported.min())

    @property
    def distance(self) -> float:
        """Of the worst place: `sqrt(1 / similarity - 1)`."""
        return float(np.sqrt(1.0 / max(self.worst, _LEAST) - 1.0))


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A connected place below the threshold, in pixels of the working image.

    `similarity` is the lowest inside, `area` counts pixels, `certainty` in [0, 1] is how sure the network is on the
    whole, by which boxes are ranked; `shares` how likely each type is, which sum to 1, empty where none are named.
    """

    box: tuple[int, int, int, int]
    area: int
    similarity: float
    certainty: float
    shares: tuple[float, ...]


def read_maps(maps: PairMaps, *, named: bool, support: int = 1) -> DefectMap:
    """Similarity and types of one frame, from (1, h, w) and (1, K, h, w) logits."""
    similarity = torch.sigmoid(-maps.logit[0].clamp(-_STEEPEST, _STEEPEST)).numpy()
    types = torch.softmax(maps.types[0], dim=0).numpy() if named else None
    return DefectMap(similarity=similarity, types=types, support=support)


def find_defects(found: DefectMap, threshold: float) -> list[Defect]:
    """The connected places below `threshold` that hold one whose support lies below it too, least similar first.

    A frame whose worst place lies below the threshold has at least one.
    """
    below = (found.similarity < threshold).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(below, connectivity=4)
    firm = (found.supported < threshold).astype(np.uint8)
    held = set(labels[firm > 0].tolist()) - {0}
    if not held:  # between the places of its support
        held = set(labels[cv2.dilate(firm, np.ones((found.support, found.support), np.uint8)) > 0].tolist()) - {0}
    defects = []
    for number in sorted(held):
        x, y, width, height, area = (int(value) for value in stats[number])
        window = np.s_[y : y + height, x : x + width]
        inside = labels[window] == number
        wrong = 1 - found.similarity[window][inside]
        types = found.types
        defects.append(
            Defect(
                box=(x * STRIDE, y * STRIDE, (x + width) * STRIDE, (y + height) * STRIDE),
                area=area * STRIDE * STRIDE,
                similarity=float(1 - wrong.max()),
                certainty=float(wrong.mean()),
                shares=() if types is None else voted(types[(slice(None), *window)][:, inside], wrong),
            )
        )
    return sorted(defects, key=lambda defect: defect.similarity)


def choose_threshold(maps: Sequence[DefectMap], truth: Sequence[Sequence[Box]]) -> tuple[float, int]:
    """The threshold and the support whose boxes have the best F-score on frames with known boxes.

    Scores are averaged over neighbouring thresholds, so that no lucky one wins.
    """
    best, chosen = -1.0, (float(_CANDIDATES[len(_CANDIDATES) // 2]), _SUPPORTS[0])
    for support in _SUPPORTS:
        supported = [replace(one, support=support) for one in maps]
        scores = []
        for threshold in _CANDIDATES:
            found = [[as_box(defect, ()) for defect in find_defects(one, float(threshold))] for one in supported]
            scores.append(score_boxes(found, truth).f_score)
        smooth = np.convolve(np.pad(scores, 1, mode="edge"), np.ones(3) / 3, mode="valid")
        top = int(smooth.argmax())
        if smooth[top] > best:
            best, chosen = float(smooth[top]), (float(_CANDIDATES[top]), support)
    return chosen


def as_box(defect: Defect, types: Sequence[str]) -> FoundBox:
    """The defect as a box to be scored; without names of types it has none."""
    return FoundBox(*defect.box, types=named(defect.shares, types) if types else (), certainty=defect.certainty)
