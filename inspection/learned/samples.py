"""Training pairs, and the patches drawn from them: cut out, turned, mirrored, and harmlessly changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import cv2
import numpy as np

from inspection.learned.architecture import STRIDE
from inspection.learned.losses import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_ON_DEFECT: Final = 0.75  # share of the patches of a defective pair that show one of its defects
_OFF_CENTRE: Final = 0.4  # of the patch's side


@dataclass(frozen=True, kw_only=True)
class PairNuisance:
    """What may differ between frame and golden without being a defect.

    `shift` in pixels, `gain` and `tint` as shares, `blur` a Gaussian's sigma in pixels, `noise` in grey values, `jpeg`
    the lowest quality. With `turns` both are turned by quarters and mirrored together.
    """

    shift: int = 2
    gain: float = 0.15
    tint: float = 0.05
    blur: float = 1.0
    noise: float = 5.0
    jpeg: int = 50
    turns: bool = True


@dataclass(frozen=True, kw_only=True)
class TrainingPair:
    """Frame and golden, (H, W, 3) uint8 RGB of one size, with (H, W) uint8 `target` as the losses read it."""

    frame: NDArray[np.uint8]
    golden: NDArray[np.uint8]
    target: NDArray[np.uint8]
    boxes: tuple[tuple[int, int, int, int, int], ...] = field(default=())


class PairSource(Protocol):
    """Where pairs come from: kept in memory, read from disk, or drawn with synthetic defects."""

    def __len__(self) -> int:
        """How many there are."""

    def pair(self, index: int, rng: np.random.Generator) -> TrainingPair:
        """One of them; a source that draws draws with `rng`."""


class Patches(NamedTuple):
    """A batch: frames and goldens (B, S, S, 3) uint8, targets (B, S / 4, S / 4) uint8."""

    frames: NDArray[np.uint8]
    goldens: NDArray[np.uint8]
    targets: NDArray[np.uint8]


def draw_patches(
    source: PairSource, indices: Sequence[int], side: int, rng: np.random.Generator, nuisance: PairNuisance
) -> Patches:
    """Draw one patch of each named pair; the same generator state draws the same patches."""
    drawn = [_patch(source.pair(int(index), rng), side, rng, nuisance) for index in indices]
    frames, goldens, targets = zip(*drawn, strict=True)
    return Patches(np.stack(frames), np.stack(goldens), np.stack(targets))


def on_grid(target: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A target on the maps' grid: the highest value of each place's pixels, where any is known."""
    height, width = target.shape[0] // STRIDE, target.shape[1] // STRIDE
    blocks = target[: height * STRIDE, : width * STRIDE].reshape(height, STRIDE, width, STRIDE)
    cells = blocks.transpose(0, 2, 1, 3).reshape(height, width, STRIDE * STRIDE)
    defects = np.where(cells == UNKNOWN, 0, cells)
    covered = (defects > 0).mean(axis=2) >= 0.5  # noqa: PLR2004 - at least half of it
    unknown = (cells == UNKNOWN).any(axis=2)
    return np.where(covered, defects.max(axis=2), np.where(unknown, UNKNOWN, 0)).astype(np.uint8)


def _patch(
    pair: TrainingPair, side: int, rng: np.random.Generator, nuisance: PairNuisance
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    height, width = pair.target.shape
    x, y = _corner(pair, side, rng)
    shift = rng.integers(-nuisance.shift, nuisance.shift + 1, 2) if rng.random() < 0.5 else (0, 0)  # noqa: PLR2004 - half of them
    of_golden = (int(np.clip(y + shift[1], 0, height - side)), int(np.clip(x + shift[0], 0, width - side)))
    frame = _cut(pair.frame, (y, x), side)
    golden = _cut(pair.golden, of_golden, side)
    target = _cut(pair.target, (y, x), side)
    if nuisance.turns:
        quarters, mirrored = int(rng.integers(4)), rng.random() < 0.5  # noqa: PLR2004 - half of them
        frame, golden, target = (_turned(part, quarters, mirrored=mirrored) for part in (frame, golden, target))
    frame = _changed(np.ascontiguousarray(frame), rng, nuisance)
    return frame, np.ascontiguousarray(golden), on_grid(np.ascontiguousarray(target))


def _corner(pair: TrainingPair, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Left top of the patch: near a defect where there is one, most of the time."""
    height, width = pair.target.shape
    centre = rng.uniform(0, (width, height))
    wanted = rng.random() < _ON_DEFECT
    defects = pair.boxes or _boxes_of(pair.target) if wanted else ()
    if defects:
        left, top, right, bottom = defects[int(rng.integers(len(defects)))][:4]
        middle = np.array([(left + right) / 2, (top + bottom) / 2])
        centre = middle + rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * side
    x, y = np.clip(centre - side / 2, 0, (width - side, height - side))
    return int(x), int(y)


def _boxes_of(target: NDArray[np.uint8]) -> tuple[tuple[int, int, int, int], ...]:
    defects = ((target > 0) & (target != UNKNOWN)).astype(np.uint8)
    if not defects.any():
        return ()
    _, _, stats, _ = cv2.connectedComponentsWithStats(defects)
    return tuple((int(s[0]), int(s[1]), int(s[0] + s[2]), int(s[1] + s[3])) for s in stats[1:])


def _cut(image: NDArray[np.uint8], at: tuple[int, int], side: int) -> NDArray[np.uint8]:
    return image[at[0] : at[0] + side, at[1] : at[1] + side]


def _turned(image: NDArray[np.uint8], quarters: int, *, mirrored: bool) -> NDArray[np.uint8]:
    turned = np.rot90(image, quarters)
    return turned[:, ::-1] if mirrored else turned


def _changed(frame: NDArray[np.uint8], rng: np.random.Generator, nuisance: PairNuisance) -> NDArray[np.uint8]:
    """Light, focus, noise and compression of the frame alone; half of the frames stay as they are."""
    if rng.random() < 0.5:  # noqa: PLR2004 - half of them
        return frame
    gain = rng.uniform(1 - nuisance.gain, 1 + nuisance.gain)
    tint = rng.uniform(1 - nuisance.tint, 1 + nuisance.tint, 3)
    changed = np.multiply(frame, gain * tint, dtype=np.float32)
    sigma = rng.uniform(0, nuisance.blur)
    if sigma > 0.25:  # noqa: PLR2004 - a narrower Gaussian changes nothing
        changed = np.asarray(cv2.GaussianBlur(changed, (0, 0), sigma), np.float32)
    noise = rng.normal(0, rng.uniform(0, nuisance.noise), changed.shape)
    taken = np.clip(np.rint(changed + noise), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:  # noqa: PLR2004 - half of them
        quality = int(rng.integers(nuisance.jpeg, 96))
        _, packed = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, quality])
        taken = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return taken
