"""How well boxes are found: precision, recall, F-score and average precision at IoU > 0.33.

As the script of Tang et al. 2019 (DeepPCB) defines them, which is that of the ICDAR 2015 contest: a found box is right
if it overlaps a true one that no other has, by more than 0.33 of their union; average precision is the mean, over all
true boxes, of the precision at each right one in the order of certainty.

A found box tells how likely each type is. Under its likeliest name it counts for a type's precision and recall; for a
type's average precision it counts under every name, ranked by its certainty times that name's share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_OVERLAP: Final = 0.33


class Box(NamedTuple):
    """A true box in pixels, right and bottom exclusive, and its type's name where it has one."""

    left: float
    top: float
    right: float
    bottom: float
    type: str | None = None


class FoundBox(NamedTuple):
    """A found box in pixels, how certain it is, in [0, 1], and the types' names with shares, likeliest first."""

    left: float
    top: float
    right: float
    bottom: float
    certainty: float
    types: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class BoxScore:
    """All figures lie in [0, 1]; one without any box to count is 0."""

    precision: float
    recall: float
    f_score: float
    average_precision: float
    found: int
    right: int
    true: int


def score_boxes(found: Sequence[Sequence[FoundBox]], truth: Sequence[Sequence[Box]]) -> BoxScore:
    """Score found boxes, frame by frame, against true ones; types count for nothing.

    Args:
        found: per frame the boxes found in it.
        truth: per frame the true ones.
    """
    told: list[tuple[float, bool]] = []
    for boxes, true in zip(found, truth, strict=True):
        told.extend(_matched(boxes, true))
    total, right = sum(len(boxes) for boxes in truth), sum(hit for _, hit in told)
    precision = right / len(told) if told else 0.0
    recall = right / total if total else 0.0
    both = precision + recall
    return BoxScore(
        precision=precision,
        recall=recall,
        f_score=2 * precision * recall / both if both else 0.0,
        average_precision=_average_precision(told, total),
        found=len(told),
        right=right,
        true=total,
    )


def score_types(found: Sequence[Sequence[FoundBox]], truth: Sequence[Sequence[Box]]) -> dict[str, BoxScore]:
    """The same for each type by itself: a box is right only under its own name. Types in order of their names."""
    names = sorted({box.type for boxes in truth for box in boxes if box.type is not None})
    return {name: _score_type(name, found, truth) for name in names}


def _score_type(name: str, found: Sequence[Sequence[FoundBox]], truth: Sequence[Sequence[Box]]) -> BoxScore:
    true = [[box for box in boxes if box.type == name] for boxes in truth]
    so_named = [[box for box in boxes if box.types and box.types[0][0] == name] for boxes in found]
    ranked = [
        [box._replace(certainty=box.certainty * share) for box in boxes for other, share in box.types if other == name]
        for boxes in found
    ]
    average_precision = score_boxes(ranked, true).average_precision
    return replace(score_boxes(so_named, true), average_precision=average_precision)


def box_figures(found: Sequence[Sequence[FoundBox]], truth: Sequence[Sequence[Box]]) -> dict[str, Any]:
    """The object `boxes` of `goldentwin evaluate --json`.

    `precision`, `recall`, `f_score` and `average_precision` without types, `mean_average_precision` over the types
    (None where none are named), and `per_type`.
    """
    overall, types = score_boxes(found, truth), score_types(found, truth)
    precisions = [score.average_precision for score in types.values()]
    return {
        **_figures(overall),
        "mean_average_precision": sum(precisions) / len(precisions) if precisions else None,
        "per_type": {name: _figures(score) for name, score in types.items()},
    }


def overlap(one: Box | FoundBox, other: Box | FoundBox) -> float:
    """Intersection over union."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box.right - box.left) * (box.bottom - box.top) for box in (one, other))
    return shared / (areas - shared)


def _matched(boxes: Sequence[FoundBox], truth: Sequence[Box]) -> list[tuple[float, bool]]:
    """Certainty and rightness of each found box; the most certain choose first."""
    free = list(truth)
    told = []
    for box in sorted(boxes, key=lambda found: -found.certainty):
        best = max(free, key=lambda true: overlap(box, true), default=None)
        hit = best is not None and overlap(box, best) > LEAST_OVERLAP
        if hit and best is not None:
            free.remove(best)
        told.append((box.certainty, hit))
    return told


def _average_precision(told: Sequence[tuple[float, bool]], total: int) -> float:
    """Mean over the true boxes of the precision at each right one."""
    right, area = 0, 0.0
    for rank, (_, hit) in enumerate(sorted(told, key=lambda one: -one[0]), start=1):
        if hit:
            right += 1
            area += right / rank
    return area / total if total else 0.0


def _figures(score: BoxScore) -> dict[str, Any]:
    return {
        "precision": score.precision,
        "recall": score.recall,
        "f_score": score.f_score,
        "average_precision": score.average_precision,
        "n": score.true,
    }
