"""Harmless changes: small differences of pose, light, focus and noise drawn on the goldens themselves.

What they do to the descriptors is what the comparison learns to ignore, and how far they move a golden is the unit in
which distances are told. They need no defect and no second part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class NuisanceLimits:
    """How far a harmless change goes: turn in degrees, zoom, shift and blur as shares of the side, gains, noise.

    `noise` is in grey values (0 to 255), `blur` a Gaussian's sigma at a side of 256 pixels.
    """

    turn: float = 3.0
    zoom: float = 0.03
    shift: float = 0.03
    gain: float = 0.15
    tint: float = 0.05
    blur: float = 1.2
    noise: float = 5.0


def draw_nuisances(
    image: NDArray[np.uint8], *, count: int, seed: int, limits: NuisanceLimits | None = None
) -> list[NDArray[np.uint8]]:
    """Draw `count` harmlessly changed copies of a (S, S, 3) uint8 RGB image; the same seed draws the same copies."""
    rng = np.random.default_rng(seed)
    chosen = limits or NuisanceLimits()
    return [_change(image, rng, chosen) for _ in range(count)]


def turned(image: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turn a (S, S, 3) image about its centre; what comes in from outside continues the border."""
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def _change(image: NDArray[np.uint8], rng: np.random.Generator, limits: NuisanceLimits) -> NDArray[np.uint8]:
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D(
        ((side - 1) / 2, (side - 1) / 2),
        rng.uniform(-limits.turn, limits.turn),
        rng.uniform(1 - limits.zoom, 1 + limits.zoom),
    )
    matrix[:, 2] += rng.uniform(-limits.shift, limits.shift, 2) * side
    moved: NDArray[np.float32] = np.asarray(
        cv2.warpAffine(image.astype(np.float32), matrix, (side, side), borderMode=cv2.BORDER_REPLICATE), np.float32
    )
    gain = rng.uniform(1 - limits.gain, 1 + limits.gain)
    tint = rng.uniform(1 - limits.tint, 1 + limits.tint, 3)
    moved = np.multiply(moved, gain * tint, dtype=np.float32)
    sigma = rng.uniform(0.0, limits.blur) * side / 256
    if sigma > 0.25:  # noqa: PLR2004 - a narrower Gaussian changes nothing
        moved = np.asarray(cv2.GaussianBlur(moved, (0, 0), sigma), np.float32)
    noisy = moved + rng.normal(0.0, rng.uniform(0.0, limits.noise), moved.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
