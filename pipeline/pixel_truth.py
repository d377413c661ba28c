"""Similarity maps beside the masks of where the defects are, on the delivered frames' pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from inspection.decoding import decode_image
from inspection.errors import EvaluationError, UnreadableImageError
from inspection.heat import map_on_frame
from pipeline.reading import read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.labelled import LabelledFrame
    from pipeline.scoring import Scored

MOST_PIXELS = 100_000_000
"""All maps of an evaluation together; above, each is made smaller, so that 4 bytes a pixel fit into memory."""

_HALF = 0.5


class PixelTruth:
    """Collects what pixel AUROC and AUPRO are computed from: `masks` and `maps`, of the same size pair by pair.

    A map is (H, W) float32, the negative similarity of each pixel: higher is less like golden. A good part's mask is
    None. Defective parts without a mask, and frames that could not be inspected, are passed over.

    Args:
        frames: the labelled set; without a single mask in it nothing is collected.
        golden: the first golden, RGB uint8 (H, W, 3), whose coordinates the judgements' maps are in.
        most_pixels: above this number, over all frames, maps and masks are made smaller.
    """

    def __init__(
        self, frames: Sequence[LabelledFrame], *, golden: NDArray[np.uint8], most_pixels: int = MOST_PIXELS
    ) -> None:
        self.wanted = any(frame.mask is not None for frame in frames)
        self.masks: list[NDArray[np.bool_] | None] = []
        self.maps: list[NDArray[np.float32]] = []
        self._golden_size = (golden.shape[0], golden.shape[1])
        self._pixels_each = most_pixels / max(len(frames), 1)

    def add(self, scored: Scored) -> None:
        """Take one judged frame, which must still have its pixels and its map.

        Raises:
            EvaluationError: its mask can't be read.
        """
        frame, labelled = scored.verdict.frame, scored.labelled
        if not self.wanted or frame.image is None or (labelled.defective and labelled.mask is None):
            return
        size = (frame.image.shape[0], frame.image.shape[1])
        similarity = map_on_frame(scored.verdict.judgement, size, self._golden_size)
        if similarity is None:
            return
        mask = None if labelled.mask is None else _read_mask(labelled.mask)
        size = self._fitting(size if mask is None else (mask.shape[0], mask.shape[1]))
        self.masks.append(None if mask is None else _resized(mask.astype(np.float32), size) >= _HALF)
        self.maps.append(-_resized(similarity, size))

    def _fitting(self, size: tuple[int, int]) -> tuple[int, int]:
        """`size`, (height, width), or as much smaller as the number of frames asks for."""
        shrink = min(1.0, math.sqrt(self._pixels_each / (size[0] * size[1])))
        return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def _read_mask(path: Path) -> NDArray[np.bool_]:
    data, problem = read_bytes(path)
    if problem is None:
        try:
            return np.asarray(decode_image(data, source=path.name).max(axis=2) > 0, dtype=np.bool_)
        except UnreadableImageError as error:
            problem = str(error)
    message = f"mask {path}: {problem}"
    raise EvaluationError(message)


def _resized(picture: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    if picture.shape == size:
        return picture
    how = cv2.INTER_AREA if size[0] * size[1] < picture.size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=how), np.float32)
