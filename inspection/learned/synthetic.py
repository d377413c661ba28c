"""Defects drawn on good images, so that a network can be trained before any real defect was seen.

Cut and paste (Li et al. 2021, CutPaste), Perlin-masked texture (Zavrtanik, Kristan & Skocaj 2021, DRAEM), scratches,
and parts that are missing or doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_VISIBLE: Final = 6  # grey values by which a place must change to be a defect
_SMALLEST: Final = 16  # pixels
_TRIES: Final = 8
_FEATHER: Final = 1.0


class Spoilt(NamedTuple):
    """An image with a drawn defect, and where it is: (H, W, 3) uint8 and (H, W) bool."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def draw_defect(image: NDArray[np.uint8], rng: np.random.Generator) -> Spoilt:
    """Draw one defect of a random kind on a (H, W, 3) uint8 image; the same generator state draws the same one.

    The mask holds just what can be seen: places that changed by less than a few grey values are not in it.
    """
    for _ in range(_TRIES):
        kind = _KINDS[int(rng.integers(len(_KINDS)))]
        spoilt = _visible(image, *kind(image, rng))
        if spoilt.mask.sum() >= _SMALLEST:
            return spoilt
    return _visible(image, *_scratch(image, rng, contrast=120.0))


def _visible(image: NDArray[np.uint8], drawn: NDArray[np.float32], blob: NDArray[np.float32]) -> Spoilt:
    """Lay `drawn` over the image where `blob` (H, W) in [0, 1] says so."""
    if not np.ptp(image, axis=2).any():  # a grey camera sees grey defects
        drawn = np.repeat(drawn.mean(axis=2, keepdims=True), 3, axis=2)
    soft = cv2.GaussianBlur(blob, (0, 0), _FEATHER)[..., None]
    mixed = image * (1 - soft) + drawn * soft
    spoilt = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    changed = np.abs(spoilt.astype(np.int16) - image).max(axis=2) >= _VISIBLE
    mask = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return Spoilt(spoilt, (mask > 0) & (blob > 0))


def _cut_paste(image: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A piece of the image laid elsewhere, turned and with other light: also a doubled part."""
    blob = _blob(image.shape[:2], rng)
    shift = _shift(image.shape[:2], rng)
    matrix = cv2.getRotationMatrix2D(_middle(blob), rng.uniform(-180, 180), rng.uniform(0.7, 1.4))
    matrix[:, 2] = matrix[:, 2] + shift
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    return (moved * rng.uniform(0.7, 1.3)).astype(np.float32), blob


def _texture(image: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Dirt, stain, foreign material: a texture of its own under a ragged mask, more or less opaque."""
    height, width = image.shape[:2]
    blob = _blob((height, width), rng)
    colour = rng.uniform(0, 255, 3)
    grain = _perlin((height, width), float(rng.uniform(3, 20)), rng) * rng.uniform(5, 60)
    opacity = rng.uniform(0.35, 1.0)
    drawn = image * (1 - opacity) + (colour + grain[..., None]) * opacity
    return drawn.astype(np.float32), blob


def _scratch(
    image: NDArray[np.uint8], rng: np.random.Generator, *, contrast: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A thin line with bends, lighter or darker than what it crosses."""
    height, width = image.shape[:2]
    side = min(height, width)
    length, heading = rng.uniform(0.05, 0.4) * side, rng.uniform(0, 2 * np.pi)
    steps = int(rng.integers(3, 8))
    bends = heading + np.cumsum(rng.normal(0, 0.25, steps))
    walk = np.cumsum(np.stack([np.cos(bends), np.sin(bends)], axis=1) * length / steps, axis=0)
    start = rng.uniform(0.1, 0.9, 2) * (width, height)
    points = np.rint(np.vstack([start, start + walk])).astype(np.int32)
    line = np.zeros((height, width), np.uint8)
    cv2.polylines(line, [points], isClosed=False, color=255, thickness=int(rng.integers(1, 4)), lineType=cv2.LINE_AA)
    strength = contrast or rng.uniform(30, 140) * rng.choice((-1, 1))
    return (image + np.float32(strength)).astype(np.float32), (line / np.float32(255)).astype(np.float32)


def _missing(image: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What was there is gone: the place is filled from its surroundings, as the ground under a part would be."""
    blob = _blob(image.shape[:2], rng)
    hole = cv2.dilate((blob > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8))  # noqa: PLR2004 - its inner half
    left, top, width, height = cv2.boundingRect(hole)
    margin = 8
    window = (slice(max(top - margin, 0), top + height + margin), slice(max(left - margin, 0), left + width + margin))
    filled = image.copy()
    filled[window] = cv2.inpaint(
        np.ascontiguousarray(image[window]), np.ascontiguousarray(hole[window]), 3, cv2.INPAINT_TELEA
    )
    return filled.astype(np.float32), blob


_KINDS: tuple[
    Callable[[NDArray[np.uint8], np.random.Generator], tuple[NDArray[np.float32], NDArray[np.float32]]], ...
] = (
    _cut_paste,
    _texture,
    _scratch,
    _missing,
)


def _blob(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) in [0, 1]: an ellipse or a box with ragged edges, from a hundredth to a quarter of the side wide."""
    height, width = shape
    side = min(shape)
    axes = np.maximum(side * np.exp(rng.uniform(np.log(0.012), np.log(0.14), 2)), 2)
    centre = rng.uniform(0.05, 0.95, 2) * (width, height)
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u = ((x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)) / axes[0]
    v = ((y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)) / axes[1]
    power = float(rng.choice((2.0, 2.0, 6.0)))
    radius = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)
    ragged = radius + 0.35 * rng.random() * _perlin(shape, float(max(axes.mean(), 3)), rng)
    return np.asarray(ragged < 1, np.float32)


def _perlin(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) smooth noise about 0 with deviation 1, of two octaves; `scale` pixels from bump to bump."""
    found: NDArray[np.float64] = np.zeros(shape, np.float64)
    for octave in (1.0, 2.0):
        rows, columns = (max(2, int(np.ceil(n * octave / scale)) + 1) for n in shape)
        coarse = rng.normal(0, 1, (rows, columns)).astype(np.float32)
        smooth = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
        found += np.asarray(smooth, np.float64) / octave
    return np.asarray(found / max(float(found.std()), 1e-6), np.float32)


def _shift(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.1, 0.4) * min(shape)


def _middle(blob: NDArray[np.float32]) -> tuple[float, float]:
    x, y, width, height = cv2.boundingRect((blob > 0).astype(np.uint8))
    return x + width / 2, y + height / 2
