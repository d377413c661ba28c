"""What kind of defect a region shows: the places' probabilities, brought together to shares of names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEAST: Final = 1e-9  # sum of votes


@dataclass(frozen=True, kw_only=True)
class TypeMap:
    """The types' `names`, and `likely` (K, h, w) float32, how likely each is where there is a defect; sums to 1."""

    names: tuple[str, ...]
    likely: NDArray[np.float32]

    def of_region(
        self, corner: tuple[int, int], inside: NDArray[np.uint8], weights: NDArray[np.float32], side: int
    ) -> tuple[tuple[str, float], ...]:
        """Names and shares of a region in a picture of `side` pixels that the map covers.

        Args:
            corner: (x, y) of the region's box.
            inside: (height, width) of that box, above 0 in the region.
            weights: how much each of the N places inside counts, in their order in `inside`.
            side: of the picture.
        """
        rows, columns = np.nonzero(inside)
        height, width = self.likely.shape[1:]
        y = (rows + corner[1]) * height // side
        x = (columns + corner[0]) * width // side
        return named(voted(self.likely[:, y, x], weights), self.names)


def voted(likely: NDArray[np.float32], weights: NDArray[np.float32]) -> tuple[float, ...]:
    """How likely each type is for a region: (K, N) probabilities at its N places, (N,) weights; sums to 1."""
    votes = (likely * weights).sum(axis=1, dtype=np.float64)
    return tuple((votes / max(float(votes.sum()), _LEAST)).tolist())


def named(shares: Sequence[float], names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """The names with their shares, likeliest first; none where there are no shares."""
    if not shares:
        return ()
    return tuple(sorted(zip(names, shares, strict=True), key=lambda one: -one[1]))
