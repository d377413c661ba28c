"""Judges a frame against its own golden by a trained network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from inspection.calibration.scale import HALF_SIMILARITY_DISTANCE
from inspection.decision import judge_similarity
from inspection.learned.detection import DefectMap, find_defects, read_maps
from inspection.learned.levels import PairEngine
from inspection.naming import named
from inspection.prepared import scaling
from inspection.quality import QualityGate, measure_quality
from inspection.recipe import DIGEST_LENGTH, QualityLimits, digest_of
from inspection.verdicts import Judgement, Provenance, Region, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.learned.design import TrainedTwin
    from inspection.learned.detection import Defect

MULTIPLE: Final = 32
"""Working sizes are multiples of this many pixels."""
_SMALLEST: Final = 64


class PairInspector:
    """Set once with the trained network, ask for every pair.

    Args:
        trained: the network with its threshold.
        cache: where exported graphs are kept; None keeps nothing.
        engine: `auto`, `onnx`, `torch` or `cuda`.
    """

    def __init__(self, trained: TrainedTwin, *, cache: Path | None = None, engine: str = "auto") -> None:
        self.trained = trained
        self.types = trained.twin.design.types
        self._engine = PairEngine(trained, cache=cache, engine=engine)
        self._digest = trained.digest

    @property
    def engine(self) -> str:
        """Name of the engine in use."""
        return self._engine.name

    def judge(self, frame: NDArray[np.uint8], golden: NDArray[np.uint8], golden_sha256: str) -> Judgement:
        """Judge one frame, RGB uint8 (H, W, 3) as delivered, against its golden; which it may differ from in size."""
        started = time.perf_counter()
        quality = measure_quality(frame)
        problem = QualityGate((measure_quality(golden),), QualityLimits()).problem(quality)
        if problem:
            return self.refuse(problem, golden_sha256, _since(started))
        found = self.read(frame, golden)
        similarity = found.worst
        verdict = judge_similarity(similarity, self.trained.threshold)
        size = working_size(frame.shape[:2], self.trained.side)
        defects = find_defects(found, self.trained.threshold) if verdict is Verdict.FLAG else []
        return Judgement(
            verdict=verdict,
            reason=None,
            similarity=similarity,
            distance=HALF_SIMILARITY_DISTANCE * found.distance,
            threshold=self.trained.threshold,
            provisional=False,
            regions=tuple(self._region(defect, size, frame.shape[:2]) for defect in defects),
            provenance=self.provenance(golden_sha256),
            milliseconds=_since(started),
            similarity_map=_spread(found.supported, golden.shape[:2]),
            matrix=scaling((frame.shape[1], frame.shape[0]), (golden.shape[1], golden.shape[0])),
            brightness=quality.brightness,
            focus=quality.focus,
        )

    def read(self, frame: NDArray[np.uint8], golden: NDArray[np.uint8]) -> DefectMap:
        """What the network says of one pair, whatever the threshold."""
        size = working_size(frame.shape[:2], self.trained.side)
        encoded = self._engine.encode_golden(resized(golden, size))
        maps = self._engine.compare(resized(frame, size), [encoded])[0]
        return read_maps(maps, named=len(self.types) > 1, support=self.trained.support)

    def refuse(self, reason: str, golden_sha256: str = "", milliseconds: float = 0.0) -> Judgement:
        """CANNOT_INSPECT."""
        return Judgement.refused(
            reason,
            self.provenance(golden_sha256),
            threshold=self.trained.threshold,
            milliseconds=milliseconds,
        )

    def provenance(self, golden_sha256: str) -> Provenance:
        """The network, the golden by its bytes, the working size, and the network with its threshold."""
        return Provenance(
            encoder=self._digest,
            reference_set=golden_sha256[:DIGEST_LENGTH],
            recipe=digest_of({"side": self.trained.side}),
            calibration=digest_of([self._digest, self.trained.threshold, self.trained.support]),
        )

    def _region(self, defect: Defect, size: tuple[int, int], frame: tuple[int, int]) -> Region:
        """The defect in pixels of the delivered frame; sizes are (height, width)."""
        down, across = frame[0] / size[0], frame[1] / size[1]
        left, top, right, bottom = defect.box
        x, y = min(round(left * across), frame[1] - 1), min(round(top * down), frame[0] - 1)
        width, height = round(right * across) - x, round(bottom * down) - y
        return Region(
            x=x,
            y=y,
            width=max(1, min(width, frame[1] - x)),
            height=max(1, min(height, frame[0] - y)),
            area=max(1, round(defect.area * down * across)),
            similarity=defect.similarity,
            certainty=defect.certainty,
            types=named(defect.shares, self.types),
        )


def working_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """(height, width), multiples of 32: `side` for the longer one, the aspect ratio kept as near as that goes."""
    height, width = shape[:2]
    scale = side / max(height, width)
    rounded = (max(_SMALLEST, round(length * scale / MULTIPLE) * MULTIPLE) for length in (height, width))
    down, across = rounded
    return down, across


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An RGB uint8 image at (height, width)."""
    if image.shape[:2] == size:
        return image
    shrinks = image.shape[0] >= size[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=interpolation), np.uint8)


def _spread(similarity: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    spread = cv2.resize(similarity, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(spread, 0, 1), np.float32)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
