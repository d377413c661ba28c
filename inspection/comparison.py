"""Compares every place of a frame with the goldens: two metrics, each in nuisance units, fused into one distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional

from inspection.cuda import settled
from inspection.metric import choose_spread, fit_projection, nearest_distances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inspection.engine import Descriptors

BANK_ROWS = 1280
"""Places kept per metric, however many goldens there are: what a frame costs must not grow with them.

Larger images keep half as many rows as they have places where that is more (2048 at 512 pixels).
"""
DIMENSIONS = (64, 96)
"""Dimensions kept of direction and intensity."""
_CANDIDATES = 16  # times the rows kept
_SMALLEST_SCALE = 1e-6
_NEIGHBOURHOOD = 1 / 8  # of the side: places this near share what is harmless


@dataclass(frozen=True, kw_only=True)
class GoldenBank:
    """One metric and the goldens' places in it.

    `projection` (C, D) maps descriptors into the metric, `rows` (M, D) are the goldens' places there, and `scale`
    (P,) is the unit of distance at each place: how far harmless changes move a golden there.
    """

    projection: torch.Tensor
    rows: torch.Tensor
    scale: torch.Tensor

    def distances(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Distance of every place of (B, P, C) descriptors to its nearest golden place: (B, P), nuisance units."""
        return _smoothed(self._nearest(descriptors)) / self.scale

    @cached_property
    def _search(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.rows.T.contiguous(), self.rows.square().sum(dim=1)

    def _nearest(self, descriptors: torch.Tensor) -> torch.Tensor:
        return torch.stack([nearest_distances(image @ self.projection, *self._search) for image in descriptors])

    def to(self, device: torch.device) -> GoldenBank:
        """The same on another device, ready to be searched."""
        rows, scale = self.rows.to(device), self.scale.to(device)
        moved = GoldenBank(projection=self.projection.to(device), rows=rows, scale=scale)
        _ = moved._search  # made here and now, not on the stream of the first thread that searches
        return moved


class Comparer:
    """Set once with the goldens, ask for every frame."""

    def __init__(self, banks: Sequence[GoldenBank], golden_maps: NDArray[np.float32]) -> None:
        """Use `fit_comparer` to make one from goldens.

        Args:
            banks: the direction's and the intensity's bank.
            golden_maps: (N, g, g) what harmlessly changed goldens read when they are compared like frames.
        """
        self.banks = tuple(banks)
        self.golden_maps = golden_maps

    @torch.inference_mode()
    def compare(self, descriptors: Descriptors) -> NDArray[np.float32]:
        """Compare B described frames with the goldens.

        Returns:
            (B, g, g) float32 distances in nuisance units on the stride-8 grid; about 1 is harmless.
        """
        device = self.banks[0].rows.device
        maps = []
        for index in range(len(descriptors.direction)):  # one frame a product: its figures can't depend on the batch
            parts = [part.to(device) for part in descriptors.take(index)]
            maps.append(fuse([bank.distances(part) for bank, part in zip(self.banks, parts, strict=True)]))
        return torch.cat(maps).cpu().numpy()

    def to(self, device: torch.device) -> Comparer:
        """The same on another device, for every stream there."""
        moved = [bank.to(device) for bank in self.banks]
        settled(device)
        return Comparer(moved, self.golden_maps)


def fuse(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Bring the metrics' (B, P) distances together, as (B, g, g): their quartic mean.

    It lies near the largest, since a defect need show in one metric only, and higher where both see it.
    """
    fused = torch.stack(list(maps)).pow(4).mean(dim=0).pow(0.25)
    side = grid_side(fused.shape[1])
    return fused.reshape(-1, side, side)


def grid_side(places: int) -> int:
    """Side of the square grid of `places`."""
    return math.isqrt(places)


def fit_comparer(goldens: Descriptors, changed: Sequence[Descriptors]) -> Comparer:
    """Learn metric, bank and unit from G goldens and, per golden, its changed copies, all described on the CPU.

    The first half of each golden's copies widens the bank, the second half tells the unit: with one golden against
    the bank itself, with more against a bank of the *other* goldens only, as a new part would be.
    """
    with torch.inference_mode():
        fitted = [
            _fit_metric(kind, [copies[index] for copies in changed], DIMENSIONS[index])
            for index, kind in enumerate(goldens)
        ]
        read = fuse([maps for _, maps in fitted])
    return Comparer([bank for bank, _ in fitted], read.numpy())


def _fit_metric(
    goldens: torch.Tensor, changed: Sequence[torch.Tensor], dimensions: int
) -> tuple[GoldenBank, torch.Tensor]:
    """Give the bank, and the held-out images' (B, P) distances in its units."""
    projection = fit_projection(goldens, changed, dimensions)
    half = len(changed[0]) // 2
    widened = [torch.cat([golden[None], copies[:half]]) for golden, copies in zip(goldens, changed, strict=True)]
    rows, owners = _bank_rows([part @ projection for part in widened])
    held_out = []
    for index, copies in enumerate(changed):
        alone = len(goldens) == 1
        unseen = copies[half:] if alone else torch.cat([goldens[index : index + 1], copies[half:]])
        others = rows if alone else rows[owners != index]
        held_out.append(GoldenBank(projection=projection, rows=others, scale=torch.ones(1)).distances(unseen))
    distances = torch.cat(held_out)  # (B, P)
    scale = _place_scale(distances)
    return GoldenBank(projection=projection, rows=rows, scale=scale), distances / scale


def _place_scale(held_out: torch.Tensor) -> torch.Tensor:
    """The unit of distance at each place, (P,): what harmless images read around there, drawn to the overall mean.

    It is scaled so that the worst place of a harmless image reads 1 on average.
    """
    side = grid_side(held_out.shape[1])
    mean = held_out.mean(dim=0).reshape(side, side).numpy()
    around = cv2.GaussianBlur(mean, (0, 0), side * _NEIGHBOURHOOD, borderType=cv2.BORDER_REPLICATE)
    scale = torch.from_numpy((around + mean.mean()) / 2).flatten().clamp_min(_SMALLEST_SCALE)
    return scale * (held_out / scale).amax(dim=1).mean().clamp_min(_SMALLEST_SCALE)


def _bank_rows(widened: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose the bank's rows (M, D) out of the goldens' places; also the number of each one's golden."""
    rows = torch.cat([part.flatten(0, 1) for part in widened])
    owners = torch.cat([torch.full((part.shape[0] * part.shape[1],), index) for index, part in enumerate(widened)])
    count = max(BANK_ROWS, widened[0].shape[1] // 2)
    if len(rows) > _CANDIDATES * count:
        kept = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[: _CANDIDATES * count]
        rows, owners = rows[kept], owners[kept]
    chosen = choose_spread(rows, count)
    return rows[chosen].contiguous(), owners[chosen]


def _smoothed(distances: torch.Tensor) -> torch.Tensor:
    """Average (B, P) distances over 3x3 places: one odd place alone is noise."""
    batch, places = distances.shape
    side = grid_side(places)
    padded = functional.pad(distances.view(batch, 1, side, side), (1, 1, 1, 1), mode="replicate")
    return functional.avg_pool2d(padded, 3, 1).flatten(1)
