"""What a reviewer sees who is not to know what the machine said: the same kind of picture for every part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inspection.calibration.scale import HALF_SIMILARITY_DISTANCE
from inspection.decision import find_regions
from inspection.heat import golden_to_map

if TYPE_CHECKING:
    from inspection.verdicts import Judgement

_DEPTH = 0.35  # how far up from the least to the middle similarity a place still counts as one to look at
_MOST_SHOWN = 3
_LOWEST = 1e-6


def blinded(judgement: Judgement, frame_size: tuple[int, int], golden_size: tuple[int, int]) -> Judgement:
    """The judgement with the places that differ most in this picture, whether they lie below the threshold or not.

    The level lies a fixed way between the least similar place and the middle one, so that a flagged part and one that
    passed look alike: up to three places are outlined, and the colours tell nothing of the threshold.

    Args:
        judgement: of a compared frame, with its similarity map; without one it is only stripped of its regions.
        frame_size: (height, width) of the delivered frame.
        golden_size: (height, width) of the golden that the judgement's matrix maps to.
    """
    similarity = judgement.similarity_map
    if similarity is None:
        return replace(judgement, regions=(), threshold=None)
    similarity = np.clip(np.nan_to_num(similarity, nan=1.0), _LOWEST, 1.0).astype(np.float32)
    least, middle = float(similarity.min()), float(np.median(similarity))
    level = least + _DEPTH * (middle - least)
    distances = np.asarray(HALF_SIMILARITY_DISTANCE * np.sqrt(1.0 / similarity - 1.0), np.float32)
    beyond = HALF_SIMILARITY_DISTANCE * np.sqrt(1.0 / level - 1.0)
    height, width = frame_size
    if judgement.matrix is None:
        to_map = golden_to_map(similarity.shape, frame_size)
    else:
        to_map = golden_to_map(similarity.shape, golden_size) @ judgement.matrix
    regions = find_regions(distances, float(beyond), np.linalg.inv(to_map).astype(np.float64), (width, height))
    return replace(judgement, regions=regions[:_MOST_SHOWN], threshold=level)
