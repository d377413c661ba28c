"""Losses on pairs. Of frame and golden the label says: **1 = same (good against golden), 0 = defect**.

Sources disagree (Hadsell, Chopra & LeCun 2006 label similar pairs 0); this is ours, everywhere. All losses read the
comparer's logit, the log-odds of *not* the same; distance is `exp(logit / 2)`, similarity `1 / (1 + distance^2)`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from inspection.learned.architecture import PairMaps

MARGIN: Final = 2.0
"""Distance from which a defect is far enough: similarity 0.2."""
DEFECT_WEIGHT: Final = 3.0
"""A place with a defect counts as so many without: they are rare."""
UNKNOWN: Final = 255
"""In a target: this place counts for nothing."""
UNNAMED: Final = 254
"""In a target: a defect of no named type."""
_TYPES_SHARE: Final = 1.0
_LARGEST_LOGIT: Final = 6.0  # beyond, a squared distance would drown everything else
_MOST_TRIPLETS: Final = 4096


class Loss(StrEnum):
    """What training makes small."""

    CONTRASTIVE = "contrastive"
    TRIPLET = "triplet"
    BCE = "bce"


def pair_loss(maps: PairMaps, targets: torch.Tensor, loss: Loss) -> torch.Tensor:
    """The loss of a batch, with that of the types' names where any are known.

    Args:
        maps: what the comparer says, (B, h, w) and (B, K, h, w).
        targets: (B, h, w) integers: 0 same, 1 to K a defect of that type, `UNNAMED` a defect, `UNKNOWN` left out.
        loss: which.

    Returns:
        A scalar; 0 where nothing is known.
    """
    known = targets != UNKNOWN
    same = (targets[known] == 0).to(maps.logit.dtype)
    found = {Loss.CONTRASTIVE: contrastive, Loss.TRIPLET: triplet, Loss.BCE: bce}[loss](maps.logit[known], same)
    named = (targets > 0) & (targets <= maps.types.shape[1])
    if maps.types.shape[1] > 1 and named.any():
        logits = maps.types.permute(0, 2, 3, 1)[named]
        found = found + _TYPES_SHARE * functional.cross_entropy(logits, targets[named].long() - 1)
    return found


def distance_of_logit(logit: torch.Tensor) -> torch.Tensor:
    """`exp(logit / 2)`, so that `1 / (1 + distance^2)` is the sigmoid of `-logit`."""
    return (logit.clamp(max=_LARGEST_LOGIT) / 2).exp()


def bce(logit: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy on the similarity: (N,) logits, (N,) labels, 1 = same."""
    weight = torch.where(same > 0, 1.0, DEFECT_WEIGHT)
    return _mean(functional.binary_cross_entropy_with_logits(-logit, same, weight=weight, reduction="none"))


def contrastive(logit: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """`same / 2 * d^2 + (1 - same) / 2 * max(0, margin - d)^2` (Hadsell, Chopra & LeCun 2006), with our labels."""
    distance = distance_of_logit(logit)
    apart = (MARGIN - distance).clamp(min=0).square()
    return _mean(torch.where(same > 0, distance.square(), DEFECT_WEIGHT * apart) / 2)


def triplet(logit: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """`max(0, d(same) - d(defect) + margin)` with semi-hard negatives (Schroff, Kalenichenko & Philbin 2015).

    Each sampled same place is paired with the nearest defective place that is farther than it, but not by the margin;
    where there is none, with the farthest of all. Anchors are the golden's places. Only triplets that are still wrong
    count in the mean, or the many easy ones would hide them. A batch with one class alone has no triplet and gives
    what draws its distances to their side of the margin.
    """
    distance = distance_of_logit(logit)
    near, far = distance[same > 0], distance[same <= 0]
    if not len(near) or not len(far):
        return contrastive(logit, same)
    near = near[torch.linspace(0, len(near) - 1, min(len(near), _MOST_TRIPLETS)).long()]
    near = torch.cat([near, near.topk(min(len(near), len(far))).values])  # the hardest of the many easy ones
    ordered = far.sort().values
    next_farther = torch.searchsorted(ordered.detach(), near.detach(), right=True).clamp(max=len(ordered) - 1)
    negatives = ordered[next_farther]
    lacking = (near - negatives + MARGIN).clamp(min=0)
    return lacking.sum() / (lacking > 0).sum().clamp(min=1)


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.mean() if len(values) else values.sum()
