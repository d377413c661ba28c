"""Every architecture with every loss on the simulated board, against the untrained difference of pixels.

Run: python tests/benchmarks/architectures.py (about half an hour on two quiet cores). One golden; 40 good frames with
drawn defects to learn from, none of the simulator's; tested on 60 good frames and 8 of each of its 8 kinds of defects.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from inspection.golden_model import working_image
from inspection.learned.architecture import STRIDE, Architecture
from inspection.learned.design import TrainedTwin, TwinDesign
from inspection.learned.fitting import TrainingPlan
from inspection.learned.levels import PairEngine
from inspection.learned.losses import Loss
from inspection.recipe import RegistrationMethod
from inspection.registration import Registrar, warp
from pipeline.product_source import ProductPairs, Sample
from pipeline.simulator import LineSimulator
from pipeline.simulator.defects import DefectKind
from pipeline.training import fit_twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SIDE: Final = 256
LEARNED_FROM, HELD_OUT, GOOD, PER_KIND = 40, 8, 60, 8
STEPS, PATCH = 800, 160
_BLUR: Final = 1.5  # pixels; the difference of pixels is hopeless without


class Board:
    """The golden, the samples to learn from, and the frames to test on, all registered."""

    def __init__(self) -> None:
        self._line = LineSimulator(seed=3)
        self.golden = working_image(self._line.frame(0).image, SIDE)
        self._registrar = Registrar([self.golden], RegistrationMethod.AUTO, aspect=1.0)
        good = np.zeros((SIDE, SIDE), np.uint8)
        numbers = range(1, 1 + LEARNED_FROM + HELD_OUT)
        self.samples = [Sample(name=str(n), image=self._frame(n, None)[0], target=good) for n in numbers]
        self.test = [self._frame(1000 + n, None) for n in range(GOOD)]
        for kind in DefectKind:
            self.test += [self._frame(2000 + n, kind) for n in range(PER_KIND)]

    def _frame(self, number: int, kind: DefectKind | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        taken = self._line.frame(number, kind)
        image = working_image(taken.image, SIDE)
        registration = self._registrar.register(image)
        if not registration.accepted:
            message = f"frame {number} ({kind or 'good'}) was not registered"
            raise RuntimeError(message)
        matrix = registration.matrix
        mask = cv2.resize(taken.mask.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        moved = cv2.warpPerspective(mask, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST)
        return warp(image, matrix, (SIDE, SIDE)), moved > 0

    def score(self, distances: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> dict[str, float]:
        """Image AUROC by the worst place, and AUROC of the places of the grid of stride 4."""
        maps = [distances(image) for image, _ in self.test]
        masks = [
            cv2.resize(mask.astype(np.uint8), maps[0].shape, interpolation=cv2.INTER_AREA) for _, mask in self.test
        ]
        labels = np.arange(len(self.test)) >= GOOD
        places = np.concatenate([one.ravel() for one in masks]) > 0
        return {
            "image_auroc": float(roc_auc_score(labels, [one.max() for one in maps])),
            "pixel_auroc": float(roc_auc_score(places, np.concatenate([one.ravel() for one in maps]))),
        }


def pixel_difference(golden: NDArray[np.uint8]) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Mean absolute difference of the channels, slightly blurred, on the grid of stride 4."""

    def distances(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        apart = np.abs(image.astype(np.float32) - golden).mean(axis=2)
        grid = cv2.GaussianBlur(apart, (0, 0), _BLUR)
        return np.asarray(cv2.resize(grid, (SIDE // STRIDE, SIDE // STRIDE), interpolation=cv2.INTER_AREA), np.float32)

    return distances


def trained(board: Board, design: TwinDesign, folder: Path) -> tuple[dict[str, float], float]:
    """Figures of one combination, and how many seconds it learned."""
    started = time.monotonic()
    twin, _ = fit_twin(
        folder,
        ProductPairs(board.samples[:LEARNED_FROM], [board.golden]),
        ProductPairs(board.samples[LEARNED_FROM:], [board.golden]),
        design=design,
        plan=TrainingPlan(steps=STEPS, patch=PATCH),
        key=["architectures"],
        engine="auto",
        watcher=None,
    )
    seconds = time.monotonic() - started
    engine = PairEngine(TrainedTwin(twin=twin, side=SIDE, threshold=0.5, trained_on=""), cache=None)
    golden = engine.encode_golden(board.golden)
    return board.score(lambda image: engine.compare(image, [golden])[0].logit[0].numpy()), seconds


def main() -> None:
    """Print a table, and JSON at last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", choices=list(Architecture))
    chosen = parser.parse_args()
    board = Board()
    rows: dict[str, Any] = {"pixel difference": board.score(pixel_difference(board.golden))}
    print(rows, file=sys.stderr)
    for architecture in [Architecture(chosen.architecture)] if chosen.architecture else Architecture:
        for loss in Loss:
            with tempfile.TemporaryDirectory() as folder:
                figures, seconds = trained(board, TwinDesign(architecture=architecture, loss=loss), Path(folder))
            rows[f"{architecture} {loss}"] = {**figures, "minutes": seconds / 60}
            print(architecture, loss, rows[f"{architecture} {loss}"], file=sys.stderr)
    for name, row in rows.items():
        print(f"| {name} | {row['image_auroc']:.3f} | {row['pixel_auroc']:.3f} | {row.get('minutes', 0):.1f} |")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
