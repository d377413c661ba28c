"""Accuracy on the real parts: image AUROC with 1 and 4 goldens, as delivered and with light and place changed.

Run: python tests/benchmarks/accuracy.py [PARTS ...]. It needs the real inspection images (REAL_DATA, see CONTRIBUTING).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from inspection.engine import open_engine
from inspection.golden_model import describe, working_image
from inspection.inspector import Inspector
from inspection.metric import nearest
from inspection.metrics import aupro, image_auroc, pixel_auroc
from inspection.overlay import map_on_frame
from inspection.recipe import EncoderChoice, Recipe
from inspection.verdicts import Judgement
from pipeline.enrolment import enrol_goldens
from pipeline.reading import list_frames, read_frame

PARTS = ("bottle", "aliens", "screw", "transistor", "hazelnut", "cookies", "elpv")
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LEVELS_8_AND_16 = slice(24, None)  # channels of strides 8 and 16 in the intensity descriptor


def read(folder: Path) -> list[np.ndarray]:
    """All images of a folder, in order."""
    return [read_frame(file).image for file in list_frames([folder])]


def harmless(image: np.ndarray) -> np.ndarray:
    """Darkened by 15 %, warmed a little, moved by 3 %."""
    height, width = image.shape[:2]
    changed = image.astype(np.float32) * 0.85 * np.array([1.04, 1.0, 0.94], np.float32)
    matrix = np.array([[1, 0, 0.03 * width], [0, 1, 0.03 * height]])
    moved = cv2.warpAffine(changed, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def plain_distances(goldens: list[np.ndarray], images: list[np.ndarray], cache: Path) -> list[float]:
    """The baseline: nearest golden place in plain features of strides 8 and 16, Euclidean, 3x3-smoothed, largest."""
    engine = open_engine(EncoderChoice(), engine="onnx", cache=cache)

    def features(pictures: list[np.ndarray]) -> torch.Tensor:
        roots = describe(engine, [working_image(picture, 256) for picture in pictures]).intensity[..., LEVELS_8_AND_16]
        return roots * roots.abs()

    bank = features(goldens).flatten(0, 1)
    found = []
    for image in images:
        squared, _ = nearest(features([image])[0], bank)
        grid = squared.sqrt().numpy().reshape(32, 32)
        found.append(float(cv2.blur(grid, (3, 3), borderType=cv2.BORDER_REPLICATE).max()))
    return found


def measure(part: str, count: int, home: Path) -> dict[str, float | None]:
    """Figures of one part with its first `count` goldens."""
    files = sorted((DATA / part / "train" / "good").iterdir())[:count]
    report = enrol_goldens(home / str(count), product=part, files=files, recipe=Recipe(), added_by="benchmark")
    inspector = Inspector(report.reference_set, cache=home / "cache")
    images, labels, masks = [], [], []
    for kind in sorted((DATA / part / "test").iterdir()):
        for file in list_frames([kind]):
            images.append(read_frame(file).image)
            labels.append(kind.name != "good")
            mask = DATA / part / "ground_truth" / kind.name / f"{file.path.stem}_mask.png"
            masks.append(cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 0 if mask.exists() else None)
    judged = [inspector.judge([image])[0] for image in images]
    moved = [inspector.judge([harmless(image)])[0] for image in images]
    lost = sum(j.distance is None for j in (*judged, *moved))
    figures: dict[str, float | None] = {
        "auroc": image_auroc(labels, [j.distance or np.inf for j in judged]),
        "changed": image_auroc(labels, [j.distance or np.inf for j in moved]),
        "plain": image_auroc(labels, plain_distances(read_many(files), images, home / "cache")),
        "refused": float(lost),
    }
    if any(mask is not None for mask in masks):
        golden = inspector.first_golden.shape[:2]
        maps = [
            on_frame(judgement, image.shape[:2] if mask is None else mask.shape, golden)
            for judgement, mask, image in zip(judged, masks, images, strict=True)
        ]
        figures["pixel_auroc"] = pixel_auroc(masks, maps)
        figures["aupro"] = aupro(masks, maps)
    return figures


def read_many(files: list[Path]) -> list[np.ndarray]:
    """The images of these files."""
    return [read_frame(file).image for file in list_frames(files)]


def on_frame(judgement: Judgement, shape: tuple[int, int], golden: tuple[int, int]) -> np.ndarray:
    """The map on the frame's (height, width) pixels, higher where it is less like the golden."""
    similarity = map_on_frame(judgement, shape, golden)
    return np.zeros(shape, np.float32) if similarity is None else 1.0 - similarity


def main() -> None:
    """Print the table; `--json` prints figures for `measure.py`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, dict[int, dict[str, float | None]]] = {}
    with tempfile.TemporaryDirectory() as home:
        for part in arguments.parts:
            results[part] = {count: measure(part, count, Path(home)) for count in (1, 4)}
            print(
                part,
                {k: {n: v and round(v, 4) for n, v in f.items()} for k, f in results[part].items()},
                file=sys.stderr,
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
