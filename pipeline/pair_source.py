"""Pairs of a manifest as training pairs: decoded, brought to the working size, with targets drawn from their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.learned.losses import UNKNOWN, UNNAMED
from inspection.learned.pair_inspector import own_side, resized, working_size
from inspection.learned.samples import TrainingPair
from inspection.learned.synthetic import draw_defect
from inspection.pair_placing import moved_box, place
from pipeline.pairs import Pair, read_pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inspection.boxes import Box

_KEPT_BYTES: Final = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """A pair that can't be trained on, and why."""

    frame: str
    reason: str


class ManifestPairs:
    """Pairs of a manifest, decoded once while they fit into memory.

    With `synthetic` every pair's frame may get a drawn defect, so that pairs without any teach something too.
    """

    def __init__(self, pairs: Sequence[Pair], types: Sequence[str], side: int, *, synthetic: bool = False) -> None:
        self._pairs, self._types, self._side, self._synthetic = list(pairs), list(types), side, synthetic
        self._kept: dict[int, TrainingPair] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._pairs)

    def pair(self, index: int, rng: np.random.Generator) -> TrainingPair:
        """One of them, with a drawn defect half of the time where that is wanted."""
        found = self._kept.get(index) or self._read(index)
        if not self._synthetic or rng.random() < 0.5:  # noqa: PLR2004 - half of them
            return found
        spoilt = draw_defect(found.frame, rng)
        target = np.where(spoilt.mask, UNNAMED, found.target).astype(np.uint8)
        return TrainingPair(frame=spoilt.image, golden=found.golden, target=target)

    def _read(self, index: int) -> TrainingPair:
        pair = self._pairs[index]
        frame, golden = read_pair(pair)
        if frame.image is None or golden.image is None:
            message = f"{pair.frame.frame} could be read a moment ago and can't any more"
            raise OSError(message)
        size = working_size(frame.image.shape, self._side)
        working_golden = resized(golden.image, size)
        placed = place(resized(frame.image, size), working_golden)
        boxes = placed_boxes(pair.boxes or (), frame.image.shape, size, placed.matrix)
        target = _target(boxes, self._types, size)
        found = TrainingPair(
            frame=placed.image,
            golden=working_golden,
            target=target if placed.shown is None else np.where(placed.shown, target, UNKNOWN).astype(np.uint8),
            boxes=tuple((round(b.left), round(b.top), round(b.right), round(b.bottom), 0) for b in boxes),
        )
        size_in_bytes = found.frame.nbytes + found.golden.nbytes + found.target.nbytes
        if self._bytes + size_in_bytes <= _KEPT_BYTES:
            self._kept[index] = found
            self._bytes += size_in_bytes
        return found


def usable_pairs(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Unusable], int]:
    """The pairs that can be trained on, those that can't, and the working side that suits the first frame."""
    good, bad, side = [], [], 0
    for pair in pairs:
        reason = None
        if pair.boxes is None and not pair.same_everywhere:
            reason = "it is not known where its defect is; give boxes"
        else:
            frame, golden = read_pair(pair)
            reason = frame.problem or (f"its golden is {golden.problem}" if golden.problem else None)
            if frame.image is not None and not side:
                side = own_side(frame.image.shape)
        if reason:
            bad.append(Unusable(frame=pair.frame.frame, reason=reason))
        else:
            good.append(pair)
    return good, bad, side


def placed_boxes(
    boxes: Sequence[Box], shape: tuple[int, ...], size: tuple[int, int], matrix: NDArray[np.float64]
) -> list[Box]:
    """Boxes in pixels of a frame of (height, width, ...) `shape`, in those of the working `size` after `matrix`."""
    down, across = size[0] / shape[0], size[1] / shape[1]
    found = []
    for box in boxes:
        scaled = (box.left * across, box.top * down, box.right * across, box.bottom * down)
        left, top, right, bottom = moved_box(scaled, matrix)
        found.append(box._replace(left=left, top=top, right=right, bottom=bottom))
    return found


def _target(boxes: Sequence[Box], types: Sequence[str], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w): 0 where the same, the type's number where there is a defect; small boxes lie above large ones."""
    target = np.zeros(size, np.uint8)
    for box in sorted(boxes, key=lambda b: -(b.right - b.left) * (b.bottom - b.top)):
        rows = slice(max(0, round(box.top)), round(box.bottom))
        number = types.index(box.type) + 1 if box.type in types else UNNAMED
        target[rows, max(0, round(box.left)) : round(box.right)] = number
    return target
