"""The goldens made ready: registered onto the first, described, and compared among themselves; once, then from disk."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from inspection.cache import keep, kept
from inspection.comparison import Comparer, GoldenBank, fit_comparer
from inspection.engine import Descriptors, Engine
from inspection.nuisance import draw_nuisances
from inspection.quality import FrameQuality, measure_quality
from inspection.recipe import digest_of
from inspection.registration import Registrar, warp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

METRICS = 2
COMPARISON_VERSION = 7
"""To be raised whenever the same goldens would give other distances."""
_COPIES_IN_ALL = 64
_MOST_COPIES = 12
_DESCRIBED_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class GoldenModel:
    """What judging needs of the goldens: the comparer and their own quality figures, as delivered."""

    comparer: Comparer
    qualities: tuple[FrameQuality, ...]


def working_image(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Bring an RGB uint8 (H, W, 3) image to the working size (side, side, 3)."""
    if image.shape[:2] == (side, side):
        return image
    shrinks = image.shape[0] >= side and image.shape[1] >= side
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=interpolation).astype(np.uint8, copy=False)


def aligned(image: NDArray[np.uint8], registrar: Registrar) -> NDArray[np.uint8]:
    """Bring a working image onto the first golden, or leave it as it lies where it can't be registered."""
    registration = registrar.register(image)
    if not registration.accepted:
        return image
    return warp(image, registration.matrix, (image.shape[1], image.shape[0]))


def make_golden_model(
    images: Sequence[NDArray[np.uint8]], *, side: int, engine: Engine, registrar: Registrar
) -> GoldenModel:
    """Describe the goldens and harmlessly changed copies of them, and learn the comparison from both.

    Args:
        images: the goldens as delivered, RGB uint8.
        side: the working size.
        engine: runs the encoder; always the CPU's, so that the model is the same wherever it is made.
        registrar: set with these goldens at the working size.
    """
    working = [working_image(image, side) for image in images]
    placed = [working[0], *(aligned(image, registrar) for image in working[1:])]
    count = max(2, min(_MOST_COPIES, _COPIES_IN_ALL // len(placed)))
    copies = [
        describe(engine, [aligned(copy, registrar) for copy in draw_nuisances(golden, count=count, seed=index)])
        for index, golden in enumerate(placed)
    ]
    comparer = fit_comparer(describe(engine, placed), copies)
    return GoldenModel(comparer=comparer, qualities=tuple(measure_quality(image) for image in images))


def golden_distances(images: Sequence[NDArray[np.uint8]], engine: Engine, comparer: Comparer) -> NDArray[np.float64]:
    """How far each golden is from each other one alone: (G, G) in nuisance units, 0 on the diagonal.

    Args:
        images: the goldens at the working size, aligned.
        engine: runs the encoder.
        comparer: the goldens' own, on the CPU, whose metrics are used.
    """
    described = describe(engine, images)
    distances = np.zeros((len(images), len(images)))
    for index in range(len(images)):
        single = [
            GoldenBank(projection=b.projection, rows=kind[index] @ b.projection, scale=b.scale)
            for b, kind in zip(comparer.banks, described, strict=True)
        ]
        maps = Comparer(single, comparer.golden_maps).compare(described)
        distances[:, index] = maps.reshape(len(images), -1).max(axis=1)
    np.fill_diagonal(distances, 0.0)
    return distances


def describe(engine: Engine, images: Sequence[NDArray[np.uint8]]) -> Descriptors:
    """Describe any number of working images, a few at a time; what is said of them comes to the CPU."""
    few = (images[at : at + _DESCRIBED_AT_ONCE] for at in range(0, len(images), _DESCRIBED_AT_ONCE))
    parts = [engine.describe(some).cpu() for some in few]
    return Descriptors(*(torch.cat(column) for column in zip(*parts, strict=True)))


def model_path(cache: Path, *, encoder: str, reference_set: str, recipe: str) -> Path:
    """Where the model of these digests is kept."""
    return cache / f"goldens-{digest_of([COMPARISON_VERSION, encoder, reference_set, recipe])}.cached"


def save_golden_model(path: Path, model: GoldenModel) -> None:
    """Keep the model."""
    arrays: dict[str, NDArray[np.generic]] = {"golden_maps": model.comparer.golden_maps}
    for index, bank in enumerate(model.comparer.banks):
        arrays[f"projection{index}"] = bank.projection.numpy()
        arrays[f"rows{index}"] = bank.rows.numpy()
        arrays[f"scale{index}"] = bank.scale.numpy()
    arrays["qualities"] = np.array([[q.brightness, q.focus, q.contrast, q.width, q.height] for q in model.qualities])
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    keep(path, file.getvalue())


def load_golden_model(path: Path) -> GoldenModel | None:
    """Read a kept model back; None where there is none, or it is damaged and to be made anew."""
    data = kept(path)
    if data is None:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        banks = [
            GoldenBank(
                projection=torch.from_numpy(arrays[f"projection{index}"]),
                rows=torch.from_numpy(arrays[f"rows{index}"]),
                scale=torch.from_numpy(arrays[f"scale{index}"]),
            )
            for index in range(METRICS)
        ]
        comparer = Comparer(banks, arrays["golden_maps"])
        return GoldenModel(comparer=comparer, qualities=tuple(_quality(row) for row in arrays["qualities"]))


def _quality(row: NDArray[np.float64]) -> FrameQuality:
    brightness, focus, contrast, width, height = (float(value) for value in row)
    return FrameQuality(brightness=brightness, focus=focus, contrast=contrast, width=int(width), height=int(height))
