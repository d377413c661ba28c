"""Which product is this? One embedding a picture, compared with those of all enrolled goldens: one-shot recognition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.golden_model import working_image
from inspection.nuisance import turned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inspection.engine import Engine

SIDE: Final = 256
LEAST_LIKENESS: Final = 0.92
"""Cosine of two embeddings below which a picture does not show a product of one golden.

Training images of ten parts read 0.85 to 1 with their own golden and at most 0.91 with another's, but for two almost
equal circuit boards. Where several goldens are less like each other than that, less is asked of frames too.
"""
_LOOSEST: Final = 0.8
_SLACK: Final = 0.03
_TURNS: Final = 8
GOLDENS: Final = 4
"""Goldens of each product that count."""


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """What a picture shows: the `name` it is recognised as, None where nothing is near enough; `nearest` even then.

    `likeness` in [-1, 1] is to the nearest product, `runner_up` to the next one (-1 where there is none).
    """

    name: str | None
    nearest: str
    likeness: float
    runner_up: float


class Recogniser:
    """Set once with some goldens of each product, ask for every picture.

    Args:
        goldens: per name, RGB uint8 (H, W, 3) pictures as delivered, at least one each; the first few count.
        engine: runs the embedded encoder at 256 pixels.

    Raises:
        ValueError: there is no product.
    """

    def __init__(self, goldens: Mapping[str, Sequence[NDArray[np.uint8]]], engine: Engine) -> None:
        if not goldens:
            message = "nothing is enrolled that a picture could be recognised as"
            raise ValueError(message)
        self._engine = engine
        self._names = list(goldens)
        self._rows = [self._views(pictures) for pictures in goldens.values()]
        self._limits = [_limit(rows) for rows in self._rows]

    def recognise(self, image: NDArray[np.uint8]) -> Recognition:
        """Name the product that an RGB uint8 (H, W, 3) picture shows."""
        embedding = self.embed([working_image(image, SIDE)])[0]
        likeness = [float((rows @ embedding).max()) for rows in self._rows]
        order = np.argsort(likeness)[::-1]
        best = int(order[0])
        second = likeness[int(order[1])] if len(order) > 1 else -1.0
        sure = likeness[best] >= self._limits[best]
        return Recognition(
            name=self._names[best] if sure else None,
            nearest=self._names[best],
            likeness=likeness[best],
            runner_up=second,
        )

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Unit vectors (B, D) float32 of (256, 256, 3) images: mean and spread of their descriptors over all places.

        Where a structure lies does not count, so that a part may be moved and turned.
        """
        intensity = self._engine.describe(images).intensity.cpu().numpy()  # (B, P, C)
        parts = [_unit(intensity.mean(axis=1)), _unit(intensity.std(axis=1))]
        return _unit(np.concatenate(parts, axis=1))

    def _views(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embeddings of the first goldens and of turned copies."""
        working = [working_image(picture, SIDE) for picture in pictures[:GOLDENS]]
        views = [
            turned(picture, 360 / _TURNS * step) if step else picture for picture in working for step in range(_TURNS)
        ]
        return self.embed(views)


def _limit(rows: NDArray[np.float32]) -> float:
    """The least likeness that a frame of a product must have, from how like each other its goldens' views are."""
    goldens = rows.reshape(-1, _TURNS, rows.shape[1])
    if len(goldens) == 1:
        return LEAST_LIKENESS
    among = [
        float((np.delete(goldens, index, axis=0).reshape(-1, rows.shape[1]) @ golden[0]).max())
        for index, golden in enumerate(goldens)
    ]
    return float(np.clip(min(among) - _SLACK, _LOOSEST, LEAST_LIKENESS))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
