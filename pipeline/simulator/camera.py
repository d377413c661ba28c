"""The camera over the line: pose, light, lens, sensor noise and JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulator.relief import Floats, floats

JPEG_QUALITY = 92
LARGEST_SHIFT = 0.018  # of the frame's side
LARGEST_TURN = 1.3  # degrees
SHOT_NOISE = 0.055  # variance a grey value
READ_NOISE = 1.1  # grey values, standard deviation


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How one frame was taken: the pose as a (2, 3) matrix from scene to frame pixels, light and lens.

    `gains` are factors on R, G, B; `gradient` the change of light from the middle to the right and lower edge; `blur`
    the lens's standard deviation in frame pixels.
    """

    pose: NDArray[np.float64]
    gains: tuple[float, float, float]
    gradient: tuple[float, float]
    blur: float


def expose(random: np.random.Generator, *, size: int, side: int, light: float, shift: tuple[float, float]) -> Exposure:
    """Draw how a frame is taken: `size` of the frame, `side` of the scene in pixels, `shift` in parts of the frame."""
    dx, dy = random.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2)
    turn = random.uniform(-LARGEST_TURN, LARGEST_TURN)
    pose = np.asarray(cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), turn, 1.0), np.float64)
    pose[:, 2] += (size - side) / 2 + np.array((dx + shift[0], dy + shift[1])) * size
    gain, warmth = light * random.uniform(0.94, 1.06), random.uniform(-0.025, 0.025)
    gradient = random.uniform(-0.05, 0.05, 2)
    return Exposure(
        pose=pose,
        gains=(gain * (1 + warmth), gain, gain * (1 - warmth)),
        gradient=(float(gradient[0]), float(gradient[1])),
        blur=float(random.uniform(0.45, 0.7)) * size / 512,
    )


def take(scene: Floats, exposure: Exposure, size: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Photograph a scene (N, N, 3) float32 RGB: (size, size, 3) uint8 RGB, as the decoded JPEG shows it."""
    seen = floats(cv2.warpAffine(scene, exposure.pose, (size, size), borderMode=cv2.BORDER_REFLECT_101))
    if exposure.blur > 0.2:  # noqa: PLR2004 - below it a Gaussian kernel is a single tap
        seen = floats(cv2.GaussianBlur(seen, (0, 0), exposure.blur))
    right, down, vignette = _field(size)
    light = vignette * (1 + exposure.gradient[0] * right + exposure.gradient[1] * down)
    seen = floats(cv2.multiply(seen, cv2.merge([light * np.float32(gain) for gain in exposure.gains])))
    seen += _noise(seen, random)
    _, data = cv2.imencode(".jpg", _bytes(seen)[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def seen_mask(mask: Floats, exposure: Exposure, size: int) -> NDArray[np.bool_]:
    """The scene's mask (N, N), 0 to 1, in the frame's pixels: (size, size) bool."""
    return np.asarray(cv2.warpAffine(mask, exposure.pose, (size, size)) > 0.5, np.bool_)  # noqa: PLR2004 - half covered


def _noise(seen: Floats, random: np.random.Generator) -> Floats:
    """Shot and read noise after demosaicing: fine in brightness, coarse and weaker in colour."""
    size = seen.shape[0]
    spread = np.sqrt(SHOT_NOISE * np.maximum(seen[..., 1], 0) + READ_NOISE**2)
    fine = random.standard_normal((size, size), dtype=np.float32)
    coarse = random.standard_normal((size // 2, size // 2, 3), dtype=np.float32) * np.float32(0.45)
    colour = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    return floats(cv2.multiply(cv2.merge([fine, fine, fine]) + colour, cv2.merge([spread, spread, spread])))


def _bytes(seen: Floats) -> NDArray[np.uint8]:
    return np.asarray(cv2.convertScaleAbs(np.maximum(seen, 0)), np.uint8)


@lru_cache(maxsize=4)
def _field(size: int) -> tuple[Floats, Floats, Floats]:
    """From -1 to 1 to the right and downwards, and the lens's fall-off towards the corners."""
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    right, down = np.meshgrid(ramp, ramp)
    return right, down, np.asarray(1.02 - 0.045 * (right**2 + down**2), np.float32)
