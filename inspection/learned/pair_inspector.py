"""Judges a frame against its own golden: by a trained network, or untrained, place by place."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import replace
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from inspection.calibration.scale import HALF_SIMILARITY_DISTANCE
from inspection.decision import judge_similarity
from inspection.encoder import encoder_digest, load_encoder
from inspection.graph import graph_path
from inspection.learned.design import LevelEncoder
from inspection.learned.detection import DefectMap, find_defects, read_maps
from inspection.learned.levels import PairEngine, open_levels
from inspection.naming import named
from inspection.pair_comparison import PAIR_COMPARISON_VERSION, PAIR_LEVELS, PairComparison
from inspection.pair_placing import Placed, moved_box, place
from inspection.prepared import scaling
from inspection.quality import QualityGate, measure_quality
from inspection.recipe import DIGEST_LENGTH, QualityLimits, digest_of
from inspection.verdicts import Judgement, Provenance, Reason, Region, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.learned.design import TrainedTwin
    from inspection.learned.detection import Defect

MULTIPLE: Final = 32
"""Working sizes are multiples of this many pixels."""
_SMALLEST: Final = 64
_SMALLEST_SIDE: Final = 128
_LARGEST_SIDE: Final = 1024
_GOLDENS_OPEN: Final = 8
_UNTRAINED_SUPPORT: Final = 3  # places; the map is smooth over as many


class PairReading(NamedTuple):
    """What a comparison says of a pair: `found` on the working frame, which `matrix` (3, 3) moved onto the golden."""

    found: DefectMap
    matrix: NDArray[np.float64]


class PairJudge(ABC):
    """Judges frames against goldens of their own, by a map of similarities and one threshold for all places.

    Args:
        threshold: the similarity below which a place belongs to a defect.
        types: names of the defects' types, in the map's order.
        provisional: whether the threshold was chosen without labelled defects.
    """

    def __init__(self, threshold: float, *, types: tuple[str, ...] = (), provisional: bool = False) -> None:
        self.threshold, self.types, self.provisional = threshold, types, provisional

    @property
    @abstractmethod
    def engine(self) -> str:
        """Name of the engine in use."""

    @abstractmethod
    def provenance(self, golden_sha256: str) -> Provenance:
        """What the verdicts rest on."""

    @abstractmethod
    def _side(self, shape: tuple[int, ...]) -> int:
        """The working length in pixels of a frame's longer side."""

    @abstractmethod
    def _read(self, frame: NDArray[np.uint8], golden: NDArray[np.uint8], golden_sha256: str) -> DefectMap:
        """Compare a placed (H, W, 3) uint8 frame with its golden of the same size."""

    def judge(self, frame: NDArray[np.uint8], golden: NDArray[np.uint8], golden_sha256: str) -> Judgement:
        """Judge one frame, RGB uint8 (H, W, 3) as delivered, against its golden; which it may differ from in size."""
        started = time.perf_counter()
        of_golden, quality = measure_quality(golden), measure_quality(frame)
        unfit = QualityGate((of_golden,), QualityLimits()).problem(of_golden)
        if unfit:
            return self.refuse(f"{Reason.NOT_COMPARED.value}: its golden is {unfit}", golden_sha256, _since(started))
        problem = QualityGate((of_golden,), QualityLimits()).problem(quality)
        if problem:
            return self.refuse(problem, golden_sha256, _since(started))
        placed, working_golden = self._placed(frame, golden)
        if placed.problem:
            return self.refuse(placed.problem, golden_sha256, _since(started))
        found = self._read(placed.image, working_golden, golden_sha256).shown_only(placed.shown)
        size = placed.image.shape[:2]
        verdict = judge_similarity(found.worst, self.threshold)
        defects = find_defects(found, self.threshold) if verdict is Verdict.FLAG else []
        shrink = scaling((frame.shape[1], frame.shape[0]), (size[1], size[0]))
        back = np.asarray(np.linalg.inv(placed.matrix @ shrink), np.float64)
        return Judgement(
            verdict=verdict,
            reason=None,
            similarity=found.worst,
            distance=HALF_SIMILARITY_DISTANCE * found.distance,
            threshold=self.threshold,
            provisional=self.provisional,
            regions=tuple(self._region(defect, back, frame.shape[:2]) for defect in defects),
            provenance=self.provenance(golden_sha256),
            milliseconds=_since(started),
            similarity_map=_spread(found.supported, golden.shape[:2]),
            matrix=scaling((size[1], size[0]), (golden.shape[1], golden.shape[0])) @ placed.matrix @ shrink,
            brightness=quality.brightness,
            focus=quality.focus,
            registration_quality=placed.quality,
        )

    def read(self, frame: NDArray[np.uint8], golden: NDArray[np.uint8]) -> PairReading:
        """What a comparison says of one pair, whatever the threshold; the images as delivered."""
        placed, working_golden = self._placed(frame, golden)
        found = self._read(placed.image, working_golden, "").shown_only(placed.shown)
        return PairReading(found, placed.matrix)

    def refuse(self, reason: str, golden_sha256: str = "", milliseconds: float = 0.0) -> Judgement:
        """CANNOT_INSPECT."""
        return Judgement.refused(
            reason,
            self.provenance(golden_sha256),
            threshold=self.threshold,
            provisional=self.provisional,
            milliseconds=milliseconds,
        )

    def _placed(self, frame: NDArray[np.uint8], golden: NDArray[np.uint8]) -> tuple[Placed, NDArray[np.uint8]]:
        """The frame on its golden, and that, at the working size."""
        size = working_size(frame.shape, self._side(frame.shape))
        working_golden = resized(golden, size)
        return place(resized(frame, size), working_golden), working_golden

    def _region(self, defect: Defect, back: NDArray[np.float64], frame: tuple[int, int]) -> Region:
        """The defect in pixels of the delivered frame, (height, width), by the matrix `back` to it."""
        left, top, right, bottom = moved_box(defect.box, back)
        x, y = (min(max(round(low), 0), end - 1) for low, end in ((left, frame[1]), (top, frame[0])))
        return Region(
            x=x,
            y=y,
            width=max(1, min(round(right), frame[1]) - x),
            height=max(1, min(round(bottom), frame[0]) - y),
            area=max(1, round(defect.area * abs(float(np.linalg.det(back[:2, :2]))))),
            similarity=defect.similarity,
            certainty=defect.certainty,
            types=named(defect.shares, self.types),
        )


class PairInspector(PairJudge):
    """Judges by a trained network. Set once, ask for every pair.

    Args:
        trained: the network with its threshold.
        cache: where exported graphs are kept; None keeps nothing.
        engine: `auto`, `onnx`, `torch` or `cuda`.
    """

    def __init__(self, trained: TrainedTwin, *, cache: Path | None = None, engine: str = "auto") -> None:
        super().__init__(trained.threshold, types=trained.twin.design.types)
        self.trained = trained
        self._engine = PairEngine(trained, cache=cache, engine=engine)
        self._grounds = pair_provenance(trained)

    @property
    def engine(self) -> str:
        """Name of the engine in use."""
        return self._engine.name

    def provenance(self, golden_sha256: str) -> Provenance:
        """What `pair_provenance` says of this network, and the golden by its bytes."""
        return replace(self._grounds, reference_set=golden_sha256[:DIGEST_LENGTH])

    def _side(self, shape: tuple[int, ...]) -> int:
        del shape
        return self.trained.side

    def _read(self, frame: NDArray[np.uint8], golden: NDArray[np.uint8], golden_sha256: str) -> DefectMap:
        del golden_sha256
        maps = self._engine.compare(frame, [self._engine.encode_golden(golden)])[0]
        return read_maps(maps, named=len(self.types) > 1, support=self.trained.support)


class UntrainedPairInspector(PairJudge):
    """Judges place by place in pretrained features, by what harmless changes of the golden tell: provisional verdicts.

    The last few goldens are kept open, so that frames of one golden cost its preparation once.
    """

    def __init__(self, *, cache: Path | None = None, engine: str = "auto") -> None:
        super().__init__(0.5, provisional=True)
        encoder = LevelEncoder(load_encoder(PAIR_LEVELS).backbone.requires_grad_(requires_grad=False)).eval()
        path = cache and graph_path(cache, f"pair-levels-{encoder_digest(PAIR_LEVELS)}")
        self._engine, self._levels = open_levels(encoder, engine=engine, path=path)
        self._known = encoder_digest(PAIR_LEVELS)
        self._opening = Lock()
        self._open: dict[str, PairComparison] = {}

    @property
    def engine(self) -> str:
        """Name of the engine in use."""
        return self._engine

    def provenance(self, golden_sha256: str) -> Provenance:
        """The encoder, the golden by its bytes, and the comparison's version in place of recipe and calibration."""
        version = digest_of(["untrained pairs", PAIR_COMPARISON_VERSION])
        return Provenance(
            encoder=self._known,
            reference_set=golden_sha256[:DIGEST_LENGTH],
            recipe=version,
            calibration=version,
        )

    def _side(self, shape: tuple[int, ...]) -> int:
        return own_side(shape)

    def _read(self, frame: NDArray[np.uint8], golden: NDArray[np.uint8], golden_sha256: str) -> DefectMap:
        comparison = self._opened(f"{golden_sha256 or sha256(golden.tobytes()).hexdigest()} {golden.shape}", golden)
        similarity = 1 / (1 + np.square(comparison.distances(frame)))
        return DefectMap(similarity=np.asarray(similarity, np.float32), types=None, support=_UNTRAINED_SUPPORT)

    def _opened(self, key: str, golden: NDArray[np.uint8]) -> PairComparison:
        with self._opening:  # or several threads would each prepare the same golden
            comparison = self._open.pop(key, None) or PairComparison(golden, self._levels)
            self._open[key] = comparison
            if len(self._open) > _GOLDENS_OPEN:
                del self._open[next(iter(self._open))]
        return comparison


def pair_provenance(trained: TrainedTwin) -> Provenance:
    """What verdicts of a trained network rest on but for the golden: itself, its size, itself with its threshold."""
    digest = trained.digest
    return Provenance(
        encoder=digest,
        reference_set="",
        recipe=digest_of({"side": trained.side}),
        calibration=digest_of([digest, trained.threshold, trained.support]),
    )


def own_side(shape: tuple[int, ...]) -> int:
    """The working side that suits a frame: its own longer side where that is neither tiny nor huge, in pixels."""
    side = round(max(shape[:2]) / MULTIPLE) * MULTIPLE
    return int(np.clip(side, _SMALLEST_SIDE, _LARGEST_SIDE))


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
