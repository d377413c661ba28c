"""How well distances tell good from defective, before any threshold: AUROC, AUPRO, overkill at zero escape.

Distances rise with the defect. What a sample can't show (only one class, no masks) is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from inspection.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_EIGHT_NEIGHBOURS = 8


@dataclass(frozen=True, kw_only=True)
class TypeEscapes:
    """How many of the `n` parts with one type of defect `escaped`, which is to say passed."""

    n: int
    escaped: int


def image_auroc(labels: ArrayLike, distances: ArrayLike) -> float | None:
    """Area under the ROC curve of whole images: how often a defective image lies farther off than a good one.

    The Mann-Whitney statistic, ties counted half (Hanley and McNeil 1982, Radiology 143, 29-36).

    Args:
        labels: (N,) true or 1 where defective.
        distances: (N,) raw distances, higher = less like golden; infinity is allowed.

    Returns:
        In [0, 1], 0.5 is guessing; None where one of the classes is missing.

    Raises:
        EvaluationError: lengths differ or a distance is NaN.
    """
    truth = np.asarray(labels, dtype=bool).ravel()
    values = _checked(distances).ravel()
    if len(truth) != len(values):
        message = f"{len(truth)} labels do not fit {len(values)} distances"
        raise EvaluationError(message)
    return _area(values[~truth], values[truth], None, limit=1.0)


def pixel_auroc(masks: Sequence[NDArray[np.bool_] | None], maps: Sequence[NDArray[np.floating]]) -> float | None:
    """Area under the ROC curve over all pixels of all images.

    Args:
        masks: (H, W) each, true or non-zero where defective; None for a good image.
        maps: (H, W) distances, one map a mask, of the mask's size; higher = less like golden.

    Returns:
        In [0, 1]; None where no pixel or every pixel is defective.

    Raises:
        EvaluationError: counts or sizes differ, or a distance is NaN.
    """
    checked = _checked_pairs(masks, maps)
    background, defects = _pixels(checked)
    return _area(background, defects, None, limit=1.0)


def aupro(
    masks: Sequence[NDArray[np.bool_] | None], maps: Sequence[NDArray[np.floating]], *, limit: float = 0.3
) -> float | None:
    """Area under the per-region overlap curve up to a false positive rate of `limit`, divided by `limit`.

    Each connected region (8 neighbours) of a mask counts the same, whatever its size; the false positive rate is over
    the defect-free pixels of all images, good ones too (Bergmann et al. 2021, IJCV 129, 1038-1059). Every distinct
    distance is a threshold: the curve is exact, with the trapezoid rule where distances tie.

    Args:
        masks: as for `pixel_auroc`.
        maps: as for `pixel_auroc`.
        limit: highest false positive rate, in (0, 1].

    Returns:
        In [0, 1]; None where there is no region or no defect-free pixel.

    Raises:
        EvaluationError: `limit` outside (0, 1], counts or sizes differ, or a distance is NaN.
    """
    if not 0.0 < limit <= 1.0:
        message = f"limit must lie above 0 and up to 1, not {limit}"
        raise EvaluationError(message)
    checked = _checked_pairs(masks, maps)
    background, defects = _pixels(checked)
    shares = [_region_shares(mask) for mask, _ in checked if mask is not None]
    return _area(background, defects, np.concatenate([np.empty(0), *shares]), limit=limit)


def overkill_at_zero_escape(good: ArrayLike, defective: ArrayLike) -> float | None:
    """Share of good parts flagged by the lowest threshold that lets none of these defective parts pass.

    Args:
        good: (N,) similarities in [0, 1].
        defective: (M,) similarities in [0, 1].

    Returns:
        In [0, 1]; None where one of the classes is missing.

    Raises:
        EvaluationError: a similarity is NaN.
    """
    good, defective = _checked(good), _checked(defective)
    if not good.size or not defective.size:
        return None
    return float(np.mean(good <= defective.max()))


def escapes_per_type(types: Sequence[str], similarities: ArrayLike, threshold: float) -> dict[str, TypeEscapes]:
    """For each type of defect how many parts there were and how many of them passed at `threshold`, by name.

    Args:
        types: (M,) the type of each defective part.
        similarities: (M,) in [0, 1].
        threshold: a similarity; parts at or above it pass.

    Raises:
        EvaluationError: lengths differ or a similarity is NaN.
    """
    names, passed = np.asarray(types, dtype=str), _checked(similarities) >= threshold
    if names.shape != passed.shape:
        message = f"{names.size} types do not fit {passed.size} similarities"
        raise EvaluationError(message)
    return {
        str(name): TypeEscapes(n=int(np.sum(names == name)), escaped=int(np.sum(passed[names == name])))
        for name in np.unique(names)
    }


def _area(
    negatives: NDArray[np.floating],
    positives: NDArray[np.floating],
    weights: NDArray[np.float64] | None,
    *,
    limit: float,
) -> float | None:
    """Area under the share of positives found, over the share of negatives found, up to `limit` of it, normalised."""
    if not negatives.size or not positives.size:
        return None
    if weights is None:
        weights = np.ones(positives.size)
    false_rate, found = _curve(np.sort(negatives), positives, weights / weights.sum())
    inside = false_rate <= limit
    x = np.append(false_rate[inside], limit)
    y = np.append(found[inside], np.interp(limit, false_rate, found))
    return float(np.trapezoid(y, x) / limit)


def _curve(
    negatives: NDArray[np.floating], positives: NDArray[np.floating], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the curve, from (0, 0) to (1, 1). It moves up only at a positive, so only their values matter."""
    order = np.argsort(positives, kind="stable")
    values, first = np.unique(positives[order], return_index=True)
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    at_or_above = 1.0 - below[first]  # (V,)
    above = np.append(at_or_above[1:], 0.0)
    count = len(negatives)
    negatives_above = 1.0 - np.searchsorted(negatives, values, side="right") / count
    negatives_at_or_above = 1.0 - np.searchsorted(negatives, values, side="left") / count
    x = np.column_stack([negatives_above, negatives_at_or_above])[::-1].ravel()
    y = np.column_stack([above, at_or_above])[::-1].ravel()
    return np.concatenate([[0.0], x, [1.0]]), np.concatenate([[0.0], y, [1.0]])


def _region_shares(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each defective pixel, in row order, one over the size of its connected region."""
    _, regions, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=_EIGHT_NEIGHBOURS)
    sizes = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    return np.asarray(1.0 / sizes[regions[mask]], dtype=np.float64)


def _pixels(
    pairs: Sequence[tuple[NDArray[np.bool_] | None, NDArray[np.floating]]],
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """All defect-free and all defective pixels' distances, in order."""
    background = [values.ravel() if mask is None else values[~mask] for mask, values in pairs]
    defects = [values[mask] for mask, values in pairs if mask is not None]
    empty = np.empty(0, dtype=np.float32)
    return np.concatenate([empty, *background]), np.concatenate([empty, *defects])


def _checked_pairs(
    masks: Sequence[NDArray[np.bool_] | None], maps: Sequence[NDArray[np.floating]]
) -> list[tuple[NDArray[np.bool_] | None, NDArray[np.floating]]]:
    if len(masks) != len(maps):
        message = f"{len(masks)} masks do not fit {len(maps)} maps"
        raise EvaluationError(message)
    pairs = []
    for number, (mask, values) in enumerate(zip(masks, maps, strict=True)):
        truth = None if mask is None else np.asarray(mask).astype(bool)
        if truth is not None and truth.shape != np.shape(values):
            message = f"mask {number} is {truth.shape} and its map {np.shape(values)}; resize one of them"
            raise EvaluationError(message)
        pairs.append((truth, _checked(values)))
    return pairs


def _checked(values: ArrayLike) -> NDArray[np.floating]:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if np.isnan(array).any():
        message = "NaN is no distance and no similarity; leave frames that could not be inspected out"
        raise EvaluationError(message)
    return array
