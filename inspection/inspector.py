"""The one function that judges a frame, in batch, stream, evaluation and served model alike."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from inspection.calibration import Binding, Calibration, distance_of, similarity_of
from inspection.decision import (
    find_regions,
    image_distance,
    judge_similarity,
    sensitivity_map,
    similarity_map,
    spread_to_pixels,
)
from inspection.encoder import encoder_digest
from inspection.engine import OnnxEngine, open_engine
from inspection.gallery import GoldenGallery
from inspection.golden_model import (
    GoldenModel,
    aligned,
    golden_distances,
    load_golden_model,
    make_golden_model,
    model_path,
    save_golden_model,
    working_image,
)
from inspection.onnx_comparison import comparer_on
from inspection.prepared import PreparedFrame, place_weights, scaling, unshown
from inspection.quality import QualityGate, measure_quality
from inspection.registration import Registrar, warp
from inspection.verdicts import Judgement, Provenance, Reason, Region, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.engine import Engine
    from inspection.learned.product import LearnedComparison
    from inspection.naming import TypeMap
    from inspection.reference_set import ReferenceSet

_NOT_COMPARED = (
    f"{Reason.NOT_COMPARED.value}: the comparison gave no finite number; run `goldentwin doctor`, and enrol again "
    "if all is well there"
)


class Inspector:
    """Judges frames of one product and view. Set once with goldens and calibration, ask for every frame.

    Args:
        reference_set: the goldens and the recipe.
        calibration: chooses the threshold; without one every frame is CANNOT_INSPECT, though compared.
        cache: where the exported encoder and the goldens' features are kept; None keeps nothing on disk.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`.

    Raises:
        WeightsError: the encoder's weights are missing or don't fit.
        ReferenceSetError: a golden was altered since it was enrolled.
        NotCalibratedError: the calibration is bound to another encoder, reference set or recipe.
    """

    def __init__(
        self,
        reference_set: ReferenceSet,
        *,
        calibration: Calibration | None = None,
        cache: Path | None = None,
        engine: str = "auto",
    ) -> None:
        recipe = reference_set.recipe
        self.reference_set = reference_set
        self.calibration = calibration
        self.hold = ""  # why no part passes for now, though the calibration would let it; "" where parts do
        self.uncalibrated = (  # told where no calibration is set
            "no calibration is bound to the current encoder, goldens and recipe; run "
            f"`goldentwin calibrate {reference_set.product} --view {reference_set.view} --labelled DIR`"
        )
        self.binding = Binding(
            encoder=encoder_digest(recipe.encoder), reference_set=reference_set.digest, recipe=recipe.digest
        )
        if calibration is not None:
            calibration.check(self.binding)
        self._cache = cache
        self._side = recipe.image_size
        images = reference_set.images()
        self.first_golden = images[0]
        self._golden_size = width, height = images[0].shape[1], images[0].shape[0]
        self._working = [working_image(image, self._side) for image in images]
        self._registrar = Registrar(self._working, recipe.registration, aspect=width / height)
        self._engine = open_engine(recipe.encoder, engine=engine, cache=self._cache, side=self._side)
        self._model = self._golden_model(images)
        self._comparer = comparer_on(self._engine, self._model.comparer)
        self._learned = self._learned_comparison(engine)
        self._gate = QualityGate(self._model.qualities, recipe.quality)
        self._sensitivity = sensitivity_map(self._side, reference_set.roi(), recipe.regions)

    @property
    def provenance(self) -> Provenance:
        """The hashes that verdicts of this inspector rest on."""
        return Provenance(
            encoder=self.binding.encoder,
            reference_set=self.binding.reference_set,
            recipe=self.binding.recipe,
            calibration=self.calibration.digest if self.calibration else None,
        )

    @property
    def engine(self) -> str:
        """Name of the engine in use."""
        return self._engine.name

    @property
    def on_gpu(self) -> bool:
        """Whether frames are best judged in batches, on one device that all threads share."""
        return self._engine.device.type == "cuda"

    @property
    def learned_from(self) -> frozenset[str]:
        """SHA-256 of the labelled frames that the trained network learned from; it knows them too well."""
        return self._learned.learned_from if self._learned is not None else frozenset()

    @property
    def golden_similarities(self) -> NDArray[np.float64]:
        """What harmlessly changed goldens read when compared with the other goldens: the provisional sample.

        They are read as frames are: nothing outside the ROI counts, and regions by their sensitivity. With a trained
        network they are what the good frames read that it did not learn from.
        """
        if self._learned is not None:
            return np.array([similarity_of(distance) for distance in self._learned.good_distances])
        maps = [spread_to_pixels(grid, self._side, self._sensitivity) for grid in self._model.comparer.golden_maps]
        return np.array([similarity_of(image_distance(distances)) for distances in maps])

    def golden_distances(self) -> NDArray[np.float64]:
        """Distance of each golden from each other one alone, (G, G), for the audit."""
        return golden_distances(self.placed_goldens(), self._engine, self._model.comparer)

    def placed_goldens(self) -> list[NDArray[np.uint8]]:
        """The goldens at the working size, aligned with the first: (S, S, 3) uint8 each."""
        return [self._working[0], *(self.align(image) for image in self._working[1:])]

    @cached_property
    def gallery(self) -> GoldenGallery:
        """Tells which golden a frame is most like; made when a picture is first drawn, not while frames are judged."""
        return GoldenGallery(
            self.reference_set,
            self.first_golden,
            self.placed_goldens(),
            engine=self._engine,
            comparer=self._comparer,
            registrar=self._registrar,
        )

    def align(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A (S, S, 3) working image brought onto the first golden, or as it lies where it can't be registered."""
        return aligned(image, self._registrar)

    def untrained_distances(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(g, g) distances of a registered (S, S, 3) working image, as they are without a trained network."""
        return np.asarray(self._comparer.compare(self._engine.describe([image]))[0], np.float32)

    def judge(self, images: Sequence[NDArray[np.uint8]]) -> list[Judgement]:
        """Judge frames, RGB uint8 (H, W, 3) as delivered, each by itself: a verdict does not depend on its batch."""
        return self.judge_prepared([self.prepare(image) for image in images])

    def prepare(self, image: NDArray[np.uint8]) -> PreparedFrame:
        """Quality gate and registration; safe to call from several threads at once."""
        started = time.perf_counter()
        quality = measure_quality(image)
        problem = self._gate.problem(quality)
        if problem:
            return PreparedFrame(quality=quality, problem=problem, milliseconds=_since(started))
        working = working_image(image, self._side)
        registration = self._registrar.register(working)
        weights = place_weights(registration, self._sensitivity, self._side)
        problem = unshown(registration, weights, self._sensitivity)
        if problem:
            return PreparedFrame(
                quality=quality, problem=problem, registration=registration, milliseconds=_since(started)
            )
        shrink = scaling((image.shape[1], image.shape[0]), (self._side, self._side))
        enlarge = scaling((self._side, self._side), self._golden_size)
        return PreparedFrame(
            quality=quality,
            registration=registration,
            image=warp(working, registration.matrix, (self._side, self._side)),
            weights=weights,
            matrix=enlarge @ registration.matrix @ shrink,
            to_frame=np.asarray(np.linalg.inv(registration.matrix @ shrink), dtype=np.float64),
            milliseconds=_since(started),
        )

    def judge_prepared(self, frames: Sequence[PreparedFrame]) -> list[Judgement]:
        """Encode, compare and decide."""
        images = [frame.image for frame in frames if frame.image is not None]
        started = time.perf_counter()
        grids = iter(self._compared(images))
        share = _since(started) / max(len(images), 1)
        return [
            self._refused(frame) if frame.image is None else self._decided(frame, *next(grids), share)
            for frame in frames
        ]

    def _compared(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[NDArray[np.float32], TypeMap | None]]:
        """Of each image a grid of distances, and what kind of defect each place would be where that was learned."""
        with self._engine.own_stream():
            grids = self._comparer.compare(self._engine.describe(images)) if images else ()
            both, learned = zip(images, grids, strict=True), self._learned
            return [(grid, None) if learned is None else learned.compare(image, grid) for image, grid in both]

    def _decided(
        self, frame: PreparedFrame, grid: NDArray[np.float32], types: TypeMap | None, share: float
    ) -> Judgement:
        started = time.perf_counter()
        distances = spread_to_pixels(grid, self._side, frame.weights)
        distance = image_distance(distances)
        if not math.isfinite(distance):
            return self._refused(replace(frame, problem=_NOT_COMPARED))
        similarity = similarity_of(distance)
        calibration = self.calibration
        verdict, reason = Verdict.CANNOT_INSPECT, f"{Reason.NOT_CALIBRATED.value}: {self.uncalibrated}"
        regions: tuple[Region, ...] = ()
        if calibration is not None:
            verdict, reason = judge_similarity(similarity, calibration.threshold), ""
            regions = self._regions(frame, distances, calibration, types) if verdict is Verdict.FLAG else ()
        if self.hold and verdict is Verdict.PASS:
            verdict, reason = Verdict.CANNOT_INSPECT, self.hold
        return replace(
            self._refused(frame),
            verdict=verdict,
            reason=reason or None,
            similarity=similarity,
            distance=distance,
            regions=regions,
            milliseconds=frame.milliseconds + share + _since(started),
            similarity_map=similarity_map(distances),
            matrix=frame.matrix,
        )

    def _regions(
        self,
        frame: PreparedFrame,
        distances: NDArray[np.float32],
        calibration: Calibration,
        types: TypeMap | None,
    ) -> tuple[Region, ...]:
        if frame.to_frame is None or frame.quality is None:
            return ()
        size = (frame.quality.width, frame.quality.height)
        return find_regions(distances, distance_of(calibration.threshold), frame.to_frame, size, types=types)

    def _refused(self, frame: PreparedFrame) -> Judgement:
        calibration = self.calibration
        return replace(
            Judgement.refused(
                frame.problem,
                self.provenance,
                threshold=calibration.threshold if calibration else None,
                provisional=calibration.provisional if calibration else False,
                milliseconds=frame.milliseconds,
            ),
            brightness=frame.quality.brightness if frame.quality else None,
            focus=frame.quality.focus if frame.quality else None,
            registration_quality=frame.registration.quality if frame.registration else None,
        )

    def _learned_comparison(self, engine: str) -> LearnedComparison | None:
        if self.reference_set.recipe.twin is None:
            return None
        from inspection.learned.product import open_learned  # noqa: PLC0415 - most products have none

        return open_learned(self.reference_set, self.placed_goldens(), cache=self._cache, engine=engine)

    def _golden_model(self, images: Sequence[NDArray[np.uint8]]) -> GoldenModel:
        """From the cache, or made anew on the CPU's engine, so that every machine makes the same."""
        path = self._cache and model_path(self._cache, **asdict(self.binding))
        model = load_golden_model(path) if path else None
        if model is None:
            on_cpu = isinstance(self._engine, OnnxEngine)
            choice = self.reference_set.recipe.encoder
            engine: Engine = self._engine if on_cpu else OnnxEngine(choice, cache=self._cache, side=self._side)
            model = make_golden_model(images, side=self._side, engine=engine, registrar=self._registrar)
            if path:
                save_golden_model(path, model)
        return model


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
