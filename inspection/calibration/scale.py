"""Similarity and distance are one figure on two scales; thresholds are placed in distance, shown in similarity."""

from __future__ import annotations

import math

HALF_SIMILARITY_DISTANCE = 3.0
"""The distance, in nuisance units, that reads as similarity 0.5."""

_SMALLEST_SIMILARITY = 1e-6


def similarity_of(distance: float) -> float:
    """Turn a distance (0 to infinity, in the goldens' nuisance units) into a similarity in [0, 1].

    `similarity = 1 / (1 + (distance / 3)**2)`: 1 at distance 0, 0.5 at distance 3.
    """
    return 1.0 / (1.0 + (distance / HALF_SIMILARITY_DISTANCE) ** 2)


def distance_of(similarity: float) -> float:
    """Turn a similarity in [0, 1] back into a distance, the inverse of `similarity_of`; infinite at 0."""
    if similarity <= 0.0:
        return math.inf
    return HALF_SIMILARITY_DISTANCE * math.sqrt(max(1.0 / similarity - 1.0, 0.0))


def between(defective: float, good: float) -> float:
    """A threshold in the gap between a defective and a good similarity: `defective < threshold <= good`.

    The middle of `log(1 + distance)`. Counted in nuisance units, a gap from 1 to 50 is split at 9 and not at 25: a
    defect that anyone can see must not pull the threshold so low that a faint one escapes.
    """
    near = distance_of(good)
    far = distance_of(max(defective, _SMALLEST_SIMILARITY))
    threshold = similarity_of(math.sqrt((1.0 + near) * (1.0 + far)) - 1.0)
    return threshold if defective < threshold <= good else good
