"""The trained comparers: frame and golden in, a map of how far they differ out.

All of them give a logit at every place of a grid of stride 4: the log-odds that frame and golden are *not* the same
there. Similarity is `1 / (1 + exp(logit))`, distance `exp(logit / 2)`, so that `similarity = 1 / (1 + distance^2)`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

STRIDE: Final = 4
"""Pixels of the working image per place of the map."""
WIDTH: Final = 32
"""Channels of the comparison head."""
_STACKED_WIDTHS: Final = (24, 40, 64, 96)
_FIRST_GUESS: Final = -2.0  # log-odds of a defect before anything is learned


class Architecture(StrEnum):
    """How frame and golden meet."""

    SIAMESE = "siamese"
    PSEUDO_SIAMESE = "pseudo_siamese"
    TWO_CHANNEL = "two_channel"


class Distance(StrEnum):
    """How two feature maps are compared, channel by channel."""

    EUCLIDEAN = "euclidean"
    COSINE = "cosine"
    WEIGHTED_L1 = "weighted_l1"


class PairMaps(NamedTuple):
    """What a comparer says of B pairs: `logit` (B, h, w), and `types` (B, K, h, w), logits over K types of defects."""

    logit: torch.Tensor
    types: torch.Tensor


class Comparison(nn.Module):
    """Two feature maps of one stride to what tells them apart: (B, C, h, w) twice to (B, WIDTH, h, w).

    The signed difference says which of both has more, the distance how much: squared for `euclidean`, one minus the
    product of the places' unit vectors for `cosine`, the absolute difference for `weighted_l1`, whose weights are
    the convolution's (Koch 2015).
    """

    def __init__(self, channels: int, distance: Distance) -> None:
        super().__init__()
        self.distance = distance
        self.scale = nn.BatchNorm2d(channels, affine=False)
        self.mix = nn.Sequential(nn.Conv2d(2 * channels, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU())

    def forward(self, frame: torch.Tensor, golden: torch.Tensor) -> torch.Tensor:
        """Compare (B, C, h, w) features."""
        count = len(frame)
        both = self.scale(torch.cat([frame, golden]))  # one statistic for both sides
        frame, golden = both[:count], both[count:]
        difference = frame - golden
        if self.distance is Distance.EUCLIDEAN:
            apart = difference.square()
        elif self.distance is Distance.COSINE:
            apart = 1 - functional.normalize(frame, dim=1) * functional.normalize(golden, dim=1)
        else:
            apart = difference.abs()
        return cast("torch.Tensor", self.mix(torch.cat([difference, apart], dim=1)))


class TopDown(nn.Module):
    """Coarse levels tell finer ones what they see (Lin et al. 2017): levels of WIDTH channels to maps at stride 4.

    Args:
        strides: of the levels, rising; the finest is brought to stride 4 by a strided convolution where it is finer.
        types: how many types of defects are told apart.
    """

    def __init__(self, strides: Sequence[int], types: int) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.smooth = nn.ModuleList(_block(WIDTH, WIDTH) for _ in self.strides)
        self.detail = _block(WIDTH, WIDTH, stride=2) if min(self.strides) < STRIDE else None
        self.head = nn.Sequential(_block(WIDTH * (2 if self.detail else 1), WIDTH), _block(WIDTH, WIDTH))
        self.logit = _last(1, _FIRST_GUESS)
        self.types = _last(types, 0.0)

    def forward(self, levels: Sequence[torch.Tensor]) -> PairMaps:
        """Read levels (B, WIDTH, H / stride, W / stride)."""
        coarse = self.smooth[-1](levels[-1])
        finer = [index for index, stride in enumerate(self.strides[:-1]) if stride >= STRIDE]
        for index in reversed(finer):
            up = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
            coarse = self.smooth[index](levels[index] + up)
        if self.detail is not None:
            coarse = torch.cat([coarse, self.detail(self.smooth[0](levels[0]))], dim=1)
        seen = self.head(coarse)
        return PairMaps(self.logit(seen)[:, 0], self.types(seen))


class Siamese(nn.Module):
    """One encoder for both (Chopra, Hadsell & LeCun 2005): its levels are compared one by one, and read top-down."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], *, distance: Distance, types: int) -> None:
        super().__init__()
        self.comparisons = nn.ModuleList(Comparison(count, distance) for count in channels)
        self.reader = TopDown(strides, types)

    def forward(self, frame: Sequence[torch.Tensor], golden: Sequence[torch.Tensor]) -> PairMaps:
        """Compare the levels (B, C, H / stride, W / stride) of frames and goldens."""
        levels = [c(f, g) for c, f, g in zip(self.comparisons, frame, golden, strict=True)]
        return cast("PairMaps", self.reader(levels))


class PseudoSiamese(nn.Module):
    """Frame and golden from different worlds: each side's features are brought to common ones by weights of its own."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], *, distance: Distance, types: int) -> None:
        super().__init__()
        self.of_frame = nn.ModuleList(_adapter(count) for count in channels)
        self.of_golden = nn.ModuleList(_adapter(count) for count in channels)
        self.comparisons = nn.ModuleList(Comparison(count, distance) for count in channels)
        self.reader = TopDown(strides, types)

    def forward(self, frame: Sequence[torch.Tensor], golden: Sequence[torch.Tensor]) -> PairMaps:
        """Compare the levels (B, C, H / stride, W / stride) of frames and goldens."""
        sides = zip(self.comparisons, self.of_frame, frame, self.of_golden, golden, strict=True)
        return cast("PairMaps", self.reader([c(a(f), b(g)) for c, a, f, b, g in sides]))


class TwoChannel(nn.Module):
    """Frame and golden stacked as one picture, scored directly (Zagoruyko & Komodakis 2015); knows no encoder."""

    def __init__(self, *, types: int) -> None:
        super().__init__()
        first, *others = _STACKED_WIDTHS
        self.stem = nn.Sequential(_block(6, first, stride=2), _block(first, first))
        self.down = nn.ModuleList(
            nn.Sequential(_block(a, b, stride=2), _block(b, b)) for a, b in zip((first, *others), others, strict=False)
        )
        self.bring = nn.ModuleList(nn.Conv2d(width, WIDTH, 1) for width in _STACKED_WIDTHS)
        self.reader = TopDown((2, 4, 8, 16), types)

    def forward(self, frame: Sequence[torch.Tensor], golden: Sequence[torch.Tensor]) -> PairMaps:
        """Score the only level there is, normalised pixels (B, 3, H, W), of frames and goldens."""
        levels = [self.stem(torch.cat([frame[0], golden[0]], dim=1))]
        for stage in self.down:
            levels.append(stage(levels[-1]))
        brought = [bring(level) for bring, level in zip(self.bring, levels, strict=True)]
        return cast("PairMaps", self.reader(brought))


def _adapter(channels: int) -> nn.Module:
    adapter = nn.Conv2d(channels, channels, 1, bias=False)
    nn.init.dirac_(adapter.weight)  # begins as the shared encoder
    return adapter


def _block(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _last(outputs: int, bias: float) -> nn.Conv2d:
    layer = nn.Conv2d(WIDTH, outputs, 1)
    nn.init.normal_(layer.weight, std=0.01)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)
    return layer
