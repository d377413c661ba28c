"""The untrained comparison of a pair: every place of the frame with the golden's places around it, at its own size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch
from torch.nn import functional

from inspection.nuisance import NuisanceLimits, draw_nuisances
from inspection.recipe import EncoderChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

PLACE: Final = 4
"""Pixels of the working image per place of the map."""
PAIR_LEVELS: Final = EncoderChoice(out_indices=(2, 3))
"""The embedded encoder's features of strides 8 and 16."""
PAIR_COMPARISON_VERSION: Final = 1
"""To be raised whenever the same pair would give other distances."""
_REACH: Final = 1  # places of a level by which frame and golden may lie apart
_HARMLESS: Final = NuisanceLimits(turn=0.15, zoom=0.001, shift=0.003)  # what differs once a frame is placed
_COPIES: Final = 6
_SMOOTH_UNIT: Final = 1.0  # places
_SMOOTH: Final = 2.0  # places
_LEAST: Final = 1e-3
_HALF_SIMILAR: Final = 0.8  # of the worst place of a harmless copy: chosen on DeepPCB's training boards


class PairComparison:
    """Set once with a golden, ask for every frame of its size.

    The features' squared differences are averaged over the channels, each in units of its deviation on the golden;
    the least around a place counts. Harmless copies of the golden tell how far that moves by itself at each place.

    Args:
        golden: (H, W, 3) uint8 RGB, H and W multiples of 32.
        levels: gives the encoder's levels (B, C, h, w) of (B, H, W, 3) uint8 images.
    """

    def __init__(
        self, golden: NDArray[np.uint8], levels: Callable[[NDArray[np.uint8]], Sequence[torch.Tensor]]
    ) -> None:
        self._levels = levels
        self._grid = (golden.shape[0] // PLACE, golden.shape[1] // PLACE)
        known = [level[0] for level in levels(golden[None])]
        self._deviations = [level.std(dim=(1, 2), keepdim=True) + _LEAST for level in known]
        self._golden = [level / deviation for level, deviation in zip(known, self._deviations, strict=True)]
        copies = [self._apart(copy) for copy in draw_nuisances(golden, count=_COPIES, seed=0, limits=_HARMLESS)]
        half = _COPIES // 2
        self._units = [_unit(np.mean(maps, axis=0)) for maps in zip(*copies[:half], strict=True)]
        self._scale = _HALF_SIMILAR * float(np.mean([self._fused(copy).max() for copy in copies[half:]])) + _LEAST

    def distances(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H / 4, W / 4) float32 distances of a (H, W, 3) uint8 frame; 1 is where similarity is one half."""
        return self._fused(self._apart(frame)) / np.float32(self._scale)

    @torch.inference_mode()
    def _apart(self, frame: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Of each level a map of the grid."""
        maps = []
        for level, golden, deviation in zip(self._levels(frame[None]), self._golden, self._deviations, strict=True):
            apart = _nearest_around(level[0] / deviation, golden)
            spread = functional.interpolate(apart[None, None], size=self._grid, mode="bilinear")
            maps.append(np.asarray(spread[0, 0].cpu().numpy(), np.float32))
        return maps

    def _fused(self, maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Geometric mean over the levels: a defect shows in all of them."""
        logs = [np.log(one / unit + _LEAST) for one, unit in zip(maps, self._units, strict=True)]
        return np.asarray(cv2.GaussianBlur(np.exp(np.mean(logs, axis=0)), (0, 0), _SMOOTH), np.float32)


def _unit(harmless: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far a place moves by itself, drawn half way to the mean of all."""
    around = cv2.GaussianBlur(harmless, (0, 0), _SMOOTH_UNIT)
    return np.asarray((around + harmless.mean()) / 2 + _LEAST, np.float32)


def _nearest_around(frame: torch.Tensor, golden: torch.Tensor) -> torch.Tensor:
    """Root mean square difference of (C, h, w) features from the most alike place around: (h, w)."""
    _, height, width = frame.shape
    padded = functional.pad(golden[None], (_REACH,) * 4, mode="replicate")[0]
    steps = range(2 * _REACH + 1)
    shifted = (padded[:, y : y + height, x : x + width] for y in steps for x in steps)
    apart = torch.stack([(frame - one).square().mean(dim=0) for one in shifted])
    return apart.amin(dim=0).sqrt()
